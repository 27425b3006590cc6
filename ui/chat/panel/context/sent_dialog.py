"""What went to the server in place of messages that no longer fitted, to be read.

The one rule: all of it is plain text; nothing here changes the chat, from which nothing was deleted.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QVBoxLayout, QWidget

from ui import theme
from ui.chat.panel.section import row
from ui.font import font
from ui.widgets.button import Button
from ui.widgets.label import Label


class SentDialog(QDialog):
    """Beside the chat, not over it."""

    def __init__(self, words: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("What was sent")
        self.setAccessibleName("What was sent in place of older messages")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(600, 520)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(font("dense"))
        self.text.setAccessibleName("What was sent, and what was not")
        self.text.setPlainText(text)
        close = Button("Close", kind="primary")
        close.clicked.connect(self.accept)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(words, "object_title", "text", is_wrapped=True))
        column.addWidget(Label("Nothing of the chat itself was deleted.", "dense", "text2"))
        column.addWidget(self.text, 1)
        column.addLayout(row(close, stretch_after=0))
