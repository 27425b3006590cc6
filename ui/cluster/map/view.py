"""The map: one own-painted widget with hit-testing, the keyboard, tooltips and a part per node for screen readers.

The one rule: only what changed is repainted, and nothing is while the widget is hidden.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QContextMenuEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QMenu, QScrollBar, QSizePolicy, QToolTip, QWidget

from ui import theme
from ui.cluster.cable import Look
from ui.cluster.card import NodeCard
from ui.cluster.card_menu import make_menu
from ui.cluster.map.cable_paint import (
    draw_cable,
    draw_ghost_line,
    draw_ghost_port,
    draw_guests,
    draw_hops,
    draw_legend,
    draw_port,
    draw_socket,
    draw_switch,
)
from ui.cluster.map.card_paint import ledger_values
from ui.cluster.map.card_stamp import CardStamps
from ui.cluster.map.layout import find_item, lay_out, rect_of, step_from
from ui.cluster.map.place import EDGE, LEGEND_HEIGHT, MapLayout, Side, menu_rect
from ui.cluster.model import NOTHING, Selection
from ui.cluster.scene import Scene
from ui.theme import color
from ui.widgets.label import plain_tooltip
from ui.widgets.ledger import LedgerLegend, describe
from ui.widgets.paint import box, pen

_KEYS: Final[dict[Qt.Key, Side]] = {
    Qt.Key.Key_Left: "left",
    Qt.Key.Key_Right: "right",
    Qt.Key.Key_Up: "top",
    Qt.Key.Key_Down: "bottom",
}


class NodeRegion(QWidget):
    """Stands where a node's card is, for screen readers only: it paints nothing and lets the mouse through."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)


