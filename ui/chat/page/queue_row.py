"""The questions that wait in line, as chips over the composer.

Rule: what waits can be taken back into the composer, sent, or dropped; one that is held says that it waits for that.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.services.chat.conversation import QueuedQuestion
from ui import theme
from ui.text import count, one_line
from ui.theme import color
from ui.widgets.button import Button, IconButton
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.paint import box, pen

_MOST_SHOWN: Final = 4


class _Chip(QWidget):
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("raised"), pen(color("border")))


class QueueRow(QWidget):
    """One line for each question, the next one first."""

    edit_asked = Signal(int)
    """Put it back into the composer."""
    send_asked = Signal(int)
    drop_asked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._queued: tuple[QueuedQuestion, ...] = ()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.setAccessibleName("Questions in line")
        self.setVisible(False)

    def show_queue(self, queued: tuple[QueuedQuestion, ...]) -> None:
        """Show what waits."""
        if queued == self._queued:
            return
        self._queued = queued
        while (item := self._column.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        for place, question in enumerate(queued[:_MOST_SHOWN]):
            self._column.addWidget(self._make(place, question))
        if len(queued) > _MOST_SHOWN:
            self._column.addWidget(Label(f"and {count(len(queued) - _MOST_SHOWN)} more in line", "label", "text3"))
        self.setVisible(bool(queued))

    def text(self) -> str:
        """What waits, one line each."""
        return "\n".join(_words(question) for question in self._queued)

    def _make(self, place: int, question: QueuedQuestion) -> QWidget:
        chip = _Chip()
        row = QHBoxLayout(chip)
        row.setContentsMargins(10, 2, 4, 2)
        row.setSpacing(8)
        row.addWidget(Label("Held" if question.is_held else f"In line {place + 1}", "label_medium", "text3"))
        row.addWidget(ElidedLabel(_words(question), "dense", "text2"), 1)
        if question.is_held:
            send = Button("Send now", kind="text", icon="arrow-up", is_small=True)
            send.clicked.connect(lambda: self.send_asked.emit(place))
            row.addWidget(send)
        edit = IconButton("pencil", f"Change question {place + 1} of the line", size=24)
        drop = IconButton("x", f"Drop question {place + 1} of the line", size=24)
        edit.clicked.connect(lambda: self.edit_asked.emit(place))
        drop.clicked.connect(lambda: self.drop_asked.emit(place))
        row.addWidget(edit)
        row.addWidget(drop)
        return chip


def _words(question: QueuedQuestion) -> str:
    number = len(question.attachments)
    files = f" ({count(number)} file{'s' if number != 1 else ''})" if number else ""
    return one_line(question.text, 200) + files
