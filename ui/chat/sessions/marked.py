"""Plain text with a ground behind each place that was searched for.

Rule: marks are positions, never signs within the text; the text may run in both directions and hold any character.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter, QTextCharFormat, QTextLayout, QTextLine, QTextOption

from ui import theme
from ui.font import LINE_HEIGHT, Role, font
from ui.theme import Token, color
from ui.widgets.paint import elided, write


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text on one or two lines; marks are (from, to) in its characters."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()
    role: Role = "dense_medium"
    tint: Token = "text"
    lines: int = 1


def write_marked(painter: QPainter, rect: QRectF, said: MarkedText) -> None:
    """Paint it, cut with an ellipsis where it does not fit."""
    if said.lines == 1 and not said.marks:
        write(painter, rect, elided(said.text, said.role, rect.width()), role=said.role, tint=said.tint)
        return
    layout = _laid_out(said, rect.width(), theme.name())
    painter.setPen(color(said.tint))
    layout.draw(painter, QPointF(rect.left(), rect.top()))


@lru_cache(maxsize=256)
def _laid_out(said: MarkedText, width: float, _worn: str) -> QTextLayout:
    shown = said.text
    layout = QTextLayout()
    layout.setFont(font(said.role))
    layout.setTextOption(_option())
    while True:
        layout.setText(shown)
        layout.setFormats(_formats(shown, said.marks))
        used = _place_lines(layout, width, said.role)
        if used <= said.lines or len(shown) < 4:
            return layout
        # In steps that shrink as the end comes near.
        shown = shown[: max(3, len(shown) - max(2, len(shown) // 12))].rstrip(" …") + "…"


def _option() -> QTextOption:
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    return option


def _place_lines(layout: QTextLayout, width: float, role: Role) -> int:
    layout.beginLayout()
    number = 0
    line: QTextLine = layout.createLine()
    while line.isValid():
        line.setLineWidth(width)
        line.setPosition(QPointF(0, number * LINE_HEIGHT[role]))
        number += 1
        line = layout.createLine()
    layout.endLayout()
    return number


def _formats(text: str, marks: tuple[tuple[int, int], ...]) -> list[QTextLayout.FormatRange]:
    found = []
    for start, end in marks:
        if start >= len(text):
            break
        # Qt counts in units of UTF-16.
        first, last = (len(text[:at].encode("utf-16-le")) // 2 for at in (start, min(end, len(text))))
        mark = QTextLayout.FormatRange()
        mark.start, mark.length = first, last - first
        form = QTextCharFormat()
        form.setBackground(color("accentsoft"))
        form.setForeground(color("accenttext"))
        mark.format = form
        found.append(mark)
    return found
