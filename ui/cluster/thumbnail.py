"""Small pictures of the saved clusters: their shape, how many nodes are live, and the worst word. One opens a cluster.

The one rule: only the open cluster is watched; of another one nothing is claimed but what its record says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.cluster.topology import Shape
from ui import text, theme
from ui.cluster.headline import TONE_SIGNS
from ui.cluster.map.wiring import Wiring
from ui.cluster.model import ClusterModel
from ui.cluster.sentence import Tone
from ui.findings import words
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.label import Label
from ui.widgets.paint import box, elided, fill, pen, write

HEIGHT = 60
WIDTH = 182
LIMIT = 4
MOST_DRAWN = 6
_ART_WIDTH = 84.0
_SPACING = 10
_SIDES = 18
_MORE = 60
"""For the words for those that have no room."""
Art = tuple[tuple[int, int], ...]
"""Joined nodes by their numbers; `ON_SWITCH` in place of the second: a cable to a switch."""
ON_SWITCH = -1


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A cluster as its small picture shows it."""

    cluster_id: str
    name: str
    shape: str
    node_count: int
    line: str
    """ "4 of 4 · switch"."""
    state: str
    """The worst word."""
    tone: Tone | None = None
    """None: not watched, so nothing is claimed."""
    is_open: bool = False
    art: Art = ()
    """What its cables join; () where only the shape's name is known."""


def art_of(wiring: Wiring, node_ids: Sequence[str]) -> Art:
    """What the cables of a look join, nodes by their place in `node_ids`."""
    if wiring.is_seen and wiring.shape == "chain":
        # Its nodes stand in the order of the chain.
        return tuple(pairwise(range(min(len(node_ids), MOST_DRAWN))))
    number = {node_id: i for i, node_id in enumerate(node_ids[:MOST_DRAWN])}
    found: dict[tuple[int, int], None] = {}
    for link in wiring.links if wiring.is_seen else ():
        ends = [number[end[0]] for end in link.ends if end[0] in number]
        if link.to == "switch" and ends:
            found[ends[0], ON_SWITCH] = None
        elif link.to == "node" and len(ends) == 2 and ends[0] != ends[1]:
            found[min(ends), max(ends)] = None
    return tuple(sorted(found))


def build_thumbnails(model: ClusterModel) -> tuple[Thumbnail, ...]:
    """The saved clusters, none when there are fewer than two."""
    records = model.feeds.clusters.value
    if len(records) < 2:
        return ()
    opened = model.feeds.cluster.value
    return tuple(_build(record, model, is_open=opened is not None and record.id == opened.id) for record in records)


def _build(record: ClusterRecord, model: ClusterModel, *, is_open: bool) -> Thumbnail:
    count = len(record.nodes)
    art: Art = ()
    shape, nodes = record.shape, f"{count} {'node' if count == 1 else 'nodes'}"
    tone: Tone | None = None
    state = "Not open"
    if is_open:
        live = sum(node.is_live for node in model.feeds.nodes.value)
        nodes = f"{live} of {count}"
        tone, state = model.scene.sentence.tone, _worst_word(model)
        seen = model.feeds.topology.value.shape
        shape = shape if seen is Shape.UNKNOWN else seen.value
        art = art_of(model.scene.wiring, tuple(node.id for node in record.nodes))
    line = " · ".join(part for part in (nodes, "" if shape == "single" else shape) if part)
    return Thumbnail(record.id, text.one_line(record.name, 60), shape, count, line, state, tone, is_open, art)


def _worst_word(model: ClusterModel) -> str:
    worst = words.worst(model.feeds.findings.value)
    if worst is not None:
        return words.title_of(worst)
    tone = model.scene.sentence.tone
    return {"ok": "All well", "busy": "Looking"}.get(tone, text.one_line(model.scene.sentence.words, 60))


