"""How many tokens a text may have, where no tokenizer was asked.

The one rule: an estimate leans on what the server counted before; without that it is on the safe side, too many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.exchange import MESSAGE_TOKENS, says_something
from sparkdesk.core.chat.window.sent_memory import memory_of

BYTES_PER_TOKEN = 3.5
"""UTF-8 bytes in a token where nothing was counted yet. English has about 4 characters in a token (source: OpenAI's
"What are tokens and how to count them"); code and other scripts have fewer, so this is below it."""
LEAST_BYTES_PER_TOKEN, MOST_BYTES_PER_TOKEN = 0.8, 12.0
"""Bounds of what is believed of a calibration: a tokenizer with bytes as its last resort makes no more tokens than
bytes, save for the marks around messages."""


def size_bytes(text: str) -> int:
    """UTF-8 bytes; half characters count as what stands for them."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes to tokens. `is_calibrated`: from the server's own count of an earlier prompt."""

    bytes_per_token: float = BYTES_PER_TOKEN
    is_calibrated: bool = False

    def tokens(self, text: str) -> int:
        """Tokens that the text has by this estimate; 0 only for an empty text."""
        return math.ceil(size_bytes(text) / self.bytes_per_token)


def calibrated(prompt_bytes: int, prompt_tokens: int, messages: int) -> Estimate | None:
    """What a prompt of so many messages and bytes teaches, by the server's count; None when that makes no sense."""
    tokens = prompt_tokens - messages * MESSAGE_TOKENS
    if prompt_bytes < 1 or tokens < 1:
        return None
    ratio = min(max(prompt_bytes / tokens, LEAST_BYTES_PER_TOKEN), MOST_BYTES_PER_TOKEN)
    return Estimate(ratio, is_calibrated=True)


def calibrate(turns: tuple[Turn, ...], system_prompt: str) -> Estimate:
    """The estimate after the server's count for the newest answer of the branch that has one."""
    for at in range(len(turns) - 1, -1, -1):
        turn = turns[at]
        asked = turn.usage.prompt_tokens if turn.message.role is Role.ASSISTANT and turn.usage is not None else None
        if asked is None or any(said.message.images for said in turns[:at]):
            continue  # an image's tokens are not a matter of its bytes
        found = _learn(turn, turns[:at], system_prompt, asked)
        if found is not None:
            return found
    return Estimate()


def _learn(answer: Turn, before: tuple[Turn, ...], system_prompt: str, asked: int) -> Estimate | None:
    sent, texts = answer.sent, [system_prompt]
    left_out = frozenset(sent.left_out) if sent is not None else frozenset()
    said = [turn for turn in before if turn.number not in left_out and says_something(turn)]
    for turn in said:
        texts += [turn.text, *(part.text for part in turn.message.files)]
    if sent is not None:
        texts += [memory_of(sent, before) or "", sent.summary, *(excerpt.text for excerpt in sent.excerpts)]
    return calibrated(sum(map(size_bytes, texts)), asked, len(said) + 1)
