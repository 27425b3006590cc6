"""What fills the unified memory of one node, as a bar: live or planned.

Rule: the order is fixed, so that place alone identifies a part; page cache counts as reclaimable, never as used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.font import Role
from ui.text import GIB, MINUS, grouped, memory
from ui.theme import Token, blend, color
from ui.widgets.paint import box, hatch, pen, rounded_clip, text_width, write

_LABEL_MIN_PX: Final = 24
_HATCHED: Final = frozenset(("cache", "others", "reserve"))
"""Parts without a figure of their own in the bar."""


@dataclass(frozen=True, slots=True)
class LedgerValues:
    """Bytes of one node's unified memory. Missing parts are 0; a total of 0 means nothing is known yet.

    `others_bytes` is what belongs to neither this launch nor this cluster's models (hatched, first).
    """

    total_bytes: float = 0.0
    weights_bytes: float = 0.0
    kv_reserved_bytes: float = 0.0
    kv_used_bytes: float = 0.0
    runtime_bytes: float = 0.0
    others_bytes: float = 0.0
    page_cache_bytes: float = 0.0
    reserve_bytes: float = 0.0
    """What the engine or the system holds and nobody uses."""

    @property
    def used_bytes(self) -> float:
        """What programs hold; without page cache."""
        held = self.others_bytes + self.weights_bytes + self.kv_reserved_bytes + self.runtime_bytes
        return held + self.reserve_bytes

    @property
    def free_bytes(self) -> float:
        """What is left beside used parts and page cache; negative when it does not fit."""
        return self.total_bytes - self.used_bytes - self.page_cache_bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One painted part: name for the tooltip, bytes, fill and label token."""

    key: str
    name: str
    size_bytes: float
    fill: Token
    ink: Token


def segments(values: LedgerValues) -> list[Segment]:
    """Return the parts in their fixed order, without empty ones; free is last and never negative."""
    parts = [
        Segment("others", "in use by others", values.others_bytes, "ledger_cache", "text3"),
        Segment("weights", "weights", values.weights_bytes, "ledger_weights", "ledger_weights_text"),
        Segment("kv", "KV cache reserved", values.kv_reserved_bytes, "ledger_kv", "ledger_kv_text"),
        Segment("runtime", "other", values.runtime_bytes, "ledger_other", "ledger_other_text"),
        Segment("reserve", "reserve", values.reserve_bytes, "control", "text3"),
        Segment("cache", "page cache", values.page_cache_bytes, "ledger_cache", "text3"),
        Segment("free", "free", max(values.free_bytes, 0.0), "ledger_free", "text3"),
    ]
    return [part for part in parts if part.size_bytes > 0]


def describe(values: LedgerValues) -> str:
    """Write the whole ledger as one sentence, for tooltip and screen reader."""
    if values.total_bytes <= 0:
        return "Unified memory n/a, not measured yet"
    parts = ", ".join(f"{part.name} {memory(part.size_bytes)}" for part in segments(values))
    used = f"; {memory(values.kv_used_bytes)} of the KV cache in use" if values.kv_used_bytes > 0 else ""
    short = f"; {memory(-values.free_bytes)} too much" if values.free_bytes < 0 else ""
    return f"Unified memory {memory(values.total_bytes)}: {parts}{used}{short}"


