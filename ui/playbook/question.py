"""What a running change may ask a person: the administrator's password, whether to go on, whether to break a lock.

The one rule: one question at a time; a password lives in memory for one run, and only where a tick that the person sees
says so is it offered to another node.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.lock import LockHolder
from ui import text, theme
from ui.bridge import Bridge, make_turns
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.toggle import CheckBox

LEASE_WORDS = "A lock that nobody renews ends by itself after a minute."
REFUSED = "Type it once more: it is not tried a third time."


class SudoDialog(QDialog):
    """Asks for the password that sudo wants. `take()` gives it once and forgets it."""

    def __init__(
        self, *, user: str, node: str, why: str, error: str = "", others: int = 0, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        title = f"Administrator password of {text.one_line(user, 40)} on {text.one_line(node, 64)}"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setFixedWidth(480)
        self.input = TextInput()
        self.input.setEchoMode(QLineEdit.EchoMode.Password)
        self.field = Field("Password for sudo", self.input)
        self.field.set_error(error)
        self.same = CheckBox("Same password on the other node" if others == 1 else "Same password on the other nodes")
        self.same.setVisible(others > 0)
        self._hint = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self._hint.hide()
        self.cancel = Button("Cancel")
        self.give = Button("Go on", kind="primary")
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(IconLabel("lock", "accenttext", size=20), 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(Label(title, "object_title", "text", is_wrapped=True), 1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.give)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(Label(wrap_line(why, 600), "body", "text2", is_wrapped=True))
        column.addWidget(self.field)
        column.addWidget(self.same)
        column.addWidget(self._hint)
        kept = "Kept in memory until this change has ended, and written nowhere. It is tried once."
        column.addWidget(Label(kept, "label", "text3", is_wrapped=True))
        column.addLayout(row)
        self.give.setDefault(True)
        self.cancel.setAutoDefault(False)
        self.cancel.clicked.connect(self.reject)
        self.give.clicked.connect(self.accept)
        self.input.setFocus()

    def show_hint(self, hint: str) -> None:
        """A sentence on where the password is found; "" for none."""
        self._hint.setText(wrap_line(hint, 400))
        self._hint.setVisible(bool(hint))

    def accept(self) -> None:
        """Go on with a password; an empty one is not tried."""
        if self.input.text():
            super().accept()
        else:
            self.field.set_error("Type the password, or cancel.")

    def take(self) -> str:
        """The password typed; the field is empty afterwards."""
        password = self.input.text()
        self.input.clear()
        return password


class LockDialog(QDialog):
    """Asks whether to break a lock; accepted is to break it. The safe answer is the default."""

    def __init__(self, holder: LockHolder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        who = text.one_line(holder.who or holder.account, 100) or "somebody"
        node = text.one_line(holder.node, 64)
        title = f"Break the lock of {who}?"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setFixedWidth(480)
        doing = text.one_line(holder.what, 200) or "not said what"
        since = f", since {text.duration(holder.held_s)}" if math.isfinite(holder.held_s) else ""
        said = f"{who} is at work on {node} now: {doing}{since}."
        account = f" It signs in there as {text.one_line(holder.account, 60)}." if holder.account else ""
        cost = "Two at once can leave the node half changed, or spoil what is measured."
        cost += " The other one stops before its next step."
        self.setAccessibleDescription(f"{said} {cost}")
        self.wait = Button("Wait")
        self.break_it = Button("Break the lock", kind="danger", icon="triangle-alert")
        self.wait.setDefault(True)
        self.break_it.setAutoDefault(False)
        self.wait.clicked.connect(self.reject)
        self.break_it.clicked.connect(self.accept)
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(IconLabel("lock", "warn", size=20), 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(Label(wrap_line(title, 200), "object_title", "text", is_wrapped=True), 1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.wait)
        row.addWidget(self.break_it)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(Label(wrap_line(said + account, 700), "body", "text2", is_wrapped=True))
        column.addWidget(Label(f"{cost} {LEASE_WORDS}", "dense", "text3", is_wrapped=True))
        column.addLayout(row)
        self.wait.setFocus()


class ConfirmDialog(QDialog):
    """Asks what a step wants confirmed; accepted is yes. The safe answer is the default."""

    def __init__(self, question: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Go on?")
        self.setAccessibleName("Go on?")
        self.setAccessibleDescription(question)
        self.setFixedWidth(480)
        self.refuse = Button("No")
        self.agree = Button("Yes, go on", kind="primary")
        self.refuse.setDefault(True)
        self.agree.setAutoDefault(False)
        self.refuse.clicked.connect(self.reject)
        self.agree.clicked.connect(self.accept)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.refuse)
        row.addWidget(self.agree)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label("A step asks before it goes on", "object_title", "text", is_wrapped=True))
        column.addWidget(Label(wrap_line(question, 600), "body", "text2", is_wrapped=True))
        column.addLayout(row)
        self.refuse.setFocus()


class Questions:
    """Asks over a window. `ask_password` and `ask_break` are what a runner takes; `forget` belongs to a run's end.

    `hint` gives a sentence on where the password is found, for pretend nodes whose password nobody chose.
    """

    def __init__(
        self, window: QWidget, nodes: Latest[tuple[NodeStatus, ...]], hint: Callable[[], str] = lambda: ""
    ) -> None:
        self._window = window
        self._nodes = nodes
        self._hint = hint
        self._turns = make_turns()
        self._shared = ""
        self._asked: set[str] = set()
        self._typed: set[str] = set()
        """Nodes for which a person was asked; the others got the password that is the same on all."""
        self.expects_same = False
        """Whether the tick for the other nodes is set beforehand: for a change of all nodes at once."""
        self._was_unticked = False
        """In this run: a person who took the tick away is not to do it at each node."""

    async def ask_password(self, node_id: str, why: str) -> str | None:
        """The password for sudo on the node, None when the person would not say. Asked again only after a refusal."""
        async with self._turns:
            was_asked, was_typed = node_id in self._asked, node_id in self._typed
            self._asked.add(node_id)
            if self._shared and not was_asked:
                return self._shared
            is_other = was_asked and not was_typed  # the common password is not that of this node
            self._typed.add(node_id)
            record = next((node.record for node in self._nodes.value if node.record.id == node_id), None)
            dialog = SudoDialog(
                user=record.user if record else "this account",
                node=record.name if record else node_id,
                why=why,
                error=REFUSED if was_asked else "",
                others=len(self._nodes.value) - 1 if record else 0,
                parent=self._window,
            )
            dialog.show_hint(self._hint())
            can_be_same = self.expects_same and not is_other and not self._was_unticked
            dialog.same.setChecked(can_be_same and not dialog.same.isHidden())
            code = await Bridge.ask(dialog)
            password = dialog.take()
            if code != QDialog.DialogCode.Accepted.value:
                return None
            if dialog.same.isChecked():
                self._shared = password
            elif can_be_same:
                self._shared, self._was_unticked = "", True
            elif not is_other:
                self._shared = ""
            return password

    async def ask_confirm(self, question: str) -> bool:
        """Whether a step may go on; anything but a clear yes is no."""
        async with self._turns:
            code = await Bridge.ask(ConfirmDialog(question, self._window))
            return code == QDialog.DialogCode.Accepted.value

    async def ask_break(self, holder: LockHolder) -> bool:
        """Whether to break the lock; anything but a clear yes is no."""
        async with self._turns:
            code = await Bridge.ask(LockDialog(holder, self._window))
            return code == QDialog.DialogCode.Accepted.value

    def forget(self) -> None:
        """The run has ended: no password is kept any longer."""
        self._shared = ""
        self._was_unticked = False
        self._asked.clear()
        self._typed.clear()
