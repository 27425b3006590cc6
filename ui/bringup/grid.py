"""The matrix of checks as a table: a section a chapter, a row a check, a column a node.

The one rule: pure; a state is an icon and words, and what was not read never looks like a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from ui import text
from ui.widgets import cell_table
from ui.widgets.cell_table import CellLook, Table

LOOKS: Final[dict[CellState, tuple[CellLook, str]]] = {
    CellState.PASS: ("ok", "passed"),
    CellState.WARN: ("warn", "warning"),
    CellState.FAIL: ("crit", "failed"),
    CellState.UNREAD: ("unknown", "not read"),
    CellState.SKIPPED: ("left_out", "skipped"),
    CellState.PLANNED: ("planned", "will be changed"),
    CellState.WAITING: ("next", "to come"),
    CellState.RUNNING: ("busy", "running"),
    CellState.DONE: ("ok", "changed and verified"),
    CellState.UNDONE: ("undone", "taken back"),
}
PROBLEMS: Final = (CellState.WARN, CellState.FAIL, CellState.UNREAD)
_MAX_CHARS = 120
_SHORT = 14
"""What is there and what will be stand in one cell up to this length."""
_ABSENT = Cell(CellState.SKIPPED, "not asked")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table, and per line the id of its row; "" is a chapter's section."""

    table: Table
    row_ids: tuple[str, ...]
    chapters: tuple[str, ...]
    """Per line the chapter it belongs to."""

    def line_of_chapter(self, chapter: str) -> int:
        """The line of a chapter's section; -1 when it has none."""
        return self.chapters.index(chapter) if chapter in self.chapters else -1


def make_grid(matrix: Matrix, names: Mapping[str, str], *, only_problems: bool = False) -> Grid:
    """The matrix as a table; with `only_problems` just the rows in which something stands out."""
    headers = tuple(text.one_line(names.get(node_id, node_id), 64) for node_id in matrix.node_ids)
    lines: list[tuple[cell_table.Cell, ...]] = []
    titles: list[str] = []
    row_ids: list[str] = []
    chapters: list[str] = []
    for row in matrix.rows:
        if only_problems and not _has_problem(row):
            continue
        if not chapters or chapters[-1] != row.chapter:
            lines.append((cell_table.Cell("", "section"),))
            titles.append(chapter_words(row.chapter))
            row_ids.append("")
            chapters.append(row.chapter)
        lines.append(tuple(_cell(row.cells.get(node_id, _ABSENT)) for node_id in matrix.node_ids))
        titles.append(text.one_line(row.title, 80))
        row_ids.append(row.id)
        chapters.append(row.chapter)
    return Grid(Table(headers, tuple(lines), tuple(titles)), tuple(row_ids), tuple(chapters))


def chapter_words(chapter: str) -> str:
    """How a chapter is called; its bare value where it is none of ours."""
    return Chapter(chapter).words if chapter in set(Chapter) else text.one_line(chapter, 40)


def summary(matrix: Matrix, *, is_reading: bool = False) -> str:
    """ "31 of 40 checks passed · 3 warnings · 2 running · 4 to come"; nothing runs while the nodes are read."""
    total = sum(len(row.cells) for row in matrix.rows)
    if not total:
        return ""
    passed = matrix.count(CellState.PASS, CellState.DONE)
    parts = [f"{passed} of {total} checks passed"]
    for states, one, many in _COUNTED:
        count = matrix.count(*states)
        if count and is_reading and states == (CellState.RUNNING,):
            parts.append(f"{count} being read")
        elif count:
            parts.append(f"{count} {one if count == 1 else many}")
    return " · ".join(parts)


_COUNTED: Final = (
    ((CellState.FAIL,), "failed", "failed"),
    ((CellState.WARN,), "warning", "warnings"),
    ((CellState.UNREAD,), "not read", "not read"),
    ((CellState.PLANNED,), "to be put right", "to be put right"),
    ((CellState.RUNNING,), "running", "running"),
    ((CellState.WAITING,), "to come", "to come"),
    ((CellState.SKIPPED,), "skipped", "skipped"),
    ((CellState.UNDONE,), "taken back", "taken back"),
)


def _has_problem(row: Row) -> bool:
    return any(cell.state in PROBLEMS for cell in row.cells.values())


def now_and_then(cell: Cell) -> str:
    """ "no key pair → ed25519": what is there, and what the plan makes of it."""
    return f"{cell.text} → {cell.then}" if cell.then and cell.state is CellState.PLANNED else cell.text


def _cell(cell: Cell) -> cell_table.Cell:
    look, word = LOOKS[cell.state]
    whole = text.one_line(now_and_then(cell), _MAX_CHARS)
    said = whole if len(whole) <= _SHORT else text.one_line(cell.text, _MAX_CHARS)
    hint = "" if not said else word if said == whole else f"{word}: {text.one_line(cell.then, _MAX_CHARS)}"
    more = text.one_line(cell.remedy, 200)
    return cell_table.Cell(said or word, look, hint=", ".join(part for part in (hint, more) if part))
