"""An answer with what it has that the first column's has not, and what it lacks.

Rule: plain text only; what differs is underlined or struck through as well as coloured, so that colour is not needed.
"""

from __future__ import annotations

from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from sparkdesk.core.chat.text_diff import Side
from ui import theme
from ui.chat.compare.model import Difference
from ui.chat.words.text_row import hard_wrapped
from ui.font import font
from ui.text import percent
from ui.theme import color
from ui.widgets.label import Label


class DiffView(QWidget):
    """One answer beside the first column's."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._difference: Difference | None = None
        self.words = Label("", "label", "text3", is_wrapped=True)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(font("body"))
        self.text.setProperty("tone", "well")
        self.text.setAccessibleName("Answer with its differences to the first model's")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.words)
        column.addWidget(self.text, 1)
        theme.notifier.changed.connect(self._fill)

    def show_difference(self, difference: Difference | None) -> None:
        """Show how the answer differs; None: it is the first one, or one of the two is missing."""
        if difference != self._difference or not self.words.text():
            self._difference = difference
            self._fill()

    def _fill(self) -> None:
        difference = self._difference
        self.text.clear()
        self.text.setVisible(difference is not None)
        if difference is None:
            self.words.setText("Both answers are needed before they can be held against each other.")
            return
        alike = percent(difference.likeness)
        self.words.setText(f"{alike} of the characters are the same. Underlined: only here. Struck: only in the first.")
        cursor = QTextCursor(self.text.document())
        for piece in difference.pieces:
            cursor.insertText(hard_wrapped(piece.text), self._look(piece.side))
        self.text.moveCursor(QTextCursor.MoveOperation.Start)

    @staticmethod
    def _look(side: Side) -> QTextCharFormat:
        look = QTextCharFormat()
        if side is Side.BOTH:
            look.setForeground(color("text2"))
        elif side is Side.RIGHT:
            look.setForeground(color("ok"))
            look.setBackground(color("oksoft"))
            look.setFontUnderline(True)
        else:
            look.setForeground(color("crit"))
            look.setBackground(color("critsoft"))
            look.setFontStrikeOut(True)
        return look
