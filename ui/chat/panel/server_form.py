"""Where a person names a server that somebody else runs: its address and, where it wants one, a key.

The one rule: a key is never shown, not while it is typed and not again; it leaves this form by its signal alone.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from sparkdesk.core.chat.server.url import EXAMPLE
from sparkdesk.services.chat.server_link import MAX_KEY_CHARS, ServerLink
from ui.chat.panel.section import row
from ui.text import one_line
from ui.theme import Token
from ui.widgets.button import Button, IconButton
from ui.widgets.field import Field, TextInput
from ui.widgets.label import ElidedLabel, Label

_MAX_ADDRESS = 2048


class ServerForm(QWidget):
    """`asked` carries address and key; `again_asked` and `forget_asked` a remembered server's id."""

    asked = Signal(str, str)
    again_asked = Signal(str)
    forget_asked = Signal(str)
    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.address = TextInput(placeholder=EXAMPLE, is_small=True)
        self.address.setMaxLength(_MAX_ADDRESS)
        self.key = TextInput(placeholder="none", is_small=True)
        self.key.setMaxLength(MAX_KEY_CHARS)
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.address_field = Field("Address", self.address)
        self.key_field = Field("Key", self.key, hint="never shown again")
        self.connect_button = Button("Connect", is_small=True)
        self.cancel = Button("Cancel", kind="text", is_small=True)
        self.forgets: dict[str, IconButton] = {}
        self.agains: dict[str, IconButton] = {}
        self._known = QVBoxLayout()
        self._known.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.address_field)
        column.addWidget(self.key_field)
        column.addLayout(row(self.cancel, self.connect_button, stretch_after=0))
        column.addLayout(self._known)
        for part in (self.address, self.key):
            part.returnPressed.connect(self._ask)
        self.connect_button.clicked.connect(self._ask)
        self.cancel.clicked.connect(self.closed)
        self.address.textEdited.connect(lambda _: self.address_field.set_error(""))

    def begin(self) -> None:
        """Put the cursor where the address is written."""
        self.address.setFocus()

    def clear(self) -> None:
        """Forget what was typed."""
        self.address.clear()
        self.key.clear()
        self.address_field.set_error("")

    def show_known(self, links: tuple[ServerLink, ...]) -> None:
        """List the servers that are remembered, each with what is wrong with it and a way to forget it."""
        while (item := self._known.takeAt(0)) is not None:
            part = item.widget()
            if part is not None:
                part.setVisible(False)
                part.deleteLater()
        self.forgets, self.agains = {}, {}
        if links:
            self._known.addWidget(Label("Remembered", "label", "text3"))
        for link in links:
            self._known.addWidget(self._known_row(link))
            said = link.problem or link.note
            if said:
                tint: Token = "crit" if link.problem else "text3"
                self._known.addWidget(Label(one_line(said, 300), "label", tint, is_wrapped=True))

    def _known_row(self, link: ServerLink) -> QWidget:
        title = one_line(link.id, 200)
        again = IconButton("refresh-cw", f"Ask {title} for its models again", size=24)
        again.clicked.connect(lambda: self.again_asked.emit(link.id))
        forget = IconButton("x", f"Forget {title}", size=24)
        forget.clicked.connect(lambda: self.forget_asked.emit(link.id))
        self.forgets[link.id], self.agains[link.id] = forget, again
        parts: list[QWidget] = [ElidedLabel(title, "dense", "text2", mode=Qt.TextElideMode.ElideMiddle)]
        if link.has_key:
            parts.append(Label("key", "label", "text3"))
        holder = QWidget()
        line = row(*parts, again, forget, widest=0)
        line.setSpacing(4)
        holder.setLayout(line)
        return holder

    def _ask(self) -> None:
        address = self.address.text().strip()
        self.address_field.set_error("" if address else "Write the server's address first")
        if address:
            self.asked.emit(address, self.key.text().strip())
