"""Paints one node card, one cable, one port and the switch, from values and boxes. No state.

The one rule: nothing here measures, decides or asks a service; a card's words are all in its NodeCard.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPolygonF

from ui import theme
from ui.cluster.cable import Cable
from ui.cluster.card import Figure, Memory, NodeCard
from ui.cluster.layout import PORT_HEIGHT, PORT_WIDTH, CablePlace, Density, Side
from ui.font import Role, font
from ui.icon import draw_icon
from ui.jobs.mark import Mark
from ui.theme import Token, blend, color
from ui.widgets.ledger import LedgerValues, draw_ledger
from ui.widgets.paint import box, elided, pen, text_width, write

_PAD = 12.0
_RIGHT = Qt.AlignmentFlag.AlignRight
_CENTER = Qt.AlignmentFlag.AlignHCenter
_CHIPS: dict[str, tuple[Token, Token, str]] = {
    "neutral": ("raised", "text2", ""),
    "accent": ("accentsoft", "accenttext", ""),
    "ok": ("oksoft", "ok", "check"),
    "warn": ("warnsoft", "warn", "triangle-alert"),
    "crit": ("critsoft", "crit", "octagon-alert"),
    "simulated": ("raised", "text2", "flask-conical"),
}


def chip_width(mark: Mark) -> float:
    """How wide a chip is."""
    icon = mark.icon if mark.icon is not None else _CHIPS[mark.kind][2]
    return text_width(mark.text, "label_medium") + 14 + (17 if icon else 0)


def draw_chip(painter: QPainter, right: float, top: float, mark: Mark) -> float:
    """Paint a chip whose right edge is at `right`; returns its left edge."""
    width = chip_width(mark)
    fill, tint, own_icon = _CHIPS[mark.kind]
    rect = QRectF(right - width, top, width, theme.CHIP_HEIGHT)
    edge = pen(color("border")) if mark.kind in ("neutral", "simulated") else None
    box(painter, rect, theme.RADIUS_CHIP, color(fill), edge)
    left = rect.left() + 7
    icon = mark.icon if mark.icon is not None else own_icon
    if icon:
        draw_icon(painter, QPointF(left, top + 4), icon, tint, theme.ICON_SIZE_CHIP)
        left += 17
    write(painter, QRectF(left, top, width, theme.CHIP_HEIGHT), mark.text, role="label_medium", tint=tint)
    return rect.left()


def ledger_values(memory: Memory) -> LedgerValues:
    """A card's memory as the ledger bar takes it."""
    return LedgerValues(
        total_bytes=memory.total,
        weights_bytes=memory.weights,
        kv_reserved_bytes=memory.kv,
        kv_used_bytes=memory.kv_used,
        runtime_bytes=memory.other,
        page_cache_bytes=memory.cache,
    )


def draw_node(painter: QPainter, rect: QRectF, card: NodeCard, density: Density, *, is_selected: bool) -> None:
    """Paint a whole card."""
    edge = pen(color("border"))
    if is_selected:
        edge = pen(color("accent"), 2)
    elif card.look == "alarm":
        edge = pen(color("crit" if card.mark.kind == "crit" else "control"))
    elif card.look == "stale":
        edge = pen(color("control"), dash=(4, 3))
    box(painter, rect, theme.RADIUS_CARD, color("node"), edge)
    if density == "compact":
        _draw_compact(painter, rect, card)
        return
    _draw_title(painter, rect, card)
    if card.look == "loading":
        _draw_bars(painter, rect)
    elif card.look == "alarm":
        _draw_message(painter, rect, card)
    else:
        _draw_served(painter, rect, card)
        _draw_memory(painter, rect, card, density)
        _draw_figures(painter, rect, card, density)


def _ink(card: NodeCard, token: Token) -> Token:
    return "text3" if card.look == "stale" else token


def _draw_title(painter: QPainter, rect: QRectF, card: NodeCard) -> None:
    left, top = rect.left() + _PAD, rect.top() + 9
    draw_icon(painter, QPointF(left, top + 4), "server", "text2", theme.ICON_SIZE)
    right = rect.right() - _PAD
    if card.look == "live" and card.mark.kind != "warn":
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


def _draw_served(painter: QPainter, rect: QRectF, card: NodeCard) -> None:
    top, right = rect.top() + 37, rect.right() - _PAD
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


