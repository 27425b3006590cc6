"""The second row: the host key, how to compare it, and the decision. A changed key has no way on.

Rule: Enter never trusts (the focus is on Cancel), and a button that just came up does not take a click that was meant
for what stood there before.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QElapsedTimer, Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.cluster.enrolment import Enrolment, EnrolStage, KeyOffer
from ui.add_node.failure_part import FailurePart
from ui.add_node.model import AddNodeModel
from ui.add_node.row import RowCard
from ui.add_node.words import LONGEST_NAME, art_lines, console_command, failure, key_words, sentence
from ui.text import one_line
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.copy_field import CopyField
from ui.widgets.field import Field
from ui.widgets.label import Label

SETTLE_MS: Final = 500
TRUST: Final = "It matches: trust this key"
TRUST_ANYWAY: Final = "It matches the console: trust this key"
_LONGEST_PRINT: Final = 50
_COMPARE = (
    "Compare it on {where} itself: at its own screen and keyboard, or in a session that you trust already. "
    "This prints the same {what} there:"
)


class OfferPart(QWidget):
    """A key to compare: fingerprint, type, what speaks for it, and the command for the console."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settled = QElapsedTimer()
        self._offer = KeyOffer("", "", "")
        self._question = Label("", "strong", "text", is_wrapped=True)
        self._words = Label("", "body", "text2", is_wrapped=True)
        self.fingerprint = Label("", "mono_large", "text", is_selectable=True)
        self.copy_button = IconButton("copy", "Copy the fingerprint")
        self._type = Chip("")
        self._known_hosts = Chip("Same key in your ~/.ssh/known_hosts", "ok")
        self._known_as = Label("", "dense", "warn", is_wrapped=True)
        self.warning = Label("", "strong", "crit", is_wrapped=True, is_selectable=True)
        self._art = Label("", "mono", "text2")
        self._compare = Label("", "dense", "text2", is_wrapped=True)
        self.command = CopyField("Command for the console")
        self.cancel_button = Button("Cancel")
        self.trust_button = Button(TRUST, kind="primary")
        self._build()
        self.copy_button.clicked.connect(self._copy)

    def _build(self) -> None:
        self._art.setAccessibleName("Randomart of the fingerprint")
        self.fingerprint.setAccessibleDescription("Fingerprint of the host key")
        chips = QHBoxLayout()
        chips.setSpacing(8)
        chips.addWidget(self._type)
        chips.addWidget(self._known_hosts)
        chips.addWidget(self.copy_button)
        chips.addStretch(1)
        words = QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(self.fingerprint)
        words.addLayout(chips)
        words.addWidget(self._known_as)
        words.addStretch(1)
        well = Card(fill="sunken")
        key = QHBoxLayout(well)
        key.setContentsMargins(14, 10, 14, 10)
        key.setSpacing(12)
        key.addLayout(words, 1)
        key.addWidget(self._art, 0, Qt.AlignmentFlag.AlignTop)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.trust_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for part in (self._question, self._words, self.warning, well, self._compare, self.command):
            column.addWidget(part)
        column.addLayout(buttons)

    def show_offer(self, offer: KeyOffer, *, is_of_jump_host: bool) -> None:
        """Show another key; the same one again changes nothing."""
        if offer == self._offer and self._settled.isValid():
            return
        self._offer = offer
        self._settled.start()
        host = sentence(offer.host, LONGEST_NAME)
        where = "the jump host" if is_of_jump_host else "the Spark"
        if is_of_jump_host:
            self._question.setText(f"First the jump host: is this {host}?")
            self._words.setText("The way to the Spark leads through it. The Spark's own key comes after this one.")
        else:
            self._question.setText(f"Is this {host}?")
            self._words.setText("This computer meets it for the first time. Nothing was sent to it but the greeting.")
        if offer.known_as:
            self._words.setText("You trust this key already, under another name or address.")
        self._warn(offer)
        self.fingerprint.setText(one_line(offer.fingerprint, _LONGEST_PRINT))
        self._type.set_state(key_words(offer.key_type), icon="key")
        self._known_hosts.setVisible(offer.in_known_hosts)
        known = sentence(offer.known_as, LONGEST_NAME)
        self._known_as.setText(f"{known} has this same key: it is the same machine, or a copy of it." if known else "")
        self._known_as.setVisible(bool(known))
        art = art_lines(offer.art)
        self._art.setText(art)
        self._art.setVisible(bool(art))
        self._compare.setText(_COMPARE.format(where=where, what="text and picture" if art else "text"))
        self.command.setText(console_command(offer.key_type, has_art=bool(art)))

    def _warn(self, offer: KeyOffer) -> None:
        """Another key in the user's own list: said in full, and the button that trusts is no longer the filled one."""
        is_other = bool(offer.other_fingerprint)
        if is_other:
            self._words.setText("Nothing was sent to it but the greeting.")
            self.warning.setText(_other_words(offer))
        self.warning.setVisible(is_other)
        self.trust_button.setText(TRUST_ANYWAY if is_other else TRUST)
        self.trust_button.set_kind("danger" if is_other else "primary")
        self.trust_button.updateGeometry()

    def forget(self) -> None:
        """The decision is over: the same key shown again is a new question."""
        self._settled.invalidate()

    def is_settled(self) -> bool:
        """Whether the question stood long enough that a click can be an answer to it."""
        return self._settled.isValid() and self._settled.elapsed() >= SETTLE_MS

    def _copy(self) -> None:
        field = CopyField("fingerprint", self.fingerprint.text())
        field.copy_text()
        field.deleteLater()


