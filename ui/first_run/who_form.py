"""The form that says who is to be added: address, user, sign-in, and folded away port and jump host.

Rule: what the address says (user@host:port) wins over the other fields; an error lands at its field, before anything
is asked of a network.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.enrolment import Who, read_place
from sparkdesk.core.cluster.node import SignIn
from ui.first_run.address import read_address, user_problem
from ui.text import one_line
from ui.widgets.button import Button
from ui.widgets.field import Field, NumberInput, Select, TextInput
from ui.widgets.field_row import field_row

SSH_PORT = 22
_OPTIONS = [
    (SignIn.AUTOMATIC.value, "Automatic"),
    (SignIn.AGENT.value, "SSH agent"),
    (SignIn.KEY.value, "Key file"),
    (SignIn.PASSWORD.value, "Password"),
]
_FOLDED, _UNFOLDED = "Other port, jump host", "Fewer options"


class WhoForm(QWidget):
    """`submitted`: Enter in a field. `key_file_wanted` carries `set_key_path`, to be called with the path chosen."""

    submitted = Signal()
    key_file_wanted = Signal(object)

    def __init__(self, user: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._candidate_id = ""
        self.address = TextInput(placeholder="spark-5c2d.local or 10.0.20.31")
        self.user = TextInput(user)
        self.sign_in = Select()
        self.key_path = TextInput(placeholder="~/.ssh/id_ed25519")
        self.key_button = Button("Choose...")
        self.fold_button = Button(_FOLDED, kind="link", icon="chevron-right")
        self.port = NumberInput(1, 65535, SSH_PORT)
        self.jump = TextInput(placeholder="user@jump.example:22")
        self._address_field = Field("Address", self.address)
        self._user_field = Field("User", self.user)
        self._key_field = Field("Key file on this computer", self.key_path)
        self._port_field = Field("Port", self.port)
        self._jump_field = Field("Jump host", self.jump)
        self._key_row = QWidget()
        self._fold = QWidget()
        self._build()
        self._wire()

    def _build(self) -> None:
        self.sign_in.set_options(_OPTIONS)
        self.sign_in.setToolTip("Automatic tries a key made for this node, the SSH agent and your own keys, then asks")
        self.port.setGroupSeparatorShown(False)
        self.port.setFixedWidth(76)
        self.fold_button.setAccessibleName(_FOLDED)
        sign_in_row = _row(self._user_field, Field("Sign in with", self.sign_in))
        self._key_row.setLayout(field_row(self._key_field, self.key_button))
        fold = QHBoxLayout(self._fold)
        fold.setContentsMargins(0, 0, 0, 0)
        fold.setSpacing(8)
        fold.addWidget(self._port_field)
        fold.addWidget(self._jump_field, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(9)
        column.addWidget(self._address_field)
        column.addLayout(sign_in_row)
        column.addWidget(self._key_row)
        column.addWidget(self.fold_button)
        column.addWidget(self._fold)
        self._key_row.setVisible(False)
        self._fold.setVisible(False)

    def _wire(self) -> None:
        for part in (self.address, self.user, self.key_path, self.jump):
            part.returnPressed.connect(self.submitted)
        fields = (self._address_field, self._user_field, self._key_field, self._jump_field)
        for part, field in zip((self.address, self.user, self.key_path, self.jump), fields, strict=True):
            part.textEdited.connect(lambda _text, field=field: field.set_error(""))
        self.address.textEdited.connect(self._forget_candidate)
        self.sign_in.currentIndexChanged.connect(self._show_key_row)
        self.key_button.clicked.connect(lambda: self.key_file_wanted.emit(self.set_key_path))
        self.fold_button.clicked.connect(lambda: self.set_unfolded(is_unfolded=self._fold.isHidden()))

    def _forget_candidate(self) -> None:
        """Another address is another machine: what was known of the candidate does not hold for it."""
        self._candidate_id = ""
        self.set_fixed_way("")

    def _show_key_row(self) -> None:
        self._key_row.setVisible(self.sign_in.key() == SignIn.KEY)

    def set_unfolded(self, *, is_unfolded: bool) -> None:
        """Show or fold away port and jump host."""
        self._fold.setVisible(is_unfolded)
        self.fold_button.setText(_UNFOLDED if is_unfolded else _FOLDED)
        self.fold_button.set_icon("chevron-down" if is_unfolded else "chevron-right")
        self.fold_button.setAccessibleName(self.fold_button.text())

    def set_key_path(self, path: str) -> None:
        """Take the key file that was chosen in a dialog."""
        if path:
            self.key_path.setText(path)
            self._key_field.set_error("")

    def set_fixed_way(self, words: str) -> None:
        """The way leads through a machine that is known already, which is not typed here; "" frees the field."""
        self.jump.setEnabled(not words)
        self.jump.setPlaceholderText(words or "user@jump.example:22")

    def fill(self, who: Who) -> None:
        """Show this draft."""
        self._candidate_id = who.candidate_id
        self.address.setText(one_line(who.address, 253))
        self.user.setText(one_line(who.user, 64))
        self.sign_in.set_key(who.sign_in.value)
        self.key_path.setText(who.key_path)
        self.port.setValue(who.port)
        self.jump.setText(one_line(who.jump, 320))
        for field in (self._address_field, self._user_field, self._key_field, self._jump_field):
            field.set_error("")
        self.set_unfolded(is_unfolded=who.port != SSH_PORT or bool(who.jump))

    def draft(self) -> Who:
        """What is typed, right or wrong."""
        return Who(
            address=self.address.text().strip(),
            port=self.port.value(),
            user=self.user.text().strip(),
            sign_in=SignIn(self.sign_in.key() or SignIn.AUTOMATIC),
            key_path=self.key_path.text().strip(),
            jump=self.jump.text().strip(),
            candidate_id=self._candidate_id,
        )

    def read(self) -> Who | None:
        """What is typed; None when something is wrong, which then stands at its field, with the focus in it."""
        draft = self.draft()
        try:
            address = read_address(draft.address)
        except ValueError as error:
            return self._refuse(self._address_field, str(error))
        user = address.user or draft.user
        if user_problem(user):
            return self._refuse(self._user_field, user_problem(user))
        if draft.sign_in is SignIn.KEY and not draft.key_path:
            return self._refuse(self._key_field, "Choose the private key, or sign in another way.")
        if draft.jump and read_place(draft.jump, user=user) is None:
            self.set_unfolded(is_unfolded=True)
            return self._refuse(self._jump_field, "Write the jump host as [user@]host[:port].")
        is_key = draft.sign_in is SignIn.KEY
        who = Who(
            address=address.host,
            port=address.port or draft.port,
            user=user,
            sign_in=draft.sign_in,
            key_path=draft.key_path if is_key else "",
            jump=draft.jump,
            candidate_id=draft.candidate_id,
        )
        return self._refuse(self._address_field, who.problem()) if who.problem() else who

    def _refuse(self, field: Field, reason: str) -> Who | None:
        for each in (self._address_field, self._user_field, self._key_field, self._jump_field):
            each.set_error(reason if each is field else "")
        field.editor.setFocus(Qt.FocusReason.OtherFocusReason)
        return None


def _row(*fields: Field) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    for field in fields:
        row.addWidget(field, 1)
    return row
