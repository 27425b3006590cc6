"""The matrix follows the run: never ahead of it, and never done where the end is not known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.fold import SPEED_ROW, as_undone, follow, with_speed
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.proof.measurement import (
    Grade,
    Measurement,
    NodeFigure,
    ProofEnd,
    ProofItem,
    ProofKind,
    ProofPart,
)
from sparkdesk.core.bringup.reading import SshReading
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.run_view import RunView, StepView, take_event
from sparkdesk.core.step import Playbook, Progress, Run, RunEnded, Stage, Step, StepEnded, StepStarted
from tests.core.bringup.cases import make_case, with_node

STEPS = tuple(Step(name, f"Do {name}", "n1", apply=(Run(Command(("true",))),)) for name in ("a", "b"))
PLAYBOOK = Playbook("Bring up 1 node", (Stage("All", STEPS),))
PLANNED = Cell(CellState.PLANNED, ".100.1 .101.1", "read before", step_ids=("a", "b"))
READ = Cell(CellState.WARN, "7.4.0", remedy="Update it.")


def shown(run: RunView | None, cell: Cell = PLANNED) -> Cell:
    matrix = Matrix(("n1",), (Row("network-addresses", "network", "Addresses", {"n1": cell}),))
    return follow(matrix, run).rows[0].cells["n1"]


def run_of(*states: str, result: str = "") -> RunView:
    steps = {step.id: StepView(state) for step, state in zip(STEPS, states, strict=True)}
    return RunView("r1", PLAYBOOK, steps=steps, result=result)


def test_a_question_is_not_written_into_the_cell() -> None:
    steps = {"a": StepView("running", "apply", "Nothing told how it is now. Keep the new network on spark-1?")}
    found = shown(RunView("r1", PLAYBOOK, steps=steps))
    assert (found.state, found.text) == (CellState.RUNNING, "waits for your answer")


def test_without_a_run_the_matrix_is_the_plans() -> None:
    assert shown(None) == PLANNED


def test_what_no_step_changes_stays_as_it_was_read() -> None:
    assert shown(run_of("done", "done", result="done"), READ) == READ


def test_a_cell_whose_steps_are_not_of_this_run_stays_planned() -> None:
    other = Cell(CellState.PLANNED, "later", step_ids=("z",))
    assert shown(run_of("done", "done", result="done"), other) == other


@pytest.mark.parametrize(
    ("states", "result", "state", "text"),
    [
        (("waiting", "waiting"), "", CellState.WAITING, "next"),
        (("running", "waiting"), "", CellState.RUNNING, "running"),
        (("done", "waiting"), "", CellState.RUNNING, "1 of 2 steps"),
        (("done", "done"), "", CellState.DONE, ".100.1 .101.1"),
        (("unchanged", "unchanged"), "done", CellState.PASS, ".100.1 .101.1"),
        (("done", "unchanged"), "done", CellState.DONE, ".100.1 .101.1"),
        (("failed", "waiting"), "failed", CellState.FAIL, "failed"),
        (("done", "unknown"), "unknown", CellState.UNREAD, "end not known"),
        (("done", "cancelled"), "cancelled", CellState.WARN, "cancelled"),
        (("done", "interrupted"), "interrupted", CellState.UNREAD, "interrupted"),
        (("done", "running"), "interrupted", CellState.UNREAD, "interrupted"),
        (("done", "waiting"), "paused", CellState.WARN, "1 of 2 steps"),
        (("waiting", "waiting"), "failed", CellState.WAITING, "not begun"),
        (("undone", "undone"), "done", CellState.UNDONE, "undone"),
        (("undone", "waiting"), "done", CellState.UNDONE, "undone"),
        (("done", "undone"), "done", CellState.UNDONE, "partly undone"),
    ],
)
def test_a_cell_stands_as_its_steps_do(states: tuple[str, str], result: str, state: CellState, text: str) -> None:
    found = shown(run_of(*states, result=result))
    assert (found.state, found.text, found.step_ids) == (state, text, ("a", "b"))


@pytest.mark.parametrize(("part", "word"), [("apply", "applying"), ("verify", "verifying"), ("undo", "undoing")])
def test_a_step_that_is_under_way_tells_what_it_does(part: str, word: str) -> None:
    run = take_event(RunView("r1", PLAYBOOK), StepStarted("a", part, 1))
    assert (shown(run).state, shown(run).text) == (CellState.RUNNING, word)
    assert shown(take_event(run, Progress("a", 2, "49 s left"))).text in ("49 s left", word)


def test_a_failure_shows_the_steps_own_words_and_remedy() -> None:
    run = take_event(RunView("r1", PLAYBOOK), StepEnded("a", 1, "failed", "No\x1b[31m space", "Free some."))
    found = shown(take_event(run, RunEnded(2, "failed")))
    assert (found.evidence, found.remedy) == ("No space", "Free some.")


def test_no_mixture_of_states_is_shown_as_done_unless_all_ended_well() -> None:
    states = ("waiting", "running", "done", "unchanged", "failed", "cancelled", "unknown", "undone", "interrupted", "?")
    results = ("", "done", "failed", "cancelled", "unknown", "paused", "interrupted")
    for one, other, result in itertools.product(states, states, results):
        found = shown(run_of(one, other, result=result))
        has_ended_well = {one, other} <= {"done", "unchanged"}
        assert (found.state in (CellState.DONE, CellState.PASS)) == has_ended_well, (one, other, result)
        needs_remedy = found.state in (CellState.WARN, CellState.FAIL, CellState.UNREAD)
        assert bool(found.remedy) == needs_remedy, (one, other, result)


def test_what_no_undo_takes_back_stays_and_says_so() -> None:
    back = Step("b", "Do b", "n1", apply=STEPS[1].apply, undo=STEPS[1].apply)
    playbook = Playbook("Bring up 1 node", (Stage("All", (STEPS[0], back)),))
    run = RunView("r1", playbook, steps={"a": StepView("undone"), "b": StepView("undone")}, result="done", is_undo=True)
    package = shown(run, Cell(CellState.PLANNED, "perftest", step_ids=("a",)))
    assert (package.state, package.text) == (CellState.DONE, "stays, by design")
    assert shown(run, Cell(CellState.PLANNED, "addresses", step_ids=("b",))).state is CellState.UNDONE


def test_after_an_undo_a_cell_that_was_taken_back_says_what_stands_now() -> None:
    was = (Cell(CellState.UNDONE, "undone", step_ids=("a",)), Cell(CellState.DONE, "written", step_ids=("b",)))
    read = (Cell(CellState.PLANNED, "1500", "mtu 1500", step_ids=("c",), then="9000"), Cell(CellState.PASS, "9000"))
    rows = [Row(f"r{at}", "network", "Row", {"n1": cell}) for at, cell in enumerate(was)]
    now = [Row(f"r{at}", "network", "Row", {"n1": cell}) for at, cell in enumerate(read)]
    after = as_undone(Matrix(("n1",), tuple(rows)), Matrix(("n1",), tuple(now)))
    assert [(row.cells["n1"].state, row.cells["n1"].text) for row in after.rows] == [
        (CellState.UNDONE, "1500"),
        (CellState.PASS, "9000"),
    ]
    assert after.rows[0].cells["n1"].evidence == "mtu 1500"


BOX: dict[str, Any] = {"docker_problem": "denied", "docker": "", "groups": ("nvidia",), "docker_members": (),
       "toolkit": "", "problems": {"toolkit": "no program"},
       "tools": {"ib_write_bw": False, "iperf3": True, "earlyoom": False},
       "is_clock_kept": False, "is_guard_active": False, "ssh": SshReading("750", config="", port=22)}  # fmt: skip
NOW_AND_THEN = {
    "keys-rights": ("no ~/.ssh", "closed to others"),
    "keys-pair": ("no key pair", "ed25519"),
    "keys-mesh": ("0 of 1 peers", "1 of 1 peers"),
    "docker-group": ("not in the group", "in the group docker"),
    "docker-toolkit": ("not installed", "installed"),
    "hardware-clock": ("not kept", "kept"),
    "hardware-tools": ("no perftest", "there"),
    "network-file": ("no file of ours", "tried, then kept"),
    "guard-memory": ("nothing watches", "earlyoom at 2 %"),
}
"""Of a box: what each cell says before a bring-up and after its undo, and what it says when it is done."""


def test_planned_and_taken_back_cells_say_what_is_there_and_done_ones_what_they_brought() -> None:
    case = make_case(2, Shape.PAIR, choices=Choices(wants_guard=True))
    for node_id in case.node_ids:
        case = with_node(case, node_id, **BOX)
    plan = make_plan(case, 7)
    ends = {state: {step.id: StepView(state) for step in plan.playbook.steps()} for state in ("done", "undone")}
    done = follow(plan.matrix, RunView("r1", plan.playbook, steps=ends["done"], result="done"))
    back = RunView("r1", plan.playbook, steps=ends["undone"], result="done", is_undo=True)
    after = as_undone(follow(plan.matrix, back), plan.matrix)
    rows = zip(plan.matrix.rows, done.rows, after.rows, strict=True)
    told = {row.id: tuple(one.cells["n1"] for one in (row, end, undone)) for row, end, undone in rows}
    planned = {row_id: cells for row_id, cells in told.items() if cells[0].state is CellState.PLANNED}
    for row_id, (before, ended, undone) in planned.items():
        now, then = NOW_AND_THEN.get(row_id, (before.text, before.then))
        is_package = row_id == "hardware-tools"
        assert (before.text, ended.text) == (now, then), row_id
        assert then, row_id
        assert undone.text == ("stays, by design" if is_package else now), row_id
        assert undone.state is (CellState.DONE if is_package else CellState.UNDONE), row_id
    assert set(NOW_AND_THEN) <= set(planned)


# The row of the proof ------------------------------------------------------------------------------------------------

CLOCK_ITEM = ProofItem(
    "gpu-clock", ProofKind.GPU_CLOCK, "Full speed under load", ("n1", "n2"), ("c1", "c2"),
    parts=(ProofPart("c1", ProofEnd("n1", "spark-1")), ProofPart("c2", ProofEnd("n2", "spark-2"))),
)  # fmt: skip
CLOCKS = Measurement(
    CLOCK_ITEM, Grade.FAIL, 0.932, "GHz", "2.41 on spark-1, 0.93 on spark-2", remedy="Pull its power adapter.",
    by_node=(NodeFigure("n1", Grade.PASS, 2.411), NodeFigure("n2", Grade.FAIL, 0.932, "spark-2: the slow state")),
)  # fmt: skip


def speed_cells(state: BringUpState, *nodes: str) -> list[tuple[CellState, str]]:
    """The row of the full speed, in a matrix of hardware and keys."""
    read = Cell(CellState.UNREAD, "no answer", remedy="Look again.")
    ids = nodes or ("n1", "n2")
    rows = [Row(name, name.split("-")[0], "A check", dict.fromkeys(ids, read)) for name in ("hardware-os", "keys-a")]
    matrix = with_speed(Matrix(ids, tuple(rows)), state)
    assert [row.id for row in matrix.rows] == ["hardware-os", SPEED_ROW, "keys-a"]
    cells = matrix.rows[1].cells
    assert all(cell.remedy for cell in cells.values() if cell.state in (CellState.FAIL, CellState.UNREAD))
    return [(cells[node].state, cells[node].text) for node in ids]


def with_items(*items: ProofItem) -> BringUpState:
    plan = make_plan(make_case(1, Shape.SINGLE), made_ms=1)
    return BringUpState(Phase.PLANNED, ("n1", "n2"), plan=replace(plan, proof_items=items))


def test_the_full_speed_says_no_more_than_the_proof() -> None:
    planned = with_items(CLOCK_ITEM)
    assert speed_cells(planned) == [(CellState.WAITING, "to be measured")] * 2
    proof = RunView("r2", PLAYBOOK, steps={"c1": StepView("running")})
    proving = replace(planned, phase=Phase.PROVING, proof_run=proof)
    assert speed_cells(proving) == [(CellState.RUNNING, "measuring"), (CellState.WAITING, "to be measured")]
    done = replace(planned, phase=Phase.DONE, measurements=(CLOCKS,))
    assert speed_cells(done) == [(CellState.PASS, "2.41 GHz"), (CellState.FAIL, "0.93 GHz")]
    past = replace(done, past_proof="before the undo")
    assert speed_cells(past) == [(CellState.WAITING, "to be measured")] * 2
    left_out = replace(done, measurements=(Measurement(CLOCK_ITEM, Grade.SKIPPED, message="Jobs run."),))
    assert speed_cells(left_out) == [(CellState.SKIPPED, "not measured")] * 2
    skipped = with_items(replace(CLOCK_ITEM, skipped="No image is chosen."))
    assert speed_cells(skipped) == [(CellState.SKIPPED, "not measured")] * 2


def test_a_node_that_did_not_answer_stays_unread_in_the_full_speed() -> None:
    assert speed_cells(with_items(CLOCK_ITEM), "n1", "n3")[1] == (CellState.UNREAD, "no answer")


def test_without_such_a_measurement_the_matrix_is_as_it_was() -> None:
    matrix = Matrix(("n1",), (Row("hardware-os", "hardware", "DGX OS", {"n1": READ}),))
    assert with_speed(matrix, with_items()) is matrix
    assert with_speed(matrix, BringUpState()) is matrix
