"""Paints one node card from values and boxes. No state.

The one rule: nothing here measures, decides or asks a service; a card's words are all in its NodeCard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from ui import theme
from ui.cluster.card import Figure, Memory, NodeCard
from ui.cluster.map.place import Density, menu_rect
from ui.cluster.map.stamp import draw_stamp
from ui.font import font
from ui.icon import draw_icon
from ui.theme import Token, blend, color
from ui.widgets.chip import CHIP_LOOKS, chip_width, draw_chip
from ui.widgets.ledger import LedgerValues, draw_ledger
from ui.widgets.paint import box, elided, pen, text_width, write

_PAD = 12.0
_RIGHT = Qt.AlignmentFlag.AlignRight


def ledger_values(memory: Memory) -> LedgerValues:
    """A card's memory as the ledger bar takes it."""
    return LedgerValues(
        total_bytes=memory.total,
        weights_bytes=memory.weights,
        kv_reserved_bytes=memory.kv,
        kv_used_bytes=memory.kv_used or 0,
        runtime_bytes=memory.other,
        page_cache_bytes=memory.cache or 0,
    )


def draw_node(
    painter: QPainter, rect: QRectF, card: NodeCard, density: Density, *, is_selected: bool, is_lit: bool = False
) -> None:
    """Paint a whole card. Lit: a deployment that runs there is pointed at."""
    edge: tuple[Token, float, bool] = ("border", 1, False)
    if is_selected or is_lit:
        edge = ("accent", 2, False)
    elif card.look == "alarm":
        edge = ("crit" if card.mark.kind == "crit" else "control", 1, False)
    elif card.look == "stale":
        edge = ("control", 1, True)
    draw_stamp(painter, rect, ("card", edge, is_lit), partial(_paint_empty, edge, is_lit))
    if density == "compact":
        _draw_compact(painter, rect, card)
        return
    _draw_title(painter, rect, card, density)
    if card.look == "loading":
        _draw_bars(painter, rect)
    elif card.look == "alarm":
        _draw_message(painter, rect, card)
    else:
        _draw_served(painter, rect, card, density)
        _draw_memory(painter, rect, card, density)
        _draw_figures(painter, rect, card, density)


def _paint_empty(edge: tuple[Token, float, bool], is_lit: bool, painter: QPainter, rect: QRectF) -> None:
    tint, width, is_dashed = edge
    stroke = pen(color(tint), width, dash=(4, 3) if is_dashed else ())
    box(painter, rect, theme.RADIUS_CARD, color("accentsoft" if is_lit else "node"), stroke)


class _Tops(NamedTuple):
    """How far below its upper edge the rows of a card begin."""

    title: float = 9.0
    served: float = 37.0
    bar: float = 62.0
    figures: float = 108.0


_TIGHT = _Tops(5.0, 30.0, 54.0, 89.0)
_HIGH = _Tops(13.0, 46.0, 76.0, 132.0)
"""Of a card of 200 px, where there are one or two."""


def _tops(rect: QRectF, density: Density) -> _Tops:
    if density == "full":
        return _HIGH if rect.height() >= 200 else _Tops()
    return _TIGHT if rect.height() < 140 else _Tops(figures=99.0)


def _ink(card: NodeCard, token: Token) -> Token:
    return "text3" if card.look == "stale" else token


def _draw_title(painter: QPainter, rect: QRectF, card: NodeCard, density: Density) -> None:
    left, top = rect.left() + _PAD, rect.top() + _tops(rect, density).title
    draw_icon(painter, QPointF(left, top + 4), "server", "text2", theme.ICON_SIZE)
    right = rect.right() - _PAD
    if card.look == "live" and card.finding is not None:
        right = draw_chip(painter, right, top + 2, card.finding)
    elif card.look == "live" and card.mark.kind != "warn":
        # All is well: a quiet word, no filled chip.
        width = text_width(card.mark.text, "label")
        write(painter, QRectF(right - width, top, width + 1, 24), card.mark.text, role="label", tint="text3")
        right -= width + 19
        draw_icon(painter, QPointF(right, top + 5), card.mark.icon or "circle-check", "ok", 14)
    else:
        right = draw_chip(painter, right, top + 2, card.mark)
    write(painter, QRectF(left + 26, top, right - left - 34, 24), card.name, role="object_title", tint="text")


