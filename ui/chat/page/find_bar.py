"""The search in the chat that is shown: Enter goes to the next place, Shift+Enter to the one before, Esc leaves.

Rule: it searches all turns of the branch, also those that are not laid out; it says at which of how many it is.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui.text import count
from ui.widgets.button import IconButton
from ui.widgets.field import TextInput
from ui.widgets.label import Label

Find = Callable[[str], list[int]]


class FindBar(QWidget):
    """`found` carries the place of a turn and the words; -1 when nothing is sought any more."""

    found = Signal(int, str)
    left = Signal()

    def __init__(self, find: Find) -> None:
        super().__init__()
        self._find = find
        self._places: list[int] = []
        self._at = -1
        self.field = TextInput(is_small=True)
        self.field.setPlaceholderText("Find in this chat")
        self.field.setAccessibleName("Find in this chat")
        self.said = Label("", "label", "text3")
        self.back = IconButton("arrow-up", "Place before (Shift+Enter)", size=28)
        self.on = IconButton("arrow-down", "Next place (Enter)", size=28)
        self.close_button = IconButton("x", "Close the search (Esc)", size=28)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 6, 12, 6)
        row.setSpacing(6)
        row.addWidget(self.field, 1)
        row.addWidget(self.said)
        for button in (self.back, self.on, self.close_button):
            row.addWidget(button)
        self.field.setMaximumWidth(420)
        row.insertStretch(2, 1)
        self.back.clicked.connect(lambda: self.step(-1))
        self.on.clicked.connect(lambda: self.step(1))
        self.close_button.clicked.connect(self.leave)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(120)
        self._soon.timeout.connect(self.search)
        self.field.textChanged.connect(lambda _text: self._soon.start())
        self.setVisible(False)

    def begin(self) -> None:
        """Show it with the cursor in it."""
        self.setVisible(True)
        self.field.selectAll()
        self.field.setFocus()

    def leave(self) -> None:
        """Put it away."""
        if self.isVisible():
            self.setVisible(False)
            self.found.emit(-1, "")
            self.left.emit()

    def search(self) -> None:
        """Seek what is typed, from the newest turn on."""
        self._soon.stop()
        words = self.field.text()
        self._places = self._find(words)
        self._at = len(self._places) - 1
        self._tell(words)

    def step(self, by: int) -> None:
        """Go to the next place (1) or the one before (-1), round the ends."""
        if self._soon.isActive() or not self._places:
            self.search()
            return
        self._at = (self._at + by) % len(self._places)
        self._tell(self.field.text())

    def _tell(self, words: str) -> None:
        if not words.strip():
            self.said.setText("")
            self.found.emit(-1, "")
        elif not self._places:
            self.said.setText("Not in this chat")
            self.found.emit(-1, "")
        else:
            self.said.setText(f"Message {count(self._at + 1)} of {count(len(self._places))}")
            self.found.emit(self._places[self._at], words)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.step(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        elif event.key() == Qt.Key.Key_Escape:
            self.leave()
        else:
            super().keyPressEvent(event)
            return
        event.accept()
