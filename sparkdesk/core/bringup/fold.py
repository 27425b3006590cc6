"""The matrix while a plan runs: cells that name steps follow the states of these steps.

The one rule: it says no more than the run does; a step whose end is not known is never shown as done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix
from sparkdesk.core.bringup.row import make_cell
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
