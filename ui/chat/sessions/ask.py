"""The questions of the list: a folder's name, tags, and whether a conversation shall be deleted.

Rule: opened with `open()`, never modal code; deleting says what is lost, and its safe answer has the focus.
"""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.text import cut, one_line
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label

_WIDTH_PX = 420


class AskWords(QDialog):
    """Asks for one line of words; `words()` gives it."""

    def __init__(self, title: str, *, label: str, text: str, hint: str, action: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(hint)
        self.setFixedWidth(_WIDTH_PX)
        self.input = TextInput(text)
        self.input.setMaxLength(1000)
        self.input.selectAll()
        self.give = Button(action, kind="primary")
        cancel = Button("Cancel")
        column = _column(self, title, hint)
        column.addWidget(Field(label, self.input))
        column.addLayout(_buttons(cancel, self.give))
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        self.give.setDefault(True)
        self.give.clicked.connect(self.accept)
        self.input.setFocus()

    def words(self) -> str:
        """What was typed, without blanks around it."""
        return " ".join(self.input.text().split())


class AskRemove(QDialog):
    """Asks whether a conversation shall be deleted; `accepted` is the dangerous answer."""

    def __init__(self, chat: str, *, parent: QWidget) -> None:
        super().__init__(parent)
        title = f"Delete “{cut(one_line(chat, 200), 60)}”?"
        loss = "Everything said in it goes from this computer, with its images and every branch. This cannot be undone."
        kept = "To keep a copy, export it first."
        self.setWindowTitle("Delete a chat")
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{loss} {kept}")
        self.setFixedWidth(_WIDTH_PX)
        self.keep = Button("Keep")
        self.remove = Button("Delete", kind="danger", icon="x")
        column = _column(self, title, f"{loss} {kept}")
        column.addLayout(_buttons(self.keep, self.remove))
        self.keep.setDefault(True)
        self.remove.setAutoDefault(False)
        self.keep.clicked.connect(self.reject)
        self.remove.clicked.connect(self.accept)
        self.keep.setFocus()


def _column(dialog: QDialog, title: str, words: str) -> QVBoxLayout:
    column = QVBoxLayout(dialog)
    column.setContentsMargins(20, 18, 20, 16)
    column.setSpacing(theme.GAP)
    column.addWidget(Label(title, "object_title", "text", is_wrapped=True))
    column.addWidget(Label(words, "body", "text2", is_wrapped=True))
    return column


def _buttons(*buttons: Button) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addStretch(1)
    for button in buttons:
        row.addWidget(button)
    return row
