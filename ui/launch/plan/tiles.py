"""The four figures of a plan, each with its band, and what it would be without neighbours.

The one rule: the four bands have one scale, relative to their values, so that a wide one looks wide beside the others.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from ui import text, theme
from ui.launch.plan.words import TileWords
from ui.theme import Token, blend, color
from ui.widgets.card import Separator
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, elided, pen, text_width, write

_PAD: Final = 16
_TITLE_TOP: Final = 10
_VALUE_TOP: Final = 28
_BAR_TOP: Final = 62
_BAND_HEIGHT: Final = 6
_WORDS_TOP: Final = 72
_LINE: Final = 16
_HEIGHT: Final = 94


class FigureTile(QWidget):
    """One figure: title, value and unit, band with its mark, low to high, and the figure alone where it differs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words: TileWords | None = None
        self._is_stale = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def show_words(self, words: TileWords) -> None:
        """Show a figure."""
        if words == self.words:
            return
        self.words = words
        self.setAccessibleName(words.sentence)
        self.setToolTip(plain_tooltip(words.sentence))
        self.updateGeometry()
        self.update()

    def set_stale(self, is_stale: bool) -> None:
        """Pale it because the form has moved on."""
        self._is_stale = is_stale
        self.update()

    def is_stale(self) -> bool:
        """Whether the figure is marked as old."""
        return self._is_stale

    def sizeHint(self) -> QSize:
        has_more = self.words is not None and bool(self.words.beside)
        return QSize(144, _HEIGHT + (_LINE if has_more else 0))

    def minimumSizeHint(self) -> QSize:
        return QSize(112, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.words is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = QRectF(_PAD, 0, self.width() - 2 * _PAD, self.height())
        title = elided(self.words.title, "label", room.width())
        write(painter, QRectF(_PAD, _TITLE_TOP, room.width(), _LINE), title, role="label", tint=self._ink("text3"))
        self._paint_value(painter, self.words)
        track = QRectF(room.left(), _BAR_TOP, room.width(), _BAND_HEIGHT)
        paint_band(painter, track, self.words, is_stale=self._is_stale)
        band = elided(self.words.band, "label", room.width())
        write(painter, QRectF(_PAD, _WORDS_TOP, room.width(), _LINE), band, role="label", tint=self._ink("text2"))
        if self.words.beside:
            beside = elided(self.words.beside, "label", room.width())
            place = QRectF(_PAD, _WORDS_TOP + _LINE, room.width(), _LINE)
            write(painter, place, beside, role="label", tint=self._ink("text2"))

    def _paint_value(self, painter: QPainter, words: TileWords) -> None:
        value = words.value
        is_known = value.value != text.NOT_KNOWN
        tint: Token = "text" if is_known and words.is_supported else "text2"
        left = float(_PAD)
        write(painter, QRectF(left, _VALUE_TOP, self.width(), 26), value.value, role="metric", tint=self._ink(tint))
        left += text_width(value.value, "metric") + 4
        place = QRectF(left, _VALUE_TOP + 4, self.width() - left, 20)
        write(painter, place, value.unit, role="dense", tint=self._ink("text3"))

    def _ink(self, tint: Token) -> QColor:
        return blend(tint, "surface", theme.STALE_SHARE) if self._is_stale else color(tint)


def paint_band(painter: QPainter, track: QRectF, words: TileWords, *, is_stale: bool = False) -> None:
    """Paint track, band and a tick; a diamond at what was measured of this very case; the figure alone dashed."""
    middle = track.center().y()
    painter.setPen(pen(color("grid"), 2))
    painter.drawLine(QPointF(track.left(), middle), QPointF(track.right(), middle))
    figure = words.figure
    if not figure.is_known or figure.value <= 0:
        return
    others = (words.alone.value,) if words.alone is not None and words.alone.is_known else ()
    measured = () if words.measured is None else (words.measured,)
    whole = max(2 * figure.value, figure.high, *others, *measured) * 1.02

    def at(amount: float) -> float:
        return track.left() + max(0.0, min(amount / whole, 1.0)) * track.width()

    share = 0.2 if is_stale else 0.35
    band = QRectF(at(figure.low), track.top(), max(at(figure.high) - at(figure.low), 2.0), track.height())
    box(painter, band, track.height() / 2, blend("accent", "surface", share))
    for other in others:
        painter.setPen(pen(color("text3"), 2, dash=(2, 2)))
        painter.drawLine(QPointF(at(other), middle - 6), QPointF(at(other), middle + 6))
    x = at(figure.value)
    painter.setPen(pen(blend("accent", "surface", theme.STALE_SHARE) if is_stale else color("accent"), 2))
    painter.drawLine(QPointF(x, middle - 6), QPointF(x, middle + 6))
    for each in measured:
        _paint_diamond(painter, QPointF(at(each), middle))


def _paint_diamond(painter: QPainter, at: QPointF) -> None:
    painter.setPen(pen(color("s2"), 1.5))
    painter.setBrush(color("surface"))
    corners = [QPointF(0, -5), QPointF(5, 0), QPointF(0, 5), QPointF(-5, 0)]
    painter.drawPolygon(QPolygonF([at + corner for corner in corners]))


class TileRow(QWidget):
    """The four tiles side by side, a line between them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tiles = tuple(FigureTile() for _ in range(4))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for i, tile in enumerate(self.tiles):
            if i:
                row.addWidget(Separator(is_vertical=True))
            row.addWidget(tile, 1)

    def show_tiles(self, words: tuple[TileWords, ...]) -> None:
        """Show these figures."""
        for tile, each in zip(self.tiles, words, strict=False):
            tile.show_words(each)
