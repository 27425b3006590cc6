"""The bring-up page's view-model: the state as it stands, what a person has chosen, and what is offered next.

The one rule: QtCore only; it runs nothing. Reading is asked for by itself, a change only by a press of a button.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter, FileDiff
from sparkdesk.core.bringup.fold import SPEED_ROW, with_speed
from sparkdesk.core.bringup.matrix import Cell, Matrix, Row
from sparkdesk.core.bringup.outcome import is_change
from sparkdesk.core.bringup.row import MAX_EVIDENCE_CHARS
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.bringup.undo_stake import UndoStake, undo_stakes
from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.cluster.topology import Cable, Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.playbooks.program_words import has_program, programs_text
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Playbook, Stage, Step
from sparkdesk.services.bringup.resting import steps_to_undo
from ui import text
from ui.bridge import watch
from ui.bringup.clock import ClockFace, faces
from ui.bringup.grid import PROBLEMS, Grid, make_grid
from ui.bringup.offer import UNDER_WAY, Offer, Situation, offers
from ui.bringup.outline import CHAPTERS, ChapterRow, current_chapter, next_chapter, outline, steps_of
from ui.bringup.proof_rows import ProofGroup, proof_groups, worst_first
from ui.playbook.plan_text import PlanText, plan_text, undo_text


@dataclass(frozen=True, slots=True)
class BringUpFeeds:
    """What the page reads. `images`: container images that can serve, for the proof; none: NCCL is not proved."""

    state: Latest[BringUpState]
    nodes: Latest[tuple[NodeStatus, ...]]
    topology: Latest[Topology]
    cluster: Latest[ClusterRecord | None]
    now_ms: Callable[[], int]
    images: Latest[tuple[str, ...]] = field(default_factory=lambda: Latest(()))
    busy: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Node id -> the names of jobs that run there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One cell of the matrix with what stands behind it."""

    row: Row
    cell: Cell
    node: str
    steps: Playbook
    is_to_write: bool = False
    """What stands in it is the file that the plan writes, and not what was read."""


AUTOMATIC: Final = "automatic"
"""Stands for no image in particular: names of images have a tag."""

_ENDED_WELL: Final = ("done", "unchanged")
_WRITERS: Final = {"authorized_keys": "keys-let-in-", "known_hosts": "keys-hosts-", "config": "keys-hosts-"}
"""Of the files of a chapter whose steps write several: which step does."""
_BEFORE: Final = (Phase.READING, Phase.PLANNED)


