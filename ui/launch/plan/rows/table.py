"""The ranked table: every way to serve the model, the form's own row marked; a row chosen goes into the form.

The one rule: where the column is narrow, what tells the ways apart stays and the rest goes; all of it can be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.planning.row import PlanRow
from ui import text, theme
from ui.font import Role, font
from ui.icon import draw_icon
from ui.launch.plan.rows.model import COLUMNS, NUMBERS, Column, Index, RowsModel, RowWords
from ui.theme import Token, color
from ui.widgets.paint import elided, fill, pen, text_width, write

ROW_HEIGHT: Final = 26
MOST_ROWS: Final = 8
_HEAD_HEIGHT: Final = 26
_PAD: Final = 4
_ICON_ROOM: Final = 18
_LEAST_WHY: Final = 96
_MOST_WHY: Final = 900
_FIRST_TO_GO: Final[tuple[Column, ...]] = (
    "cost", "power", "nodes", "kv", "speculative", "toll", "engine", "why", "quality",
)  # fmt: skip
"""Where there is no room for all. Rank, split, format, speed and memory stay; the loss and the reason go last."""
_FIRST_TO_GO_OF_ALIKE: Final[tuple[Column, ...]] = (
    "cost", "power", "nodes", "toll", "why", "quality", "kv", "speculative", "engine",
)  # fmt: skip
"""Where many rows have one split and format: what tells those apart goes last."""
_OF_ONE_KIND: Final[tuple[Column, ...]] = ("nodes", "kv", "speculative", "engine", "toll")
"""Columns that say nothing where all rows agree: the facts below have the chosen row's."""
_MARKS: Final[dict[Fit, tuple[str, Token]]] = {
    Fit.FITS: ("circle-check", "ok"),
    Fit.TIGHT: ("triangle-alert", "warn"),
    Fit.RISKY: ("triangle-alert", "warn"),
    Fit.TOO_BIG: ("octagon-alert", "crit"),
    Fit.UNKNOWN: ("circle-help", "text3"),
}


