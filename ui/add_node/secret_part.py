"""A field for a password or a passphrase, with what is remembered of it and where.

Rule: the text leaves the field with the signal that carries it; nothing here keeps a secret.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from ui.widgets.button import Button, IconButton
from ui.widgets.field import Field, TextInput
from ui.widgets.field_row import field_row
from ui.widgets.label import Label
from ui.widgets.toggle import CheckBox


class SecretPart(QWidget):
    """`given` carries the text and whether to remember it. `what` is "Password" or "Passphrase"."""

    given = Signal(str, bool)
    cancelled = Signal()

    def __init__(self, what: str, action: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._what = what
        self._words = Label("", "body", "text2", is_wrapped=True)
        self._tried = Label("", "dense", "text3", is_wrapped=True)
        self.input = TextInput()
        self.input.setEchoMode(QLineEdit.EchoMode.Password)
        self.field = Field(what, self.input)
        self.eye_button = IconButton("eye", f"Show the {what.lower()}", size=32)
        self.eye_button.setCheckable(True)
        self.remember = CheckBox()
        self.for_all = CheckBox("Same password for the other nodes: try it once on each")
        self.cancel_button = Button("Cancel")
        self.give_button = Button(action, kind="primary")
        self._build()
        self.give_button.clicked.connect(self._give)
        self.input.returnPressed.connect(self._give)
        self.input.textEdited.connect(lambda: self.field.set_error(""))
        self.eye_button.toggled.connect(self._show_text)
        self.cancel_button.clicked.connect(self.cancelled)

    def _build(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.give_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._words)
        column.addWidget(self._tried)
        column.addLayout(field_row(self.field, self.eye_button, spacing=4))
        column.addWidget(self.remember)
        column.addWidget(self.for_all)
        column.addLayout(buttons)

    def show_question(self, words: str, tried: str, error: str) -> None:
        """Say whose secret is wanted, what was tried before, and why the last one was refused."""
        self._words.setText(words)
        self._tried.setText(tried)
        self._tried.setVisible(bool(tried))
        self.field.set_error(error)

    def show_memory(self, *, is_keyring_durable: bool, has_others: bool) -> None:
        """Say where it would be remembered; `has_others`: more nodes wait."""
        where = "in the system keyring" if is_keyring_durable else "until SparkDesk ends: no keyring on this computer"
        self.remember.setText(f"Remember it {where}")
        self.remember.updateGeometry()
        self.for_all.setVisible(has_others)

    def clear(self) -> None:
        """Forget what was typed and ticked."""
        self.input.clear()
        self.eye_button.setChecked(False)
        self.remember.setChecked(False)
        self.for_all.setChecked(False)

    def _show_text(self, is_shown: bool) -> None:
        self.input.setEchoMode(QLineEdit.EchoMode.Normal if is_shown else QLineEdit.EchoMode.Password)

    def _give(self) -> None:
        text = self.input.text()
        if not text:
            self.field.set_error(f"Type the {self._what.lower()}.")
            self.input.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self.input.clear()
        self.eye_button.setChecked(False)
        self.given.emit(text, self.remember.isChecked())
