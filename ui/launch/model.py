"""The launch page's view-model: the form, and what a launch of it would do.

The one rule: every change computes the whole plan anew, 100 ms after the last one, and says how long that took. What
is shown is the plan that would run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.jobs.plan import Fit, LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from ui import text
from ui.bridge import watch
from ui.jobs.mark import Mark, MarkKind
from ui.launch.form import FIELDS, Form, fill_defaults, load_request, pick_model, read_form

DEBOUNCE_MS = 100
FIT_KINDS: dict[Fit, MarkKind] = {
    Fit.FITS: "ok",
    Fit.TIGHT: "warn",
    Fit.RISKY: "warn",
    Fit.TOO_BIG: "crit",
    Fit.UNKNOWN: "neutral",
}
_WORST = (Fit.TOO_BIG, Fit.RISKY, Fit.UNKNOWN, Fit.TIGHT, Fit.FITS)


@dataclass(frozen=True, slots=True)
class LaunchFeeds:
    """What the page asks. `problems` and `plan` are pure and quick; `plan` raises PlanError."""

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
    topology: Latest[Topology] = field(default_factory=lambda: Latest(Topology()))
    """How the nodes are cabled: their order in a job of several."""

    def ranked_contexts(self) -> tuple[NodeContext, ...]:
        """The nodes to choose from, in the cabling's order."""
        known = {context.record.id: context for context in self.contexts.value}
        return tuple(known[node_id] for node_id in ranked(known, self.topology.value.rank_order))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a launch of the form would do, or why it cannot be."""

    request: LaunchRequest | None = None
    plan: LaunchPlan | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    """By field: what forbids the launch; "" is the whole form."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """By field: warnings and notes."""
    problems: tuple[Problem, ...] = ()
    compute_ms: float = 0.0

    @property
    def fit(self) -> Fit:
        """The worst word of all nodes."""
        fits = {ledger.fit for ledger in self.plan.ledgers} if self.plan else {Fit.UNKNOWN}
        return next((fit for fit in _WORST if fit in fits), Fit.UNKNOWN)

    @property
    def needs_anyway(self) -> bool:
        """Whether the person must say that the risk is meant."""
        return self.plan is not None and self.fit in (Fit.RISKY, Fit.TOO_BIG)

    @property
    def verdict(self) -> Mark:
        """The chip beside the title."""
        if self.plan is None:
            count = max(1, len(self.errors))
            return Mark("1 error" if count == 1 else f"{count} errors", "crit", "octagon-alert")
        warnings = sum(problem.severity is Severity.WARNING for problem in self.problems)
        words = self.fit.value
        kind = FIT_KINDS[self.fit]
        if warnings and self.fit in (Fit.FITS, Fit.TIGHT):
            words += f" with {warnings} {'warning' if warnings == 1 else 'warnings'}"
            kind = "warn"
        icon = {"ok": "circle-check", "neutral": "circle-help"}.get(kind)
        return Mark(words, kind, icon)


class LaunchModel(QObject):
    """The form and its preview."""

    form_changed = Signal()
    preview_changed = Signal()
    catalogue_changed = Signal()
    launch_asked = Signal(object)
    """The LaunchPlan to run."""

    def __init__(self, feeds: LaunchFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.backends: dict[str, BackendInfo] = {info.key: info for info in feeds.backends}
        self.form = Form(engine=next(iter(self.backends), ""))
        self.preview = Preview()
        self.fits: dict[str, Mark] = {}
        self.is_anyway = False
        self.is_launching = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.recompute)
        self._fit_timer = QTimer(self)
        self._fit_timer.setInterval(0)
        self._fit_timer.timeout.connect(self._fit_next)
        self._fit_queue: list[ModelSpec] = []
        if feeds.catalogue:
            self.form = pick_model(self.form, feeds.catalogue[0], self.backends)
        self._rank_order: tuple[str, ...] = ()
        watch(feeds.contexts, self, self._take_contexts)
        watch(feeds.topology, self, self._take_topology)

    # The form ------------------------------------------------------------------------------------------------------

    def spec(self) -> ModelSpec | None:
        """The catalogue's entry for the model on the form."""
        return next((spec for spec in self.feeds.catalogue if spec.name == self.form.model), None)

    def info(self) -> BackendInfo | None:
        """The engine on the form."""
        return self.backends.get(self.form.engine)

    def node_name(self, node_id: str) -> str:
        """A node's name, its id when it is not live."""
        return next((c.record.name for c in self.feeds.contexts.value if c.record.id == node_id), node_id)

    def set_field(self, name: str, value: object) -> None:
        """The person changed a field."""
        if getattr(self.form, name) != value:
            self._set_form(self.form.typed(name, value))

    def toggle_node(self, node_id: str) -> None:
        """Choose a node; engines that serve from one node only have one."""
        info = self.info()
        is_single = info is None or tuple(info.parallelisms) == ("single",)
        nodes = self.form.nodes
        if is_single:
            chosen: tuple[str, ...] = (node_id,)
        else:
            chosen = tuple(n for n in nodes if n != node_id) if node_id in nodes else (*nodes, node_id)
        self.set_field("nodes", ranked(chosen, self.feeds.topology.value.rank_order))

    def pick(self, name: str) -> None:
        """Choose a model from the catalogue."""
        spec = next((each for each in self.feeds.catalogue if each.name == name), None)
        if spec is not None:
            self._set_form(pick_model(self.form, spec, self.backends))

    def load(self, request: LaunchRequest) -> None:
        """Fill the form from an earlier launch."""
        self._set_form(load_request(request))

    def set_anyway(self, is_anyway: bool) -> None:
        """The person says that the risk is meant."""
        self.is_anyway = is_anyway
        self.preview_changed.emit()

    def _set_form(self, form: Form) -> None:
        self.form = fill_defaults(form, self._spec_of(form), self.feeds.ranked_contexts(), self.backends)
        self.is_anyway = False
        self.form_changed.emit()
        self._timer.start()

    def _spec_of(self, form: Form) -> ModelSpec | None:
        return next((spec for spec in self.feeds.catalogue if spec.name == form.model), None)

    def _take_contexts(self, _contexts: tuple[NodeContext, ...]) -> None:
        before = self.form
        self.form = fill_defaults(self.form, self.spec(), self.feeds.ranked_contexts(), self.backends)
        if self.form != before:
            self.form_changed.emit()
        self._timer.start()
        self._fit_queue = list(self.feeds.catalogue)
        self._fit_timer.start()

    def _take_topology(self, topology: Topology) -> None:
        """Other cables, another order; a look that tells the same changes nothing."""
        if topology.rank_order != self._rank_order:
            self._rank_order = topology.rank_order
            self.form = replace(self.form, nodes=ranked(self.form.nodes, topology.rank_order))
            self.form_changed.emit()
            self._timer.start()

    # The preview ---------------------------------------------------------------------------------------------------

    def recompute(self) -> None:
        """Make the preview of the form as it is now."""
        self._timer.stop()
        began_s = self.feeds.clock_s()
        made = make_preview(self.form, self.feeds)
        self.preview = replace(made, compute_ms=(self.feeds.clock_s() - began_s) * 1000)
        self.preview_changed.emit()

    def _fit_next(self) -> None:
        """One model of the catalogue an event-loop turn, so that a long one never stops the window."""
        if not self._fit_queue:
            self._fit_timer.stop()
            self.catalogue_changed.emit()
            return
        spec = self._fit_queue.pop(0)
        contexts = self.feeds.ranked_contexts()
        form = fill_defaults(pick_model(Form(), spec, self.backends), spec, contexts, self.backends)
        self.fits[spec.name] = _fit_mark(form, self.feeds)

    # Launching -----------------------------------------------------------------------------------------------------

    def blocker(self) -> str:
        """Why the button is off, "" when it is on."""
        if self.is_launching:
            return "The launch is being written down"
        if self.preview.errors:
            field_name, words = next(iter(self.preview.errors.items()))
            return f"{TITLES.get(field_name, '')}: {words}" if field_name in TITLES else words
        if self.preview.plan is None:
            return "Computing the plan"
        if self.preview.needs_anyway and not self.is_anyway:
            return "Switch on “Launch anyway”: the node may freeze"
        return ""

    def button_text(self) -> str:
        """What the primary button says."""
        nodes = self.form.nodes
        if len(nodes) > 1:
            return f"Launch on {len(nodes)} nodes"
        return f"Launch on {self.node_name(nodes[0])}" if nodes else "Launch"

    def launch(self) -> None:
        """Ask for the launch of exactly what is shown."""
        if self._timer.isActive():
            self.recompute()
        if not self.blocker() and self.preview.plan is not None:
            self.is_launching = True
            self.preview_changed.emit()
            self.launch_asked.emit(self.preview.plan)

    def end_launch(self) -> None:
        """The intent is durable, or the launch was refused: the form is free again."""
        self.is_launching = False
        self.is_anyway = False
        # A plan has one job: the next launch needs one of its own.
        self.recompute()


