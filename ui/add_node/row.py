"""One of the three rows: its mark, its title, what it came to, and its body while something is to be done in it.

Rule: a row that is not reached yet has no body, and so nothing to press: there is no next before trust.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedLayout, QVBoxLayout, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import color
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.loader import Loader
from ui.widgets.paint import box, pen, write

RowState = Literal["todo", "current", "busy", "done", "failed"]
_MARK_SIZE = 24


class _Mark(QWidget):
    """The row's number in a ring, a tick, or an octagon."""

    def __init__(self, number: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._number = number
        self._state: RowState = "todo"
        self.setFixedSize(_MARK_SIZE, _MARK_SIZE)
        theme.notifier.changed.connect(self.update)

    def set_state(self, state: RowState) -> None:
        self._state = state
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        at = QPointF((_MARK_SIZE - theme.ICON_SIZE_FEATURE) / 2, (_MARK_SIZE - theme.ICON_SIZE_FEATURE) / 2)
        if self._state == "done":
            draw_icon(painter, at, "circle-check", "ok", theme.ICON_SIZE_FEATURE)
        elif self._state == "failed":
            draw_icon(painter, at, "octagon-alert", "crit", theme.ICON_SIZE_FEATURE)
        else:
            is_current = self._state == "current"
            ring = pen(color("accent" if is_current else "control"), 2 if is_current else 1)
            rect = QRectF(1, 1, _MARK_SIZE - 2, _MARK_SIZE - 2)
            box(painter, rect, rect.height() / 2, color("accentsoft") if is_current else None, ring)
            tint: theme.Token = "accenttext" if is_current else "text3"
            middle = Qt.AlignmentFlag.AlignHCenter
            write(painter, rect, str(self._number), role="dense_strong", tint=tint, align=middle)


class RowCard(Card):
    """A card with a head; `body` is the column to fill. `side_button` stands right in the head when it has text."""

    def __init__(self, number: int, title: str, later: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._later = later
        self._is_open = False
        self._title_text = title
        self._mark = _Mark(number)
        self._loader = Loader(title, size=theme.ICON_SIZE_FEATURE)
        self._loader.set_running(False)
        self._title = Label(title, "object_title", "text3")
        self._summary = ElidedLabel(later, "dense", "text3", mode=Qt.TextElideMode.ElideMiddle)
        self.side_button = Button("", kind="text", is_small=True)
        self.side_button.setVisible(False)
        self._content = QWidget()
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(0, 0, 0, 4)
        self.body.setSpacing(10)
        marks = QStackedLayout()
        marks.addWidget(self._mark)
        marks.addWidget(self._loader)
        self._marks = marks
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addLayout(marks)
        head.addWidget(self._title)
        head.addSpacing(4)
        head.addWidget(self._summary, 1)
        head.addWidget(self.side_button)
        # A button that comes and goes must not move the rows below.
        head.addStrut(theme.CONTROL_HEIGHT_SMALL)
        column = self.column(spacing=12)
        column.addLayout(head)
        column.addWidget(self._content)
        self.show_state("todo")

    def show_state(self, state: RowState, summary: str = "", *, side: str = "", has_more: bool = False) -> None:
        """Show where the row stands; `summary` beside the title, `side` as a small button.

        `has_more`: done, and there is still something to press.
        """
        is_busy = state == "busy"
        self._marks.setCurrentIndex(1 if is_busy else 0)
        self._loader.set_running(is_busy)
        self._mark.set_state(state)
        self._title.set_tint("text3" if state == "todo" else "crit" if state == "failed" else "text")
        self._summary.setText(summary or (self._later if state == "todo" else ""))
        self._summary.set_tint("text3" if state == "todo" else "text2")
        self.side_button.setText(side)
        self.side_button.updateGeometry()
        self.side_button.setVisible(bool(side))
        self._is_open = has_more or state in ("current", "busy", "failed")
        self._content.setVisible(self._is_open)
        self.set_state("error" if state == "failed" else "normal")
        words = {"todo": "not reached", "current": "now", "busy": "working", "done": "done", "failed": "failed"}
        self.setAccessibleName(f"{self._title_text}, {words[state]}")
        self.setAccessibleDescription(summary)

    def is_open(self) -> bool:
        """Whether its body can be used."""
        return self._is_open

    def summary(self) -> str:
        """Return what stands beside the title."""
        return self._summary.text()
