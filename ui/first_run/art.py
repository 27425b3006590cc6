"""The drawing on the first page: four boxes, a switch, three cables and one still to come.

Rule: painted from tokens at any size; it says nothing that the words do not.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.theme import color
from ui.widgets.paint import box, pen

_WIDTH, _HEIGHT = 580.0, 168.0
_LEAST_HEIGHT = 72
_BEND = 8.0


class ClusterArt(QWidget):
    """As high as it is given; below 72 px it is not there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.give_height(round(_HEIGHT))
        self.setAccessibleName("Drawing of four Sparks around a switch")
        theme.notifier.changed.connect(self.update)

    def give_height(self, height: int) -> None:
        """Take at most this much; too little is nothing."""
        taken = min(height, round(_HEIGHT))
        self.setFixedHeight(taken if taken >= _LEAST_HEIGHT else 0)

    def sizeHint(self) -> QSize:
        return QSize(round(_WIDTH), self.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.height() < _LEAST_HEIGHT:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        scale = min(self.height() / _HEIGHT, self.width() / _WIDTH)
        painter.translate((self.width() - _WIDTH * scale) / 2, (self.height() - _HEIGHT * scale) / 2)
        painter.scale(scale, scale)
        live = pen(color("accent"), 3)
        painter.setBrush(color("window", 0.0))
        _draw_cable(painter, live, [(119, 28), (173, 28), (173, 78), (206, 78)])
        _draw_cable(painter, live, [(119, 140), (173, 140), (173, 90), (206, 90)])
        _draw_cable(painter, live, [(461, 28), (407, 28), (407, 78), (374, 78)])
        _draw_cable(painter, pen(color("control"), 2, dash=(3, 4)), [(461, 140), (407, 140), (407, 90), (374, 90)])
        for left, top in ((1, 1), (1, 112), (461, 1), (461, 112)):
            _draw_node(painter, QRectF(left, top, 118, 55))
        _draw_switch(painter, QRectF(206, 62, 168, 44))


def _draw_cable(painter: QPainter, stroke: QPen, points: list[tuple[float, float]]) -> None:
    """Draw a line through right-angled points with rounded bends."""
    path = QPainterPath(QPointF(*points[0]))
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        path.lineTo(_towards(corner, before))
        path.quadTo(QPointF(*corner), _towards(corner, after))
    path.lineTo(QPointF(*points[-1]))
    painter.strokePath(path, stroke)


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> QPointF:
    run_x, run_y = other[0] - corner[0], other[1] - corner[1]
    length = max(abs(run_x), abs(run_y))
    share = min(_BEND / length, 0.5) if length else 0.0
    return QPointF(corner[0] + run_x * share, corner[1] + run_y * share)


def _draw_node(painter: QPainter, rect: QRectF) -> None:
    box(painter, rect, 9, color("node"), pen(color("control")))
    painter.setPen(pen(color("border"), 0.1))
    painter.setBrush(color("control"))
    for row in range(4):
        shift = 4.0 if row % 2 else 0.0
        for column in range(10 if row % 2 else 11):
            painter.drawEllipse(QPointF(rect.left() + 15 + shift + column * 8.8, rect.top() + 15 + row * 8), 1.5, 1.5)


def _draw_switch(painter: QPainter, rect: QRectF) -> None:
    box(painter, rect, 7, color("raised"), pen(color("control")))
    for port in range(4):
        box(
            painter,
            QRectF(rect.left() + 18 + port * 36, rect.top() + 15, 24, 13),
            2.5,
            color("sunken"),
            pen(color("control")),
        )