class _Delegate(QStyledItemDelegate):
    """Paints a cell itself: a selected row keeps its inks, and the reason carries the mark of its fit."""

    def __init__(self, rows: RowsModel, table: RowsTable) -> None:
        super().__init__(table)
        self._rows = rows
        self._table = table

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(40, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        rect, column = QRectF(option.rect), COLUMNS[index.column()]
        told = self._rows.told[index.row()]
        is_own = index.row() == self._table.own_row()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if is_own:
            fill(painter, rect, color("accentsoft"))
        painter.setPen(pen(color("border")))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        self._paint_words(painter, rect, column, told)
        if option.state & QStyle.StateFlag.State_HasFocus or self._is_current(index):
            painter.setPen(pen(color("accent"), 2))
            painter.drawLine(rect.topLeft() + QPointF(0, 1), rect.topRight() + QPointF(0, 1))
            painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.restore()

    def _is_current(self, index: Index) -> bool:
        return self._table.hasFocus() and index.row() == self._table.currentIndex().row()

    def _paint_words(self, painter: QPainter, rect: QRectF, column: Column, told: RowWords) -> None:
        room = rect.adjusted(_PAD, 0, -_PAD, 0)
        if column == "rank":
            name, tint = _MARKS[told.fit if told.has_room else Fit.TOO_BIG]
            draw_icon(painter, QPointF(room.left(), room.center().y() - 6), name, tint, theme.ICON_SIZE_CHIP)
            room.setLeft(room.left() + _ICON_ROOM)
        words = told.cells[column]
        shown = (
            words
            if text_width(words, role_of(column)) <= room.width()
            else elided(words, role_of(column), max(room.width(), 8.0))
        )
        side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
        write(painter, room, shown, role=role_of(column), tint=_ink(told, column), align=side)


def role_of(column: Column) -> Role:
    """The type of a column: what a row is called stands out."""
    return "dense_medium" if column == "split" else "dense"


def _ink(told: RowWords, column: Column) -> Token:
    words = told.cells[column]
    if words == text.NOT_KNOWN:
        return "text3"
    if column == "left" and words.startswith(text.MINUS):
        return "crit"
    if not told.has_room:
        return "text2" if column in ("split", "why") else "text3"
    return "text" if column in ("split", "ttft", "tpot", "total") else "text2"


class RowsTable(QTableView):
    """The table. `chosen` carries the PlanRow that a person chose by click, Enter or Space."""

    chosen = Signal(object)
    looked_at = Signal(object)
    """The PlanRow under the keyboard's place; None where the table lost it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = RowsModel(self)
        self._own_row = -1
        self._has_all = False
        self.setModel(self.rows)
        self.setItemDelegate(_Delegate(self.rows, self))
        self.setAccessibleName("Ways to serve it, ranked")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        head = self.horizontalHeader()
        head.setFixedHeight(_HEAD_HEIGHT)
        head.setHighlightSections(False)
        head.setMinimumSectionSize(20)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setStyleSheet(f"QHeaderView::section {{ padding: 0 {_PAD}px; }}")
        # After the style sheet, which dresses the heading anew.
        head.setFont(font("label"))
        self.clicked.connect(self._choose)
        theme.notifier.changed.connect(self.viewport().update)

    def show_rows(self, rows: tuple[PlanRow, ...], own: PlanRow | None, currency: str = "") -> None:
        """Show these rows; `own` is the form's. The place where one was looking stays."""
        looked_at = self.verticalScrollBar().value()
        before = self.currentIndex().row()
        is_new = self.rows.set_rows(rows, currency)
        self._own_row = rows.index(own) if own in rows else -1
        if is_new:
            self._fit()
            self.verticalScrollBar().setValue(looked_at)
            if 0 <= before < len(rows):
                self.setCurrentIndex(self.rows.index(before, 0))
        self.viewport().update()

    def own_row(self) -> int:
        """The number of the form's own row, -1 where it is none of these."""
        return self._own_row

    def set_all(self, has_all: bool) -> None:
        """Show all columns, to be scrolled, or those for which there is room."""
        self._has_all = has_all
        self._fit()

    def has_hidden(self) -> bool:
        """Whether columns with something to say are not shown."""
        return any(self.isColumnHidden(i) and not self.rows.is_silent(name) for i, name in enumerate(COLUMNS))

    def needed_height(self) -> int:
        """The height at which the first rows are seen."""
        bar = self.horizontalScrollBar().sizeHint().height() if self._has_all else 0
        return _HEAD_HEIGHT + ROW_HEIGHT * min(len(self.rows.rows), MOST_ROWS) + bar + 2

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Make columns as wide as their words; without room for all the least important go first."""
        needed = {column: self._needed(column) for column in COLUMNS}
        room = self.viewport().width()
        hidden = {column for column in COLUMNS if self.rows.is_silent(column) and column not in ("rank", "why")}
        needed["why"] = min(needed["why"], _MOST_WHY if self._has_all else _LEAST_WHY)
        hidden |= set() if self._has_all else {column for column in _OF_ONE_KIND if self.rows.is_one(column)}
        spare = room - sum(width for column, width in needed.items() if column not in hidden)
        if not self._has_all:
            # Where rows differ by the engine only, its name stays whatever else has to go.
            kept = {column for column in COLUMNS if column in hidden or (column == "engine" and self.rows.has_twins())}
            gone, spare = _too_many(needed, kept, spare, self.rows.has_alike())
            hidden |= gone
        # What is left over goes to the reasons, or to the column whose words end soonest.
        needed["split" if "why" in hidden else "why"] += max(0, spare)
        for i, column in enumerate(COLUMNS):
            self.setColumnHidden(i, column in hidden)
            self.setColumnWidth(i, needed[column])
        self.setFixedHeight(self.needed_height())

    def _needed(self, column: Column) -> int:
        role = role_of(column)
        widest = max((text_width(told.cells[column], role) for told in self.rows.told), default=0.0)
        widest += _ICON_ROOM if column == "rank" else 0
        title = self.horizontalHeader().fontMetrics().horizontalAdvance(self.rows.title(column))
        return round(max(widest, title + 2) + 2 * _PAD + 1)

    def _choose(self, index: Index) -> None:
        if index.isValid():
            self.chosen.emit(self.rows.rows[index.row()])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_choice = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
        if is_choice and self.currentIndex().isValid():
            self._choose(self.currentIndex())
            event.accept()
            return
        super().keyPressEvent(event)
        self._tell_place()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self.rows.rows:
            self.setCurrentIndex(self.rows.index(max(self._own_row, 0), 0))
        self._tell_place()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.looked_at.emit(None)
        self.viewport().update()

    def _tell_place(self) -> None:
        index = self.currentIndex()
        self.looked_at.emit(self.rows.rows[index.row()] if index.isValid() else None)
        self.viewport().update()


def _too_many(needed: Mapping[Column, int], kept: Set[Column], spare: int, has_alike: bool) -> tuple[set[Column], int]:
    """The columns for which there is no room, and the room that is left then; those `kept` are not looked at."""
    gone = list[Column]()
    for column in _FIRST_TO_GO_OF_ALIKE if has_alike else _FIRST_TO_GO:
        if spare < 0 and column not in kept:
            gone.append(column)
            spare += needed[column]
    # A wide one that went last may have made room for a narrow one.
    for column in tuple(reversed(gone)):
        if needed[column] <= spare:
            gone.remove(column)
            spare -= needed[column]
    return set(gone), spare
