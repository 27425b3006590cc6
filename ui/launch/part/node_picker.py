"""The nodes to choose from, as cards with what is free on each.

The one rule: a node that the plan does not use but the table may is told apart from one that is not chosen.
"""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from sparkdesk.core.jobs.backend import NodeContext
from ui import text, theme
from ui.icon import draw_icon
from ui.theme import color
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import box, pen, text_width, write

_KEPT = "the table still counts on it. Click to use it."
_SPARE = f"Not used by this plan; {_KEPT}"


class NodeChip(QToolButton):
    """One node to choose, with its free memory."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.node_id = ""
        self._free = text.NOT_KNOWN
        self._is_spare = False
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.notifier.changed.connect(self.update)

    def show_node(self, context: NodeContext, *, is_chosen: bool, is_spare: bool) -> None:
        """Show a node; `is_spare`: the table may use it and the plan does not."""
        self.node_id = context.record.id
        self._is_spare = is_spare and not is_chosen
        free = text.memory(context.mem_available_bytes)
        self._free = f"{free} free" if free.unit else "free n/a"
        self.setText(text.one_line(context.record.name, 40))
        self.setChecked(is_chosen)
        self.setAccessibleName(f"{self.text()}, {self._free}")
        self.setAccessibleDescription(_SPARE if self._is_spare else "")
        self.setToolTip(plain_tooltip(_SPARE) if self._is_spare else "")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(text_width(self.text(), "dense_strong")) + 42, 44)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self.isChecked():
            box(painter, rect, theme.RADIUS_CONTROL, color("accentsoft"), pen(color("accent")))
        else:
            edge = color("control") if self.underMouse() or self.hasFocus() else color("border")
            dash = (4.0, 3.0) if self._is_spare else ()
            line = pen(color("accent"), dash=dash) if self._is_spare else pen(edge)
            box(painter, rect, theme.RADIUS_CONTROL, color("raised"), line)
        if self.hasFocus():
            box(painter, rect, theme.RADIUS_CONTROL, None, pen(color("accent"), 2))
        left = 10.0
        if self.isChecked():
            draw_icon(painter, QPointF(left, 7), "check", "accenttext", 14)
            left += 19
        write(painter, QRectF(left, 5, self.width(), 18), self.text(), role="dense_strong", tint="text")
        write(painter, QRectF(left, 23, self.width(), 16), self._free, role="label", tint="text3")


class NodePicker(QWidget):
    """The cards of all live nodes, two beside each other."""

    toggled = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips: list[NodeChip] = []
        self._none = Label("No node is live. The plan needs one.", "dense", "text3", is_wrapped=True)
        self.spare = Label("", "label", "text3", is_wrapped=True)
        self.spare.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self._grid = QGridLayout()
        column.addLayout(self._grid)
        column.addWidget(self.spare)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        self._grid.addWidget(self._none, 0, 0, 1, 2)

    def show_nodes(self, contexts: tuple[NodeContext, ...], chosen: Collection[str], pool: Collection[str]) -> None:
        """Show these nodes; those in `pool` are the table's."""
        while len(self.chips) < len(contexts):
            chip = NodeChip()
            chip.clicked.connect(lambda _on=False, chip=chip: self.toggled.emit(chip.node_id))
            at = len(self.chips)
            self._grid.addWidget(chip, 1 + at // 2, at % 2)
            self.chips.append(chip)
        for chip, context in zip(self.chips, contexts, strict=False):
            node_id = context.record.id
            chip.show_node(context, is_chosen=node_id in chosen, is_spare=node_id in pool)
        for i, chip in enumerate(self.chips):
            chip.setVisible(i < len(contexts))
        self._none.setVisible(not contexts)
        spare = sum(c.record.id in pool and c.record.id not in chosen for c in contexts)
        self.spare.setVisible(spare > 0)
        self.spare.setText(f"Dashed: {'' if spare == 1 else f'{spare} '}not used by this plan; {_KEPT}")
