"""The card of agents' tasks: until all are done, with its band, and a bar for each number at once.

The one rule: a bar that memory has no room for is an empty frame, never a short bar.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.planning.agent.workload import AgentPoint
from ui import text, theme
from ui.font import Role
from ui.launch.plan.agent_words import AgentWords, long_time
from ui.launch.plan.figure_pane import pale
from ui.theme import Token, color
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import box, pen, text_width, write

_HEIGHT: Final = 54
_WIDTH: Final = 190
_LABEL_HEIGHT: Final = 14
_MOST_BAR: Final = 22
_GAP: Final = 4


class TaskBars(QWidget):
    """A bar for each number at once: how long all tasks take, with the band; the workload's own in the accent."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words: AgentWords | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def show_words(self, words: AgentWords) -> None:
        """Show these points."""
        self._words = words
        said = [f"{text.count(one.concurrency)} at once: {long_time(one.total_s.value)}" for one in words.points]
        self.setAccessibleName("Time for all tasks by how many are asked at once: " + ", ".join(said))
        self.setToolTip(plain_tooltip("\n".join(said)))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        words = self._words
        if words is None or not words.points:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        step = self.width() / len(words.points)
        whole = max((one.total_s.high for one in words.points if one.total_s.is_known), default=1.0)
        for at, point in enumerate(words.points):
            width = min(step - _GAP, _MOST_BAR)
            left = at * step + (step - width) / 2
            well = QRectF(left, 2, width, self.height() - _LABEL_HEIGHT - 4)
            is_own = point.concurrency == words.chosen
            self._paint_bar(painter, well, point, whole, is_own=is_own)
            if point.concurrency == words.knee and at + 1 < len(words.points):
                painter.setPen(pen(color("text3"), dash=(2, 2)))
                painter.drawLine(QPointF((at + 1) * step, 0), QPointF((at + 1) * step, self.height() - 2))

        for at, label in label_places(words, self.width()).items():
            is_own = words.points[at].concurrency == words.chosen
            place = label.translated(0, self.height() - _LABEL_HEIGHT)
            said = text.count(words.points[at].concurrency)
            tint: Token = "text" if is_own else "text3"
            write(painter, place, said, role=_label_role(is_own=is_own), tint=tint, align=Qt.AlignmentFlag.AlignHCenter)

    @staticmethod
    def _paint_bar(painter: QPainter, well: QRectF, point: AgentPoint, whole: float, *, is_own: bool) -> None:
        if not point.total_s.is_known:
            box(painter, well, theme.RADIUS_BAR, None, pen(color("border"), dash=(2, 2)))
            return
        figure = point.total_s

        def top(time_s: float) -> float:
            return well.bottom() - well.height() * min(time_s / whole, 1.0)

        bar = QRectF(well.left(), top(figure.value), well.width(), well.bottom() - top(figure.value))
        box(painter, bar, theme.RADIUS_BAR, color("accent" if is_own else "control"))
        painter.setPen(pen(color("text2"), 1.5))
        middle = well.center().x()
        painter.drawLine(QPointF(middle, top(figure.high)), QPointF(middle, top(figure.low)))


def _label_role(*, is_own: bool) -> Role:
    return "micro" if is_own else "label"


def label_places(words: AgentWords, width: float) -> dict[int, QRectF]:
    """Where the labels stand, by the bar's number, top at 0: the workload's own, then each that touches no other."""
    step = width / max(len(words.points), 1)
    own = [at for at, point in enumerate(words.points) if point.concurrency == words.chosen]
    places: dict[int, QRectF] = {}
    for at in (*own, *(at for at in range(len(words.points)) if at not in own)):
        role = _label_role(is_own=at in own)
        needed = text_width(text.count(words.points[at].concurrency), role) + 1
        left = min(max((at + 0.5) * step - needed / 2, 0.0), max(width - needed, 0.0))
        place = QRectF(left, 0, needed, _LABEL_HEIGHT)
        if not any(place.intersects(taken.adjusted(-_GAP, 0, _GAP, 0)) for taken in places.values()):
            places[at] = place
    return places


class AgentCard(QWidget):
    """Total with its band, what is to be said of it, and the bars."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Label("", "label", "text3")
        self.total = Label("", "metric", "text")
        self.band = Label("", "label", "text2")
        self.said = Label("", "label", "text2", is_wrapped=True, is_selectable=True)
        self.said.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.bars = TaskBars()
        figures, right = QVBoxLayout(), QVBoxLayout()
        for column in (figures, right):
            column.setSpacing(2)
        for part in (self.title, self.total, self.band):
            figures.addWidget(part)
        figures.addStretch(1)
        right.addWidget(Label("Time for all, by tasks at once", "label", "text3"))
        right.addWidget(self.bars)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 16, 6)
        row.setSpacing(16)
        row.addLayout(figures)
        row.addWidget(self.said, 1)
        row.addLayout(right)

    def show_words(self, words: AgentWords | None) -> None:
        """Show a run; without one the card goes."""
        self.setVisible(words is not None)
        if words is None:
            return
        self.title.setText(f"Agents: {words.title}")
        self.total.setText(str(words.total))
        self.band.setText(words.band)
        self.said.setText(". ".join(words.lines) + ("." if words.lines else ""))
        self.bars.show_words(words)
        self.setAccessibleName(words.sentence)

    def set_stale(self, is_stale: bool) -> None:
        """Pale it because the form has moved on."""
        pale(self, is_stale=is_stale)
