"""Paints one cable, one port, a switch, another device and the key to the lines, from values and places. No state.

The one rule: a line's width says its speed and its pattern its state, and the word beside it says both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import partial

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen, QPolygonF

from ui import theme
from ui.cluster.cable import ArrowEnd, Cable, Look
from ui.cluster.map.lane import HOP
from ui.cluster.map.place import PORT_HEIGHT, PORT_WIDTH, CablePlace, Density, Ghost, Side, SwitchPlace
from ui.cluster.map.stamp import draw_stamp
from ui.font import Role, font
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.paint import box, elided, pen, text_width, write

_RIGHT = Qt.AlignmentFlag.AlignRight
_LEFT = Qt.AlignmentFlag.AlignLeft
_CENTER = Qt.AlignmentFlag.AlignHCenter
_TINTS: dict[Look, Token] = {
    "up": "accent",
    "degraded": "warn",
    "wrong": "warn",
    "one_way": "crit",
    "down": "crit",
    "unknown": "control",
    "stale": "control",
}
_INKS: dict[Look, Token] = {
    "up": "ok",
    "degraded": "warn",
    "wrong": "warn",
    "one_way": "crit",
    "down": "crit",
    "unknown": "text3",
    "stale": "text3",
    "unused": "text3",
}
_ICONS: dict[Look, str] = {
    "up": "check",
    "degraded": "triangle-alert",
    "wrong": "triangle-alert",
    "one_way": "octagon-alert",
    "down": "x",
    "unknown": "circle-help",
    "stale": "clock",
}
_ARROW = 7.0


def draw_port(painter: QPainter, at: QPointF, cage: str) -> None:
    """Paint a port on the edge of its card."""
    rect = QRectF(at.x() - PORT_WIDTH / 2, at.y() - PORT_HEIGHT / 2, PORT_WIDTH, PORT_HEIGHT)
    draw_stamp(painter, rect, ("port", cage, font("port").pixelSize()), partial(_paint_port, cage))


def _paint_port(cage: str, painter: QPainter, rect: QRectF) -> None:
    box(painter, rect, 3, color("sunken"), pen(color("control")))
    write(painter, rect, cage, role="port", tint="text2", align=_CENTER)


def draw_line(painter: QPainter, line: tuple[QPointF, ...], look: Look, *, is_detecting: bool = False) -> None:
    """Paint a cable's line."""
    if look == "unused":
        return
    tint = color(_TINTS[look])
    if look == "wrong":
        _stroke(painter, line, pen(tint, 6))
        _stroke(painter, line, pen(color("window"), 2.5))
        return
    if is_detecting and look == "up":
        stroke = pen(tint, 3, dash=(3, 4))
    elif look == "up":
        stroke = pen(tint, 4)
    elif look == "degraded":
        stroke = pen(tint, 3, dash=(9, 5))
    elif look == "stale":
        stroke = pen(tint, 3)
    else:
        stroke = pen(tint, 3 if look == "one_way" else 2, dash=(2, 4))
    _stroke(painter, line, stroke)
    if look == "down":
        _draw_cross(painter, line)


def draw_hops(painter: QPainter, place: CablePlace, cable: Cable) -> None:
    """Break what the cable hops over, so that nobody takes the two for joined. To be painted after all lines."""
    for hop in place.hops if cable.look != "unused" else ():
        gap = QRectF(hop.x() - HOP, hop.y() - HOP, 2 * HOP, 2 * HOP)
        painter.save()
        painter.setClipRect(gap, Qt.ClipOperation.IntersectClip)
        painter.fillRect(gap, color("window"))
        draw_line(painter, place.line, cable.look, is_detecting=cable.is_detecting)
        painter.restore()


def _stroke(painter: QPainter, line: tuple[QPointF, ...], stroke: QPen) -> None:
    painter.setPen(stroke)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if len(line) == 2:
        painter.drawLine(line[0], line[1])
    else:
        painter.drawPolyline(QPolygonF(list(line)))


