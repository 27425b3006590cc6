"""The live text log of the attempt: what was done and what came back, oldest first.

Rule: plain text, bounded, and reading is not disturbed: only at its end does it follow.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QGuiApplication, QTextOption
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QWidget

from ui.font import font
from ui.text import one_line
from ui.widgets.button import IconButton
from ui.widgets.card import Card
from ui.widgets.label import Label

MOST_LINES: Final = 500
_EMPTY = "Every step of the attempt is written here."


class AttemptLog(Card):
    """A panel with a title, the lines, and a button to copy them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[str, ...] = ()
        self._is_following = True
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(font("mono"))
        self.text.setProperty("tone", "well")
        self.text.setMaximumBlockCount(MOST_LINES)
        self.text.setUndoRedoEnabled(False)
        self.text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.text.setPlaceholderText(_EMPTY)
        self.text.setAccessibleName("Log of the attempt")
        # Tab leaves the log: it is read, not written.
        self.text.setTabChangesFocus(True)
        self.copy_button = IconButton("copy", "Copy the log")
        self.copy_button.clicked.connect(self.copy_lines)
        self.text.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        self.text.verticalScrollBar().rangeChanged.connect(self._on_range)
        head = QHBoxLayout()
        head.addWidget(Label("Log of this attempt", "dense_strong", "text"), 1)
        head.addWidget(self.copy_button)
        column = self.column(spacing=6)
        column.addLayout(head)
        column.addWidget(self.text, 1)

    def show_lines(self, lines: tuple[str, ...]) -> None:
        """Show these lines; what was there already is not written again."""
        if lines == self._lines:
            return
        is_longer = self._lines and lines[: len(self._lines)] == self._lines
        fresh = lines[len(self._lines) :] if is_longer else lines[-MOST_LINES:]
        self._lines = lines
        if not is_longer:
            self.text.clear()
        for line in fresh:
            self.text.appendPlainText(one_line(line, 400))

    def _on_scrolled(self, value: int) -> None:
        self._is_following = value >= self.text.verticalScrollBar().maximum()

    def _on_range(self, _least: int, most: int) -> None:
        if self._is_following:
            self.text.verticalScrollBar().setValue(most)

    def copy_lines(self) -> None:
        """Put the log on the clipboard."""
        QGuiApplication.clipboard().setText(self.text.toPlainText())
