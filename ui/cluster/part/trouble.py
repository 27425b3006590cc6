"""Why a node is not live, and what can be done about it now.

The one rule: there is no button here that accepts a changed host key, and a password is handed on and forgotten.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sparkdesk.core.cluster.node import NodeState, NodeStatus
from ui import text
from ui.widgets.button import Button
from ui.widgets.code_view import CodeView
from ui.widgets.field import TextInput
from ui.widgets.label import Label


class TroublePanel(QWidget):
    """Why a node is not live: message, remedy, the last lines of the attempt, and what can be done about it."""

    sign_in_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = Label("", "body_medium", "text", is_wrapped=True, is_selectable=True)
        self._remedy = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.reconnect = Button("Reconnect", icon="refresh-cw")
        self.wake = Button("Wake", icon="play")
        self.compare = Button("Compare keys", icon="key")
        self.compare.clicked.connect(self._toggle_detail)
        self.add_again = Button("Add it again", icon="plus")
        self.add_again.setToolTip("With a password: then a new key can be set up for it. It stays the same node.")
        self._detail = CodeView("both host keys", wrap=QTextOption.WrapMode.WrapAnywhere)
        self._detail.setFixedHeight(132)
        self._detail.setVisible(False)
        self.password = TextInput(placeholder="Password on the node")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setAccessibleName("Password on the node")
        self.sign_in = Button("Sign in", icon="lock")
        self.sign_in.clicked.connect(self._give_password)
        self.password.returnPressed.connect(self._give_password)
        self._log = CodeView(
            "the connection log", wrap=QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere, shows_end=True
        )
        self._log.setFixedHeight(180)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._message)
        column.addWidget(self._remedy)
        row = QHBoxLayout()
        row.setSpacing(8)
        for part in (self.wake, self.reconnect, self.compare, self.add_again):
            row.addWidget(part)
        row.addStretch(1)
        column.addLayout(row)
        column.addWidget(self._detail)
        secret = QHBoxLayout()
        secret.addWidget(self.password, 1)
        secret.addWidget(self.sign_in)
        column.addLayout(secret)
        column.addWidget(self._log)

    def show_status(self, status: NodeStatus) -> None:
        """Show a node that is not live."""
        state = status.state
        message = text.one_line(status.message, 600) or f"{state.words}."
        self._message.setText(message)
        self._remedy.setText(text.one_line(status.remedy, 600))
        self._remedy.setVisible(bool(status.remedy))
        self.reconnect.setText("Connect" if state is NodeState.IDLE else "Reconnect")
        self.reconnect.setVisible(state not in (NodeState.CONNECTING, NodeState.IDENTITY_CHANGED))
        self.wake.setVisible(state in (NodeState.ASLEEP, NodeState.UNREACHABLE))
        has_keys = state is NodeState.IDENTITY_CHANGED
        self.compare.setVisible(has_keys)
        self._detail.set_pages([("keys", "Host keys", status.detail or "No detail was recorded.")] if has_keys else [])
        if not has_keys:
            self._detail.setVisible(False)
        is_refused = state is NodeState.REFUSED
        self.password.setVisible(is_refused)
        self.sign_in.setVisible(is_refused)
        self.add_again.setVisible(is_refused)
        self._log.setVisible(bool(status.log))
        self._log.set_pages([("log", "Connection log", "\n".join(text.one_line(line, 300) for line in status.log))])

    def keys_text(self) -> str:
        """Both host keys as they are shown."""
        return self._detail.text()

    def log_text(self) -> str:
        """The lines of the last attempt as they are shown."""
        return self._log.text()

    def _toggle_detail(self) -> None:
        self._detail.setVisible(not self._detail.isVisible())
        self.compare.setText("Hide keys" if self._detail.isVisible() else "Compare keys")

    def _give_password(self) -> None:
        word = self.password.text()
        # Not kept in the widget a moment longer than needed.
        self.password.clear()
        if word:
            self.sign_in_asked.emit(word)