def _draw_bars(painter: QPainter, rect: QRectF) -> None:
    shade = blend("border", "node", 0.7)
    for i, share in enumerate((0.69, 0.88, 0.50)):
        width = (rect.width() - 2 * _PAD) * share
        box(painter, QRectF(rect.left() + _PAD, rect.top() + 48 + i * 22, width, 8), 4, shade)


def _draw_message(painter: QPainter, rect: QRectF, card: NodeCard) -> None:
    area = QRectF(rect.left() + _PAD, rect.top() + 42, rect.width() - 2 * _PAD, rect.height() - 76)
    painter.setFont(font("dense"))
    painter.setPen(color("text2"))
    flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop) | int(Qt.TextFlag.TextWordWrap)
    painter.save()
    painter.setClipRect(area)
    painter.drawText(area, flags, card.message)
    painter.restore()
    link = QRectF(area.left(), rect.bottom() - 32, area.width(), 20)
    write(painter, link, card.action, role="dense_medium", tint="accenttext")


def draw_menu_button(painter: QPainter, rect: QRectF) -> None:
    """Paint the button of a card's menu."""
    middle = rect.center()
    draw_icon(painter, QPointF(middle.x() - 8, middle.y() - 8), "ellipsis", "text2", theme.ICON_SIZE)


def _draw_served(painter: QPainter, rect: QRectF, card: NodeCard, density: Density) -> None:
    top, right = rect.top() + _tops(rect, density).served, rect.right() - _PAD
    if card.jobs:
        button = menu_rect(rect, density)
        draw_menu_button(painter, button)
        right = button.left() - 2
    if card.serving is not None:
        right = draw_chip(painter, right, top - 1, card.serving) - 10
    left = rect.left() + _PAD
    title_width = text_width(card.headline, "dense_medium")
    detail = card.detail
    if detail and title_width + text_width(detail, "dense") + 10 > right - left:
        detail = card.detail_short
    detail_width = text_width(detail, "dense") + 1 if detail else 0.0
    room = right - left - (detail_width + 10 if detail else 0)
    title = elided(card.headline, "dense_medium", max(room, 40))
    tint: Token = "text" if card.serving is not None else "text3"
    write(painter, QRectF(left, top, room + 10, 18), title, role="dense_medium", tint=_ink(card, tint))
    if detail:
        left += text_width(title, "dense_medium") + 9
        write(painter, QRectF(left, top, right - left, 18), detail, role="dense", tint="text3")


def _draw_bar(painter: QPainter, rect: QRectF, card: NodeCard) -> None:
    is_stale = card.look == "stale"
    draw_stamp(painter, rect, ("bar", card.memory, is_stale), partial(_paint_bar, card.memory, is_stale))


def _paint_bar(memory: Memory, is_stale: bool, painter: QPainter, rect: QRectF) -> None:
    draw_ledger(painter, rect, ledger_values(memory), is_stale=is_stale)


def _draw_memory(painter: QPainter, rect: QRectF, card: NodeCard, density: Density) -> None:
    top = rect.top() + _tops(rect, density).bar
    bar = QRectF(rect.left() + _PAD, top, rect.width() - 2 * _PAD, 16)
    _draw_bar(painter, bar, card)
    line = QRectF(bar.left(), top + 18, bar.width(), 18)
    if card.look == "stale" or not card.memory.total:
        write(painter, line, card.caption, role="label", tint="text3")
        return
    label = "Unified memory"
    write(painter, line, label, role="label", tint="text3")
    used, _, rest = card.caption.partition(" ")
    left = line.left() + text_width(label, "label") + 8
    write(painter, QRectF(left, line.top(), 80, 18), used, role="dense_strong", tint="text")
    left += text_width(used, "dense_strong") + 4
    write(painter, QRectF(left, line.top(), bar.right() - left, 18), rest, role="label", tint="text3")
    room = line.right() - left - text_width(rest, "label") - 10
    if text_width(card.cache_caption, "label") <= room:
        write(painter, line, card.cache_caption, role="label", tint="text3", align=_RIGHT)


def _draw_figures(painter: QPainter, rect: QRectF, card: NodeCard, density: Density) -> None:
    top = rect.top() + _tops(rect, density).figures
    room = rect.width() - 2 * _PAD
    for figure, label, (offset, step) in _figure_columns(card.figures, room):
        left = rect.left() + _PAD + offset
        write(painter, QRectF(left, top, step, 14), label, role="label", tint="text3")
        value_top = top + 14
        place = QRectF(left, value_top, step, 18)
        write(painter, place, figure.value, role="dense_strong", tint=_value_ink(card, figure))
        if figure.unit:
            unit_left = left + text_width(figure.value, "dense_strong") + 4
            write(painter, QRectF(unit_left, value_top, step, 18), figure.unit, role="label", tint="text3")
        if figure.fraction is not None and density == "full":
            _draw_meter(painter, QRectF(left, value_top + 21, step - 22, 4), figure.fraction, card)


