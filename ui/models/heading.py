"""The table's heading: a title with a line below it; a node count that nobody owns is dashed, pale and called so.

The one rule: what orders the table says so with an arrow, not only by its place.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QHeaderView, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.models.cells import FIRST_COUNT, SIZE, CellsModel
from ui.models.model import BY_NAME, FASTEST, LARGEST, SMALLEST, ModelsModel
from ui.theme import color
from ui.widgets.paint import fill, pen, text_width, write

HEIGHT: Final = 40
PAD: Final = 10


class Heading(QHeaderView):
    """Own-painted; a click orders the table."""

    def __init__(self, model: ModelsModel, cells: CellsModel, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._model = model
        self._cells = cells
        self.setFixedHeight(HEIGHT)
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setMinimumSectionSize(40)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setAccessibleName("Columns")
        self.sectionClicked.connect(self._order)
        theme.notifier.changed.connect(self.viewport().update)

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    def _order(self, column: int) -> None:
        if column >= FIRST_COUNT:
            self._model.set_order(f"{FASTEST}{self._cells.count_of(column)}")
        elif column == SIZE:
            self._model.set_order(SMALLEST if self._model.order == LARGEST else LARGEST)
        elif column == 0:
            self._model.set_order("" if self._model.order == BY_NAME else BY_NAME)

    def _arrow(self, column: int) -> str:
        order = self._model.order
        if column == 0:
            return "arrow-up" if order == BY_NAME else ""
        if column == SIZE:
            return {LARGEST: "arrow-down", SMALLEST: "arrow-up"}.get(order, "")
        is_it = column >= FIRST_COUNT and order == f"{FASTEST}{self._cells.count_of(column)}"
        return "arrow-down" if is_it else ""

    def paintSection(self, painter: QPainter, rect: object, logical: int) -> None:  # noqa: N802
        area = QRectF(rect)  # type: ignore[call-overload]  # a QRect
        is_count = logical >= FIRST_COUNT
        is_owned = not is_count or self._cells.is_owned(logical)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill(painter, area, color("sunken"))
        edge = pen(color("border")) if is_owned else pen(color("control"), dash=(3, 3))
        painter.setPen(edge)
        painter.drawLine(area.bottomLeft() + QPointF(2, 0), area.bottomRight() - QPointF(2, 0))
        if not is_owned:
            painter.drawRoundedRect(area.adjusted(3, 3, -3, -4), theme.RADIUS_CHIP, theme.RADIUS_CHIP)
        title, below = self._cells.heading(logical)
        side = Qt.AlignmentFlag.AlignRight if is_count or logical == SIZE else Qt.AlignmentFlag.AlignLeft
        room = area.adjusted(PAD, 4, -PAD, 0)
        line = QRectF(room.left(), room.top(), room.width(), 17)
        write(painter, line, title, role="label_medium", tint="text" if is_owned else "text3", align=side)
        arrow = self._arrow(logical)
        if arrow:
            width = text_width(title, "label_medium")
            left = room.right() - width - 16 if side == Qt.AlignmentFlag.AlignRight else room.left() + width + 4
            draw_icon(painter, QPointF(left, line.top() + 3), arrow, "accenttext", 12)
        second = QRectF(room.left(), room.top() + 16, room.width(), 16)
        write(painter, second, below, role="label", tint="text3", align=side)
        painter.restore()
