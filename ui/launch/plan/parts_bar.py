"""Where the time goes: a predicted time as its parts, drawn to scale, with milliseconds and percent of each.

The one rule: the parts are those of the figure above them and sum to it; a part that is 0 is not drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.planning.figure import Parts, total_s
from ui import text, theme
from ui.theme import Token, blend, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, hatch, rounded_clip, text_width, write

PART_NAMES: Final[dict[str, tuple[str, Token]]] = {
    "weights": ("weights", "ledger_weights"),
    "kv": ("KV", "ledger_kv"),
    "communication": ("communication", "s4"),
    "bubble": ("bubble", "ledger_cache"),
    "overhead": ("overhead", "ledger_other"),
    "compute": ("compute", "s2"),
    "queue": ("queue", "ledger_cache"),
}
_HATCHED: Final = frozenset(("bubble", "queue"))
"""Waiting, not work."""
_LEAST_SHARE: Final = 0.0005
_LABEL_WIDTH: Final = 38
_BAR_HEIGHT: Final = 14
_LINE: Final = 18
_SWATCH: Final = 10
_BETWEEN: Final = 13


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """One part as it is drawn: its name, its time, its share of the whole (0 to 1)."""

    key: str
    name: str
    seconds: float
    share: float
    tint: Token

    @property
    def words(self) -> str:
        """ "weights 58 ms 79 %"."""
        percent = text.percent(self.share) if self.share >= 0.005 else f"< 1{text.THIN_SPACE}%"
        return f"{self.name} {part_time(self.seconds)} {percent}"


def part_time(seconds: float) -> str:
    """The time of a part: like a TPOT below a second, like a TTFT above."""
    return str(text.token_interval(seconds) if seconds < 0.9995 else text.first_token_time(seconds))


def drawn_parts(parts: Parts) -> tuple[DrawnPart, ...]:
    """The parts that are more than nothing, in their fixed order."""
    whole = total_s(parts)
    if not text.is_known(whole) or whole <= 0:
        return ()
    shown = []
    for part in parts:
        if part.seconds / whole >= _LEAST_SHARE:
            name, tint = PART_NAMES.get(part.key, (text.one_line(part.key, 30), "control"))
            shown.append(DrawnPart(part.key, name, part.seconds, part.seconds / whole, tint))
    return tuple(shown)


class PartsBar(QWidget):
    """One time: its name, its bar, and below it the key with every part's figure."""

    def __init__(self, title: str, meaning: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._meaning = meaning
        self._is_stale = False
        self.parts: tuple[DrawnPart, ...] = ()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme.notifier.changed.connect(self.update)

    def show_parts(self, parts: Parts) -> None:
        """Show these parts; without any the bar goes away."""
        self.parts = drawn_parts(parts)
        said = ", ".join(part.words for part in self.parts)
        sentence = f"{self._title}, {self._meaning}: {said}" if said else f"{self._title}: parts not known"
        self.setAccessibleName(sentence)
        self.setToolTip(plain_tooltip(sentence))
        self.setVisible(bool(self.parts))
        self.updateGeometry()
        self.update()

    def set_stale(self, is_stale: bool) -> None:
        """Pale it because the form has moved on."""
        self._is_stale = is_stale
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, self.heightForWidth(max(self.width(), 320)))

    def minimumSizeHint(self) -> QSize:
        return QSize(200, self.heightForWidth(max(self.width(), 200)))

    def heightForWidth(self, width: int) -> int:
        return _LINE * (1 + len(self._lines(width)))

    def _lines(self, width: float) -> list[list[DrawnPart]]:
        """The key's entries, broken into lines."""
        lines: list[list[DrawnPart]] = [[]]
        left = 0.0
        for part in self.parts:
            needed = _SWATCH + 6 + text_width(part.words, "label")
            if lines[-1] and left + needed > width:
                lines.append([])
                left = 0.0
            lines[-1].append(part)
            left += needed + _BETWEEN
        return lines

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = blend("text3", "surface", theme.STALE_SHARE) if self._is_stale else color("text3")
        write(painter, QRectF(0, 0, _LABEL_WIDTH, _LINE), self._title, role="label", tint=ink)
        bar = QRectF(_LABEL_WIDTH, (_LINE - _BAR_HEIGHT) / 2, self.width() - _LABEL_WIDTH, _BAR_HEIGHT)
        self._paint_bar(painter, bar)
        top = float(_LINE)
        for line in self._lines(self.width()):
            left = 0.0
            for part in line:
                left = self._paint_entry(painter, left, top, part)
            top += _LINE

    def _paint_bar(self, painter: QPainter, bar: QRectF) -> None:
        painter.save()
        painter.setClipPath(rounded_clip(bar, theme.RADIUS_BAR))
        left = bar.left()
        for part in self.parts:
            width = part.share * bar.width()
            self._paint_part(painter, QRectF(left, bar.top(), max(width - 1, 1.0), bar.height()), part)
            left += width
        painter.restore()

    def _paint_part(self, painter: QPainter, cell: QRectF, part: DrawnPart) -> None:
        shade = blend(part.tint, "surface", theme.STALE_SHARE) if self._is_stale else color(part.tint)
        if part.key in _HATCHED:
            painter.fillRect(cell, color("ledger_free"))
            hatch(painter, cell, shade, step=4.5, width=1.6)
        else:
            painter.fillRect(cell, shade)

    def _paint_entry(self, painter: QPainter, left: float, top: float, part: DrawnPart) -> float:
        swatch = QRectF(left, top + (_LINE - _SWATCH) / 2, _SWATCH, _SWATCH)
        painter.save()
        painter.setClipPath(rounded_clip(swatch, 2))
        box(painter, swatch, 2, color("ledger_free"))
        self._paint_part(painter, swatch, part)
        painter.restore()
        ink = blend("text2", "surface", theme.STALE_SHARE) if self._is_stale else color("text2")
        width = text_width(part.words, "label")
        place = QRectF(left + _SWATCH + 6, top, width + 2, _LINE)
        write(painter, place, part.words, role="label", tint=ink, align=Qt.AlignmentFlag.AlignLeft)
        return left + _SWATCH + 6 + width + _BETWEEN


class PartsPane(QWidget):
    """Both times of a prediction as bars."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tpot = PartsBar("TPOT", "time for each further token")
        self.ttft = PartsBar("TTFT", "time to the first token")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.ttft)
        column.addWidget(self.tpot)

    def show_parts(self, ttft: Parts, tpot: Parts) -> None:
        """Show the parts of both."""
        self.ttft.show_parts(ttft)
        self.tpot.show_parts(tpot)
