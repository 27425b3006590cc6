"""The doctor's nouns: a check reads a node and says pass, warn, fail or could not read, with evidence and a fix.

The one rule: what could not be read is its own verdict; it is never a pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.probes.read import Answers, Probe
from sparkdesk.core.step import Playbook


class Verdict(StrEnum):
    """How a check ended."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNREAD = "unread"

    @property
    def words(self) -> str:
        """The verdict in words."""
        return {"pass": "Pass", "warn": "Warning", "fail": "Fails", "unread": "Could not be read"}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found on a node. `message` says it in one sentence with its figure; `meaning` what it costs."""

    check_id: str
    node_id: str
    title: str
    verdict: Verdict
    message: str
    evidence: str = ""
    """What was read, as plain bounded text."""
    meaning: str = ""
    remedy: str = ""
    """What to do, in words; required unless the verdict is PASS."""
    fix: Playbook | None = None
    """What SparkDesk can do about it, shown before it runs."""
    source: str = ""
    is_unverified: bool = False
    """The threshold or the words were never seen on hardware by us."""


@dataclass(frozen=True, slots=True)
class Check:
    """A probe with its judge. `judge(answers, node_id)` is pure and total: it never raises."""

    probe: Probe
    judge: Callable[[Answers, str], Finding]


@dataclass(frozen=True, slots=True)
class CheckUp:
    """How far a node's check-up is. `findings` come in the order of the table, as far as they are known."""

    node_id: str
    state: str = "none"
    """none, running, done, failed."""
    t_ms: int = 0
    """When it ended."""
    findings: tuple[Finding, ...] = ()
    message: str = ""
    remedy: str = ""