TITLES = {
    "engine": "Engine",
    "model": "Model",
    "quantization": "Quantization",
    "weights_path": "Weights on the node",
    "nodes": "Node",
    "context_tokens": "Context per request",
    "concurrency": "Concurrent requests",
    "port": "Port",
    "served_name": "Served name",
    "extra_flags": "Extra flags",
    "environment": "Environment",
}


def make_preview(form: Form, feeds: LaunchFeeds) -> Preview:
    """The preview of a form, its nodes in the cabling's order.

    Errors of the form come first: without a request there is nothing to ask the engine.
    """
    # An earlier launch or a recipe may have been written for other cables.
    request, errors = read_form(replace(form, nodes=ranked(form.nodes, feeds.topology.value.rank_order)))
    if request is None:
        return Preview(errors=errors)
    problems = tuple(feeds.problems(request))
    by_field: dict[str, str] = {}
    hints: dict[str, str] = {}
    for problem in problems:
        place = problem.field if problem.field in FIELDS else ""
        said = f"{text.one_line(problem.message, 300)}. {text.one_line(problem.remedy, 300)}"
        (by_field if problem.severity is Severity.ERROR else hints).setdefault(place, said)
    if by_field:
        return Preview(request, None, by_field, hints, problems)
    try:
        plan = feeds.plan(request)
    except SparkDeskError as error:
        return Preview(request, None, {"": error.sentence()}, hints, problems)
    return Preview(request, plan, {}, hints, problems)


def _fit_mark(form: Form, feeds: LaunchFeeds) -> Mark:
    if not feeds.contexts.value:
        return Mark("", "neutral", "")
    preview = make_preview(form, feeds)
    if preview.plan is None:
        return Mark("Not here", "neutral", "circle-dashed")
    kind = FIT_KINDS[preview.fit]
    return Mark(preview.fit.value, kind, {"ok": "circle-check", "neutral": "circle-help"}.get(kind))
