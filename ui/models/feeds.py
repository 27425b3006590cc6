"""What the page of models asks of the rest: one value of plain callables, which whoever opens the page fills in.

The one rule: the page itself reads no file, asks no node and computes no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.search.table import ModelRow


@dataclass(frozen=True, slots=True)
class ModelsFeeds:
    """What the page asks. All calls are pure; `row_for` takes some milliseconds, so one is asked at a time."""

    catalogue: Sequence[ModelSpec]
    row_for: Callable[[ModelSpec, Place, tuple[int, ...]], ModelRow]
    """One model on each of these node counts; counts beyond the place are of nodes that nobody owns."""
    place: Callable[[tuple[str, ...]], Place]
    """Nodes by id, as the planner sees them at this moment."""
    contexts: Latest[tuple[NodeContext, ...]]
    """The live nodes."""
    clock_s: Callable[[], float]
    """Monotonic; only measures how long the answers took."""
    remedy: Callable[[ModelSpec, Place, int], str] = lambda _spec, _place, _count: ""
    """What would make a model fit that does not fit on so many nodes; "" where nothing is known to help."""
    refresh_memory: Callable[[], None] = lambda: None
    """Has `contexts` tell the memory of this moment; asks nobody."""
    learned_changed: Latest[int] | None = None
    """Counts up when other starts correct the rows."""
    set_learned: Callable[[Correction, bool], object] | None = None
    """Has a correction applied, or forgets it; None: it cannot be changed here."""
    engine_titles: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    """Why there is no catalogue."""
