"""The rollback clock in words: which node restores itself when, and what a person is asked.

The one rule: pure; time that has run out is never shown as less than nothing, and "kept" is said by the run alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkdesk.core.bringup.state import Trial
from ui import text

RUNS_ON_THE_NODE = "The clock runs on the node: it restores itself even if this computer loses the network."


@dataclass(frozen=True, slots=True)
class ClockFace:
    """One trial as it is shown now."""

    node_id: str
    name: str
    left_s: float
    length_s: float
    question: str = ""

    @property
    def share(self) -> float:
        """How much of the time is left, 0..1."""
        return min(1.0, max(0.0, self.left_s / self.length_s)) if self.length_s > 0 else 0.0

    @property
    def left_words(self) -> str:
        """ "0:42"."""
        return text.duration(self.left_s)

    @property
    def line(self) -> str:
        """The small form, while SparkDesk decides by itself, or another node is asked about in the large one."""
        if self.left_s <= 0:
            return f"{self.name} restores itself now"
        if self.question:
            return f"{self.name} waits for your answer, and restores itself in {self.left_words}"
        return f"{self.name} restores itself in {self.left_words} unless kept"


def faces(trials: Sequence[Trial], names: Mapping[str, str], now_ms: int) -> tuple[ClockFace, ...]:
    """The trials, those with a question first, and of these the one that has the least time."""
    found = [
        ClockFace(
            trial.node_id,
            text.one_line(names.get(trial.node_id, trial.node_id), 64),
            max(0.0, (trial.ends_ms - now_ms) / 1000),
            trial.length_s,
            text.one_line(trial.question, 300),
        )
        for trial in trials
    ]
    return tuple(sorted(found, key=lambda face: (not face.question, face.left_s if face.question else 0.0)))
