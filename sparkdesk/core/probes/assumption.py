"""The field report's nouns: what the code takes for true of a Spark, and whether a real one agrees.

The one rule: every constant that is marked "unverified on hardware" has an assumption here, by id; a test sees to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.probes.read import Answers, Probe


class Hold(StrEnum):
    """Whether an assumption held on a node."""

    HELD = "held"
    DIFFERS = "differs"
    NOT_SEEN = "not_seen"
    """The node has nothing to hold it against (no cable, no container), or it could not be read."""

    @property
    def words(self) -> str:
        """In words."""
        return {"held": "Held", "differs": "Differs", "not_seen": "Not seen"}[self.value]


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing that the code rests on. `claim` is a sentence; `where` names the module that uses it."""

    probe: Probe
    claim: str
    where: str
    judge: Callable[[Answers], tuple[Hold, str]]
    """Pure and total; the text is what was seen (evidence), before redaction."""


@dataclass(frozen=True, slots=True)
class FieldResult:
    """How one assumption fared on a node."""

    assumption_id: str
    title: str
    claim: str
    hold: Hold
    seen: str
    source: str
    where: str


@dataclass(frozen=True, slots=True)
class FieldReport:
    """How a node fared. Kept with the node, so that marks turn to "seen on this node, date"."""

    node_id: str
    state: str = "none"
    """none, running, done, failed."""
    t_ms: int = 0
    results: tuple[FieldResult, ...] = ()
    message: str = ""
    remedy: str = ""
    is_simulated: bool = False
    """The node is a simulated one: whatever held there was not seen on hardware."""

    def seen_ms(self, assumption_id: str) -> int:
        """When (Unix ms) this was last seen to hold on real hardware; 0 when it was not."""
        is_held = any(one.assumption_id == assumption_id and one.hold is Hold.HELD for one in self.results)
        return self.t_ms if is_held and not self.is_simulated else 0

    def count(self, hold: Hold) -> int:
        """How many results are so."""
        return sum(result.hold is hold for result in self.results)

    def summary(self) -> str:
        """ "held 39, differ 1, not seen 1"."""
        held, differ, unseen = (self.count(hold) for hold in (Hold.HELD, Hold.DIFFERS, Hold.NOT_SEEN))
        return f"held {held}, differ {differ}, not seen {unseen}"
