"""The questions that wait in line, as chips over the composer.

Rule: what waits can be taken back into the composer, sent, or dropped; one that is held says that it waits for that.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt, Signal
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
    """One question. Its buttons are there from the start: what is made later comes last in the keyboard's order."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self._place = place
        self._state = Label("", "label_medium", "text3")
        self._words = ElidedLabel("", "dense", "text2")
        self.send = Button("Send now", kind="text", icon="arrow-up", is_small=True)
        self.edit = IconButton("pencil", "Change this question", size=24)
        self.drop = IconButton("x", "Drop this question", size=24)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 2, 4, 2)
        row.setSpacing(8)
        row.addWidget(self._state)
        row.addWidget(self._words, 1)
        for button in (self.send, self.edit, self.drop):
            row.addWidget(button)

    def show_question(self, question: QueuedQuestion) -> None:
        """Show it, and name each button by it."""
        words = _words(question)
        self._state.setText("Held" if question.is_held else f"In line {self._place + 1}")
        self._words.setText(words)
        self.send.setVisible(question.is_held)
        self.send.setAccessibleName(f"Send now: {words}")
        self.edit.setAccessibleName(f"Change: {words}")
        self.drop.setAccessibleName(f"Drop from the line: {words}")

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
    left = Signal()
    """The keyboard was at a question that is not in line any more."""

    def __init__(self) -> None:
        super().__init__()
        self._queued: tuple[QueuedQuestion, ...] = ()
        self.chips = [_Chip(place) for place in range(_MOST_SHOWN)]
        self._more = Label("", "label", "text3")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for place, chip in enumerate(self.chips):
            column.addWidget(chip)
            chip.send.clicked.connect(lambda _is_on=False, place=place: self.send_asked.emit(place))
            chip.edit.clicked.connect(lambda _is_on=False, place=place: self.edit_asked.emit(place))
            chip.drop.clicked.connect(lambda _is_on=False, place=place: self.drop_asked.emit(place))
        column.addWidget(self._more)
        self.setAccessibleName("Questions in line")
        self.setVisible(False)

    def show_queue(self, queued: tuple[QueuedQuestion, ...]) -> None:
        """Show what waits."""
        if queued == self._queued:
            return
        self._queued = queued
        self._keep_keyboard(len(queued))
        for place, chip in enumerate(self.chips):
            if place < len(queued):
                chip.show_question(queued[place])
            chip.setVisible(place < len(queued))
        more = len(queued) - _MOST_SHOWN
        self._more.setText(f"and {count(more)} more in line" if more > 0 else "")
        self._more.setVisible(more > 0)
        self.setVisible(bool(queued))

    def _keep_keyboard(self, number: int) -> None:
        """Go to the last question that stays before the one with the keyboard goes."""
        focused = self.window().focusWidget()
        at = next((place for place, chip in enumerate(self.chips) if chip.isAncestorOf(focused)), -1)
        if at < 0:
            return
        if number == 0:
            self.left.emit()
        elif at >= number or focused is self.chips[at].send:
            self.chips[min(at, number - 1)].drop.setFocus(Qt.FocusReason.OtherFocusReason)

    def text(self) -> str:
        """What waits, one line each."""
        return "\n".join(_words(question) for question in self._queued)


def _words(question: QueuedQuestion) -> str:
    number = len(question.attachments)
    files = f" ({count(number)} file{'s' if number != 1 else ''})" if number else ""
    return one_line(question.text, 200) + files
