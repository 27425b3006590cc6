"""The first page: three ways to begin.

Rule: what is running shows how far it is; nothing is asked of a network before a button.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.cluster.candidate import Source
from ui.add_node.search_model import SearchModel
from ui.add_node.words import neighbourhood_status, source_status
from ui.first_run.art import ClusterArt
from ui.first_run.model import SHAPES, FirstRunModel
from ui.first_run.who_form import WhoForm
from ui.theme import Token
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.empty_state import IconTile
from ui.widgets.field import Select
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label

_CARD_WIDTH = 352


class FirstRunPage(QScrollArea):
    """Art, a headline, three cards and three promises; without the simulation where there is a cluster already."""

    def __init__(
        self,
        model: FirstRunModel,
        search: SearchModel,
        parent: QWidget | None = None,
        *,
        is_first: bool = True,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._search = search
        self._is_first = is_first
        self._art = ClusterArt()
        self._banner = Banner()
        self.form = WhoForm(model.local_user)
        self.find_button = Button("Find my Sparks", kind="primary")
        self.add_button = Button("Check and add")
        self.simulate_button = Button("Start the simulation")
        self.shape = Select()
        self.shape.set_options([(title, title) for title, _words in SHAPES])
        self.shape.setAccessibleName("Which simulated Sparks")
        self._progress = Label("Always marked “Simulated” in the top bar.", "label", "text3", is_wrapped=True)
        self._found_words = Label("You choose which ones to add.", "label", "text3", is_wrapped=True)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._body = self._make_body()
        self.setWidget(self._body)
        self._wire()

    def _make_body(self) -> QWidget:
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
        column.addWidget(_Promises())
        column.addSpacing(10)
        shortcuts = Button("Keyboard shortcuts", kind="link")
        shortcuts.clicked.connect(self._model.shortcuts_wanted)
        column.addWidget(shortcuts, 0, middle)
        column.addStretch(1)
        return body

    def _find_card(self) -> Card:
        card, column = _card("radar", "Find my Sparks", is_first=True)
        words = (
            "Looks on this network for machines that announce SSH, and in your SSH config. "
            "It only listens and asks for names, it does not log in."
        )
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        self._mdns, self._config, self._others = (Label("", "label", "text3") for _ in range(3))
        # The room is above the rows, so that those of both cards stand at one height, however the words break.
        column.addStretch(1)
        column.addWidget(_fact("globe", "Local network, mDNS", self._mdns))
        column.addWidget(_fact("key", "~/.ssh/config", self._config))
        column.addWidget(_fact("network", "Range or CX-7 neighbours", self._others))
        column.addWidget(Separator())
        column.addWidget(self._found_words)
        column.addWidget(_wide(self.find_button))
        return card

    def _add_card(self) -> Card:
        card, column = _card("plus", "Add by address", is_first=False)
        words = "For a Spark behind a VPN, a jump host, or another subnet."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        column.addWidget(self.form)
        column.addStretch(1)
        column.addWidget(_wide(self.add_button))
        return card

    def _simulation_card(self) -> Card:
        card, column = _card("flask-conical", "Try the simulated cluster", is_first=False)
        words = "Pretend Sparks on this computer, reached over real SSH. Nothing leaves this machine."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        column.addStretch(1)
        column.addWidget(self.shape)
        column.addWidget(_fact("activity", "Live telemetry", Label("every second", "label", "text3")))
        column.addWidget(_fact("message-square", "A small real model answers", Label("llama.cpp", "label", "text3")))
        column.addWidget(_fact("unplug", "Break things: cable, node, memory", Label("Ctrl+K", "label", "text3")))
        column.addWidget(Separator())
        column.addWidget(self._progress)
        column.addWidget(_wide(self.simulate_button))
        return card

    def _wire(self) -> None:
        self.simulate_button.clicked.connect(self._start_simulation)
        self.find_button.clicked.connect(self._model.find_wanted)
        self.add_button.clicked.connect(self.submit)
        self.form.submitted.connect(self.submit)
        self.form.key_file_wanted.connect(self._model.key_file_wanted)
        self._model.simulation_changed.connect(self._show_simulation)
        self._search.progress_changed.connect(self._show_search)
        self._search.found_changed.connect(self._show_search)
        self._show_search()
        self._show_simulation()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_art()

    def event(self, event: QEvent) -> bool:
        is_done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            # A fold that opens takes the drawing's room before the page has to scroll.
            self._fit_art()
        return is_done

    def _fit_art(self) -> None:
        width = self.viewport().width()
        rest = max(self._body.heightForWidth(width), self._body.minimumSizeHint().height()) - self._art.height()
        self._art.give_height(self.viewport().height() - rest)

    def submit(self) -> None:
        """Read the form; either say what is wrong at its field or ask for the node."""
        who = self.form.read()
        if who is not None:
            self._model.who_given.emit(who)

    def _start_simulation(self) -> None:
        words = next(words for title, words in SHAPES if title == self.shape.key())
        self._model.start_simulation.emit(words)

    def _show_search(self) -> None:
        search = self._search
        self._mdns.setText(source_status(search.progress_of(Source.MDNS)))
        self._config.setText(source_status(search.progress_of(Source.SSH_CONFIG)))
        both = (search.progress_of(Source.RANGE), search.progress_of(Source.NEIGHBOUR))
        self._others.setText(neighbourhood_status(both))
        count = len(search.candidates)
        found = f"{count} machine{'' if count == 1 else 's'} found. You choose which ones to add."
        self._found_words.setText(found if count else "You choose which ones to add.")

    def _show_simulation(self) -> None:
        start = self._model.simulation
        is_starting = start.stage == "starting"
        self.simulate_button.set_busy(is_starting)
        self.simulate_button.setText("Starting..." if is_starting else "Start the simulation")
        if is_starting:
            self._progress.setText(start.progress or f"Starting {self.shape.key()}")
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


def _fact(icon: str, words: str, note: Label) -> QWidget:
    row = QWidget()
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 2, 0, 2)
    line.setSpacing(10)
    line.addWidget(IconLabel(icon, "text3", size=14))
    line.addWidget(Label(words, "dense", "text", is_wrapped=True), 1)
    line.addWidget(note)
    return row


def _wide(button: Button) -> Button:
    policy = button.sizePolicy()
    policy.setHorizontalPolicy(policy.Policy.Expanding)
    button.setSizePolicy(policy)
    return button


class _Promises(QWidget):
    """Three promises beside each other, or below each other where the page is too narrow for them."""

    _WORDS = (
        ("shield-check", "Nothing is installed on a node without a plan you approve"),
        ("key", "Host keys are shown and pinned, secrets stay in the system keyring"),
        ("eye", "No telemetry, no account"),
    )

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts = tuple(_promise(icon, words) for icon, words in self._WORDS)
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.addStretch(1)
        for part in self._parts:
            self._box.addWidget(part)
        self._box.addStretch(1)
        self._turn(self.width())

    def _turn(self, width: int) -> None:
        needed = sum(part.sizeHint().width() for part in self._parts) + 28 * (len(self._parts) - 1)
        is_wide = needed <= width
        self._box.setDirection(QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom)
        self._box.setSpacing(28 if is_wide else 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(max(part.sizeHint().width() for part in self._parts), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._turn(self.width())


def _promise(icon: str, words: str) -> QWidget:
    part = QWidget()
    row = QHBoxLayout(part)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    row.addWidget(IconLabel(icon, "text3", size=14))
    row.addWidget(Label(words, "dense", "text2"))
    return part
