"""A concern: something about a node or a cluster that a person should know, which stands until it is gone.

The doctor's `Finding` is what one check saw in one moment, a pass too; a concern lasts, is never a pass, and may be
accepted. The one rule: a concern has figures as evidence and a remedy, and its id stays the same while it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.step import Playbook


class Severity(StrEnum):
    """How much it matters: a NOTE costs nothing now, a WARN costs something, a CRIT stops work or soon will."""

    NOTE = "note"
    WARN = "warn"
    CRIT = "crit"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that stands. Every text is plain and bounded; `rule` names the judge's rule, kebab-case."""

    rule: str
    node_id: str
    """"" where it is about the nodes together."""
    severity: Severity
    title: str
    evidence: str
    """What was seen, with its figures."""
    remedy: str
    subject: str = ""
    """The part of the node: a cage ("P0"), a field of the details; "" is the node itself."""
    cost: str = ""
    """What it costs, where that can be told."""
    fix: Playbook | None = None
    """What SparkDesk can do about it, shown before it runs."""
    job_id: str = ""
    """The job that `fix` stops: its launcher stops it, so that the job's state is kept."""
    fingerprint: str = ""
    """The evidence that matters, without figures that move: an acceptance holds until this changes."""
    since_ms: int = 0
    """Since when it has been seen, Unix ms of this computer."""
    silent_ms: int = 0
    """The moment that it is told of, Unix ms, where nobody can tell since then whether it still is so; else 0."""
    is_accepted: bool = False
    note: str = ""
    """What was noted when it was accepted."""

    @property
    def id(self) -> str:
        """Stable over the time that it stands, and over restarts."""
        return concern_id(self.rule, self.node_id, self.subject)


def concern_id(rule: str, node_id: str, subject: str = "") -> str:
    """The id of a concern."""
    return f"{rule}/{node_id}/{subject}"


def worst_first(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """Those not accepted first; then by severity; then the newest; then by id."""
    return tuple(sorted(concerns, key=lambda one: (one.is_accepted, -one.severity.rank, -one.since_ms, one.id)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judge says of one possible concern in one moment: it is so, it is not so, or it cannot be told."""

    id: str
    concern: Concern | None = None
    """None: not so, unless `is_known` is False."""
    is_known: bool = True
    appear_s: float = 0.0
    """It must be so for this long before it is told."""
    clear_s: float = 0.0
    """It must be gone for this long before it is taken back."""
    easing: str = ""
    """The evidence of now for what still stands because it has not been gone for long enough; "" keeps the old one."""
    is_brief: bool = False
    """It is true for seconds only: where it cannot be told any more, what stands says of when it is."""
