"""The read-only table of marked cells."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from tests.ui.picture import host_page
from ui.widgets.cell_table import Cell, CellTable, Table

ROWS = (
    (Cell("Software", "section"),),
    (Cell("Driver", "strong"), Cell("580.142", "warn", "differs"), Cell("Not known", "unknown")),
)
TABLE = Table(("", "spark-5c2d", "spark-bd26"), ROWS)


def open_table(qtbot: QtBot) -> CellTable:
    table = CellTable("Versions")
    qtbot.addWidget(host_page(table, 500, 200))
    table.set_table(TABLE)
    return table


def test_a_marked_cell_is_spoken_with_its_word(qtbot: QtBot, dressed: object) -> None:
    table = open_table(qtbot)
    spoken = table.cells.data(table.cells.index(1, 1), Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "580.142, differs"


def test_an_equal_table_changes_nothing_and_one_cell_repaints_its_row(qtbot: QtBot, dressed: object) -> None:
    table = open_table(qtbot)
    resets, changes = QSignalSpy(table.cells.modelReset), QSignalSpy(table.cells.dataChanged)
    table.set_table(Table(TABLE.headers, tuple(TABLE.rows)))
    assert (resets.count(), changes.count()) == (0, 0)
    table.set_table(Table(TABLE.headers, (ROWS[0], (*ROWS[1][:2], Cell("580.142")))))
    assert (resets.count(), changes.count()) == (0, 1)


def test_a_section_goes_over_the_whole_row_and_cannot_be_chosen(qtbot: QtBot, dressed: object) -> None:
    table = open_table(qtbot)
    assert table.columnSpan(0, 0) == 3
    assert not table.cells.flags(table.cells.index(0, 0)) & Qt.ItemFlag.ItemIsSelectable


def test_the_cells_are_walked_by_keyboard_and_tab_leaves(qtbot: QtBot, dressed: object) -> None:
    table = open_table(qtbot)
    table.setCurrentIndex(table.cells.index(1, 1))
    QTest.keyClick(table, Qt.Key.Key_Right)
    assert table.currentIndex().column() == 2
    assert not table.tabKeyNavigation()