def _draw_memory(painter: QPainter, rect: QRectF, card: NodeCard, density: Density) -> None:
    top = rect.top() + 62
    bar = QRectF(rect.left() + _PAD, top, rect.width() - 2 * _PAD, 16)
    draw_ledger(painter, bar, ledger_values(card.memory), is_stale=card.look == "stale")
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
    step = (rect.width() - 2 * _PAD) / max(1, len(card.figures))
    top = rect.top() + (99 if density == "low" else 108)
    extra = max(0.0, rect.height() - 168) / 2
    for i, figure in enumerate(card.figures):
        left = rect.left() + _PAD + i * step
        write(painter, QRectF(left, top + extra, step, 14), figure.label, role="label", tint="text3")
        value_top = top + extra + 14
        place = QRectF(left, value_top, step, 18)
        write(painter, place, figure.value, role="dense_strong", tint=_value_ink(card, figure))
        if figure.unit:
            unit_left = left + text_width(figure.value, "dense_strong") + 4
            write(painter, QRectF(unit_left, value_top, step, 18), figure.unit, role="label", tint="text3")
        if figure.fraction is not None and density == "full":
            _draw_meter(painter, QRectF(left, value_top + 21, step - 22, 4), figure.fraction, card)


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
        draw_icon(painter, QPointF(right - 14, rect.top() + 9), "circle-check", "ok", 14)
    elif text_width(card.name, "dense_strong") + chip_width(card.mark) + 12 <= right - left:
        draw_chip(painter, right, rect.top() + 6, card.mark)
    else:
        tint = _CHIPS[card.mark.kind][1]
        draw_icon(painter, QPointF(right - 14, rect.top() + 9), card.mark.icon or "circle-help", tint, 14)
    low = QRectF(left, rect.top() + 48, right - left, 18)
    if card.look in ("live", "stale"):
        bar = QRectF(left, rect.top() + 32, right - left, 10)
        draw_ledger(painter, bar, ledger_values(card.memory), is_stale=card.look == "stale")
        free = f"{card.memory.available / (1 << 30):.1f} GiB free" if card.memory.total else "memory n/a"
        room = right - left - text_width(free, "label") - 8
        write(painter, low, elided(card.headline, "label", room), role="label", tint=_ink(card, "text2"))
        write(painter, low, free, role="label", tint="text3", align=_RIGHT)
    elif card.look == "alarm":
        write(painter, low.translated(0, -14), elided(card.message, "label", low.width()), role="label", tint="text2")
    else:
        box(painter, QRectF(left, rect.top() + 36, (right - left) * 0.8, 6), 3, blend("border", "node", 0.7))


# Ports, cables and the switch ------------------------------------------------------------------------------------

_CABLE_TINTS: dict[str, Token] = {"up": "accent", "degraded": "warn", "down": "crit", "unknown": "control"}
_CABLE_INKS: dict[str, Token] = {"up": "ok", "degraded": "warn", "down": "crit", "unknown": "text3", "unused": "text3"}
_CABLE_ICONS = {"up": "check", "degraded": "triangle-alert", "down": "x", "unknown": "circle-help"}


def draw_port(painter: QPainter, at: QPointF, cage: str) -> None:
    """Paint a port on the edge of its card."""
    rect = QRectF(at.x() - PORT_WIDTH / 2, at.y() - PORT_HEIGHT / 2, PORT_WIDTH, PORT_HEIGHT)
    box(painter, rect, 3, color("sunken"), pen(color("control")))
    write(painter, rect, cage, role="port", tint="text2", align=_CENTER)