def draw_ledger(
    painter: QPainter, rect: QRectF, values: LedgerValues, *, role: Role = "micro", is_stale: bool = False
) -> None:
    """Paint the bar into `rect`. The map's node cards call this, so card and page look the same."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setClipPath(rounded_clip(rect, theme.RADIUS_BAR))
    whole = max(values.total_bytes, values.used_bytes)
    if values.total_bytes <= 0 or whole <= 0:
        box(painter, rect, 0, color("ledger_free"))
        hatch(painter, rect, color("border"), step=5, width=1)
        painter.restore()
        return
    left = rect.left()
    for part in segments(values):
        # A node that claims more cache than memory must not have lines drawn to the horizon.
        width = min(part.size_bytes / whole * rect.width(), rect.right() - left)
        if width <= 0:
            break
        cell = QRectF(left, rect.top(), max(width - 1, 0.5), rect.height())
        _draw_segment(painter, cell, part, values, is_stale=is_stale)
        if width >= _LABEL_MIN_PX and not is_stale and part.key not in _HATCHED and rect.height() >= 14:
            # What lies beyond the end is hatched over, so words stay before it.
            end = rect.left() + values.total_bytes / whole * rect.width() - 3
            shown = QRectF(cell.left(), cell.top(), min(cell.right(), end) - cell.left(), cell.height())
            _draw_label(painter, shown, part, role)
        left += width
    if values.free_bytes < 0:
        _draw_overflow(painter, rect, values, whole)
    painter.restore()


def _fill_of(part: Segment, *, is_stale: bool) -> QColor:
    return blend(part.fill, "surface", theme.STALE_SHARE) if is_stale else color(part.fill)


def _draw_segment(painter: QPainter, cell: QRectF, part: Segment, values: LedgerValues, *, is_stale: bool) -> None:
    if part.key == "cache":
        painter.fillRect(cell, color("ledger_free"))
        if not is_stale:
            hatch(painter, cell, color("ledger_cache"), step=4.5, width=1.6)
    elif part.key == "reserve":
        painter.fillRect(cell, color("ledger_free"))
        hatch(painter, cell, _fill_of(part, is_stale=is_stale), step=3, width=1)
    elif part.key == "others":
        painter.fillRect(cell, color("raised"))
        hatch(painter, cell, _fill_of(part, is_stale=is_stale), step=4.2, width=4, lean=-1)
    else:
        painter.fillRect(cell, _fill_of(part, is_stale=is_stale))
    if part.key == "kv" and values.kv_used_bytes > 0 and not is_stale:
        share = min(values.kv_used_bytes / values.kv_reserved_bytes, 1.0)
        height = 3.0 if cell.height() >= 14 else 2.0
        strip = QRectF(cell.left(), cell.bottom() - height, max(cell.width() * share, 2.0), height)
        painter.fillRect(strip, color("ledger_kv_text"))


def _draw_label(painter: QPainter, cell: QRectF, part: Segment, role: Role) -> None:
    text = grouped(part.size_bytes / GIB, 1)
    if text_width(text, role) + 4 <= cell.width():
        write(painter, cell, text, role=role, tint=part.ink, align=Qt.AlignmentFlag.AlignHCenter)


def _draw_overflow(painter: QPainter, rect: QRectF, values: LedgerValues, whole: float) -> None:
    end = rect.left() + values.total_bytes / whole * rect.width()
    over = QRectF(end, rect.top(), rect.right() - end, rect.height())
    painter.fillRect(over, color("critsoft"))
    hatch(painter, over, color("crit"), step=4.5, width=1.6)
    painter.setPen(pen(color("text"), 2))
    painter.drawLine(QPointF(end, rect.top()), QPointF(end, rect.bottom()))


class LedgerBar(QWidget):
    """The bar as a widget; 16 high with figures, 10 high without. Its tooltip and accessible name say it all."""

    def __init__(self, *, height: int = 16, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = LedgerValues()
        self._is_stale = False
        self._height = height
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_values(self._values)
        theme.notifier.changed.connect(self.update)

    def set_values(self, values: LedgerValues) -> None:
        """Show other values."""
        self._values = values
        sentence = describe(values)
        self.setAccessibleName(sentence)
        self.setToolTip(sentence)
        self.update()

    def values(self) -> LedgerValues:
        """Return what is shown now."""
        return self._values

    def set_stale(self, is_stale: bool) -> None:
        """Pale the bar and hide its figures because they are old."""
        self._is_stale = is_stale
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, self._height)

    def minimumSizeHint(self) -> QSize:
        return QSize(48, self._height)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        bar = QRectF(self.rect())
        if self._values.free_bytes < 0:
            text = f"{MINUS}{grouped(-self._values.free_bytes / GIB, 1)} GiB"
            room = text_width(text, "dense_strong") + 8
            write(
                painter, QRectF(bar.right() - room + 8, 0, room, bar.height()), text, role="dense_strong", tint="crit"
            )
            bar.setWidth(max(bar.width() - room, 40))
        draw_ledger(painter, bar, self._values, is_stale=self._is_stale)


class LedgerLegend(QWidget):
    """The key to the bar: a swatch and a word for each part named."""

    NAMES: Final[dict[str, tuple[str, Token]]] = {
        "others": ("in use", "ledger_cache"),
        "weights": ("weights", "ledger_weights"),
        "kv": ("KV cache", "ledger_kv"),
        "runtime": ("other", "ledger_other"),
        "engine": ("runtime", "ledger_other"),
        "reserve": ("reserve", "control"),
        "cache": ("page cache", "ledger_cache"),
        "free": ("free", "ledger_free"),
        "left": ("left", "ledger_free"),
    }

    def __init__(self, *keys: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys or ("weights", "kv", "runtime", "cache", "free")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Key: " + ", ".join(self.NAMES[key][0] for key in self._keys))
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        width = sum(text_width(self.NAMES[key][0], "label") + 28 for key in self._keys) - 12
        return QSize(round(width + 0.5), 16)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = 0.0
        for key in self._keys:
            word, token = self.NAMES[key]
            swatch = QRectF(left, 3, 10, 10)
            if key in _HATCHED:
                box(painter, swatch, 2, color("ledger_free"))
                painter.save()
                painter.setClipPath(rounded_clip(swatch, 2))
                step, width = (3.0, 1.0) if key == "reserve" else (4.0, 1.5)
                hatch(painter, swatch, color(token), step=step, width=width, lean=-1 if key == "others" else 1)
                painter.restore()
            else:
                box(painter, swatch, 2, color(token))
            width = text_width(word, "label")
            write(painter, QRectF(left + 16, 0, width + 2, 16), word, role="label", tint="text2")
            left += width + 28
