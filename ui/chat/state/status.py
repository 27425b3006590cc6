"""What the answer that is being written does now, as a value.

Rule: what is not known of it is NaN; how far a prompt is read says how that is known.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.chat.stream.timing import AnswerTiming
from ui.text import is_known


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of the prompt is read, in tokens. NaN and 0 are not known; `source` says how it is known."""

    read: float = float("nan")
    total: float = float("nan")
    left_s: float = float("nan")
    source: str = ""

    @property
    def fraction(self) -> float:
        """The share that is read, 0..1; NaN when not known."""
        if not is_known(self.read) or not is_known(self.total) or self.total <= 0:
            return float("nan")
        return min(1.0, max(0.0, self.read / self.total))


@dataclass(frozen=True, slots=True)
class Status:
    """What the answer does now. `phase`: preparing, waiting, reading, thinking, writing."""

    phase: str
    elapsed_s: float
    timing: AnswerTiming
    reading: Reading = Reading()
    activity: str = ""
    """What is done before the question is sent, in words: "Summing up older turns"."""

    @property
    def thought_s(self) -> float:
        """How long the model has thought; while it does, also when no piece comes. NaN when not known."""
        if self.phase != "thinking" or not is_known(self.timing.ttft_s):
            return self.timing.thinking_s
        return max(self.timing.thinking_s, self.elapsed_s - self.timing.ttft_s)
