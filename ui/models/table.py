"""The table: a row for each model, a cell for each node count with its sign, format, speed and context.

The one rule: a cell says its verdict by sign and by what it has or lacks, and what nobody owns is pale and dashed.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sparkdesk.core.planning.search.table import Cell
from ui import text, theme
from ui.icon import draw_icon
from ui.models import words
from ui.models.cells import FILES, FIRST_COUNT, MODEL, SIZE, CellsModel, Index
from ui.models.heading import PAD, Heading
from ui.models.model import Entry, ModelsModel
from ui.theme import Token, blend, color
from ui.widgets.paint import box, elided, fill, pen, text_width, write

ROW_HEIGHT: Final = 44
_LEAST_MODEL, _MOST_MODEL = 160, 300
_SIZE_WIDTH: Final = 92
_FILES_WIDTH: Final = 104
_LEAST_COUNT: Final = 112
_ICON_ROOM: Final = 18
_TINTS: Final[dict[str, Token]] = {"ok": "ok", "warn": "warn", "crit": "crit"}
_RIGHT: Final = Qt.AlignmentFlag.AlignRight


class _Delegate(QStyledItemDelegate):
    """Paints each cell itself, in two lines."""

    def __init__(self, table: ModelsTable) -> None:
        super().__init__(table)
        self._table = table

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(60, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        cells, rect = self._table.cells, QRectF(option.rect)
        entry, column = cells.entries[index.row()], index.column()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._table.is_chosen(entry):
            fill(painter, rect, color("accentsoft"))
            if column == MODEL:
                fill(painter, QRectF(rect.left(), rect.top(), 3, rect.height()), color("accent"))
        painter.setPen(pen(color("border")))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if column < FIRST_COUNT:
            _paint_model(painter, rect, entry, column)
        else:
            if not cells.is_owned(column):
                painter.setPen(pen(color("control"), dash=(3, 3)))
                painter.drawLine(rect.topLeft(), rect.bottomLeft())
            _paint_cell(painter, rect, entry.cell(cells.count_of(column)), is_owned=cells.is_owned(column))
        if self._table.is_looked_at(index):
            inner = rect.adjusted(1, 1, -1, -2)
            box(painter, inner, theme.RADIUS_CHIP, None, pen(color("accent"), 2 if self._table.hasFocus() else 1))
        painter.restore()


_MEASURED, _MEASURED_SIZE = "gauge", 12
"""Below the sign of a plan whose memory was measured here."""


def _lines(rect: QRectF) -> tuple[QRectF, QRectF]:
    room = rect.adjusted(PAD, 5, -PAD, 0)
    return QRectF(room.left(), room.top(), room.width(), 18), QRectF(room.left(), room.top() + 17, room.width(), 16)


def _paint_model(painter: QPainter, rect: QRectF, entry: Entry, column: int) -> None:
    first, second = _lines(rect)
    spec = entry.spec
    if column == MODEL:
        title = elided(text.one_line(spec.title, 80), "dense_medium", first.width())
        write(painter, first, title, role="dense_medium", tint="text")
        said = elided(", ".join(spec.purposes), "label", second.width())
        write(painter, second, said, role="label", tint="text3")
    elif column == SIZE:
        write(painter, first, words.size_words(spec), role="dense", tint="text2", align=_RIGHT)
        write(painter, second, words.active_words(spec), role="label", tint="text3", align=_RIGHT)
    elif column == FILES:
        said = entry.holders or "on no node"
        role_tint: Token = "text2" if entry.holders else "text3"
        middle = QRectF(first.left(), rect.top(), first.width(), rect.height())
        write(painter, middle, elided(said, "label", middle.width()), role="label", tint=role_tint)


def _paint_cell(painter: QPainter, rect: QRectF, cell: Cell | None, *, is_owned: bool) -> None:
    first, second = _lines(rect)
    if cell is None:
        box(painter, QRectF(first.left() + _ICON_ROOM, first.top() + 5, 46, 8), 4, blend("border", "surface", 0.7))
        return
    mark = words.mark_of(cell)
    tint = _TINTS.get(mark.kind, "text3")
    sign = color(tint) if is_owned else blend(tint, "surface", 0.7)
    draw_icon(painter, QPointF(first.left(), first.top() + 3), mark.icon or "circle-help", sign, theme.ICON_SIZE_CHIP)
    strong: Token = "text" if is_owned else "text2"
    left = first.adjusted(_ICON_ROOM, 0, 0, 0)
    below = second.adjusted(_ICON_ROOM, 0, 0, 0)
    if not words.runs(cell):
        write(painter, left, mark.text, role="dense", tint="text2" if is_owned else "text3")
        write(painter, below, words.short_words(cell), role="label", tint="text3")
        return
    speed = words.speed_cell(cell)
    write(painter, left, speed, role="dense_medium", tint=strong, align=_RIGHT)
    room = left.width() - text_width(speed, "dense_medium") - 6
    write(
        painter,
        left,
        elided(words.format_words(cell), "label", room),
        role="label",
        tint="text2" if is_owned else "text3",
    )
    if words.is_measured(cell):
        draw_icon(painter, QPointF(second.left() + 1, second.top() + 2), _MEASURED, "text3", _MEASURED_SIZE)
    context = words.context_cell(cell.max_context_tokens)
    write(painter, below, context, role="label", tint="text3", align=_RIGHT)
    room = below.width() - text_width(context, "label") - 6
    # Where a plan is no plain fit, its word goes before how it is divided.
    said = words.split_words(cell) if mark.kind == "ok" else mark.text
    write(painter, below, elided(said, "label", room), role="label", tint="text3" if mark.kind == "ok" else tint)


class ModelsTable(QTableView):
    """The table. `chosen` carries a model's name and a node count (0: of no column); `opened` comes with Enter or a
    double click."""

    chosen = Signal(str, int)
    opened = Signal()

    def __init__(self, model: ModelsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.cells = CellsModel(model, self)
        self.setModel(self.cells)
        self.setItemDelegate(_Delegate(self))
        self.heading = Heading(model, self.cells, self)
        self.setHorizontalHeader(self.heading)
        self.setAccessibleName("Models and node counts")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setProperty("has_focus_ring", False)
        self.clicked.connect(self._tell)
        self.doubleClicked.connect(lambda _index: self.opened.emit())
        theme.notifier.changed.connect(self.viewport().update)

    def take(self) -> None:
        """Show what the view-model has; the place where one was looking stays with its model."""
        scrolled = self.verticalScrollBar().value()
        is_other = self.cells.take()
        self._fit()
        if is_other:
            self.verticalScrollBar().setValue(scrolled)
        self.mark()

    def mark(self) -> None:
        """Put the keyboard's place on what is chosen."""
        names = [entry.spec.name for entry in self.cells.entries]
        if self._model.chosen_name in names and self._model.chosen_count in self.cells.counts:
            column = FIRST_COUNT + self.cells.counts.index(self._model.chosen_count)
            before = self.currentIndex()
            if before.isValid() and before.column() < FIRST_COUNT:
                column = before.column()
            index = self.cells.index(names.index(self._model.chosen_name), column)
            if index != before:
                # What was chosen elsewhere does not take the table away from who reads it.
                self.setAutoScroll(False)
                self.setCurrentIndex(index)
                self.setAutoScroll(True)
        self.viewport().update()

    def is_chosen(self, entry: Entry) -> bool:
        """Whether a row is the chosen model's."""
        return entry.spec.name == self._model.chosen_name

    def is_looked_at(self, index: Index) -> bool:
        """Whether a cell is the chosen one."""
        count = self.cells.count_of(index.column())
        is_count = count == self._model.chosen_count and self.is_chosen(self.cells.entries[index.row()])
        return is_count or (self.hasFocus() and index == self.currentIndex())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Node counts share what model and size leave; files go where there is no room for all."""
        count = max(1, len(self.cells.counts))
        room = self.viewport().width() - _SIZE_WIDTH
        is_held = any(entry.holders for entry in self.cells.entries)
        has_files = is_held and room >= _LEAST_MODEL + _FILES_WIDTH + count * _LEAST_COUNT
        self.setColumnHidden(FILES, not has_files)
        room -= _FILES_WIDTH if has_files else 0
        name = round(max(_LEAST_MODEL, min(_MOST_MODEL, room - count * (_LEAST_COUNT + 12))))
        each = max(_LEAST_COUNT, (room - name) // count)
        for column in range(self.cells.columnCount()):
            width = {MODEL: name, SIZE: _SIZE_WIDTH, FILES: _FILES_WIDTH}.get(column, each)
            self.setColumnWidth(column, width)
        # What the division left over goes to the names.
        over = room - name - each * count
        if over > 0:
            self.setColumnWidth(MODEL, name + over)

    def _tell(self, index: Index) -> None:
        if index.isValid():
            self.chosen.emit(self.cells.entries[index.row()].spec.name, self.cells.count_of(index.column()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit()
            event.accept()
            return
        before = self.currentIndex()
        super().keyPressEvent(event)
        if self.currentIndex() != before:
            self._tell(self.currentIndex())

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        # A click chooses by itself; the first row would be scrolled under the mouse.
        is_click = event.reason() is Qt.FocusReason.MouseFocusReason
        if not is_click and not self.currentIndex().isValid() and self.cells.entries:
            self.setCurrentIndex(self.cells.index(0, MODEL))
            self._tell(self.currentIndex())
        self.viewport().update()
