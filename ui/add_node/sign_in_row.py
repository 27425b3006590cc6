"""The third row: signing in, a key in the password's place, who it turned out to be, and the end.

Rule: reached only after trust; what the node says of itself is plain, bounded text.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage
from ui.add_node.failure_part import FailurePart
from ui.add_node.fold import Fold
from ui.add_node.model import OPEN_CLUSTER, AddNodeModel
from ui.add_node.row import RowCard
from ui.add_node.secret_part import SecretPart
from ui.add_node.words import (
    LONGEST_DETAIL,
    LONGEST_NAME,
    LONGEST_PLAN,
    failure,
    name_of,
    node_words,
    sentence,
    tried_words,
)
from ui.text import cut
from ui.widgets.button import Button
from ui.widgets.label import Label

_KEY_WORDS = (
    "A key pair is made for this computer and this one node. Its public half is added to ~/.ssh/authorized_keys on the "
    "node; the private half stays here, in SparkDesk's own folder, and is never copied to a node. "
    "Then the password is not needed any more. Removing the node can undo it. Else the password is kept {where}."
)


class QuestionPart(QWidget):
    """A sentence, an explanation, and two answers; the one advised is filled."""

    def __init__(self, advised: str, other: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = Label("", "strong", "text", is_wrapped=True)
        self.words = Label("", "body", "text2", is_wrapped=True)
        self.error = Label("", "dense", "crit", is_wrapped=True, is_selectable=True)
        self.detail = Fold("Details")
        self.plan = Fold("What will run", height=220)
        self.advised_button = Button(advised, kind="primary")
        self.other_button = Button(other)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.other_button)
        buttons.addWidget(self.advised_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.words)
        column.addWidget(self.error)
        column.addWidget(self.detail)
        column.addWidget(self.plan)
        column.addLayout(buttons)

    def ask(self, title: str, words: str, error: str = "") -> None:
        """Show the question; `error` is what went wrong with the answer before."""
        self.error.setText(error)
        self.error.setVisible(bool(error))
        self.title.setText(title)
        self.words.setText(words)
        self.words.setVisible(bool(words))


class SignInRow(RowCard):
    """`cluster_wanted`: done, show the cluster. `more_wanted`: done, add another one."""

    cluster_wanted = Signal()
    more_wanted = Signal()

    def __init__(self, model: AddNodeModel, parent: QWidget | None = None) -> None:
        super().__init__(3, "Sign in", "After you trust the key", parent)
        self._model = model
        self._wait = Label("", "body", "text2", is_wrapped=True)
        self.wait_cancel_button = Button("Cancel")
        self._waiting = QWidget()
        self.password_part = SecretPart("Password", "Sign in")
        self.passphrase_part = SecretPart("Passphrase", "Unlock")
        self.key_part = QuestionPart("Set up a key for me", "Keep using the password")
        self.same_part = QuestionPart("It is the same machine", "It is another one")
        self.done_part = QuestionPart(OPEN_CLUSTER, "Add another")
        self.failure_part = FailurePart()
        self._build()
        self._wire()

    def _build(self) -> None:
        wait = QHBoxLayout(self._waiting)
        wait.setContentsMargins(0, 0, 0, 0)
        wait.addWidget(self._wait, 1)
        wait.addWidget(self.wait_cancel_button)
        for part in self._parts():
            self.body.addWidget(part)

    def _parts(self) -> tuple[QWidget, ...]:
        return (
            self._waiting,
            self.password_part,
            self.passphrase_part,
            self.key_part,
            self.same_part,
            self.done_part,
            self.failure_part,
        )

    def _wire(self) -> None:
        model = self._model
        self.wait_cancel_button.clicked.connect(model.edit)
        self.password_part.given.connect(self._give_password)
        self.passphrase_part.given.connect(lambda text, is_kept: model.give_passphrase(text, remember=is_kept))
        for part in (self.password_part, self.passphrase_part):
            part.cancelled.connect(model.edit)
        self.key_part.advised_button.clicked.connect(model.set_up_key)
        self.key_part.other_button.clicked.connect(model.keep_password)
        self.same_part.advised_button.clicked.connect(lambda: model.take_same(is_same=True))
        self.same_part.other_button.clicked.connect(lambda: model.take_same(is_same=False))
        self.done_part.advised_button.clicked.connect(self._go_on)
        self.done_part.other_button.clicked.connect(self._go_aside)
        self.failure_part.edited.connect(model.edit)
        self.failure_part.retried.connect(model.retry)

    def _give_password(self, password: str, is_remembered: bool) -> None:
        is_for_all = self.password_part.for_all.isChecked()
        self._model.give_password(password, remember=is_remembered, is_for_all=is_for_all)

    def _go_on(self) -> None:
        if self._model.queue:
            self._model.take_next()
        else:
            self.cluster_wanted.emit()

    def _go_aside(self) -> None:
        if self._model.queue:
            self.cluster_wanted.emit()
        else:
            self.more_wanted.emit()

    def _shown_part(self) -> QWidget | None:
        stage = self._model.stage
        if self._model.row != "sign_in":
            return None
        if stage is EnrolStage.DONE:
            return self.done_part
        if self._model.enrolment.can_set_up_key and stage in (EnrolStage.SIGNING_IN, EnrolStage.IDENTIFYING):
            return self.key_part
        parts: dict[EnrolStage, QWidget] = {
            EnrolStage.NEEDS_PASSWORD: self.password_part,
            EnrolStage.NEEDS_PASSPHRASE: self.passphrase_part,
            EnrolStage.SAME_NODE: self.same_part,
            EnrolStage.FAILED: self.failure_part,
        }
        return parts.get(stage, self._waiting)

    def show_stage(self) -> None:
        """Show where the attempt stands."""
        shown = self._shown_part()
        for part in self._parts():
            part.setVisible(part is shown)
        if shown is not self.password_part:
            self.password_part.clear()
        if shown is not self.passphrase_part:
            self.passphrase_part.clear()
        if shown is None:
            self.show_state("todo")
            return
        self._fill_parts()
        if shown is self.done_part:
            self.show_state("done", "added", has_more=True)
        elif shown is self.failure_part:
            self.show_state("failed")
        elif shown is self._waiting:
            self.show_state("busy")
        else:
            self.show_state("current", "you decide" if shown in (self.same_part, self.key_part) else "")

    def _fill_parts(self) -> None:
        enrolment = self._model.enrolment
        who = enrolment.who or self._model.draft
        host, user = sentence(who.address, LONGEST_NAME), sentence(who.user, 64)
        tried = tried_words(enrolment.tried)
        error = sentence(enrolment.message)
        if self._model.has_tried_shared and error:
            error = f"The password of the node before: {error}"
        self._wait.setText(_waiting_words(enrolment.stage, host, user))
        goal = "It goes only to the holder of the key that you trusted."
        whose = sentence(enrolment.asked_for) if enrolment.asked_for else f"{user} on {host}"
        self.password_part.show_question(f"The password of {whose}. {goal}", tried, error)
        self.password_part.show_memory(
            is_keyring_durable=self._model.is_keyring_durable,
            has_others=bool(self._model.queue) and not enrolment.asked_for,
        )
        path = sentence(who.key_path, 200)
        locked = f"The key {path} is locked." if path else "Your key is locked."
        self.passphrase_part.show_question(f"{locked} Its passphrase stays on this computer.", tried, error)
        self.passphrase_part.show_memory(is_keyring_durable=self._model.is_keyring_durable, has_others=False)
        remedy = sentence(enrolment.remedy)
        where = "in the system keyring" if self._model.is_keyring_durable else "until SparkDesk ends"
        failed = " ".join(part for part in (f"{error.rstrip('.')}." if error else "", remedy) if part)
        title = f"Signed in to {host}. Set up a key, so that no password is needed?"
        self.key_part.ask(title, _KEY_WORDS.format(where=where), failed)
        self.key_part.plan.show_text(enrolment.key_plan[:LONGEST_PLAN])
        self.key_part.detail.show_text(enrolment.detail[:LONGEST_DETAIL])
        known = sentence(enrolment.known_as, LONGEST_NAME) or "a node of yours"
        same = "One machine with two addresses, or a copy of its disk: only you can tell."
        self.same_part.ask(error or f"Is this {known}, at another address?", remedy or same)
        self.failure_part.show_failure(*failure(enrolment))
        self._fill_end(enrolment, host)

    def _fill_end(self, enrolment: Enrolment, host: str) -> None:
        status = self._model.added_node()
        name = sentence(status.record.name, LONGEST_NAME) if status is not None else host
        waiting = self._model.queue
        self.done_part.ask(sentence(enrolment.message) or f"{name} is added", node_words(status))
        end = self._model.end_words
        self.done_part.advised_button.setText(f"Next: {cut(name_of(waiting[0]), 32)}" if waiting else end)
        self.done_part.other_button.setText(end if waiting else "Add another")
        for button in (self.done_part.advised_button, self.done_part.other_button):
            button.updateGeometry()

    def focus_first(self) -> None:
        """Put the focus where the answer is expected; with a question about identity, on the safe answer."""
        places: dict[QWidget, QWidget] = {
            self._waiting: self.wait_cancel_button,
            self.password_part: self.password_part.input,
            self.passphrase_part: self.passphrase_part.input,
            self.key_part: self.key_part.advised_button,
            self.same_part: self.same_part.other_button,
            self.done_part: self.done_part.advised_button,
            self.failure_part: self.failure_part.retry_button,
        }
        shown = self._shown_part()
        if shown is not None:
            places[shown].setFocus(Qt.FocusReason.OtherFocusReason)


def _waiting_words(stage: EnrolStage, host: str, user: str) -> str:
    if stage is EnrolStage.IDENTIFYING:
        return f"Signed in. Reading who {host} is; nothing is changed on it."
    if stage is EnrolStage.SETTING_UP_KEY:
        return f"Setting up a key on {host}."
    return f"Signing in to {host} as {user}."