def _middle(line: tuple[QPointF, ...]) -> tuple[QPointF, QPointF]:
    """The middle of a line's middle part, and the direction of that part."""
    first, last = line[len(line) // 2 - 1], line[len(line) // 2]
    length = math.hypot(last.x() - first.x(), last.y() - first.y()) or 1.0
    return (first + last) / 2, (last - first) / length


def _draw_cross(painter: QPainter, line: tuple[QPointF, ...]) -> None:
    middle, _ = _middle(line)
    painter.setPen(pen(color("crit"), 2))
    for dx in (-5, 5):
        painter.drawLine(middle + QPointF(-5, -dx), middle + QPointF(5, dx))


def _draw_arrow(painter: QPainter, line: tuple[QPointF, ...], arrow: ArrowEnd) -> None:
    """A head in the middle of the line that points at the end which still receives."""
    middle, way = _middle(line)
    if arrow == "first":
        way = QPointF(-way.x(), -way.y())
    aside = QPointF(-way.y(), way.x())
    tip = middle + way * _ARROW
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color("crit"))
    painter.drawPolygon(
        QPolygonF([tip, middle - way * _ARROW + aside * _ARROW, middle - way * _ARROW - aside * _ARROW])
    )


def draw_ghost_line(painter: QPainter, ghost: Ghost) -> None:
    """Paint where a cable would be as the guides have it."""
    _stroke(painter, ghost.line, pen(color("control"), 1.2, dash=(1.5, 4)))


def draw_ghost_port(painter: QPainter, ghost: Ghost) -> None:
    """Paint the cage where such a cable would end."""
    if ghost.port is not None:
        at = ghost.port
        rect = QRectF(at.x() - PORT_WIDTH / 2, at.y() - PORT_HEIGHT / 2, PORT_WIDTH, PORT_HEIGHT)
        box(painter, rect, 3, color("window"), pen(color("control"), dash=(2, 3)))
        write(painter, rect, ghost.cage, role="port", tint="text3", align=_CENTER)


def draw_cable(painter: QPainter, place: CablePlace, cable: Cable, density: Density, *, is_selected: bool) -> None:
    """Paint a cable with its words, and the other device at its end."""
    if is_selected:
        if cable.look != "unused":
            _stroke(painter, place.line, pen(color("accentsoft"), 12))
        box(painter, words_rect(place, cable, density), theme.RADIUS_CHIP, color("accentsoft"))
    draw_line(painter, place.line, cable.look, is_detecting=cable.is_detecting)
    if cable.arrow:
        _draw_arrow(painter, place.line, cable.arrow)
    if place.box is not None:
        _draw_device(painter, place.box, cable, is_selected=is_selected)
    if density == "compact":
        if cable.look not in ("unused", "unknown"):
            word = _fitting(cable.word, "micro", place.label.width())
            write(painter, place.label, word, role="micro", tint=_INKS[cable.look], align=_align(place.label_side))
        return
    _draw_words(painter, place.label, cable, place.label_side)


def _align(side: Side) -> Qt.AlignmentFlag:
    return {"left": _RIGHT, "right": _LEFT}.get(side, _CENTER)


def _fitting(word: str, role: Role, width: float) -> str:
    """The word, or its first part where there is no room."""
    if text_width(word, role) <= width:
        return word
    short = word.split(",")[0]
    return short if text_width(short, role) <= width else elided(short, role, width)


def words_rect(place: CablePlace, cable: Cable, density: Density) -> QRectF:
    """What the words of a cable cover, with a little air: less than their place."""
    label, is_compact = place.label, density == "compact"
    role: Role = "micro" if is_compact else _word_role(cable)
    icon = 0 if is_compact or cable.look not in _ICONS else 16
    width = text_width(_fitting(cable.word, role, label.width() - icon), role) + icon
    if cable.tx and not is_compact:
        width = max(width, sum(text_width(words, each) for words, each in _rate_parts(cable, label.width())))
    rect = QRectF(label.left(), label.top(), min(width, label.width()), label.height())
    if place.label_side == "left":
        rect.moveRight(label.right())
    elif place.label_side != "right":
        rect.moveCenter(label.center())
    return rect.adjusted(-5, -1, 5, 1)


def _word_role(cable: Cable) -> Role:
    return "label" if cable.look in ("unused", "unknown", "stale") else "dense_strong"