class BringUpModel(QObject):
    """Call what the person does; read everything else."""

    changed = Signal()
    """Something is to be shown anew."""
    chosen = Signal()
    """Nodes or options were chosen: what is shown was read for others."""

    def __init__(self, feeds: BringUpFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.wants_guard = False
        self.is_step_by_step = False
        self.only_problems = False
        self.path = ""
        """The file that is shown, of a chapter that writes several; "" is the first."""
        self.node_id = ""
        """Whose files and commands are shown; "" is the first node that has any."""
        self._chapter = ""
        self._image = AUTOMATIC
        self._left_out: set[str] = set()
        self._phase = Phase.IDLE
        watch(feeds.nodes, self, self._tell)
        watch(feeds.topology, self, self._tell)
        watch(feeds.cluster, self, self._tell)
        self._shown_image = self.image
        watch(feeds.images, self, self._take_images)
        watch(feeds.state, self, self._take)

    def _tell(self, _value: object) -> None:
        self.changed.emit()

    def _take_images(self, _images: tuple[str, ...]) -> None:
        if self.image != self._shown_image:
            self._shown_image = self.image
            if self.state.phase in _BEFORE:
                # The image that a person chose is gone from a node, or is back: the plan was made for another one.
                # What was done or measured stays in sight: images that come to light at its end begin nothing.
                self.chosen.emit()
        self.changed.emit()

    def _take(self, state: BringUpState) -> None:
        if state.phase is not self._phase:
            # What a person looked at was of another time: the page follows what happens again.
            self._phase, self._chapter = state.phase, ""
        self.changed.emit()

    # What there is ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> BringUpState:
        """The bring-up as it stands."""
        return self.feeds.state.value

    def live_nodes(self) -> tuple[NodeStatus, ...]:
        """The nodes that can be brought up now."""
        return tuple(node for node in self.feeds.nodes.value if node.is_live)

    def names(self) -> Mapping[str, str]:
        """A node's id -> its name, of all that are known; those of the plan win."""
        names = {node.record.id: node.record.name for node in self.feeds.nodes.value}
        return {**names, **(self.state.plan.names if self.state.plan is not None else {})}

    def name_of(self, node_id: str) -> str:
        """A node's name; its id where it has none."""
        return text.one_line(self.names().get(node_id, node_id), 64)

    def cluster_name(self) -> str:
        """The cluster's name, "" when there is none."""
        cluster = self.feeds.cluster.value
        return text.one_line(cluster.name, 64) if cluster is not None else ""

    def is_simulated(self) -> bool:
        """Whether these are no real nodes."""
        cluster = self.feeds.cluster.value
        return cluster is not None and cluster.is_simulated

    # What is chosen -----------------------------------------------------------------------------------------------

    def node_ids(self) -> tuple[str, ...]:
        """The nodes that are to be brought up: all live ones but those left out; under way, those of the run."""
        if self.is_locked() and self.state.node_ids:
            return self.state.node_ids
        return tuple(node.record.id for node in self.live_nodes() if node.record.id not in self._left_out)

    def is_locked(self) -> bool:
        """Whether nothing can be chosen now, because something is under way or half done."""
        return self.state.phase in (*UNDER_WAY, Phase.PAUSED, Phase.INTERRUPTED) and self.state.phase is not (
            Phase.READING
        )

    def is_chosen(self, node_id: str) -> bool:
        """Whether a node takes part."""
        return node_id in self.node_ids()

    def choose_node(self, node_id: str, *, is_in: bool) -> None:
        """Take a node in, or leave it out."""
        if is_in == (node_id in self._left_out):
            (self._left_out.discard if is_in else self._left_out.add)(node_id)
            self._choose()

    @property
    def image(self) -> str:
        """The image of the proof that is chosen: its name, AUTOMATIC, or "", which proves no NCCL."""
        return self._image if self._image in ("", *self.feeds.images.value) else AUTOMATIC

    def automatic_words(self) -> str:
        """Which image is taken where nobody names one; it is told before anything runs."""
        plan = self.state.plan
        if plan is not None and plan.image and plan.choices.picks_image and not plan.choices.image:
            return text.one_line(plan.image, 120)
        return text.one_line(self.feeds.images.value[0], 120) if self.feeds.images.value else ""

    def set_image(self, image: str) -> None:
        """Prove NCCL in this image; AUTOMATIC in one that all nodes have, "" not at all."""
        before, self._image = self.image, image
        self._shown_image = self.image
        if before != self.image:
            self._choose()

    def set_guard(self, wants_guard: bool) -> None:
        """With or without a memory guard."""
        if wants_guard != self.wants_guard:
            self.wants_guard = wants_guard
            self._choose()

    def set_step_by_step(self, is_step_by_step: bool) -> None:
        """Each chapter with its own button, or all with one."""
        self.is_step_by_step = is_step_by_step
        self.changed.emit()

    def set_only_problems(self, only_problems: bool) -> None:
        """Show just the checks in which something stands out."""
        self.only_problems = only_problems
        self.changed.emit()

    def _choose(self) -> None:
        self.changed.emit()
        self.chosen.emit()

    def choices(self) -> Choices:
        """What is chosen, for a look."""
        named = "" if self.image == AUTOMATIC else self.image
        return Choices(wants_guard=self.wants_guard, image=named, picks_image=self.image != "")

    def is_fresh(self) -> bool:
        """Whether the plan that is shown is that of the nodes and options that are chosen."""
        plan = self.state.plan
        if plan is not None and self.is_locked():
            return True
        if plan is None or set(plan.node_ids) != set(self.node_ids()):
            return False
        made, now = plan.choices, self.choices()
        return (made.wants_guard, made.image, made.picks_image) == (now.wants_guard, now.image, now.picks_image)

    def can_look(self) -> bool:
        """Whether the nodes can be read now."""
        return not self.is_locked() and bool(self.node_ids())

    # What is shown ------------------------------------------------------------------------------------------------

    def offers(self) -> tuple[Offer, ...]:
        """The buttons of the head."""
        return offers(Situation(self.state, len(self.node_ids()), self.is_fresh(), self.is_step_by_step, self.chapter))

    def outline(self) -> tuple[ChapterRow, ...]:
        """The chapters; a GPU that was slow under load stands out in its own too."""
        matrix = self.matrix()
        speed = next((row for row in matrix.rows if row.id == SPEED_ROW), None)
        is_told = speed is not None and any(cell.state in PROBLEMS for cell in speed.cells.values())
        return outline(replace(self.state, matrix=matrix) if is_told else self.state)

    @property
    def chapter(self) -> Chapter:
        """The chapter that is looked at: the one that was chosen, else where things stand."""
        return Chapter(self._chapter) if self._chapter else self._followed()

    def _followed(self) -> Chapter:
        """The chapter that is shown while nobody chose another."""
        state = self.state
        if state.phase is Phase.PLANNED or (state.phase is Phase.READING and state.plan is not None):
            return self._telling_chapter()
        return current_chapter(self.state)

    def _telling_chapter(self) -> Chapter:
        """Of a plan the file that matters most is shown first, that of the network; else the first with a change."""
        if self.is_step_by_step and self.state.plan is not None:
            return next_chapter(self.state, but=Chapter.TRUST)
        if self.diffs_of(Chapter.NETWORK):
            return Chapter.NETWORK
        return next((each for each in CHAPTERS if steps_of(self.state, each.value)), current_chapter(self.state))

    def choose_chapter(self, key: str) -> None:
        """Look at a chapter; the one that would be shown anyway, or "", follows what happens."""
        self._chapter = "" if key == self._followed().value else key
        self.changed.emit()

    def shown_files(self, chapter: Chapter) -> tuple[FileDiff, ...]:
        """The file that is shown, on each node that has it."""
        diffs = self.diffs_of(chapter)
        paths = [diff.path for diff in diffs]
        path = self.path if self.path in paths else next(iter(paths), "")
        return tuple(diff for diff in diffs if diff.path == path)

    def shown_node(self, chapter: Chapter) -> str:
        """Whose file is shown: the chosen node's, else that of one that asks, the one with the least time first, else
        one at work, failed or taken back, else a changed one."""
        diffs = self.shown_files(chapter)
        known = [diff.node_id for diff in diffs]
        if self.node_id in known:
            return self.node_id
        asking = [trial for trial in self.state.trials if trial.question and trial.node_id in known]
        if asking and chapter is Chapter.NETWORK:
            return min(asking, key=lambda trial: trial.ends_ms).node_id
        run = self.state.run
        for wanted in ("running", "failed", "undone"):
            for step in steps_of(self.state, chapter.value):
                if run is not None and run.step(step.id).state == wanted:
                    return step.node
        return next((diff.node_id for diff in diffs if diff.before != diff.after), diffs[0].node_id if diffs else "")

    def is_written(self, diff: FileDiff) -> bool:
        """Whether the run has written this file, so that it stands on its node now."""
        run = self.state.run
        steps = [step for step in steps_of(self.state, diff.chapter.value) if step.node == diff.node_id]
        writes = [step for step in steps if step.undo and step.id.startswith(_WRITERS.get(_name(diff.path), ""))]
        return run is not None and bool(writes) and all(run.step(step.id).state in _ENDED_WELL for step in writes)

    def grid(self) -> Grid:
        """The matrix as a table."""
        return make_grid(self.matrix(), self.names(), only_problems=self.only_problems)

    def matrix(self) -> Matrix:
        """All checks as they are shown: with the one that only the proof can answer."""
        state = self.state
        return with_speed(state.matrix if state.matrix.rows or state.plan is None else state.plan.matrix, state)

    def evidence(self, row_id: str, node_id: str) -> Evidence | None:
        """What stands behind a cell; None when there is no such cell any more."""
        row = next((row for row in self.matrix().rows if row.id == row_id), None)
        cell = row.cells.get(node_id) if row is not None else None
        if row is None or cell is None:
            return None
        steps = tuple(step for step in self._steps() if step.id in cell.step_ids)
        files = [diff.after for diff in self.state.plan.diffs if diff.node_id == node_id] if self.state.plan else []
        starts = [make_plain(file, max_chars=MAX_EVIDENCE_CHARS) for file in files if file]
        return Evidence(row, cell, self.name_of(node_id), _playbook(steps), is_to_write=cell.evidence in starts)

    def _steps(self) -> tuple[Step, ...]:
        return tuple(self.state.plan.playbook.steps()) if self.state.plan is not None else ()

    def diffs_of(self, chapter: Chapter) -> tuple[FileDiff, ...]:
        """The files that a chapter writes."""
        plan = self.state.plan
        return tuple(diff for diff in plan.diffs if diff.chapter is chapter) if plan is not None else ()

    def commands(self, chapter: Chapter, node_id: str, *, is_undo: bool = False) -> PlanText:
        """The exact commands of a chapter, on one node or ("") on all; or those that take them back."""
        return (undo_text if is_undo else plan_text)(_playbook(self._steps_on(chapter, node_id)), self.name_of)

    def programs(self, chapter: Chapter, node_id: str) -> str:
        """The text of every program of ours that a chapter brings, each once."""
        return programs_text(self._steps_on(chapter, node_id))

    def has_program(self, chapter: Chapter) -> bool:
        """Whether it brings any."""
        return has_program(self._steps_on(chapter, ""))

    def _steps_on(self, chapter: Chapter, node_id: str) -> tuple[Step, ...]:
        if chapter is Chapter.PROOF:
            plan = self.state.plan
            steps = tuple(plan.proof.steps()) if plan is not None else ()
        else:
            steps = steps_of(self.state, chapter.value)
        return tuple(step for step in steps if not node_id or step.node == node_id)

    def notes(self, chapter: Chapter) -> tuple[str, ...]:
        """What should be read before a chapter is applied."""
        plan = self.state.plan
        return tuple(text.one_line(note, 400) for note in plan.notes.get(chapter.value, ())) if plan is not None else ()

    def proof(self) -> tuple[ProofGroup, ...]:
        """The proof's rows; once all is measured, what stands out comes first."""
        groups = proof_groups(self.state, self.names())
        return worst_first(groups) if self.state.phase is not Phase.PROVING and self.state.measurements else groups

    def clock(self) -> tuple[ClockFace, ...]:
        """The rollback clocks that run now."""
        run = self.state.run
        # What is verified was kept before: nothing restores itself any more, though its step is not over.
        trials = [one for one in self.state.trials if run is None or run.step(one.step_id).part != "verify"]
        return faces(trials, self.names(), self.feeds.now_ms())

    def strange_spark(self) -> Cable | None:
        """A cable of a node of the cluster that leads to another Spark, which is none of its nodes."""
        cables = self.feeds.topology.value.cables
        found = [each for each in cables if each.stranger is not None and each.stranger.kind == "spark"]
        # It is reached through its neighbour: at best through one that is live and needs no neighbour itself.
        near = {node.record.id for node in self.live_nodes() if node.record.jump is None}
        return min(found, key=lambda each: each.a[0] not in near, default=None)

    # What was done ------------------------------------------------------------------------------------------------

    def done(self) -> tuple[tuple[RunView, Step], ...]:
        """The steps of which something may stand on a node, with their runs, newest first: those of the run in sight,
        then what is left of earlier ones."""
        runs = [(run, run.begun) for run in (self.state.run,) if run is not None]
        runs += [(run, run.undoable) for run in self.state.earlier]
        return tuple(
            (run, step)
            for run, wanted in runs
            for step in reversed(list(run.playbook.steps()))
            if step.id in wanted and is_change(step)
        )

    def history(self) -> tuple[tuple[RunView, Step], ...]:
        """The same, with what was taken back: it can still be read."""
        run = self.state.run
        back = [step for step in run.playbook.steps() if run.step(step.id).state == "undone"] if run is not None else []
        order = {id(step): at for at, step in enumerate(run.playbook.steps())} if run is not None else {}
        own = [(each, step) for each, step in self.done() if each is run]
        gone = [(run, step) for step in back if run is not None and is_change(step)]
        known = {step.id for _, step in own}
        ours = sorted([*own, *(one for one in gone if one[1].id not in known)], key=lambda one: -order[id(one[1])])
        return (*ours, *((each, step) for each, step in self.done() if each is not run))

    def done_steps(self) -> tuple[Step, ...]:
        """The same, without their runs."""
        return tuple(step for _, step in self.done())

    def undo_stakes(self, step_ids: frozenset[str] | None) -> tuple[UndoStake, ...]:
        """What stops on the nodes when these steps are taken back, with what rests on them; None is all."""
        runs = (*(() if self.state.run is None else (self.state.run,)), *self.state.earlier)
        return undo_stakes(steps_to_undo(runs, step_ids), self.feeds.busy())

    def can_undo(self) -> bool:
        """Whether something can be taken back now."""
        run = self.state.run
        is_over = run is None or run.is_over
        return is_over and self.state.undoable_count > 0 and self.state.phase not in UNDER_WAY


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _playbook(steps: tuple[Step, ...]) -> Playbook:
    return Playbook("Shown", (Stage("Shown", steps),) if steps else ())
