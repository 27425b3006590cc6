"""The matrix while a plan runs: cells that name steps follow the states of these steps, and one row the proof.

The one rule: it says no more than the run does; a step whose end is not known is never shown as done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofItem, ProofKind
from sparkdesk.core.bringup.row import make_cell
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.playbooks.run_view import RUNNING, WAITING, RunView, StepView

DONE, UNCHANGED, FAILED, CANCELLED, UNKNOWN, UNDONE = "done", "unchanged", "failed", "cancelled", "unknown", "undone"
STAYS = "stays, by design"
"""Of what no undo takes back: installed packages."""
GO_ON = "Continue the bring-up, or undo what was done."
_WELL = (WAITING, RUNNING, DONE, UNCHANGED, UNDONE)
_PARTS = {"check": "checking", "apply": "applying", "verify": "verifying", "undo": "undoing"}


def follow(matrix: Matrix, run: RunView | None) -> Matrix:
    """The matrix with its cells as the run has them; without a run it is as it was planned."""
    if run is None:
        return matrix
    known = frozenset(step.id for step in run.playbook.steps())
    rows = []
    for row in matrix.rows:
        cells = {node_id: _follow_cell(cell, run, known) for node_id, cell in row.cells.items()}
        rows.append(replace(row, cells=MappingProxyType(cells)))
    return replace(matrix, rows=tuple(rows))


def _follow_cell(cell: Cell, run: RunView, known: frozenset[str]) -> Cell:
    """The cell as its steps have it; one whose steps are not of this run stays as it was planned."""
    steps = [run.step(step_id) for step_id in cell.step_ids if step_id in known]
    if not steps:
        return cell
    bad = next((step for step in steps if step.state not in _WELL), None)
    if bad is None and run.is_over:
        bad = next((step for step in steps if step.state == RUNNING), None)  # it ended with the program
    if bad is not None:
        return _ended_badly(cell, bad)
    if run.is_undo:
        stays = frozenset(step.id for step in run.playbook.steps() if step.apply and not step.undo)
        kept = [step_id for step_id in cell.step_ids if step_id in stays]
        if kept and len(kept) == len(steps) and any(run.step(step_id).state in (DONE, UNDONE) for step_id in kept):
            return _shown(cell, CellState.DONE, STAYS)
    return _running(cell, steps) if not run.is_over else _over(cell, steps)


def _ended_badly(cell: Cell, step: StepView) -> Cell:
    state = {FAILED: CellState.FAIL, CANCELLED: CellState.WARN}.get(step.state, CellState.UNREAD)
    text = {FAILED: "failed", CANCELLED: "cancelled", UNKNOWN: "end not known"}.get(step.state, "interrupted")
    return make_cell(
        state, text, evidence=step.text or cell.evidence, remedy=step.remedy or GO_ON, step_ids=cell.step_ids
    )


def _running(cell: Cell, steps: Sequence[StepView]) -> Cell:
    """Nothing has failed and the run is under way."""
    active = next((step for step in steps if step.state == RUNNING), None)
    if active is not None:
        text = (active.text if active.part != "undo" else "") or _PARTS.get(active.part, "running")
        if text.endswith("?"):  # what a person is asked stands whole beside the clock
            text = "waits for your answer"
        return _shown(cell, CellState.RUNNING, text)
    if all(step.state == WAITING for step in steps):
        return _shown(cell, CellState.WAITING, "next")
    if any(step.state == WAITING for step in steps):
        return _shown(cell, CellState.RUNNING, _share(steps))
    return _over(cell, steps)


def _over(cell: Cell, steps: Sequence[StepView]) -> Cell:
    """Nothing has failed, and nothing of this cell is under way."""
    states = {step.state for step in steps}
    if UNDONE in states:
        return _shown(cell, CellState.UNDONE, "partly undone" if DONE in states else "undone")
    if states == {WAITING}:
        return _shown(cell, CellState.WAITING, "not begun")
    if WAITING in states:
        return make_cell(CellState.WARN, _share(steps), evidence=cell.evidence, remedy=GO_ON, step_ids=cell.step_ids)
    if states == {UNCHANGED}:
        return _shown(cell, CellState.PASS, cell.then or cell.text)
    return _shown(cell, CellState.DONE, cell.then or cell.text)


def _share(steps: Sequence[StepView]) -> str:
    ended = sum(step.state in (DONE, UNCHANGED) for step in steps)
    return f"{ended} of {len(steps)} steps"


def _shown(cell: Cell, state: CellState, text: str) -> Cell:
    return make_cell(state, text, evidence=cell.evidence, step_ids=cell.step_ids)


def as_undone(matrix: Matrix, now: Matrix) -> Matrix:
    """The matrix after an undo, with what stands on the nodes as it was read since: a cell that was taken back stays
    one, and says what is there now."""
    found = {row.id: row.cells for row in now.rows}
    rows = []
    for row in matrix.rows:
        fresh = found.get(row.id, {})
        cells = {node_id: _as_read(cell, fresh.get(node_id)) for node_id, cell in row.cells.items()}
        rows.append(replace(row, cells=MappingProxyType(cells)))
    return replace(matrix, rows=tuple(rows))


def _as_read(cell: Cell, now: Cell | None) -> Cell:
    if now is None or cell.text == STAYS:
        return cell
    if cell.state is CellState.UNDONE:
        return make_cell(CellState.UNDONE, now.text, evidence=now.evidence, step_ids=cell.step_ids)
    return replace(now, step_ids=cell.step_ids)


# The row of the proof ------------------------------------------------------------------------------------------------

SPEED_ROW = "hardware-speed"
_GRADES = {
    Grade.PASS: CellState.PASS,
    Grade.WARN: CellState.WARN,
    Grade.FAIL: CellState.FAIL,
    Grade.UNREAD: CellState.UNREAD,
    Grade.SKIPPED: CellState.SKIPPED,
}
NOT_MEASURED = "not measured"
TO_MEASURE = "to be measured"


def with_speed(matrix: Matrix, state: BringUpState) -> Matrix:
    """The matrix with every GPU's speed under load as a row of the hardware; it is read by the proof alone, so a cell
    says no more than its measurement. Without hardware's rows, or such a measurement in the plan, it is as it was."""
    place = [at for at, row in enumerate(matrix.rows) if row.chapter == Chapter.HARDWARE.value]
    found = next((one for one in state.measurements if one.item.kind is ProofKind.GPU_CLOCK), None)
    planned = state.plan.proof_items if state.plan is not None else ()
    item = found.item if found is not None else next((i for i in planned if i.kind is ProofKind.GPU_CLOCK), None)
    if not place or item is None:
        return matrix
    first = matrix.rows[place[0]]
    cells = {
        one: _speed_cell(one, item, found, state) if one in item.node_ids else first.cells[one]
        for one in matrix.node_ids
        if one in item.node_ids or one in first.cells
    }
    row = Row(SPEED_ROW, first.chapter, item.title, MappingProxyType(cells), is_unverified=True)
    return replace(matrix, rows=(*matrix.rows[: place[0] + 1], row, *matrix.rows[place[0] + 1 :]))


def _speed_cell(node_id: str, item: ProofItem, found: Measurement | None, state: BringUpState) -> Cell:
    if found is None:
        if item.skipped:
            return make_cell(CellState.SKIPPED, NOT_MEASURED, evidence=item.skipped)
        run = state.proof_run if state.phase is Phase.PROVING else None
        parts = [part.step_id for part in item.parts if part.source.node_id == node_id]
        if run is not None and any(run.step(step_id).state != WAITING for step_id in parts):
            return make_cell(CellState.RUNNING, "measuring")
        return make_cell(CellState.WAITING, TO_MEASURE)
    own = next((one for one in found.by_node if one.node_id == node_id), None)
    said = f"{own.value:.2f} {found.unit or 'GHz'}" if own is not None and own.value is not None else NOT_MEASURED
    if state.past_proof:
        return make_cell(CellState.WAITING, TO_MEASURE, evidence=f"{said}, {state.past_proof}")
    grade = own.grade if own is not None else found.grade
    evidence = (own.message if own is not None else "") or found.message
    remedy = found.remedy if grade in (Grade.WARN, Grade.FAIL, Grade.UNREAD) else ""
    return make_cell(_GRADES[grade], said, evidence=evidence, remedy=remedy)
