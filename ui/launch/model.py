"""The launch page's view-model: the form, what a launch of it would do, and every other way to serve the model.

The one rule: every change computes the whole plan anew, 100 ms after the last one, and says how long that took. What
is shown is the plan that would run.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.agent.workload import MOST_TASKS
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Limits, Question, context_problem, load_problems
from sparkdesk.core.planning.workload import CHAT, Workload
from sparkdesk.core.playbooks.fetch.stage import drop_cache_playbook
from ui import text
from ui.bridge import watch
from ui.launch.choice.default import (
    PLAN_FIELDS,
    Around,
    changed_fields,
    fewest_nodes,
    fill_defaults,
    ids_of,
    is_within,
    leave_model,
    limits_of,
    match_model,
    pick_found,
    pick_model,
    reset_field,
    reset_fields,
    take_row,
)
from ui.launch.choice.following import Following, take_room
from ui.launch.choice.option import Offer, Split, split_offers
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import LOAD_FIELDS, TITLES, Form, choose_workload, load_request, place_of, read_workload
from ui.launch.node.moment import has_changed, has_moved
from ui.launch.occasion.embed import embed_beside
from ui.launch.occasion.mend import CACHE, REPLACE, TOKEN, Mend, Mends, mends_of, replacing, take_fix
from ui.launch.occasion.occasion import Occasion, without_job
from ui.launch.paste.filling import fill_form
from ui.launch.preview import FIT_KINDS, UNKNOWN, Preview, blocker_of, make_preview
from ui.launch.serving.fields import places_of, write_patience
from ui.launch.serving.offer import offers_of
from ui.launch.serving.reach import Reach
from ui.launch.standing import say_unknown
from ui.launch.survey import Survey

__all__ = ["DEBOUNCE_MS", "FIT_KINDS", "TITLES", "LaunchFeeds", "LaunchModel", "Preview", "make_preview"]

DEBOUNCE_MS = 100
_STRUCTURE = frozenset((*PLAN_FIELDS, "model", "nodes", "workload"))
"""Fields after which the best plan is looked for again; numbers that are being typed move no other field."""


class LaunchModel(QObject):
    """The form, its preview and the table of plans. `rows_changed` comes with every `preview_changed`, before it."""

    form_changed = Signal()
    preview_changed = Signal()
    rows_changed = Signal()
    catalogue_changed = Signal()
    launch_asked = Signal(object)
    """The LaunchPlan to run."""

    def __init__(self, feeds: LaunchFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.backends: dict[str, BackendInfo] = {info.key: info for info in feeds.backends}
        self.form = Form(engine=next(iter(self.backends), ""))
        self.preview = Preview()
        self.workload: Workload = CHAT
        """The load that rows and tiles speak of; the last one that could be read."""
        self.load_errors: dict[str, str] = {}
        self.rows: tuple[PlanRow, ...] = ()
        """Every way to serve the model on the chosen nodes, ranked."""
        self.row: PlanRow | None = None
        """The form's own setup."""
        self.rows_ms = 0.0
        self.rows_note = ""
        """Why there are no rows."""
        self.survey = Survey(feeds, self.engine_titles, self)
        self.standings = self.survey.standings
        """How each model of the catalogue stands on the chosen nodes."""
        self.survey.changed.connect(self.catalogue_changed)
        self.occasion = Occasion()
        self.reach = Reach(feeds)
        self._wants_best = True
        self._wants_room = True
        """A model was chosen: where nobody chose nodes, as many are taken as it needs."""
        self._room_note = ""
        self._keeps_nodes = False
        """A node that the best plan does without was chosen all the same."""
        self._seen: tuple[NodeContext, ...] | None = None
        """The nodes as the plan that is shown has them."""
        self._is_reading = False
        self.is_anyway = False
        self.is_launching = False
        self.imported: Imported | None = None
        """The recipe or text that the form was filled from last, for writing it back with what only it knows."""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.recompute)
        if feeds.catalogue:
            self.form = pick_model(self.form, feeds.catalogue[0], self.backends)
        self._rank_order: tuple[str, ...] = ()
        watch(feeds.contexts, self, self._take_contexts)
        watch(feeds.topology, self, self._take_topology)

    # The form ------------------------------------------------------------------------------------------------------

    def spec(self) -> ModelSpec | None:
        """The catalogue's entry for the model on the form."""
        return match_model(self.feeds.catalogue, self.form.model)[0]

    def info(self) -> BackendInfo | None:
        """The engine on the form."""
        return self.backends.get(self.form.engine)

    def node_name(self, node_id: str) -> str:
        """A node's name, its id when it is not live."""
        return next((c.record.name for c in self.feeds.contexts.value if c.record.id == node_id), node_id)

    def set_field(self, name: str, value: object) -> None:
        """The person changed a field."""
        if name == "tasks" and isinstance(value, int):
            value = min(max(1, value), MOST_TASKS)
        if getattr(self.form, name) != value:
            self.occasion = replace(self.occasion, fixed=self.occasion.fixed - {name})
            form = self.form.typed(name, value)
            if name in ("engine", "quantization"):
                # The checkpoint's name follows the choice; a name that the catalogue does not know stays.
                form = replace(form, touched=form.touched - {"model"}) if self.spec() else form
            if name == "model" and match_model(self.feeds.catalogue, str(value))[0] is not self.spec():
                form = leave_model(form)
            self._set_form(form, has_new_best=name in _STRUCTURE)

    def settle_name(self) -> None:
        """The person has written the model's name: a key, a title or other capitals become what the catalogue has."""
        if self.spec() is not None or not self.form.model.strip():
            return
        found = find_model(self.feeds.catalogue, self.form.model)
        if found is None:
            return
        form = self._picked(found.spec)
        if "engine" in self.form.touched and found.weights is None:
            form = form.typed("engine", self.form.engine)
        self._set_form(pick_found(form, found, self._around(form)))

    def _picked(self, spec: ModelSpec) -> Form:
        """The form with this model; nodes that nobody chose are looked for anew."""
        form = pick_model(self.form, spec, self.backends)
        form = replace(form, nodes=form.pool)
        self._wants_room, self._room_note, self._keeps_nodes = True, "", False
        return form if "nodes" in form.touched else replace(form, nodes=(), pool=())

    def choose_workload(self, key: str) -> None:
        """Choose a preset, or custom."""
        self._set_form(choose_workload(self.form, key))

    def reset(self, name: str) -> None:
        """Give a field back to the defaults."""
        self._set_form(reset_field(self.form, name, self._around(self.form)), has_new_best=name in _STRUCTURE)

    def changed_fields(self) -> frozenset[str]:
        """What the person set to something else than it would be by itself."""
        return changed_fields(self.form, self._around(self.form))

    def reset_all(self) -> None:
        """Give every changed field back to the defaults."""
        self._set_form(reset_fields(self.form, self._around(self.form)))

    def offers(self, name: str) -> list[Offer]:
        """What a choice of the form offers."""
        form, spec, feeds = self.form, self.spec(), self.feeds
        if name == "parallelism":
            profile = feeds.engines.get(form.engine)
            return split_offers(Split(form, profile, spec, self.workload, self.place(form.nodes), self.rows))
        if name == "reach":
            return self.reach.offers(form)
        return offers_of(name, form, spec, feeds)

    def export(self, kind: str) -> str:
        """The form's request, written in another way. Raises PlanError."""
        request = self.preview.request
        if self.feeds.export is None or request is None:
            raise PlanError("There is nothing to write", remedy="Mend what is marked in the form.")
        return self.feeds.export(kind, request, self.imported)

    def place(self, node_ids: tuple[str, ...]) -> Place:
        """These nodes at this moment, without the job that is stopped first."""
        return without_job(self.feeds.place(node_ids), self.occasion.stop_job_id)

    def switching(self, job_id: str) -> None:
        """From now on this launch takes a running job's place: the job is stopped first, in the same plan."""
        job = next((each for each in self.feeds.jobs_to_replace() if each.job_id == job_id), None)
        if job is not None and self.feeds.problems_without is not None and self.feeds.switch_plan is not None:
            self.occasion = replace(self.occasion, stop_job_id=job_id, stop_title=job.title)
            self._set_form(self.form)

    def cancel_switch(self) -> None:
        """Leave the running job alone: this is a plain launch again."""
        if self.occasion.stop_job_id:
            self.occasion = replace(self.occasion, stop_job_id="", stop_title="")
            self._set_form(self.form)

    def mends(self) -> Mends:
        """Buttons for each finding that has a way out, by its message."""
        shown, contexts = self.preview, self.feeds.contexts.value
        found = mends_of(shown.problems, shown.request, contexts, can_run=self.feeds.show_playbook is not None)
        return {**found, **replacing(shown.replaceable)}

    def mend(self, mend: Mend) -> None:
        """A person pressed such a button."""
        if mend.kind == REPLACE:
            self.switching(mend.value)
        elif mend.kind == CACHE and self.feeds.show_playbook is not None:
            self.feeds.show_playbook(drop_cache_playbook(mend.value, self.node_name(mend.value)))
        elif mend.kind == TOKEN:
            self.feeds.show_settings()
        elif mend.fix is not None and self.preview.request is not None:
            self._set_form(take_fix(self.form, self.preview.request, mend.fix))

    def add_beside(self) -> None:
        """Fill the form with an embedding server on the first node of now, beside the server that it says."""
        self.imported, self.occasion = None, Occasion(beside=self.form)
        self._set_form(embed_beside(self.form, self.feeds))

    def leave_beside(self) -> None:
        """Back to the form as it was before a server beside it was asked for."""
        if self.occasion.beside is not None:
            form, self.occasion = self.occasion.beside, Occasion()
            self._set_form(form, has_new_best=False)

    def toggle_node(self, node_id: str) -> None:
        """Choose a node, or let it go."""
        order = self.feeds.topology.value.rank_order
        is_chosen = node_id in self.form.nodes
        self._keeps_nodes = not is_chosen and node_id in self.form.pool
        nodes, pool = (
            ranked([n for n in old if n != node_id] + ([] if is_chosen else [node_id]), order)
            for old in (self.form.nodes, self.form.pool)
        )
        self._set_form(replace(self.form.typed("nodes", nodes), pool=pool))

    def pick(self, name: str) -> None:
        """Choose a model from the catalogue."""
        spec = next((each for each in self.feeds.catalogue if each.name == name), None)
        if spec is not None:
            self.imported = None
            self.occasion = replace(self.occasion, fix_words="", fixed=frozenset(), beside=None)
            self._set_form(self._picked(spec))

    def load(self, request: LaunchRequest) -> None:
        """Fill the form from an earlier launch; the workload stays."""
        self.imported, self.occasion = None, Occasion()
        kept = {name: getattr(self.form, name) for name in ("workload", "tasks", *LOAD_FIELDS)}
        self._set_form(replace(load_request(request), **kept), has_new_best=False)

    def load_fix(
        self,
        request: LaunchRequest,
        words: str,
        changed: Collection[str],
        stop_job_id: str = "",
        load_timeout_s: float = math.nan,
    ) -> None:
        """Fill the form with a failed launch as it should be tried again; `changed` are fields of the request."""
        self.load(request)
        patience = write_patience(load_timeout_s)
        if patience:
            self.form, changed = self.form.typed("load_timeout_s", patience), (*changed, "load_timeout_s")
        fixed = frozenset().union(*({place_of(name), *places_of(name)} for name in changed)) - {""}
        self.occasion = Occasion(fix_words=words, fixed=fixed)
        if stop_job_id:
            self.switching(stop_job_id)
        self.form_changed.emit()

    def forget_fix(self) -> None:
        """The person has seen what was changed."""
        self.occasion = replace(self.occasion, fix_words="", fixed=frozenset())
        self.form_changed.emit()

    def take_import(self, imported: Imported) -> None:
        """Put what an outside text says into the form; a text that still needs an approval changes nothing."""
        form = fill_form(self.form, imported, self.feeds, self.backends)
        if form is not None:
            self.imported = imported
            self._set_form(form)

    def choose_row(self, row: PlanRow) -> None:
        """Load a row of the table into the form. The table stays that of the nodes chosen before."""
        self._set_form(take_row(self.form, row), has_new_best=False)

    def set_anyway(self, is_anyway: bool) -> None:
        """The person says that the risk is meant."""
        self.is_anyway = is_anyway
        self.preview_changed.emit()

    def _set_form(self, form: Form, *, has_new_best: bool = True) -> None:
        self.form = fill_defaults(form, self._around(form))
        self._wants_best |= has_new_best
        self.is_anyway = False
        self.form_changed.emit()
        # While somebody types, the list waits.
        self.survey.pause()
        self._timer.start()

    def _around(self, form: Form) -> Around:
        spec, weights = match_model(self.feeds.catalogue, form.model)
        feeds = self.feeds
        return Around(spec, feeds.ranked_contexts(), self.backends, feeds.engines, weights, feeds.knows_name)

    def _take_contexts(self, contexts: tuple[NodeContext, ...]) -> None:
        if not self._is_reading and has_moved(self._seen, contexts):
            self._fill_again()
            self.form_changed.emit()
            self._timer.start()

    def _fill_again(self) -> None:
        """Let the defaults follow the nodes of now; the list of models is looked at anew."""
        before = self.form.nodes
        self.form = fill_defaults(self.form, self._around(self.form))
        self._wants_best |= self.form.nodes != before
        self.survey.forget()

    def look_again(self) -> None:
        """See whether the nodes, or who works there, are other than the plan has them: then it is made anew."""
        self.feeds.refresh_memory()
        if self.row is not None and has_changed(self.row.place, self.place(ids_of(self.row))):
            self._timer.start()

    def _read_moment(self) -> None:
        """Have chips, ledgers, table and list speak of one moment."""
        self._is_reading = True
        self.feeds.refresh_memory()
        self._is_reading = False
        contexts = self.feeds.contexts.value
        if has_moved(self._seen, contexts):
            self._fill_again()
            self._seen = contexts

    def _take_topology(self, topology: Topology) -> None:
        """Other cables, another order; a look that tells the same changes nothing."""
        if topology.rank_order != self._rank_order:
            self._rank_order = topology.rank_order
            self.form = replace(self.form, nodes=ranked(self.form.nodes, topology.rank_order))
            self.form_changed.emit()
            self._timer.start()

    # The preview ---------------------------------------------------------------------------------------------------

    def recompute(self) -> None:
        """Make the preview and the rows of the form as it is now."""
        self._timer.stop()
        self.preview = UNKNOWN  # whatever goes wrong from here on, what was shown before is launched no more
        try:
            began_s, before = self.feeds.clock_s(), self.form
            self._read_moment()
            self._compute_rows()
            self.rows_ms = (self.feeds.clock_s() - began_s) * 1000
            made = make_preview(self.form, self.feeds, self.row, stop_job_id=self.occasion.stop_job_id)
            if self.form != before:
                self.form_changed.emit()
            self.preview = replace(made, compute_ms=(self.feeds.clock_s() - began_s) * 1000)
        finally:
            self.rows_changed.emit()
            self.preview_changed.emit()
        self.survey.go_on(self.form.pool)

    def _compute_rows(self) -> None:
        workload, self.load_errors = read_workload(self.form)
        spec = self.spec()
        self.rows, self.row, self.rows_note = (), None, ""
        if workload is None:
            self.rows_note = "Mend the workload: its numbers cannot be read."
            return
        self.workload = workload
        if spec is None:
            self.rows_note = say_unknown(self.form.model)
            return
        question = Question(spec, workload, self.place(self.form.pool))
        too_long = context_problem(spec, workload)
        for problem in (*load_problems(question), *((too_long,) if too_long else ())):
            if problem.field in LOAD_FIELDS:
                self.load_errors.setdefault(problem.field, text.one_line(problem.message, 200))
        try:
            self.rows = self.feeds.plan_rows(question) if self.form.pool else ()
            if self._wants_room:
                self._take_room(spec, workload)
            if self._wants_best:
                self._follow_best(spec, workload)
            self.row = next((row for row in self.rows if self.is_form(row)), None) or self._own_row(spec, workload)
        except SparkDeskError as error:
            self.rows_note = error.sentence()

    def _take_room(self, spec: ModelSpec, workload: Workload) -> None:
        """Where the model does not fit on the node that was taken by itself: the fewest on which it does, else all."""
        everywhere = tuple(context.record.id for context in self.feeds.ranked_contexts())
        self._wants_room = not everywhere
        is_chosen = "nodes" in self.form.touched or len(everywhere) < 2
        if is_chosen or not self.rows or fewest_nodes(self.rows):
            return
        rows = self._ask(spec, workload, everywhere)
        nodes, self._room_note = take_room(rows, everywhere)
        form = replace(self.form, nodes=nodes, pool=nodes)
        self.form = fill_defaults(form, self._around(form))
        self._wants_best = True
        self.rows = rows if nodes == everywhere else self._ask(spec, workload, nodes)

    def nodes_hint(self) -> str:
        """Why so many nodes are chosen, where nobody chose them; "" where one does."""
        return "" if "nodes" in self.form.touched else self._room_note

    def is_form(self, row: PlanRow) -> bool:
        """Whether a row is the setup that the form says, on the same nodes."""
        return ids_of(row) == self.form.nodes and is_within(row.setup, self.form, frozenset(PLAN_FIELDS))

    def _own_row(self, spec: ModelSpec, workload: Workload) -> PlanRow | None:
        limits = limits_of(self.form, frozenset(PLAN_FIELDS))
        return next(iter(self._ask(spec, workload, self.form.nodes, limits)), None)

    def _ask(
        self, spec: ModelSpec, workload: Workload, node_ids: tuple[str, ...], limits: Limits | None = None
    ) -> tuple[PlanRow, ...]:
        if not node_ids:
            return ()
        place, is_own = self.place(node_ids), limits is not None
        return self.feeds.plan_rows(Question(spec, workload, place, limits or Limits(), must_use_all_nodes=is_own))

    def _follow_best(self, spec: ModelSpec, workload: Workload) -> None:
        """Set what the person left alone as the best plan on the chosen nodes has it."""
        self._wants_best = False
        following = Following(
            self.feeds,
            self._around(self.form),
            lambda nodes, limits: self._ask(spec, workload, nodes, limits),
            self._keeps_nodes,
            self.occasion.stop_job_id,
        )
        weights = match_model(self.feeds.catalogue, self.form.model)[1]
        self.form = following.best_of(self.form, self.rows, weights)

    def engine_titles(self) -> dict[str, str]:
        """What engines are called, those without an adapter too."""
        known = {key: profile.title for key, profile in self.feeds.engines.items()}
        return known | {key: info.title for key, info in self.backends.items()}

    # Launching -----------------------------------------------------------------------------------------------------

    def blocker(self) -> str:
        """Why the button is off, "" when it is on."""
        if self.is_launching:
            return "The launch is being written down"
        return blocker_of(self.preview, self.load_errors, self.form.engine, is_anyway=self.is_anyway)

    def button_text(self) -> str:
        """What the primary button says."""
        nodes = self.form.nodes
        if len(nodes) > 1:
            return f"Launch on {len(nodes)} nodes"
        return f"Launch on {self.node_name(nodes[0])}" if nodes else "Launch"

    def launch(self) -> None:
        """Ask for the launch of exactly what is shown."""
        if self._timer.isActive():
            before = self.form
            self.recompute()
            if self.form != before:
                return  # it follows another best plan now, which nobody has seen yet
        if not self.blocker() and self.preview.plan is not None:
            self.is_launching = True
            self.preview_changed.emit()
            self.launch_asked.emit(self.preview.plan)

    def end_launch(self, *, is_refused: bool = False) -> None:
        """The intent is durable, or the launch was refused: the form is free again."""
        self.is_launching = False
        self.is_anyway = False
        if not is_refused:
            self.occasion = Occasion()
            self.form_changed.emit()
        # A plan has one job: the next launch needs one of its own.
        self.recompute()
