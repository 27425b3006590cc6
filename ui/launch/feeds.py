"""What the launch page asks of the rest: one value of plain callables, which whoever opens the page fills in.

The one rule: the page itself reads no file, asks no node and computes no figure; what is not wired gives nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.jobs.image import Images
from sparkdesk.core.jobs.plan import LaunchPlan, Problem
from sparkdesk.core.jobs.recipe.approval import Approvals
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.agent.workload import AgentRun
from sparkdesk.core.planning.launch.word import Vocabulary
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.table import Cell
from sparkdesk.core.planning.setup import EngineProfile
from sparkdesk.core.step import Playbook
from ui.launch.occasion.occasion import RunningJob


class ReadPaste(Protocol):
    """Reads a text; raises nothing. `is_recipe`: its file's name says that it can be nothing else."""

    def __call__(self, text: str, *, is_recipe: bool = False) -> Imported: ...


@dataclass(frozen=True, slots=True)
class LaunchFeeds:
    """What the page asks. All calls are pure and quick; `plan` and `plan_rows` raise PlanError."""

    backends: Sequence[BackendInfo]
    catalogue: Sequence[ModelSpec]
    contexts: Latest[tuple[NodeContext, ...]]
    problems: Callable[[LaunchRequest], list[Problem]]
    plan: Callable[[LaunchRequest], LaunchPlan]
    clock_s: Callable[[], float]
    """Monotonic; only measures how long a plan took."""
    broken_backends: Sequence[str] = ()
    refresh_memory: Callable[[], None] = lambda: None
    """Has `contexts` tell the memory of this moment; asks nobody."""
    look_at_nodes: Callable[[tuple[str, ...]], object] = lambda _node_ids: None
    """Has docker, ports, disk and images of these nodes read again, in the background; `contexts` tells them then."""
    node_age_s: Callable[[str], float] = lambda _node_id: math.nan
    """How long ago a node was looked at so; NaN is not known."""
    ask_hub: Callable[[LaunchRequest], object] = lambda _request: None
    """Has the nodes ask the hub, in the background, whether it gives out what this would fetch; `contexts` tells its
    answer then. Another question takes the place of one that is not answered yet."""
    show_settings: Callable[[], None] = lambda: None
    """Has the page of settings shown, where the hub's token is given."""
    forget_hub: Callable[[], object] = lambda: None
    """Nobody waits for the answer any more."""
    topology: Latest[Topology] = field(default_factory=lambda: Latest(Topology()))
    """How the nodes are cabled: their order in a job of several."""
    engines: Mapping[str, EngineProfile] = field(default_factory=dict)
    """What the planner knows of each engine, those without an adapter too."""
    place: Callable[[tuple[str, ...]], Place] = lambda _node_ids: Place(())
    """Nodes by id, as the planner sees them at this moment."""
    plan_rows: Callable[[Question], tuple[PlanRow, ...]] = lambda _question: ()
    currency: Callable[[], str] = lambda: ""
    """What the settings call the money of costs; "" is not said."""
    agent_run: Callable[[PlanRow, int], AgentRun | None] = lambda _row, _tasks: None
    """So many tasks of the row's workload, as many at once as it has users: until all are done, and how long with
    other numbers at once."""

    best_cell: Callable[[ModelSpec, Place], Cell | None] | None = None
    """The best plan of a model on up to all these nodes for one chat user, quick enough for a whole catalogue."""
    read_paste: ReadPaste | None = None
    """Reads a pasted command, recipe, hub id or path. Runs nothing and asks nobody."""
    approvals: Latest[Approvals] = field(default_factory=lambda: Latest(Approvals()))
    """The recipes that a person has approved on this computer."""
    approve: Callable[[str], None] = lambda _digest: None
    """Remembers a SHA-256 in `approvals`; where it is not wired nothing is ever approved."""
    read_file: Callable[[str, Callable[[str, str], None]], None] | None = None
    """Reads a file that the person chose and tells (its text, what went wrong)."""
    export: Callable[[str, LaunchRequest, Imported | None], str] | None = None
    """Writes a request as `command` or one of `export_kinds`, with what only the text that it came from knows (the
    third). Raises PlanError."""
    export_kinds: Sequence[tuple[str, str]] = ()
    """(key, title) of the ways to write a request, beside the command."""

    knows_name: Callable[[str, ModelSpec, str], bool] = lambda _engine, _spec, _key: False
    """Whether an engine with a library of its own (by key) knows what a model's format (by key) is called there."""
    words: Mapping[str, Vocabulary] = field(default_factory=dict)
    """Each engine's own words for its backends and loaders, as far as a table of it has them."""
    images: Images = field(default_factory=dict)
    """Known images by engine."""
    jobs_to_replace: Callable[[], Sequence[RunningJob]] = lambda: ()
    """The servers of ours that run or start now."""
    problems_without: Callable[[LaunchRequest, str], list[Problem]] | None = None
    """What speaks against a request once this job is stopped; None: nothing can be replaced from here."""
    switch_plan: Callable[[str, LaunchRequest], LaunchPlan] | None = None
    """One plan that stops a job and launches the request in its place. Raises SparkDeskError."""
    show_playbook: Callable[[Playbook], None] | None = None
    """Shows steps to the person, who may run them; None: there is no such place."""

    def ranked_contexts(self) -> tuple[NodeContext, ...]:
        """The nodes to choose from, in the cabling's order."""
        known = {context.record.id: context for context in self.contexts.value}
        return tuple(known[node_id] for node_id in ranked(known, self.topology.value.rank_order))