def _draw_words(painter: QPainter, label: QRectF, cable: Cable, side: Side) -> None:
    icon = _ICONS.get(cable.look, "")
    role = _word_role(cable)
    room = label.width() - (16 if icon else 0)
    word = _fitting(cable.word, role, room)
    width = text_width(word, role) + (16 if icon else 0)
    has_rates = bool(cable.tx)
    top = label.top() if has_rates else label.center().y() - 9
    left = {"left": label.right() - width, "right": label.left()}.get(side, label.center().x() - width / 2)
    if icon:
        draw_icon(painter, QPointF(left, top + 3), icon, _INKS[cable.look], 12)
        left += 16
    write(painter, QRectF(left, top, width, 18), word, role=role, tint=_INKS[cable.look])
    if has_rates:
        _draw_rates(painter, QRectF(label.left(), top + 17, label.width(), 16), cable, side)


def _draw_rates(painter: QPainter, rect: QRectF, cable: Cable, side: Side) -> None:
    parts = _rate_parts(cable, rect.width())
    width = sum(text_width(words, role) for words, role in parts)
    left = {"left": rect.right() - width, "right": rect.left()}.get(side, rect.center().x() - width / 2)
    for words, role in parts:
        tint: Token = "text" if role == "dense_strong" else "text3"
        write(painter, QRectF(left, rect.top(), width, 16), words, role=role, tint=tint)
        left += text_width(words, role)


def _rate_parts(cable: Cable, room: float) -> list[tuple[str, Role]]:
    parts: list[tuple[str, Role]] = [("tx ", "label"), (cable.tx, "dense_strong"), ("  rx ", "label")]
    parts += [(cable.rx, "dense_strong"), (" Gb/s", "label")]
    if sum(text_width(words, role) for words, role in parts) > room:
        parts.pop()
    return parts


def _draw_device(painter: QPainter, rect: QRectF, cable: Cable, *, is_selected: bool) -> None:
    """What a cable leads to that is no node: its name and its hardware address."""
    edge = pen(color("accent"), 2) if is_selected else pen(color("control"), dash=(4, 3))
    box(painter, rect, theme.RADIUS_CONTROL, color("raised"), edge)
    left, room = rect.left() + 8, rect.width() - 16
    if rect.height() < 30:
        write(painter, QRectF(left, rect.top(), room, rect.height()), elided(cable.far, "label", room), role="label")
        return
    draw_icon(painter, QPointF(left, rect.center().y() - 8), "unplug", "text2", theme.ICON_SIZE)
    left, room = left + 22, room - 22
    title = QRectF(left, rect.top() + 2, room, 17)
    write(painter, title, elided(cable.far, "dense_medium", room), role="dense_medium", tint="text")
    words = elided(cable.detail, "label", room, Qt.TextElideMode.ElideMiddle)
    write(painter, QRectF(left, rect.top() + 18, room, 15), words, role="label", tint="text3")


def draw_switch(painter: QPainter, place: SwitchPlace, title: str, detail: str, *, is_selected: bool) -> None:
    """Paint a switch's bars, and its words in the first of them."""
    painter.setPen(pen(color("accent"), 2) if is_selected else pen(color("control")))
    painter.setBrush(color("raised"))
    painter.drawPath(_switch_outline(place))
    if place.text.height() < 40:
        _write_on_low_switch(painter, place.text, title, detail)
        return
    if not detail:
        _write_on_low_switch(painter, place.text, title, "")
        return
    room, middle = place.text.width() - 44, place.text.center()
    title, detail = elided(title, "dense_strong", room), elided(detail, "label", room)
    width = max(text_width(title, "dense_strong"), text_width(detail, "label"))
    left = middle.x() - width / 2 + 13
    draw_icon(painter, QPointF(left - 26, middle.y() - 8), "server", "text2", theme.ICON_SIZE)
    write(painter, QRectF(left, middle.y() - 18, width + 8, 18), title, role="dense_strong", tint="text")
    write(painter, QRectF(left, middle.y(), width + 8, 16), detail, role="label", tint="text3")


