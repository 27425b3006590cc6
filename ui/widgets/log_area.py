"""The rows of a log: only what can be seen is ever measured or painted.

Rule: the cost of new lines does not grow with the lines there are (a QListView lays all 50,000 out again: 80 ms).
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from ui import theme
from ui.font import font
from ui.theme import LOG_ROW_HEIGHT, Token, color
from ui.widgets.log_filter import LogLine
from ui.widgets.log_model import LogModel
from ui.widgets.paint import fill

_LEVEL_TINTS: dict[str, Token] = {"WARN": "warn", "ERROR": "crit", "DEBUG": "text3"}
_PAD = 14
_FLAGS = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft | Qt.TextFlag.TextSingleLine)


class LogArea(QAbstractScrollArea):
    """Paints time, source, level and text in columns. Rows are chosen by mouse or keyboard, with Shift for more.

    The scroll bar counts rows. `opened` carries the row of a double click or Enter.
    """

    opened = Signal(int)

    def __init__(self, model: LogModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._anchor = -1
        self._current = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.viewport().setCursor(Qt.CursorShape.ArrowCursor)
        self.verticalScrollBar().setSingleStep(1)
        model.moved.connect(self._on_moved)
        model.extended.connect(self._on_extended)
        model.modelReset.connect(self._on_reset)
        theme.notifier.changed.connect(self.viewport().update)

    def selected(self) -> range:
        """Return the chosen rows, from top to bottom."""
        if self._current < 0:
            return range(0)
        return range(min(self._anchor, self._current), max(self._anchor, self._current) + 1)

    def select(self, row: int, *, is_extended: bool = False) -> None:
        """Choose a row, or everything from the first chosen one to it, and bring it into view."""
        count = self._model.rowCount()
        if not count:
            return
        self._current = min(max(row, 0), count - 1)
        if not is_extended or self._anchor < 0:
            self._anchor = self._current
        bar = self.verticalScrollBar()
        if self._current < bar.value():
            bar.setValue(self._current)
        elif self._current >= bar.value() + bar.pageStep():
            bar.setValue(self._current - bar.pageStep() + 1)
        self.setAccessibleDescription(self._model.line(self._current).as_text()[:400])
        self.viewport().update()

    def top_row(self) -> int:
        """Return the first row in view."""
        return self.verticalScrollBar().value()

    def _on_moved(self, _added: int, dropped: int) -> None:
        if self._current >= 0 and dropped:
            self._anchor, self._current = max(self._anchor - dropped, 0), self._current - dropped
            if self._current < 0:
                self._anchor = self._current = -1
        self._fit()

    def _on_extended(self, rows: int) -> None:
        if self._current >= 0:
            self._anchor, self._current = self._anchor + rows, self._current + rows
        self._fit()

    def _on_reset(self) -> None:
        self._anchor = self._current = -1
        self._fit()

    def _fit(self) -> None:
        page = max(self.viewport().height() // LOG_ROW_HEIGHT, 1)
        bar = self.verticalScrollBar()
        bar.setPageStep(page)
        bar.setRange(0, max(self._model.rowCount() - page, 0))
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _row_at(self, event: QMouseEvent) -> int:
        return self.top_row() + int(event.position().y() // LOG_ROW_HEIGHT)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._row_at(event) < self._model.rowCount():
            is_extended = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.select(self._row_at(event), is_extended=is_extended)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton and self._current >= 0:
            self.select(self._row_at(event), is_extended=True)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self._row_at(event) < self._model.rowCount():
            self.opened.emit(self._row_at(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        page = self.verticalScrollBar().pageStep()
        start = self._current if self._current >= 0 else self.top_row() - 1
        last = self._model.rowCount() - 1
        places = {
            Qt.Key.Key_Up: start - 1,
            Qt.Key.Key_Down: start + 1,
            Qt.Key.Key_PageUp: start - page,
            Qt.Key.Key_PageDown: start + page,
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        place = places.get(Qt.Key(event.key()))
        if place is not None:
            self.select(place, is_extended=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current >= 0:
            self.opened.emit(self._current)
        elif event.key() == Qt.Key.Key_A and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.select(0)
            self.select(last, is_extended=True)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        view = QRectF(self.viewport().rect())
        fill(painter, view, color("sunken"))
        painter.setFont(font("mono"))
        metrics = QFontMetricsF(font("mono"))
        if not self._model.rowCount():
            said = "No line passes the filter" if self._model.total() else "No line yet"
            painter.setFont(font("label"))
            painter.setPen(color("text3"))
            painter.drawText(
                view.adjusted(_PAD, 8, 0, 0), int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop), said
            )
            return
        chosen = self.selected()
        first = self.top_row()
        last = min(first + int(view.height() // LOG_ROW_HEIGHT) + 1, self._model.rowCount())
        for row in range(first, last):
            rect = QRectF(0, (row - first) * LOG_ROW_HEIGHT, view.width(), LOG_ROW_HEIGHT)
            line = self._model.line(row)
            if row in chosen:
                fill(painter, rect, color("accentsoft"))
            elif line.level in ("WARN", "ERROR"):
                fill(painter, rect, color("warnsoft" if line.level == "WARN" else "critsoft"))
            self._draw_line(painter, rect, line, metrics)
        if self.hasFocus() and first <= self._current < last:
            # The row under the keyboard: a bar at its left, as the ring would be cut off.
            fill(painter, QRectF(0, (self._current - first) * LOG_ROW_HEIGHT, 3, LOG_ROW_HEIGHT), color("accent"))

    def _draw_line(self, painter: QPainter, rect: QRectF, line: LogLine, metrics: QFontMetricsF) -> None:
        advance = metrics.horizontalAdvance("0")
        left = rect.left() + _PAD
        own: Token = "accenttext" if line.is_own() else "text2"
        columns: tuple[tuple[str, int, Token], ...] = (
            (line.time_text, 12, "text3"),
            (line.source, self._model.source_chars(), own),
            (line.level, 6, _LEVEL_TINTS.get(line.level, "text2")),
        )
        for text, width, tint in columns:
            painter.setPen(color(tint))
            painter.drawText(QRectF(left, rect.top(), (width + 1.5) * advance, rect.height()), _FLAGS, text[:width])
            left += (width + 1.5) * advance
        painter.setPen(color("accenttext" if line.is_own() else "text"))
        room = rect.right() - _PAD - left
        # Nobody can see more than the row is wide; measuring 8 KiB each time would cost a lot.
        shown = line.text[: max(int(room / max(advance, 1)) + 2, 1)]
        if len(shown) < len(line.text) or metrics.horizontalAdvance(shown) > room:
            shown = metrics.elidedText(shown + " ", Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(left, rect.top(), room + 2, rect.height()), _FLAGS, shown)
