"""What a server is asked to do: how long prompts and answers are, how many ask at once, how much is cached.

The one rule: a speed without its workload says nothing, so every prediction carries one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """`users` requests at once, each of `prompt_tokens` in and `answer_tokens` out.

    `cached_share` (0 to below 1) is the part of each prompt whose KV is there already (prefix cache).
    """

    key: str
    """chat, coding, batch, or custom."""
    title: str
    prompt_tokens: int
    answer_tokens: int
    users: int
    cached_share: float = 0.0

    @property
    def context_tokens(self) -> int:
        """The longest that one request grows."""
        return self.prompt_tokens + self.answer_tokens

    @property
    def new_prompt_tokens(self) -> float:
        """Tokens of each prompt that must really be computed; the last one always is."""
        return max(1.0, self.prompt_tokens * (1.0 - self.cached_share))


CHAT = Workload("chat", "Chat", 2048, 512, 1)
CODING = Workload("coding", "Coding agent", 61_440, 1024, 4, cached_share=0.9)
BATCH = Workload("batch", "Batch", 1024, 1024, 128)
PRESETS = (CHAT, CODING, BATCH)
"""Source: DESIGN, section 12."""
