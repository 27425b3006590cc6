"""Makes rows of the matrix: one judge over all nodes, and the cells that a judge gives.

The one rule: a node that did not answer is UNREAD in every row, with its own reason; no judge sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import Cell, CellState, Row
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.plain_text import make_line, make_plain

MAX_TEXT_CHARS = 60
MAX_EVIDENCE_CHARS = 800
MAX_REMEDY_CHARS = 400
LOOK_AGAIN = "Look again; if it stays so, sign in to the node and try the same by hand."

Judge = Callable[[NodeReading], Cell]


def make_row(
    case: Case, chapter: Chapter, row_id: str, title: str, judge: Judge, *, is_unverified: bool = False
) -> Row:
    """One check over all nodes of the case; the row's id begins with its chapter's."""
    cells = {node_id: _judged(case.reading(node_id), judge) for node_id in case.node_ids}
    return Row(f"{chapter.value}-{row_id}", chapter.value, title, MappingProxyType(cells), is_unverified)


def _judged(reading: NodeReading, judge: Judge) -> Cell:
    return judge(reading) if reading.did_answer else no_answer(reading)


def no_answer(reading: NodeReading) -> Cell:
    """The cell of a node that did not answer."""
    remedy = reading.remedy or "Look again when the node is connected."
    return make_cell(CellState.UNREAD, "no answer", evidence=reading.message, remedy=remedy)


def make_cell(
    state: CellState,
    text: str,
    *,
    evidence: str = "",
    remedy: str = "",
    step_ids: tuple[str, ...] = (),
    then: str = "",
) -> Cell:
    """A cell whose texts are plain and bounded, wherever they come from."""
    return Cell(
        state,
        make_line(text, max_chars=MAX_TEXT_CHARS),
        make_plain(evidence, max_chars=MAX_EVIDENCE_CHARS),
        make_plain(remedy, max_chars=MAX_REMEDY_CHARS),
        step_ids,
        make_line(then, max_chars=MAX_TEXT_CHARS),
    )


def good(text: str, evidence: str = "") -> Cell:
    """As it should be."""
    return make_cell(CellState.PASS, text, evidence=evidence)


def warn(text: str, remedy: str, evidence: str = "") -> Cell:
    """It works, and something is lost."""
    return make_cell(CellState.WARN, text, evidence=evidence, remedy=remedy)


def fail(text: str, remedy: str, evidence: str = "") -> Cell:
    """Something does not work, or will not."""
    return make_cell(CellState.FAIL, text, evidence=evidence, remedy=remedy)


def unread(reading: NodeReading, field: str, remedy: str = LOOK_AGAIN) -> Cell:
    """A field of the reading is not known; why, says the reading."""
    return make_cell(
        CellState.UNREAD, "not read", evidence=reading.problems.get(field, "it was not read"), remedy=remedy
    )


def skipped(text: str, evidence: str = "") -> Cell:
    """Not asked for, or of no use here."""
    return make_cell(CellState.SKIPPED, text, evidence=evidence)


def planned(text: str, step_ids: tuple[str, ...], evidence: str = "", *, then: str = "") -> Cell:
    """Not as it should be; these steps of the plan change it. `text` says what is there now, `then` what will be."""
    return make_cell(CellState.PLANNED, text, evidence=evidence, step_ids=step_ids, then=then)
