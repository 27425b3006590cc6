"""Asks for a note before a finding is accepted, and says how long that holds.

The one rule: nothing is accepted for good; what changes or gets worse comes back.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.findings.acceptance import MAX_NOTE_CHARS
from sparkdesk.core.findings.concern import Concern
from ui import theme
from ui.findings import words
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label

HOLDS = (
    "It is no longer counted or told until it changes: it comes back when the evidence is another, when it gets "
    "worse, or when you take this back."
)


class AcceptDialog(QDialog):
    """Open it with `open()`; `accepted` is the answer that accepts, `note()` what was written."""

    def __init__(self, concern: Concern, parent: QWidget) -> None:
        super().__init__(parent)
        self.finding_id = concern.id
        title = "Accept until it changes"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{words.title_of(concern)}. {HOLDS}")
        self.setFixedWidth(460)
        self.input = TextInput(placeholder="Why this is all right here")
        self.input.setMaxLength(MAX_NOTE_CHARS)
        self.cancel = Button("Cancel")
        self.give = Button("Accept", kind="primary")
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(title, "object_title", "text", is_wrapped=True))
        column.addWidget(Label(wrap_line(concern.title), "body_medium", "text", is_wrapped=True))
        column.addWidget(Label(wrap_line(concern.evidence), "dense", "text2", is_wrapped=True))
        column.addWidget(Field("Note, kept on this computer", self.input))
        column.addWidget(Label(HOLDS, "dense", "text3", is_wrapped=True))
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.give)
        column.addLayout(row)
        self.give.setDefault(True)
        self.cancel.setAutoDefault(False)
        self.cancel.clicked.connect(self.reject)
        self.give.clicked.connect(self.accept)
        self.input.setFocus()

    def note(self) -> str:
        """What was written, without blanks around it."""
        return self.input.text().strip()


def ask_note(concern: Concern, parent: QWidget, accept: Callable[[str, str], None]) -> AcceptDialog:
    """Open the question over `parent`; `accept` gets the finding's id and the note, when a person accepts it."""
    dialog = AcceptDialog(concern, parent)
    dialog.accepted.connect(lambda: accept(dialog.finding_id, dialog.note()))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog
