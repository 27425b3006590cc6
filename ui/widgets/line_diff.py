"""A file before and after, line by line: both line numbers, a sign, and the line.

Rule: what is added or removed has a sign of its own; the colour repeats it. Copied text is the file's, without signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QResizeEvent, QTextCharFormat, QTextCursor, QTextFormat
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from ui import theme
from ui.font import font
from ui.theme import Token, color
from ui.widgets.paint import write

Sign = Literal[" ", "+", "-"]
_GROUNDS: Final[dict[Sign, Token]] = {"+": "oksoft", "-": "critsoft"}
_INKS: Final[dict[Sign, Token]] = {"+": "ok", "-": "crit", " ": "text3"}
_SPOKEN: Final[dict[Sign, str]] = {"+": "added", "-": "removed", " ": "kept"}


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A line with its number before and after; None where it has none."""

    before: int | None
    after: int | None
    sign: Sign
    text: str


class _Gutter(QWidget):
    """The numbers and signs, left of the lines."""

    def __init__(self, view: LineDiff) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self) -> QSize:
        return QSize(self._view.gutter_width(), 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        self._view.paint_gutter(QPainter(self), event.rect())


class LineDiff(QPlainTextEdit):
    """Read-only."""

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[DiffRow, ...] = ()
        self._gutter = _Gutter(self)
        self.setReadOnly(True)
        self.setFont(font("mono"))
        self.setProperty("tone", "well")
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName(what)
        self.document().setDocumentMargin(0)
        self.updateRequest.connect(self._follow)
        theme.notifier.changed.connect(self._color)

    def show_rows(self, rows: Sequence[DiffRow]) -> None:
        """Show these lines; the place is kept while they are the same."""
        if tuple(rows) == self.rows:
            return
        self.rows = tuple(rows)
        self.setPlainText("\n".join(row.text for row in self.rows))
        counts = {sign: sum(row.sign == sign for row in self.rows) for sign in _SPOKEN}
        said = ", ".join(f"{count} lines {_SPOKEN[sign]}" for sign, count in counts.items() if count)
        self.setAccessibleDescription(said or "no lines")
        self._color()
        self.setViewportMargins(self.gutter_width(), 0, 0, 0)
        self._place_gutter()

    def gutter_width(self) -> int:
        """The width of two columns of numbers and one of signs."""
        digits = len(str(max((n for row in self.rows for n in (row.before, row.after) if n is not None), default=1)))
        return round((2 * max(digits, 2) + 6) * QFontMetricsF(self.font()).horizontalAdvance("0"))

    def _color(self) -> None:
        found = []
        for number, row in enumerate(self.rows):
            if row.sign == " ":
                continue
            mark = QTextEdit.ExtraSelection()
            look = QTextCharFormat()
            look.setBackground(color(_GROUNDS[row.sign]))
            look.setProperty(QTextFormat.Property.FullWidthSelection, True)
            mark.format = look
            mark.cursor = QTextCursor(self.document().findBlockByNumber(number))
            found.append(mark)
        self.setExtraSelections(found)
        self._gutter.update()

    def _follow(self, rect: QRect, moved: int) -> None:
        if moved:
            self._gutter.scroll(0, moved)
        else:
            self._gutter.update(0, rect.y(), self._gutter.width(), rect.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_gutter()

    def _place_gutter(self) -> None:
        inside = self.contentsRect()
        # Level with the lines, which the style sheet's padding moves down.
        self._gutter.setGeometry(inside.left(), self.viewport().y(), self.gutter_width(), self.viewport().height())

    def paint_gutter(self, painter: QPainter, rect: QRect) -> None:
        """Paint the numbers and signs that can be seen."""
        painter.fillRect(rect, color("sunken"))
        width = self.gutter_width()
        letter = QFontMetricsF(self.font()).horizontalAdvance("0")
        column = (width - 4 * letter) / 2
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        while block.isValid() and top <= rect.bottom() and block.blockNumber() < len(self.rows):
            height = self.blockBoundingRect(block).height()
            row = self.rows[block.blockNumber()]
            place = QRectF(0, top, width, height)
            if row.sign in _GROUNDS:
                painter.fillRect(place, color(_GROUNDS[row.sign]))
            right = Qt.AlignmentFlag.AlignRight
            for at, number in enumerate((row.before, row.after)):
                if number is not None:
                    there = QRectF(at * column, top, column, height)
                    write(painter, there, str(number), role="mono", tint="text3", align=right)
            if row.sign != " ":
                there = QRectF(2 * column + 1.5 * letter, top, 2 * letter, height)
                write(painter, there, row.sign, role="mono", tint=_INKS[row.sign])
            top += height
            block = block.next()