def draw_line(painter: QPainter, line: tuple[QPointF, ...], look: str) -> None:
    """Paint a cable's line: width says the speed, pattern says the state."""
    if look == "unused":
        return
    tint = color(_CABLE_TINTS[look])
    if look == "up":
        stroke = pen(tint, 4)
    elif look == "degraded":
        stroke = pen(tint, 3, dash=(9, 5))
    else:
        stroke = pen(tint, 2, dash=(2, 4))
    painter.setPen(stroke)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if len(line) == 2:
        painter.drawLine(line[0], line[1])
    else:
        painter.drawPolyline(QPolygonF(list(line)))
    if look == "down":
        middle = (line[len(line) // 2 - 1] + line[len(line) // 2]) / 2
        painter.setPen(pen(tint, 2))
        for dx in (-5, 5):
            painter.drawLine(middle + QPointF(-5, -dx), middle + QPointF(5, dx))


def draw_cable(painter: QPainter, place: CablePlace, cable: Cable, density: Density, *, is_selected: bool) -> None:
    """Paint a cable with its words."""
    has_line = cable.look != "unused" or place.label_side not in ("left", "right")
    if is_selected and has_line:
        painter.setPen(pen(color("accentsoft"), 12))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(list(place.line)))
        box(painter, place.label.adjusted(-6, -2, 6, 2), theme.RADIUS_CHIP, color("accentsoft"))
    draw_line(painter, place.line, cable.look)
    align = {"left": _RIGHT, "right": Qt.AlignmentFlag.AlignLeft}.get(place.label_side, _CENTER)
    if density == "compact":
        word = cable.word.split(",")[0] if cable.look in ("up", "degraded", "down") else ""
        write(painter, place.label, word, role="micro", tint=_CABLE_INKS[cable.look], align=align)
        return
    if not has_line:
        at = place.line[0]
        beside = QRectF(at.x() - 40, at.y() + (9 if place.line[-1].y() > at.y() else -25), 80, 16)
        if is_selected:
            box(painter, beside.adjusted(12, 0, -12, 0), theme.RADIUS_CHIP, color("accentsoft"))
        write(painter, beside, cable.word, role="label", tint="text3", align=_CENTER)
        return
    _draw_cable_words(painter, place.label, cable, place.label_side)


def _draw_cable_words(painter: QPainter, label: QRectF, cable: Cable, side: Side) -> None:
    icon = _CABLE_ICONS.get(cable.look, "")
    role: Role = "label" if cable.look in ("unused", "unknown") else "dense_strong"
    word = cable.word
    width = text_width(word, role) + (16 if icon else 0)
    if width > label.width():
        word = word.split(",")[0]
        width = text_width(word, role) + (16 if icon else 0)
    has_rates = bool(cable.tx)
    top = label.top() if has_rates else label.center().y() - 9
    left = {"left": label.right() - width, "right": label.left()}.get(side, label.center().x() - width / 2)
    if icon:
        draw_icon(painter, QPointF(left, top + 3), icon, _CABLE_INKS[cable.look], 12)
        left += 16
    write(painter, QRectF(left, top, width, 18), word, role=role, tint=_CABLE_INKS[cable.look])
    if has_rates:
        _draw_rates(painter, QRectF(label.left(), top + 17, label.width(), 16), cable, side)


def _draw_rates(painter: QPainter, rect: QRectF, cable: Cable, side: Side) -> None:
    parts: list[tuple[str, Role]] = [("tx ", "label"), (cable.tx, "dense_strong"), ("  rx ", "label")]
    parts += [(cable.rx, "dense_strong"), (" Gb/s", "label")]
    width = sum(text_width(words, role) for words, role in parts)
    left = {"left": rect.right() - width, "right": rect.left()}.get(side, rect.center().x() - width / 2)
    for words, role in parts:
        tint: Token = "text" if role == "dense_strong" else "text3"
        write(painter, QRectF(left, rect.top(), width, 16), words, role=role, tint=tint)
        left += text_width(words, role)


def draw_switch(painter: QPainter, rect: QRectF, title: str, detail: str) -> None:
    """Paint the switch's body."""
    box(painter, rect, theme.RADIUS_CARD, color("raised"), pen(color("control")))
    width = max(text_width(title, "dense_strong"), text_width(detail, "label"))
    left = rect.center().x() - width / 2
    draw_icon(painter, QPointF(left - 26, rect.center().y() - 8), "server", "text2", theme.ICON_SIZE)
    write(painter, QRectF(left, rect.top() + 8, width + 8, 18), title, role="dense_strong", tint="text")
    write(painter, QRectF(left, rect.top() + 26, width + 8, 16), detail, role="label", tint="text3")


def draw_socket(painter: QPainter, at: QPointF) -> None:
    """Paint a switch's port."""
    box(painter, QRectF(at.x() - 16, at.y() - 5, 32, 10), 2, color("sunken"), pen(color("control")))


LEGEND = (("up", "200G up"), ("degraded", "degraded"), ("down", "down"), ("unknown", "not known"))


def draw_legend(painter: QPainter, left: float, top: float, right: float) -> None:
    """Paint the key to the cables, or none of it when it would not fit: every cable has its word beside it anyway."""
    if left + sum(text_width(words, "label") + 45 for _, words in LEGEND) > right:
        return
    for look, words in LEGEND:
        draw_line(painter, (QPointF(left, top + 8), QPointF(left + 22, top + 8)), look)
        width = text_width(words, "label")
        write(painter, QRectF(left + 29, top, width + 2, 16), words, role="label", tint="text2")
        left += width + 45
