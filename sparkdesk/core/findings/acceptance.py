"""An acceptance: a person has seen a concern and lives with it, as it is.

The one rule: it holds for the evidence that was accepted. When that changes, or gets worse, it ends for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.plain_text import make_line

MAX_NOTE_CHARS = 500


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was accepted, when (Unix ms), and why."""

    severity: Severity
    fingerprint: str
    note: str
    t_ms: int

    def holds_for(self, concern: Concern) -> bool:
        """Whether the concern is as it was accepted, or milder."""
        return concern.fingerprint == self.fingerprint and concern.severity.rank <= self.severity.rank

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Acceptance:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError or ValueError."""
        return cls(Severity(data["severity"]), str(data["fingerprint"]), str(data["note"]), int(data["t_ms"]))


def accept(concern: Concern, note: str, t_ms: int) -> Acceptance:
    """Accept the concern as it is now."""
    words = make_line(note.strip(), max_chars=MAX_NOTE_CHARS)
    return Acceptance(concern.severity, concern.fingerprint, words, t_ms)


def mark(concern: Concern, acceptance: Acceptance | None) -> Concern:
    """The concern as it is shown."""
    if acceptance is None or not acceptance.holds_for(concern):
        return replace(concern, is_accepted=False, note="")
    return replace(concern, is_accepted=True, note=acceptance.note)