class TopologyMap(QWidget):
    """Shows a Scene. `chosen` carries a click, Enter or Space; `opened` a second Enter or a double click.

    Both carry a kind and a key: ("node", id), ("cable", key), ("switch", number) or ("stranger", its cable's key,
    "switch" for those on the switch).
    """

    chosen = Signal(str, str)
    opened = Signal(str, str)
    job_action_asked = Signal(str, str)
    """Job id and "chat", "logs" or "stop"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = Scene()
        self._layout = MapLayout("full")
        self._selection: Selection = NOTHING
        self._focus: Selection | None = None
        self._is_by_key = False
        """Whether the focus ring is wanted: it was moved by a key, not by the mouse."""
        self._lit: frozenset[str] = frozenset()
        self._stamps = CardStamps()
        self._regions: dict[str, NodeRegion] = {}
        self._legend = LedgerLegend("weights", "kv", "runtime", "cache", "free", parent=self)
        self._scroll = QScrollBar(Qt.Orientation.Vertical, self)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.hide()
        self._scroll.valueChanged.connect(self._follow_scroll)
        self.menu: QMenu | None = None
        """The card menu that is open, if any."""
        self.repaints = 0
        """How often it was painted; benchmarks and tests read it."""
        self.painted: list[str] = []
        """The nodes of the last painting."""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Map of the cluster")
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(848, 560)

    def minimumSizeHint(self) -> QSize:
        return QSize(640, 300)

    def map_layout(self) -> MapLayout:
        """Where everything lies now."""
        return self._layout

    def regions(self) -> tuple[NodeRegion, ...]:
        """The parts that stand for the nodes for screen readers."""
        return tuple(self._regions.values())

    # What is shown -------------------------------------------------------------------------------------------------

    def set_scene(self, scene: Scene) -> None:
        """Show a scene; repaints what differs from the one before."""
        before, self._scene = self._scene, scene
        if (before.wiring, before.node_ids) != (scene.wiring, scene.node_ids):
            self._lay_out()
            self._name_regions()
            self.update()
            return
        for old, new in zip(before.cards, scene.cards, strict=True):
            if old != new:
                self._update_node(new.node_id)
                if old.sentence != new.sentence:
                    self._regions[new.node_id].setAccessibleDescription(new.sentence)
                if (old.look, old.mark) != (new.look, new.mark):
                    self._announce(new.node_id)
        for old_cable, new_cable in zip(before.cables, scene.cables, strict=True):
            if old_cable != new_cable:
                self._update_area(self._layout.cables[new_cable.key].area.adjusted(-7, -4, 7, 4))
        words = (scene.switch_titles, scene.switch_detail, scene.guests)
        if words != (before.switch_titles, before.switch_detail, before.guests):
            for place in self._layout.switches:
                self._update_area(place.rects[0].united(place.text))
        if before.look_words != scene.look_words or _looks(before) != _looks(scene):
            self._update_area(QRectF(0, 0, self.width(), LEGEND_HEIGHT))

    def set_lit(self, node_ids: frozenset[str]) -> None:
        """Light these nodes up: a deployment that runs on them is pointed at."""
        changed, self._lit = self._lit ^ node_ids, node_ids
        for node_id in changed:
            self._update_node(node_id)

    def _update_node(self, node_id: str) -> None:
        rect = self._layout.nodes.get(node_id)
        if rect is not None:
            self._update_area(rect.adjusted(-2, -2, 2, 2))

    def _update_area(self, rect: QRectF) -> None:
        self.update(rect.toAlignedRect().translated(0, -self._scroll.value()))

    def set_selection(self, kind: str, key: str) -> None:
        """Mark a node or a cable as selected."""
        self._selection = (kind, key)
        if kind:
            self._focus = (kind, key)
            self._scroll_to(self._focus)
        self.update()

    def _announce(self, node_id: str) -> None:
        """State changes are told to screen readers; values of every second are not."""
        region = self._regions.get(node_id)
        if region is not None and QAccessible.isActive():
            QAccessible.updateAccessibility(QAccessibleEvent(region, QAccessible.Event.DescriptionChanged))

    def _lay_out(self) -> None:
        layout = lay_out(self._scene.wiring, self.width(), self.height())
        over = int(layout.height) - self.height()
        if over > 0:
            bar = self._scroll.sizeHint().width()
            layout = lay_out(self._scene.wiring, self.width() - bar, self.height())
            over = int(layout.height) - self.height()
            self._scroll.setGeometry(self.width() - bar, 0, bar, self.height())
            self._scroll.setPageStep(self.height())
            self._scroll.setSingleStep(40)
        self._layout = layout
        self._scroll.setRange(0, max(0, over))
        self._scroll.setVisible(over > 0)
        self._place_parts()

    def _place_parts(self) -> None:
        """The parts that are widgets of their own follow what is painted."""
        hint, down = self._legend.sizeHint(), self._scroll.value()
        right = self.width() - (self._scroll.width() if self._scroll.isVisible() else 0)
        self._legend.setGeometry(int(right - hint.width() - EDGE), 11 - down, hint.width(), hint.height())
        for node_id, rect in self._layout.nodes.items():
            if node_id in self._regions:
                self._regions[node_id].setGeometry(rect.toAlignedRect().translated(0, -down))

    def _follow_scroll(self, _value: int) -> None:
        self._place_parts()
        self.update()

    def _scroll_to(self, item: Selection) -> None:
        rect = rect_of(self._layout, item)
        if rect is None or not self._scroll.maximum():
            return
        low, high = int(rect.bottom()) + 24 - self.height(), int(rect.top()) - 24
        self._scroll.setValue(min(max(self._scroll.value(), low), max(high, 0)))

    def _place_of(self, at: QPointF) -> QPointF:
        """A point of the widget as a point of the layout."""
        return at + QPointF(0, self._scroll.value())

    def _name_regions(self) -> None:
        for node_id in [known for known in self._regions if known not in self._layout.nodes]:
            self._regions.pop(node_id).deleteLater()
        self._stamps.keep_only(self._layout.nodes)
        for card in self._scene.cards:
            region = self._regions.get(card.node_id)
            if region is None:
                region = self._regions[card.node_id] = NodeRegion(self)
                region.show()
            region.setAccessibleName(card.name)
            region.setAccessibleDescription(card.sentence)
        self._place_parts()
        self._legend.setVisible(bool(self._scene.cards))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    # Painting ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        self.repaints += 1
        self.painted = []
        if not self._scene.cards:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        down = self._scroll.value()
        painter.translate(0, -down)
        dirty = event.region().translated(0, down)
        if dirty.intersects(QRectF(0, 0, self.width(), LEGEND_HEIGHT).toAlignedRect()):
            draw_legend(painter, EDGE, 11, self._legend.x(), self._scene.look_words, _looks(self._scene))
        self._draw_lines(painter, dirty)
        self._draw_cards(painter, dirty)
        self._draw_focus(painter)

    def _draw_lines(self, painter: QPainter, dirty: QRegion) -> None:
        layout, scene = self._layout, self._scene
        for ghost in layout.ghosts:
            draw_ghost_line(painter, ghost)
        # A line that crosses a bar without ending there lies above it.
        for place in layout.switches:
            if any(dirty.intersects(rect.toAlignedRect().adjusted(-9, -6, 9, 6)) for rect in place.rects):
                is_only = len(layout.switches) == 1
                title = scene.switch_title(place.number)
                is_selected = self._selection == ("switch", str(place.number))
                draw_switch(painter, place, title, scene.switch_detail if is_only else "", is_selected=is_selected)
                if place.number == 0 and layout.guests is not None:
                    is_selected = self._selection == ("stranger", "switch")
                    draw_guests(painter, layout.guests, scene.guests, is_selected=is_selected)
        on_switch = {link.key for link in scene.wiring.links if link.to == "switch"}
        for cable in scene.cables:
            spot = layout.cables[cable.key]
            if not dirty.intersects(spot.area.toAlignedRect().adjusted(-7, -4, 7, 4)):
                continue
            is_selected = self._selection in (("cable", cable.key), ("stranger", cable.key))
            draw_cable(painter, spot, cable, layout.density, is_selected=is_selected)
            if cable.key in on_switch and cable.look != "unused":
                draw_socket(painter, spot.line[-1])
        for cable in scene.cables:
            draw_hops(painter, layout.cables[cable.key], cable)

    def _draw_cards(self, painter: QPainter, dirty: QRegion) -> None:
        layout = self._layout
        for card in self._scene.cards:
            rect = layout.nodes[card.node_id]
            if dirty.intersects(rect.toAlignedRect()):
                self.painted.append(card.node_id)
                is_selected = self._selection == ("node", card.node_id)
                is_lit = card.node_id in self._lit
                self._stamps.draw(painter, rect, card, layout.density, is_selected=is_selected, is_lit=is_lit)
        for ghost in layout.ghosts:
            draw_ghost_port(painter, ghost)
        for (_, cage), (at, _side) in layout.ports.items():
            if dirty.intersects(QRect(int(at.x()) - 16, int(at.y()) - 9, 33, 19)):
                draw_port(painter, at, cage)

    def _draw_focus(self, painter: QPainter) -> None:
        if not self._is_by_key or not self.hasFocus() or self._focus is None:
            return
        rect = rect_of(self._layout, self._focus)
        if rect is not None:
            aside = 7 if self._focus[0] == "cable" else 0
            ring = rect.adjusted(-3 - aside, -3, 3 + aside, 3)
            box(painter, ring, theme.RADIUS_CARD + 2, None, pen(color("accent"), 2))

    # The mouse and the keyboard ------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        at = self._place_of(event.position())
        item = find_item(self._layout, at)
        self._focus, self._is_by_key = item or self._focus, False
        card = self._card_of(item)
        if card is not None and card.jobs and self._menu_at(card).contains(at):
            self._open_menu(card)
            return
        self.chosen.emit(*(item or NOTHING))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        item = find_item(self._layout, self._place_of(event.position()))
        if item is not None:
            self.opened.emit(*item)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        is_over = find_item(self._layout, self._place_of(event.position())) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_over else Qt.CursorShape.ArrowCursor)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self._scroll.maximum():
            self._scroll.setValue(self._scroll.value() - event.angleDelta().y())
            event.accept()
        else:
            super().wheelEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_mouse = event.reason() is QContextMenuEvent.Reason.Mouse
        item = find_item(self._layout, self._place_of(QPointF(event.pos()))) if is_mouse else self._focus
        card = self._card_of(item)
        if card is not None and card.jobs:
            self._open_menu(card, event.globalPos() if is_mouse else None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        card = self._card_of(self._focus)
        is_menu = key in (Qt.Key.Key_Menu, Qt.Key.Key_M)
        if key in _KEYS:
            self._move_focus(step_from(self._layout, self._focus, _KEYS[key]))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._focus is not None:
            is_again = self._focus == self._selection and key != Qt.Key.Key_Space
            (self.opened if is_again else self.chosen).emit(*self._focus)
        elif is_menu and card is not None and card.jobs:
            self._open_menu(card)
        elif key == Qt.Key.Key_Escape and self._selection != NOTHING:
            self.chosen.emit(*NOTHING)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _move_focus(self, item: Selection | None) -> None:
        self._focus, self._is_by_key = item, True
        if item is not None:
            self._scroll_to(item)
        self.setAccessibleDescription(self.describe(item))
        self.update()

    def _card_of(self, item: Selection | None) -> NodeCard | None:
        return self._scene.card(item[1]) if item is not None and item[0] == "node" else None

    def _menu_at(self, card: NodeCard) -> QRectF:
        return menu_rect(self._layout.nodes[card.node_id], self._layout.density)

    def _open_menu(self, card: NodeCard, at: QPoint | None = None) -> None:
        """Chat, Logs and Stop of what runs on a node; by the mouse where it is, else below the card's button."""
        spot = self._menu_at(card).bottomLeft().toPoint() - QPoint(0, self._scroll.value())
        self.menu = make_menu(self, card.jobs, self.job_action_asked.emit)
        self.menu.destroyed.connect(self._forget_menu)
        self.menu.popup(at or self.mapToGlobal(spot))

    def _forget_menu(self) -> None:
        self.menu = None

    def describe(self, item: Selection | None) -> str:
        """The whole of a node, a cable, a switch or another device in words."""
        kind, key = item or NOTHING
        scene = self._scene
        card = self._card_of(item)
        if card is not None:
            return card.sentence
        if kind == "switch":
            title = scene.switch_title(int(key) if key.isdecimal() else 0)
            return f"{title}: {scene.switch_detail}" if len(scene.switch_titles) == 1 else title
        if (kind, key) == ("stranger", "switch"):
            return "\n".join(("On the switch, no node of this cluster:", *scene.guests))
        cable = scene.cable(key) if kind in ("cable", "stranger") else None
        return cable.hint if cable else ""

    def focusInEvent(self, event: QFocusEvent) -> None:
        if self._focus is None and self._scene.cards:
            self._focus = ("node", self._scene.cards[0].node_id)
        self._is_by_key = event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            self._show_tooltip(event, QPointF(event.pos()))
            return True
        return super().event(event)

    def _show_tooltip(self, event: QHelpEvent, at: QPointF) -> None:
        item = find_item(self._layout, self._place_of(at))
        words = self.describe(item)
        card = self._card_of(item)
        if card is not None:
            hints = [f"{one.label}: {one.hint}" for one in card.figures if one.hint]
            ledger = [describe(ledger_values(card.memory))] if card.memory.total else []
            keys = ["Menu key or M: Chat, Logs, Stop"] if card.jobs else []
            words = "\n".join([words, *ledger, *hints, *keys])
        QToolTip.showText(event.globalPos(), plain_tooltip(words) if words else "", self)


def _looks(scene: Scene) -> set[Look]:
    """What the key to the lines is about: the lines that are drawn. A node alone without any cable needs none."""
    if len(scene.cards) == 1 and all(link.to == "none" for link in scene.wiring.links):
        return set()
    return {cable.look for cable in scene.cables if cable.look != "unused"}
