"""The map: one own-painted widget with hit-testing, the keyboard, tooltips and a part per node for screen readers.

The one rule: only what changed is repainted, and nothing is while the widget is hidden.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QFocusEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from ui import theme
from ui.cluster.layout import EDGE, LEGEND_HEIGHT, MapLayout, Side, find_item, lay_out, step_from
from ui.cluster.model import NOTHING, Selection
from ui.cluster.paint import draw_cable, draw_legend, draw_node, draw_port, draw_socket, draw_switch
from ui.cluster.scene import Scene
from ui.theme import color
from ui.widgets.label import plain_tooltip
from ui.widgets.ledger import LedgerLegend
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
    """Shows a Scene. `chosen` carries a click, Enter or Space; `opened` a second Enter or a double click."""

    chosen = Signal(str, str)
    opened = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = Scene()
        self._layout = MapLayout("full")
        self._selection: Selection = NOTHING
        self._focus: Selection | None = None
        self._is_by_key = False
        """Whether the focus ring is wanted: it was moved by a key, not by the mouse."""
        self._regions: dict[str, NodeRegion] = {}
        self._legend = LedgerLegend("weights", "kv", "runtime", "cache", "free", parent=self)
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
        if (before.shape, before.node_ids) != (scene.shape, scene.node_ids):
            self._lay_out()
            self._name_regions()
            self.update()
            return
        for old, new in zip(before.cards, scene.cards, strict=True):
            if old != new:
                self.update(self._layout.nodes[new.node_id].toAlignedRect().adjusted(-2, -2, 2, 2))
                if old.sentence != new.sentence:
                    self._regions[new.node_id].setAccessibleDescription(new.sentence)
                if (old.look, old.mark) != (new.look, new.mark):
                    self._announce(new.node_id)
        for old_cable, new_cable in zip(before.cables, scene.cables, strict=True):
            if old_cable != new_cable:
                self.update(self._layout.cables[new_cable.key].area.toAlignedRect().adjusted(-7, -4, 7, 4))
        switch = self._layout.switch
        words = (scene.switch_title, scene.switch_detail)
        if switch is not None and words != (before.switch_title, before.switch_detail):
            self.update(switch.toAlignedRect())

    def set_selection(self, kind: str, key: str) -> None:
        """Mark a node or a cable as selected."""
        self._selection = (kind, key)
        if kind:
            self._focus = (kind, key)
        self.update()

    def _announce(self, node_id: str) -> None:
        """State changes are told to screen readers; values of every second are not."""
        region = self._regions.get(node_id)
        if region is not None and QAccessible.isActive():
            QAccessible.updateAccessibility(QAccessibleEvent(region, QAccessible.Event.DescriptionChanged))

    def _lay_out(self) -> None:
        self._layout = lay_out(self._scene.shape, self._scene.node_ids, self.width(), self.height())
        hint = self._legend.sizeHint()
        self._legend.setGeometry(int(self.width() - hint.width() - EDGE), 11, hint.width(), hint.height())
        for node_id, rect in self._layout.nodes.items():
            if node_id in self._regions:
                self._regions[node_id].setGeometry(rect.toAlignedRect())

    def _name_regions(self) -> None:
        for node_id in [known for known in self._regions if known not in self._layout.nodes]:
            self._regions.pop(node_id).deleteLater()
        for card in self._scene.cards:
            region = self._regions.get(card.node_id)
            if region is None:
                region = self._regions[card.node_id] = NodeRegion(self)
                region.show()
            region.setAccessibleName(card.name)
            region.setAccessibleDescription(card.sentence)
            region.setGeometry(self._layout.nodes[card.node_id].toAlignedRect())
        self._legend.setVisible(bool(self._scene.cards))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    # Painting ------------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        self.repaints += 1
        self.painted = []
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dirty = event.region()
        layout, scene = self._layout, self._scene
        if not scene.cards:
            return
        if dirty.intersects(QRectF(0, 0, self.width(), LEGEND_HEIGHT).toAlignedRect()):
            draw_legend(painter, EDGE, 11, self._legend.x())
        for cable in scene.cables:
            place = layout.cables[cable.key]
            if dirty.intersects(place.area.toAlignedRect().adjusted(-7, -4, 7, 4)):
                is_selected = self._selection == ("cable", cable.key)
                draw_cable(painter, place, cable, layout.density, is_selected=is_selected)
        if layout.switch is not None and dirty.intersects(layout.switch.toAlignedRect().adjusted(0, -6, 0, 6)):
            self._draw_switch(painter, layout.switch)
        for card in scene.cards:
            rect = layout.nodes[card.node_id]
            if dirty.intersects(rect.toAlignedRect()):
                self.painted.append(card.node_id)
                is_selected = self._selection == ("node", card.node_id)
                draw_node(painter, rect, card, layout.density, is_selected=is_selected)
        self._draw_focus(painter)
        for (_, cage), (at, _side) in layout.ports.items():
            if dirty.intersects(QRectF(at.x() - 16, at.y() - 9, 32, 18).toAlignedRect()):
                draw_port(painter, at, cage)

    def _draw_switch(self, painter: QPainter, rect: QRectF) -> None:
        draw_switch(painter, rect, self._scene.switch_title, self._scene.switch_detail)
        for cable in self._scene.cables:
            if cable.look != "unused" and len(cable.ends) == 1:
                draw_socket(painter, self._layout.cables[cable.key].line[-1])

    def _draw_focus(self, painter: QPainter) -> None:
        if not self._is_by_key or not self.hasFocus() or self._focus is None:
            return
        kind, key = self._focus
        rect = self._layout.nodes.get(key) if kind == "node" else None
        if kind == "cable" and key in self._layout.cables:
            rect = self._layout.cables[key].label.adjusted(-7, -3, 7, 3)
        if rect is not None:
            box(painter, rect.adjusted(-3, -3, 3, 3), theme.RADIUS_CARD + 2, None, pen(color("accent"), 2))

    # The mouse and the keyboard ------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        item = find_item(self._layout, event.position())
        self._focus, self._is_by_key = item or self._focus, False
        self.chosen.emit(*(item or NOTHING))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        item = find_item(self._layout, event.position())
        if item is not None:
            self.opened.emit(*item)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        is_over = find_item(self._layout, event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_over else Qt.CursorShape.ArrowCursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _KEYS:
            self._move_focus(step_from(self._layout, self._focus, _KEYS[key]))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._focus is not None:
            is_again = self._focus == self._selection and key != Qt.Key.Key_Space
            (self.opened if is_again else self.chosen).emit(*self._focus)
        elif key == Qt.Key.Key_Escape and self._selection != NOTHING:
            self.chosen.emit(*NOTHING)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _move_focus(self, item: Selection | None) -> None:
        self._focus, self._is_by_key = item, True
        self.setAccessibleDescription(self.describe(item))
        self.update()

    def describe(self, item: Selection | None) -> str:
        """The whole of a node or a cable in words."""
        if item is None:
            return ""
        card = self._scene.card(item[1]) if item[0] == "node" else None
        cable = self._scene.cable(item[1]) if item[0] == "cable" else None
        return card.sentence if card else cable.hint if cable else ""

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
        item = find_item(self._layout, at)
        words = self.describe(item)
        card = self._scene.card(item[1]) if item and item[0] == "node" else None
        if card is not None:
            words = "\n".join([words, *(f"{one.label}: {one.hint}" for one in card.figures if one.hint)])
        QToolTip.showText(event.globalPos(), plain_tooltip(words) if words else "", self)
