"""The first page: three ways to begin.

Rule: what does not work yet says so and is no button; what is running shows how far it is.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from ui.first_run.address import read_address, user_problem
from ui.first_run.art import ClusterArt
from ui.first_run.model import FirstRunModel, Trust
from ui.first_run.trust import TrustDialog
from ui.theme import Token
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.empty_state import IconTile
from ui.widgets.field import Field, NumberInput, Select, TextInput
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label

_CARD_WIDTH = 352
# What everything but the drawing needs.
_REST_HEIGHT = 558
_NOT_YET = "Comes with the next version; add by address works today."


class FirstRunPage(QScrollArea):
    """Art, a headline, three cards and three promises; without the simulation where there is a cluster already."""

    def __init__(self, model: FirstRunModel, parent: QWidget | None = None, *, is_first: bool = True) -> None:
        super().__init__(parent)
        self._model = model
        self._is_first = is_first
        self._dialog: TrustDialog | None = None
        self._art = ClusterArt()
        self._banner = Banner()
        self.address = TextInput(placeholder="name or 10.0.20.31")
        self.port = NumberInput(1, 65535, 22)
        self.port.setGroupSeparatorShown(False)
        self.user = TextInput(model.local_user)
        self.sign_in = Select()
        self.add_button = Button("Check and add", kind="primary")
        self.simulate_button = Button("Start the simulation")
        self._address_field = Field("Address", self.address)
        self._port_field = Field("Port", self.port)
        self._user_field = Field("User", self.user)
        self._progress = Label("Always marked “Simulated” in the top bar.", "label", "text3", is_wrapped=True)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(self._body())
        self._wire()

    def _body(self) -> QWidget:
        body = QWidget()
        body.setProperty("tone", "page")
        column = QVBoxLayout(body)
        column.setContentsMargins(32, 24, 32, 20)
        column.setSpacing(0)
        column.addStretch(1)
        column.addWidget(self._art)
        column.addSpacing(20)
        middle = Qt.AlignmentFlag.AlignHCenter
        title = "Add your first DGX Spark" if self._is_first else "Add a DGX Spark"
        column.addWidget(Label(title, "display", "text"), 0, middle)
        column.addSpacing(6)
        words = "SparkDesk works over SSH. One node is enough, add the others whenever you like."
        if not self._is_first:
            words = "SparkDesk works over SSH. You see its host key before anything is sent to it."
        column.addWidget(Label(words, "body", "text2"), 0, middle)
        column.addSpacing(20)
        column.addWidget(self._banner)
        column.addSpacing(8)
        cards = QHBoxLayout()
        cards.setSpacing(24)
        cards.addStretch(1)
        self._simulation = self._simulation_card()
        for card in (self._find_card(), self._add_card(), self._simulation):
            card.setMaximumWidth(_CARD_WIDTH)
            cards.addWidget(card, 8)
        cards.addStretch(1)
        column.addLayout(cards)
        # A cluster that is open is not to be swapped for a pretend one by the way.
        self._simulation.setVisible(self._is_first)
        column.addSpacing(20)
        column.addLayout(_promises())
        column.addSpacing(10)
        shortcuts = Button("Keyboard shortcuts", kind="link")
        shortcuts.clicked.connect(self._model.shortcuts_wanted)
        column.addWidget(shortcuts, 0, middle)
        column.addStretch(1)
        return body

    def _find_card(self) -> Card:
        card, column = _card("radar", "Find my Sparks", is_first=False)
        words = "Will look on this network for machines that announce SSH, and in your SSH config, without logging in."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        column.addWidget(_fact("globe", "Local network, mDNS", ""))
        column.addWidget(_fact("key", "~/.ssh/config", ""))
        column.addStretch(1)
        column.addWidget(Separator())
        column.addWidget(Label(_NOT_YET, "label", "text3", is_wrapped=True))
        button = Button("Find my Sparks")
        button.set_disabled_reason(_NOT_YET)
        column.addWidget(_wide(button))
        return card

    def _add_card(self) -> Card:
        card, column = _card("plus", "Add by address", is_first=True)
        words = "For a Spark on this network, behind a VPN or in another subnet."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        self.sign_in.set_options([("automatic", "Automatic"), ("password", "Password")])
        self.sign_in.setToolTip("Automatic tries the SSH agent and your keys, then asks for the password")
        self.port.setFixedWidth(76)
        first = QHBoxLayout()
        first.setSpacing(8)
        first.addWidget(self._address_field, 1)
        first.addWidget(self._port_field)
        second = QHBoxLayout()
        second.setSpacing(8)
        second.addWidget(self._user_field, 1)
        second.addWidget(Field("Sign in with", self.sign_in), 1)
        column.addLayout(first)
        column.addLayout(second)
        column.addStretch(1)
        column.addWidget(_wide(self.add_button))
        return card

    def _simulation_card(self) -> Card:
        card, column = _card("flask-conical", "Try the simulated cluster", is_first=False)
        words = "Four pretend Sparks on this computer, reached over real SSH. Nothing leaves this machine."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        column.addWidget(_fact("network", "4 nodes around a switch", ""))
        column.addWidget(_fact("activity", "Live telemetry", "every second"))
        column.addWidget(_fact("message-square", "A small real model answers", "llama.cpp"))
        column.addStretch(1)
        column.addWidget(Separator())
        column.addWidget(self._progress)
        column.addWidget(_wide(self.simulate_button))
        return card

    def _wire(self) -> None:
        self.simulate_button.clicked.connect(self._model.start_simulation)
        self.add_button.clicked.connect(self.submit)
        for part in (self.address, self.user):
            part.returnPressed.connect(self.submit)
        self.address.textEdited.connect(lambda: self._address_field.set_error(""))
        self.user.textEdited.connect(lambda: self._user_field.set_error(""))
        self._model.trust_changed.connect(self._show_trust)
        self._model.simulation_changed.connect(self._show_simulation)
        self._show_simulation()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._art.give_height(self.viewport().height() - _REST_HEIGHT)

    def submit(self) -> None:
        """Read the form; either say what is wrong at its field or ask for the node."""
        try:
            address = read_address(self.address.text())
        except ValueError as error:
            self._address_field.set_error(str(error))
            self.address.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        user = address.user or self.user.text().strip()
        if user_problem(user):
            self._user_field.set_error(user_problem(user))
            self.user.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self._address_field.set_error("")
        self._user_field.set_error("")
        self._model.add_requested.emit(address.host, address.port or self.port.value(), user, self.sign_in.key())

    def trust_dialog(self) -> TrustDialog | None:
        """Return the dialog of the attempt, None before the first."""
        return self._dialog

    def _show_trust(self) -> None:
        trust = self._model.trust
        self.add_button.set_busy(trust.stage in ("checking", "signing_in"))
        if self._dialog is None:
            if trust.stage == "none":
                return
            self._dialog = TrustDialog(self.window())
            self._dialog.cancelled.connect(self._on_cancelled)
            self._dialog.panel.trusted.connect(self._model.trust_given)
            self._dialog.panel.signed_in.connect(self._model.password_given)
            self._dialog.panel.retried.connect(self.submit)
        self._dialog.show_trust(trust)

    def _on_cancelled(self) -> None:
        self._model.set_trust(Trust())
        self._model.cancelled.emit()

    def _show_simulation(self) -> None:
        start = self._model.simulation
        is_starting = start.stage == "starting"
        self.simulate_button.set_busy(is_starting)
        self.simulate_button.setText("Starting..." if is_starting else "Start the simulation")
        if is_starting:
            self._progress.setText(start.progress or "Starting four nodes")
            self._progress.set_tint("accenttext")
        else:
            self._progress.setText("Always marked “Simulated” in the top bar.")
            self._progress.set_tint("text3")
        if start.stage == "failed":
            self._banner.show_error(start.message, start.remedy, detail=start.detail)
        else:
            self._banner.setVisible(False)


def _card(icon: str, title: str, *, is_first: bool) -> tuple[Card, QVBoxLayout]:
    card = Card()
    card.set_state("selected" if is_first else "normal")
    card.setMinimumHeight(316)
    column = card.column(spacing=9, margins=(20, 18, 20, 18))
    tint: Token = "accenttext" if is_first else "text2"
    fill: Token = "accentsoft" if is_first else "raised"
    head = QHBoxLayout()
    head.setSpacing(10)
    head.addWidget(IconTile(icon, tint=tint, fill=fill))
    head.addWidget(Label(title, "object_title", "text"), 1)
    column.addLayout(head)
    return card, column


def _fact(icon: str, words: str, note: str) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 2, 0, 2)
    line.setSpacing(10)
    line.addWidget(IconLabel(icon, "text3", size=14))
    line.addWidget(Label(words, "dense", "text"), 1)
    line.addWidget(Label(note, "label", "text3"))
    return row


def _wide(button: Button) -> Button:
    policy = button.sizePolicy()
    policy.setHorizontalPolicy(policy.Policy.Expanding)
    button.setSizePolicy(policy)
    return button


def _promises() -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    row.addStretch(1)
    for i, (icon, words) in enumerate(
        (
            ("shield-check", "Nothing is installed on a node without a plan you approve"),
            ("key", "Host keys are shown and pinned, secrets stay in the system keyring"),
            ("eye", "No telemetry, no account"),
        )
    ):
        if i:
            row.addSpacing(20)
        row.addWidget(IconLabel(icon, "text3", size=14))
        row.addWidget(Label(words, "dense", "text2"))
    row.addStretch(1)
    return row
