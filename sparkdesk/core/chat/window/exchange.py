"""A conversation as exchanges: a question with all that answered it.

The one rule: an exchange is sent whole or not at all; a question is never parted from its answer, and what is sent
never begins with an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn

Count = Callable[[str], int]
"""How many tokens a text has, counted or estimated."""

MESSAGE_TOKENS = 8
"""What a chat template puts around one message, for estimates. Source: `<|im_start|>user\\n` and `<|im_end|>\\n` in the
template of tests/data/models/tinytool.gguf, where one character is one token; others take less."""
FILE_TOKENS = 16
"""What is put around the text of a file, for estimates: its name and a frame."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answers, in their order. `has_question` is False for what was said before any question."""

    turns: tuple[Turn, ...]
    has_question: bool

    @property
    def has_answer(self) -> bool:
        """Whether anything answered."""
        return len(self.turns) > 1

    @property
    def numbers(self) -> tuple[int, ...]:
        """The turns' numbers."""
        return tuple(turn.number for turn in self.turns)


def says_something(turn: Turn) -> bool:
    """Whether there is anything to send of it: reasoning alone is not sent."""
    return bool(turn.text.strip()) or bool(turn.message.attachments)


def exchanges(turns: tuple[Turn, ...]) -> tuple[Exchange, ...]:
    """The turns that say something, as exchanges."""
    found: list[list[Turn]] = []
    for turn in turns:
        if not says_something(turn):
            continue
        if turn.message.role is Role.USER or not found:
            found.append([turn])
        else:
            found[-1].append(turn)
    return tuple(Exchange(tuple(group), group[0].message.role is Role.USER) for group in found)


def can_be_sent(exchange: Exchange, newest: Exchange) -> bool:
    """Whether a chat template takes it: it begins with a question, and one without an answer is the newest."""
    return exchange is newest or (exchange.has_question and exchange.has_answer)


def numbers_of(found: tuple[Exchange, ...]) -> tuple[int, ...]:
    """The turns' numbers, in order."""
    return tuple(number for exchange in found for number in exchange.numbers)


def turn_tokens(turn: Turn, count: Count) -> int:
    """Tokens of a turn as it is sent, with the template's marks. Images are not counted: no server tells theirs."""
    files = sum(count(part.text) + count(part.name) + FILE_TOKENS for part in turn.message.files)
    return count(turn.text) + files + MESSAGE_TOKENS
