"""Two steps before the first login: compare the host key, then sign in.

Rule: no password field before the key is trusted, and a key that changed can only be refused.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QStackedLayout, QVBoxLayout, QWidget

from ui.first_run.model import Trust
from ui.text import one_line
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.copy_field import CopyField
from ui.widgets.field import Field, TextInput
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.loader import Loader

# What a person types at the Spark itself, or reads from its screen.
CONSOLE_COMMAND = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
_WIDTH = 520


class TrustPanel(QWidget):
    """Shows one `Trust`. Which buttons exist follows from its stage alone."""

    trusted = Signal()
    signed_in = Signal(str)
    retried = Signal()
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._trust = Trust()
        self._mark = IconLabel("key", "accenttext", size=20)
        self._turning = Loader("Connecting", size=20)
        self._title = Label("", "object_title", "text", is_wrapped=True)
        self._words = Label("", "body", "text2", is_wrapped=True)
        self._offered = CopyField("Fingerprint of the key offered")
        self._pinned = CopyField("Fingerprint that was pinned")
        self._command = CopyField("Command for the console")
        self._password = TextInput()
        self._password.setEchoMode(QLineEdit.EchoMode.Password)
        self._password_field = Field("Password", self._password)
        self._offered_field = Field("Fingerprint offered now", self._offered)
        self._pinned_field = Field("Fingerprint pinned before", self._pinned)
        self._command_field = Field("Compare it with what this prints on the Spark's own console", self._command)
        self._detail = Label("", "mono", "text3", is_wrapped=True, is_selectable=True)
        self.cancel_button = Button("Cancel")
        self.trust_button = Button("Trust and connect", kind="primary")
        self.sign_in_button = Button("Sign in", kind="primary")
        self.retry_button = Button("Try again", kind="primary")
        self._build()
        self._wire()
        self.show_trust(Trust())

    def _build(self) -> None:
        self._command.setText(CONSOLE_COMMAND)
        marks = QStackedLayout()
        marks.addWidget(self._mark)
        marks.addWidget(self._turning)
        self._marks = marks
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addLayout(marks)
        head.setAlignment(marks, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._title, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for button in (self.cancel_button, self.retry_button, self.sign_in_button, self.trust_button):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 18)
        column.setSpacing(12)
        column.addLayout(head)
        column.addWidget(self._words)
        for part in (self._pinned_field, self._offered_field, self._command_field, self._password_field, self._detail):
            column.addWidget(part)
        column.addSpacing(4)
        column.addLayout(buttons)

    def _wire(self) -> None:
        self.cancel_button.clicked.connect(self.cancelled)
        self.trust_button.clicked.connect(self.trusted)
        self.retry_button.clicked.connect(self.retried)
        self.sign_in_button.clicked.connect(self._sign_in)
        self._password.returnPressed.connect(self._sign_in)

    def trust(self) -> Trust:
        """Return what is shown."""
        return self._trust

    def show_trust(self, trust: Trust) -> None:
        """Show another stage."""
        if trust.stage != "signing_in":
            self._password.clear()
        self._trust = trust
        stage = trust.stage
        title, words = _sentences(trust)
        self._title.setText(title)
        self._words.setText(words)
        self._words.setVisible(bool(words))
        self._marks.setCurrentIndex(1 if stage in ("checking", "signing_in") else 0)
        icon, tint = _mark_of(trust)
        self._mark.set_icon(icon, tint)
        self._offered.setText(one_line(trust.fingerprint, 120))
        self._pinned.setText(one_line(trust.pinned_fingerprint, 120))
        self._password_field.set_error(trust.error)
        self._detail.setText(trust.detail[:2000])
        self._offered_field.setVisible(stage in ("unknown_key", "changed_key"))
        self._pinned_field.setVisible(stage == "changed_key")
        self._command_field.setVisible(stage in ("unknown_key", "changed_key"))
        self._password_field.setVisible(stage in ("password", "signing_in"))
        self._password.setEnabled(stage == "password")
        self._detail.setVisible(stage == "failed" and bool(trust.detail))
        self.trust_button.setVisible(stage == "unknown_key")
        self.retry_button.setVisible(stage == "failed")
        self.sign_in_button.setVisible(stage in ("password", "signing_in"))
        self.sign_in_button.set_busy(stage == "signing_in")
        self.cancel_button.setText("Close" if stage in ("changed_key", "failed") else "Cancel")
        self.cancel_button.updateGeometry()
        self._focus_first(stage)

    def _focus_first(self, stage: str) -> None:
        # The safe button first: Enter must never trust a key that nobody has compared.
        if stage == "password":
            self._password.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.cancel_button.setFocus(Qt.FocusReason.OtherFocusReason)

    def _sign_in(self) -> None:
        if self._trust.stage != "password":
            return
        if not self._password.text():
            self._password_field.set_error("Type the password of this user on the Spark.")
            return
        self.signed_in.emit(self._password.text())


def _sentences(trust: Trust) -> tuple[str, str]:
    host = one_line(trust.host, 120)
    place = f"{host}, port {trust.port}" if trust.port != 22 else host
    user = one_line(trust.user, 80)
    if trust.stage == "checking":
        return f"Asking {place} for its host key", "Nothing is sent but the greeting."
    if trust.stage == "unknown_key":
        return f"Is this {host}?", "SparkDesk has not seen this host before. It signs in only after you say yes."
    if trust.stage == "changed_key":
        title = f"{host} shows another host key than before"
        reset = "Was the Spark set up again? Then remove the node from SparkDesk and add it anew, after comparing."
        return title, f"Refused, and nothing was sent. Somebody may stand between you and the Spark. {reset}"
    if trust.stage in ("password", "signing_in"):
        words = "It goes to the host whose key you have just trusted, and to nobody else."
        return f"Sign in to {host} as {user}", words
    if trust.stage == "failed":
        return one_line(trust.message, 300), trust.remedy
    return "", ""


def _mark_of(trust: Trust) -> tuple[str, Token]:
    if trust.stage in ("changed_key", "failed"):
        return "octagon-alert", "crit"
    return ("lock", "accenttext") if trust.stage in ("password", "signing_in") else ("key", "accenttext")


class TrustDialog(QDialog):
    """The panel over the window. Opened with `open()`, never with `exec()`; Esc and closing mean cancel."""

    cancelled = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setWindowTitle("Add a node")
        self.setFixedWidth(_WIDTH)
        self.panel = TrustPanel()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.panel.cancelled.connect(self._cancel)

    def show_trust(self, trust: Trust) -> None:
        """Show a stage; the stage "none" closes the dialog."""
        self.panel.show_trust(trust)
        if trust.stage == "none":
            self.hide()
        elif not self.isVisible():
            self.open()

    def _cancel(self) -> None:
        self.hide()
        self.cancelled.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._cancel()
            return
        super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        event.ignore()
        self._cancel()

    def event(self, event: QEvent) -> bool:
        # Wrapped words change their height with the stage; the dialog follows.
        is_done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self.resize(_WIDTH, max(self.heightForWidth(_WIDTH), 1))
        return is_done
