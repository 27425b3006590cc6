"""One row of the plan table: a setup on its nodes, with memory, speed, cost, quality, and why it stands where it does.

The one rule: a row is a value with every figure that any screen, export or verb shows; nobody computes one again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.jobs.plan import Fit, MemoryLedger, Problem
from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.workload import Workload


@dataclass(frozen=True, slots=True)
class Toll:
    """What a launch costs a deployment that runs on one of its nodes."""

    job_id: str
    title: str
    slowdown: float
    """Its tokens a second with the new one busy, over those of now: 0 to 1; NaN: not known."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Power and money. Money is in the settings' currency."""

    power_w: Figure = UNKNOWN
    """All nodes at the wall, under this load."""
    energy_per_million: Figure = UNKNOWN
    """Money for the energy of 10^6 output tokens."""
    total_per_million: Figure = UNKNOWN
    """Energy + price of the machines over their years of use."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What the weights' format costs in answers."""

    level: int
    """0 none, 1 minimal, 2 small, 3 noticeable, 4 moderate: to sort by."""
    words: str
    source: str = ""
    """"" is a class's word, not a measurement of this checkpoint."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One way to serve the model; `rank` 1 is the best of those that fit. `place.nodes` are the nodes that it uses."""

    rank: int
    setup: Setup
    place: Place
    workload: Workload
    ledgers: tuple[MemoryLedger, ...]
    max_context_tokens: int | None
    """Longest context of one request with the workload's users; None: not known."""
    max_concurrency: int | None
    """Most requests of the workload's length at once."""
    alone: Prediction
    shared: Prediction | None = None
    """While the neighbours are as busy as now; None: no neighbour."""
    tolls: tuple[Toll, ...] = ()
    cost: Cost = Cost()
    quality: Quality = Quality(0, "")
    fit: Fit = Fit.UNKNOWN
    problems: tuple[Problem, ...] = ()
    """Why it does not work or what to mind; what would make it fit is in the remedy."""
    why: str = ""
    """One clause: why it stands here; of the first, with the largest difference to the next."""

    @property
    def least_free_bytes(self) -> int | None:
        """Left on the fullest node, negative where it is too big for it; None where a node's is not known."""
        left = [ledger.free_bytes for ledger in self.ledgers]
        known = [free for free in left if free is not None]
        return min(known) if known and len(known) == len(left) else None

    @property
    def shown(self) -> Prediction:
        """What ranking and screens lead with: shared where a neighbour is there of which is known how busy it is."""
        return self.shared if self.shared is not None and self.shared.e2e_s.is_known else self.alone