def _switch_outline(place: SwitchPlace) -> QPainterPath:
    """All bars of a switch and what joins them, as one body."""
    path = QPainterPath()
    for rect in place.rects:
        bar = QPainterPath()
        bar.addRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), theme.RADIUS_CARD, theme.RADIUS_CARD)
        path = path.united(bar) if place.spine is not None else bar
    if place.spine is not None:
        spine = QPainterPath()
        spine.addRect(QRectF(*place.spine).adjusted(-8, 0, 0, 0))
        path = path.united(spine)
    return path


def _write_on_low_switch(painter: QPainter, area: QRectF, title: str, detail: str) -> None:
    """All in one line; without the detail where it does not fit."""
    room, middle = area.width() - 44, area.center()
    title = elided(title, "dense_strong", room)
    wide = text_width(title, "dense_strong")
    more = 12 + text_width(detail, "label")
    if wide + more > room:
        detail, more = "", 0.0
    left = middle.x() - (wide + more) / 2 + 13
    draw_icon(painter, QPointF(left - 26, middle.y() - 8), "server", "text2", theme.ICON_SIZE)
    write(painter, QRectF(left, middle.y() - 9, wide + 2, 18), title, role="dense_strong", tint="text")
    if detail:
        write(painter, QRectF(left + wide + 12, middle.y() - 8, more, 16), detail, role="label", tint="text3")


def draw_guests(painter: QPainter, rect: QRectF, guests: tuple[str, ...], *, is_selected: bool) -> None:
    """Paint the mark on a switch for devices that are no nodes."""
    words = guests[0] if len(guests) == 1 else f"{len(guests)} other devices"
    edge = pen(color("accent"), 2) if is_selected else pen(color("control"), dash=(4, 3))
    box(painter, rect, theme.RADIUS_CHIP, color("window"), edge)
    draw_icon(painter, QPointF(rect.left() + 6, rect.center().y() - 6), "unplug", "text2", theme.ICON_SIZE_CHIP)
    area = rect.adjusted(23, 0, -5, 0)
    write(painter, area, elided(words, "label", area.width()), role="label", tint="text2")


def draw_socket(painter: QPainter, at: QPointF) -> None:
    """Paint a switch's port."""
    draw_stamp(painter, QRectF(at.x() - 16, at.y() - 5, 32, 10), ("socket",), _paint_socket)


def _paint_socket(painter: QPainter, rect: QRectF) -> None:
    box(painter, rect, 2, color("sunken"), pen(color("control")))


LEGEND: tuple[tuple[Look, str], ...] = (
    ("up", "200G up"),
    ("degraded", "degraded"),
    ("wrong", "set up wrongly"),
    ("down", "down"),
    ("unknown", "not known"),
)


_SWATCH = 22
_NARROW_SWATCH = 16


def legend_of(room: float, looks: Collection[Look]) -> tuple[tuple[Look, str], ...]:
    """The key to the lines: all of it where there is room, else to those that are drawn, as many as fit."""
    if not looks:
        return ()
    if _legend_width(LEGEND, _SWATCH) <= room or _legend_width(LEGEND, _NARROW_SWATCH) <= room:
        return LEGEND
    found = [entry for entry in LEGEND if entry[0] in looks]
    while found and _legend_width(found, _NARROW_SWATCH) > room:
        found.pop()
    return tuple(found)


def _legend_width(entries: Sequence[tuple[Look, str]], swatch: int) -> float:
    return sum(text_width(words, "label") + 2 * swatch + 1 for _, words in entries)


def draw_legend(painter: QPainter, left: float, top: float, right: float, words: str, looks: Collection[Look]) -> None:
    """Paint how the look stands, or else the key to the lines. `looks`: those that are drawn."""
    if words:
        draw_icon(painter, QPointF(left, top + 2), "circle-help", "text3", theme.ICON_SIZE_CHIP)
        room = right - left - 30
        write(painter, QRectF(left + 18, top, room, 16), elided(words, "label", room), role="label", tint="text2")
        return
    entries = legend_of(right - left, looks)
    swatch = _SWATCH if _legend_width(entries, _SWATCH) <= right - left else _NARROW_SWATCH
    for look, name in entries:
        draw_line(painter, (QPointF(left, top + 8), QPointF(left + swatch, top + 8)), look)
        width = text_width(name, "label")
        write(painter, QRectF(left + swatch + 7, top, width + 2, 16), name, role="label", tint="text2")
        left += width + 2 * swatch + 1