def _figure_columns(figures: Sequence[Figure], room: float) -> Iterator[tuple[Figure, str, tuple[float, float]]]:
    """Each figure with its label, its offset and its width: equal columns, or on a narrow card as wide as needed."""
    step = room / max(1, len(figures))
    needs = [_figure_width(figure, figure.label) for figure in figures]
    if all(need + 8 <= step for need in needs):
        yield from ((figure, figure.label, (i * step, step)) for i, figure in enumerate(figures))
        return
    labels = [figure.label.removeprefix("GPU ").removeprefix("SM ").capitalize() for figure in figures]
    needs = [_figure_width(figure, label) for figure, label in zip(figures, labels, strict=True)]
    gap = max(4.0, (room - sum(needs)) / max(1, len(figures) - 1))
    left = 0.0
    for figure, label, need in zip(figures, labels, needs, strict=True):
        yield figure, label, (left, need + gap)
        left += need + gap


def _figure_width(figure: Figure, label: str) -> float:
    unit = text_width(figure.unit, "label") + 4 if figure.unit else 0.0
    return max(text_width(label, "label"), text_width(figure.value, "dense_strong") + unit)


def _value_ink(card: NodeCard, figure: Figure) -> Token:
    return "text3" if figure.value == "n/a" else _ink(card, "text")


def _draw_meter(painter: QPainter, rect: QRectF, fraction: float, card: NodeCard) -> None:
    box(painter, rect, 2, color("ledger_free"))
    if fraction > 0:
        # All slots busy is what a server is for: no warning colour.
        tint: Token = "control" if card.look == "stale" else "s1"
        box(painter, QRectF(rect.left(), rect.top(), max(4.0, rect.width() * min(fraction, 1.0)), 4), 2, color(tint))


def _draw_compact(painter: QPainter, rect: QRectF, card: NodeCard) -> None:
    left, right = rect.left() + 10, rect.right() - 10
    write(painter, QRectF(left, rect.top() + 6, right - left, 20), card.name, role="dense_strong", tint="text")
    if card.look == "live" and card.mark.kind != "warn":
        kind = card.finding.kind if card.finding is not None else "ok"
        _, tint, icon = CHIP_LOOKS[kind]
        icon = icon if card.finding is not None else "circle-check"
        draw_icon(painter, QPointF(right - 14, rect.top() + 9), icon, tint, 14)
        if card.jobs:
            draw_menu_button(painter, menu_rect(rect, "compact"))
    elif text_width(card.name, "dense_strong") + chip_width(card.mark) + 12 <= right - left:
        draw_chip(painter, right, rect.top() + 6, card.mark)
    else:
        tint = CHIP_LOOKS[card.mark.kind][1]
        draw_icon(painter, QPointF(right - 14, rect.top() + 9), card.mark.icon or "circle-help", tint, 14)
    low = QRectF(left, rect.top() + 48, right - left, 18)
    if card.look in ("live", "stale"):
        bar = QRectF(left, rect.top() + 32, right - left, 10)
        _draw_bar(painter, bar, card)
        free = f"{card.memory.available / (1 << 30):.1f} GiB free" if card.memory.total else "memory n/a"
        room = right - left - text_width(free, "label") - 8
        headline = card.headline if card.serving is not None else "No model"
        figures = " · ".join(f"{one.value} {one.unit}" for one in card.figures if one.fraction is None and one.unit)
        if figures and text_width(f"{headline} · {figures}", "label") <= room:
            # A wide card of few nodes in a low window.
            headline = f"{headline} · {figures}"
        write(painter, low, elided(headline, "label", room), role="label", tint=_ink(card, "text2"))
        write(painter, low, free, role="label", tint="text3", align=_RIGHT)
    elif card.look == "alarm":
        write(painter, low.translated(0, -14), elided(card.message, "label", low.width()), role="label", tint="text2")
    else:
        box(painter, QRectF(left, rect.top() + 36, (right - left) * 0.8, 6), 3, blend("border", "node", 0.7))