def _other_words(offer: KeyOffer) -> str:
    kind, other = key_words(offer.key_type), key_words(offer.other_key_type)
    known = one_line(offer.other_fingerprint, _LONGEST_PRINT)
    if kind == other:
        return (
            f"Your own SSH knows this address by another key: ~/.ssh/known_hosts has {known}, and this one is not it. "
            "The machine was set up again, the address went to another one, or somebody stands between you and it. "
            "Trust it only if its own console prints the text below."
        )
    return (
        f"Your own SSH knows this address by a key of another kind: ~/.ssh/known_hosts has {other} {known}. That says "
        f"nothing for this {kind} key. Trust it only if its own console prints the text below."
    )


class ChangedPart(QWidget):
    """Both fingerprints, what it means, and no button but Close."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = Label("", "strong", "crit", is_wrapped=True)
        self._meaning = Label("", "body", "text2", is_wrapped=True)
        self._next = Label("", "body", "text2", is_wrapped=True)
        self.trusted = CopyField("Fingerprint trusted before")
        self.offered = CopyField("Fingerprint offered now")
        self.command = CopyField("Command for the console")
        self.close_button = Button("Close")
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self._title)
        column.addWidget(self._meaning)
        column.addWidget(Field("Trusted before", self.trusted))
        column.addWidget(Field("Offered now", self.offered))
        column.addWidget(self._next)
        column.addWidget(Field("What the Spark's own console says", self.command))
        column.addLayout(buttons)

    def show_change(self, enrolment: Enrolment) -> None:
        """Show the two keys."""
        offer = enrolment.offer or KeyOffer("", "", "")
        who = enrolment.who
        host = sentence(offer.host or (who.address if who is not None else ""), LONGEST_NAME) or "This address"
        known = sentence(enrolment.known_as, LONGEST_NAME)
        self._title.setText(f"{host} shows another host key than the one you trusted")
        as_known = f" It is known here as {known}." if known else ""
        self._meaning.setText(
            f"Refused, and nothing was sent.{as_known} Another machine answers at this address: the Spark was set up "
            "again, the address went to another one, or somebody stands between you and it."
        )
        self.trusted.setText(one_line(enrolment.trusted_fingerprint, _LONGEST_PRINT))
        self.offered.setText(one_line(offer.fingerprint, _LONGEST_PRINT))
        if known:
            self._next.setText(
                f"Was it set up again? Compare at its console, then remove {known} from SparkDesk and add it anew. "
                "This key cannot be accepted here."
            )
        else:
            self._next.setText(
                "It is no node of yours yet, so there is nothing to remove. Compare at its console which key is its "
                "own, close this and begin again: the key that it shows then is asked about anew."
            )
        self.command.setText(console_command(offer.key_type, has_art=False))


class TrustRow(RowCard):
    """Waiting for the key, the key, or the refusal."""

    def __init__(self, model: AddNodeModel, parent: QWidget | None = None) -> None:
        super().__init__(2, "Trust", "Its host key, before anything secret is sent", parent)
        self._model = model
        self._wait = Label("", "body", "text2", is_wrapped=True)
        self.wait_cancel_button = Button("Cancel")
        self._waiting = QWidget()
        wait = QHBoxLayout(self._waiting)
        wait.setContentsMargins(0, 0, 0, 0)
        wait.addWidget(self._wait, 1)
        wait.addWidget(self.wait_cancel_button)
        self.offer_part = OfferPart()
        self.changed_part = ChangedPart()
        self.failure_part = FailurePart()
        for part in (self._waiting, self.offer_part, self.changed_part, self.failure_part):
            self.body.addWidget(part)
        for button in (self.wait_cancel_button, self.offer_part.cancel_button, self.changed_part.close_button):
            button.clicked.connect(model.edit)
        self.offer_part.trust_button.clicked.connect(self._trust)
        self.failure_part.edited.connect(model.edit)
        self.failure_part.retried.connect(model.retry)

    def _trust(self) -> None:
        if self.offer_part.is_settled():
            self._model.trust()

    def show_stage(self) -> None:
        """Show where the attempt stands."""
        enrolment, stage = self._model.enrolment, self._model.stage
        has_failed = stage is EnrolStage.FAILED and self._model.row == "trust"
        self._waiting.setVisible(stage is EnrolStage.LOOKING)
        self.offer_part.setVisible(stage is EnrolStage.TRUST)
        self.changed_part.setVisible(stage is EnrolStage.CHANGED_KEY)
        self.failure_part.setVisible(has_failed)
        if stage is not EnrolStage.TRUST:
            self.offer_part.forget()
        if stage is EnrolStage.LOOKING:
            host = sentence((enrolment.who or self._model.draft).address, LONGEST_NAME)
            waiting = sentence(enrolment.message)
            self._wait.setText(waiting or f"Asking {host} for its host key. Nothing secret is sent.")
            self.show_state("busy")
        elif stage is EnrolStage.TRUST and enrolment.offer is not None:
            self.offer_part.show_offer(enrolment.offer, is_of_jump_host=self._model.is_of_jump_host)
            self.show_state("current", "you decide")
        elif stage is EnrolStage.CHANGED_KEY:
            self.changed_part.show_change(enrolment)
            self.show_state("failed", "refused")
        elif has_failed:
            self.failure_part.show_failure(*failure(enrolment))
            self.show_state("failed")
        elif self._model.row != "sign_in":
            self.show_state("todo")
        else:
            self.show_state("done", _trusted_words(enrolment, is_of_jump_host=self._model.is_of_jump_host))

    def focus_first(self) -> None:
        """Put the focus on the safe button."""
        safe = {
            EnrolStage.LOOKING: self.wait_cancel_button,
            EnrolStage.TRUST: self.offer_part.cancel_button,
            EnrolStage.CHANGED_KEY: self.changed_part.close_button,
            EnrolStage.FAILED: self.failure_part.retry_button,
        }.get(self._model.stage)
        if safe is not None:
            safe.setFocus(Qt.FocusReason.OtherFocusReason)


def _trusted_words(enrolment: Enrolment, *, is_of_jump_host: bool) -> str:
    offer = enrolment.offer
    if offer is None:
        return "the key that you trusted before"
    if is_of_jump_host:
        return f"of the jump host {one_line(offer.host, LONGEST_NAME)}; the Spark's own key comes next"
    return f"{one_line(offer.fingerprint, _LONGEST_PRINT)} · {key_words(offer.key_type)}"
