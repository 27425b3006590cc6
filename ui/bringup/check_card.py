"""The matrix of checks with its heading: what passed, what stands out, what is to come.

The one rule: each cell leads to its evidence, by mouse and by key.
"""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.bringup.state import Phase
from ui.bringup.grid import PROBLEMS, Grid, summary
from ui.bringup.model import BringUpModel
from ui.widgets.button import Button
from ui.widgets.card import Card, LoadingBars, Separator
from ui.widgets.cell_table import CellTable
from ui.widgets.label import ElidedLabel, Label


class CheckCard(Card):
    """`cell_chosen` carries a row's id and a node's."""

    cell_chosen = Signal(str, str)

    def __init__(self, model: BringUpModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._grid = Grid(CellTable("").cells.table, (), ())
        self._shown_chapter = ""
        self.summary = ElidedLabel("", "label", "text3")
        self.only = Button("Only problems", kind="link")
        self.table = CellTable("Checks by node", has_titles=True)
        self.words = Label("", "dense", "text3", is_wrapped=True)
        self._stack = QStackedWidget()
        self._soon = QTimer(self, interval=0, singleShot=True)
        self._soon.timeout.connect(self._show_chapter)
        self._build()
        self.only.clicked.connect(lambda: model.set_only_problems(not model.only_problems))
        self.table.clicked.connect(self._choose)
        self.table.activated.connect(self._choose)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(14, 8, 14, 8)
        head.setSpacing(8)
        head.addWidget(Label("Checks", "dense_strong", "text"))
        head.addWidget(self.summary, 1)
        head.addWidget(self.only)
        wait = QWidget()
        room = QVBoxLayout(wait)
        room.setContentsMargins(14, 14, 14, 14)
        room.setSpacing(10)
        self._bars = LoadingBars(what="Reading the nodes")
        room.addWidget(self.words)
        room.addWidget(self._bars)
        room.addStretch(1)
        self._stack.addWidget(self.table)
        self._stack.addWidget(wait)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(head)
        column.addWidget(Separator())
        column.addWidget(self._stack, 1)
        self.setMinimumHeight(180)
        self.setAccessibleName("Checks")

    def refresh(self) -> None:
        """Show the matrix as it is."""
        model = self._model
        self._grid = model.grid()
        matrix = model.matrix()
        has_rows = bool(self._grid.row_ids)
        is_reading = model.state.phase is Phase.READING
        self.summary.setText(summary(matrix, is_reading=is_reading))
        problems = matrix.count(*PROBLEMS)
        self.only.setVisible(bool(problems) or model.only_problems)
        self.only.setText("All checks" if model.only_problems else "Only problems")
        self.only.updateGeometry()
        self._bars.setVisible(is_reading and not has_rows)
        self.words.setText("" if has_rows else self._empty_words(is_reading=is_reading))
        self._stack.setCurrentIndex(0 if has_rows else 1)
        if has_rows:
            self.table.set_table(self._grid.table)
            self._soon.start()

    def _empty_words(self, *, is_reading: bool) -> str:
        if is_reading:
            return "Reading hardware, keys, docker, cabling and addresses. This changes nothing."
        if self._model.only_problems and self._model.state.matrix.rows:
            return "Nothing stands out."
        return "What is checked on each node stands here once it was read."

    def _show_chapter(self) -> None:
        """Bring the chapter that is looked at into sight, once."""
        chapter = self._model.chapter.value
        if chapter == self._shown_chapter or not self.isVisible():
            return
        self._shown_chapter = chapter
        first = self._grid.line_of_chapter(chapter)
        if first >= 0:
            last = max(line for line, each in enumerate(self._grid.chapters) if each == chapter)
            for line in (last, first):
                self.table.scrollTo(self.table.cells.index(line, max(self.table.currentIndex().column(), 0)))
            # No row is cut by the head; where that would hide the chapter's end, the last rows are.
            bar, step = self.table.verticalScrollBar(), self.table.verticalHeader().defaultSectionSize()
            bar.setValue(-(-bar.value() // step) * step)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._shown_chapter = ""
        self._soon.start()

    def _choose(self, index: QModelIndex) -> None:
        row_id = self._grid.row_ids[index.row()] if 0 <= index.row() < len(self._grid.row_ids) else ""
        node_ids = self._model.state.matrix.node_ids
        if row_id and index.column() < len(node_ids):
            self.cell_chosen.emit(row_id, node_ids[index.column()])

    def focus_table(self) -> None:
        """Give the keyboard back to the matrix."""
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)
