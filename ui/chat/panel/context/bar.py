"""The window as a bar: what of the prompt is for what, and how much is free.

The one rule: a part has its colour in the bar and beside its words, in the same order; what is free is the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.text import count, percent
from ui.theme import Token, color
from ui.widgets.meter import level_token
from ui.widgets.paint import box, fill, hatch, pen, rounded_clip, text_width, write

_HEIGHT = 10
_ROW = 19
_SWATCH = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of the window: its words, its tokens, its colour. `is_hatched`: of what it is made is not known."""

    words: str
    tokens: int
    tint: Token
    is_hatched: bool = False


class WindowBar(QWidget):
    """The bar. A limit that is not known leaves its end open and hatched; beyond 80 % its edge warns."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: tuple[Piece, ...] = ()
        self._limit: int | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def show_pieces(self, pieces: Sequence[Piece], limit: int | None) -> None:
        """Show parts of a window of `limit` tokens."""
        self._pieces, self._limit = tuple(pieces), limit or None
        said = ", ".join(f"{piece.words} {count(piece.tokens)}" for piece in pieces) or "nothing known yet"
        self.setAccessibleName(f"Context, {percent(self.fraction())} in use: {said}")
        self.update()

    def fraction(self) -> float | None:
        """What of the window is in use, None when that is not known."""
        if not self._limit or not self._pieces:
            return None
        return sum(piece.tokens for piece in self._pieces) / self._limit

    def level(self) -> Token:
        """The colour of its edge: `border`, `warn` from 80 %, `crit` from 92 %."""
        return level_token(self.fraction(), "border")

    def sizeHint(self) -> QSize:
        return QSize(120, _HEIGHT + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(0, (self.height() - _HEIGHT) / 2, self.width(), _HEIGHT)
        painter.save()
        painter.setClipPath(rounded_clip(bar, theme.RADIUS_BAR))
        fill(painter, bar, color("ledger_free"))
        used = sum(piece.tokens for piece in self._pieces)
        whole = max(self._limit or 0, used)
        if not self._limit:
            hatch(painter, bar, color("ledger_cache"), step=4, width=1)
        left = bar.left()
        for piece in self._pieces if self._limit else ():
            width = piece.tokens / whole * bar.width()
            if width <= 0:
                continue
            cell = QRectF(left, bar.top(), max(width - 1, 1.0), bar.height())
            _draw(painter, cell, piece)
            left += width
        painter.restore()
        box(painter, bar, theme.RADIUS_BAR, None, pen(color(self.level())))


def _draw(painter: QPainter, cell: QRectF, piece: Piece) -> None:
    if piece.is_hatched:
        fill(painter, cell, color("raised"))
        hatch(painter, cell, color(piece.tint), step=3.2, width=1.6)
    else:
        fill(painter, cell, color(piece.tint))


class PieceRows(QWidget):
    """A line for each part: swatch, words, tokens."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: tuple[Piece, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def show_pieces(self, pieces: Sequence[Piece]) -> None:
        """Show these parts."""
        self._pieces = tuple(pieces)
        self.setAccessibleName(", ".join(f"{piece.words} {count(piece.tokens)} tokens" for piece in pieces))
        self.setFixedHeight(len(self._pieces) * _ROW)
        self.setVisible(bool(self._pieces))
        self.update()

    def text(self) -> str:
        """What is shown, a line a part."""
        return "\n".join(f"{piece.words} {count(piece.tokens)}" for piece in self._pieces)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for i, piece in enumerate(self._pieces):
            top = i * _ROW
            swatch = QRectF(0, top + (_ROW - _SWATCH) / 2, _SWATCH, _SWATCH)
            painter.save()
            painter.setClipPath(rounded_clip(swatch, 2))
            _draw(painter, swatch, piece)
            painter.restore()
            figure = count(piece.tokens)
            right = text_width(figure, "dense")
            line = QRectF(_SWATCH + 8, top, self.width() - _SWATCH - 16 - right, _ROW)
            write(painter, line, piece.words, role="dense", tint="text2")
            place = QRectF(self.width() - right - 1, top, right + 1, _ROW)
            write(painter, place, figure, role="dense", tint="text", align=Qt.AlignmentFlag.AlignRight)