class ThumbnailButton(QAbstractButton):
    """One cluster."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown = Thumbnail("", "", "", 0, "", "")
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(WIDTH)
        self.setMaximumWidth(260)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.notifier.changed.connect(self.update)

    def set_thumbnail(self, shown: Thumbnail) -> None:
        """Show a cluster."""
        if shown == self.shown:
            return
        self.shown = shown
        state = ", open" if shown.is_open else ""
        self.setAccessibleName(f"Cluster {shown.name}{state}, {shown.line}, {shown.state}")
        self.setToolTip("" if shown.is_open else "Open this cluster")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shown, rect = self.shown, QRectF(self.rect())
        edge = pen(color("accent"), 1) if shown.is_open else pen(color("control" if self.underMouse() else "border"))
        box(painter, rect, theme.RADIUS_CONTROL, color("sunken"), edge)
        if self.hasFocus():
            box(painter, rect.adjusted(2, 2, -2, -2), theme.RADIUS_CONTROL, None, pen(color("accent"), 2))
        draw_shape(painter, QRectF(10, 6, _ART_WIDTH - 14, HEIGHT - 12), shown)
        room = rect.width() - _ART_WIDTH - 12
        sign = 22 if shown.tone is not None else 0
        name = elided(shown.name, "dense_strong", room - sign)
        write(painter, QRectF(_ART_WIDTH, 4, room - sign, 18), name, role="dense_strong")
        if shown.tone is not None:
            icon, tint = TONE_SIGNS[shown.tone]
            draw_icon(painter, QPointF(rect.width() - 24, 6), icon, tint, 14)
        for i, said in enumerate((shown.line, shown.state)):
            words_rect = QRectF(_ART_WIDTH, 22 + 16 * i, room, 16)
            write(painter, words_rect, elided(said, "label", room), role="label", tint="text2" if i == 0 else "text3")


def draw_shape(painter: QPainter, rect: QRectF, shown: Thumbnail) -> None:
    """The cluster's cables in a few strokes, and the nodes over them."""
    count = min(shown.node_count, MOST_DRAWN)
    places = _places(rect, shown.shape, count)
    art = shown.art or _art_of_shape(shown.shape, count)
    line: Token = "s1" if shown.is_open else "control"
    # Of any cabling whatsoever the name alone tells no cable: dots say that there are some.
    is_vague = shown.shape == "mixed" and not shown.art
    painter.setPen(pen(color(line), 2, dash=(1.5, 2.5) if is_vague else ()))
    middle = rect.center().y()
    for first, second in art:
        if first < count and second < count:
            painter.drawLine(places[first], QPointF(places[first].x(), middle) if second < 0 else places[second])
    if any(second == ON_SWITCH for _, second in art):
        fill(painter, QRectF(rect.left() + 4, middle - 4, rect.width() - 8, 8), color("raised"))
    for at in places:
        box(painter, QRectF(at.x() - 10, at.y() - 6, 20, 12), 3, color("node"), pen(color("control")))


def _art_of_shape(shape: str, count: int) -> Art:
    """The cables of a shape by its name."""
    if shape == "switch":
        return tuple((i, ON_SWITCH) for i in range(count))
    if shape not in ("pair", "ring", "chain", "mixed") or count < 2:
        return ()
    closing = ((0, count - 1),) if shape in ("ring", "mixed") and count > 2 else ()
    return (*pairwise(range(count)), *closing)


def _places(rect: QRectF, shape: str, count: int) -> list[QPointF]:
    """Where the nodes stand."""
    middle = rect.center()
    if count <= 1:
        return [middle] * count
    if shape == "ring" and count > 2:
        steps = (2 * pi * i / count - pi / 2 for i in range(count))
        return [QPointF(middle.x() + 24 * cos(turn), middle.y() + 18 * sin(turn)) for turn in steps]
    if count == 2 or shape == "chain":
        step = (rect.width() - 22) / (count - 1)
        return [QPointF(rect.left() + 11 + i * step, middle.y()) for i in range(count)]
    columns = -(-count // 2)
    step = (rect.width() - 22) / max(1, columns - 1) if columns > 1 else 0.0
    return [
        QPointF(rect.left() + 11 + (i % columns) * step, rect.top() + 8 if i < columns else rect.bottom() - 8)
        for i in range(count)
    ]


class ThumbnailRow(QWidget):
    """The saved clusters beside each other. `opened` carries a cluster's id; not for the one that is open."""

    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_low = False
        self._shown: tuple[Thumbnail, ...] = ()
        self.buttons = tuple(ThumbnailButton() for _ in range(LIMIT))
        self.more = Label("", "label", "text3")
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 0, 14, 10)
        row.setSpacing(_SPACING)
        for button in self.buttons:
            row.addWidget(button, 1)
            button.clicked.connect(lambda *, button=button: self._open(button))
        row.addWidget(self.more)
        row.addStretch(0)
        self.more.setVisible(False)
        self.setAccessibleName("Saved clusters")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setVisible(False)

    def minimumSizeHint(self) -> QSize:
        """Any width will do: there are fewer of them then."""
        return QSize(0, super().minimumSizeHint().height())

    def set_low(self, is_low: bool) -> None:
        """Hide where the window is low."""
        if is_low != self._is_low:
            self._is_low = is_low
            self.setVisible(bool(self._shown) and not is_low)

    def set_thumbnails(self, shown: Sequence[Thumbnail]) -> None:
        """Show these clusters, the open one always among them; nothing where there are none."""
        if tuple(shown) == self._shown:
            return
        self._shown = tuple(shown)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        """As many as there is room for: none lies on another."""
        shown = self._shown
        count = min(LIMIT, len(shown))
        while count > 1 and self.width() < count * (WIDTH + _SPACING) + (_MORE if count < len(shown) else 0) + _SIDES:
            count -= 1
        first = list(shown[:count])
        opened = next((one for one in shown if one.is_open), None)
        if opened is not None and opened not in first:
            first[-1] = opened
        for i, button in enumerate(self.buttons):
            button.setVisible(i < len(first))
            if i < len(first):
                button.set_thumbnail(first[i])
        rest = len(shown) - len(first)
        self.more.setText(f"{rest} more")
        self.more.setToolTip("The list under the cluster's name on top has them all")
        self.more.setVisible(rest > 0)
        self.setVisible(bool(shown) and not self._is_low)

    def _open(self, button: ThumbnailButton) -> None:
        if not button.shown.is_open:
            self.opened.emit(button.shown.cluster_id)
