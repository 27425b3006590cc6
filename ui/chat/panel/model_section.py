"""Which model is asked, how it is, and how a server of somebody else's is reached.

The one rule: what a server said of itself is untrusted: it is one line, cut, and never markup.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QStyleOptionComboBox

from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.server_link import ServerLink
from ui.chat.panel.section import Section, row
from ui.chat.panel.server_form import ServerForm
from ui.text import count, one_line
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.field import Select
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import elided, text_width, write

_MODEL: Final = Qt.ItemDataRole.UserRole + 1
_NODE: Final = Qt.ItemDataRole.UserRole + 2
_NAME_CHARS: Final = 120


class ModelSelect(Select):
    """The list says model and node in one line; closed it says the model strongly and the node paler."""

    def show_models(self, endpoints: tuple[ChatEndpoint, ...], *, has_none: bool, none: str = "None") -> None:
        """Show these; with `has_none` the first line says that none is chosen, in the words `none`."""
        options = [(each.id, one_line(each.label, _NAME_CHARS)) for each in endpoints]
        self.set_options([("", none), *options] if has_none else options)
        known = {each.id: each for each in endpoints}
        for at in range(self.count()):
            each = known.get(str(self.itemData(at)))
            if each is not None:
                self.setItemData(at, one_line(each.name, _NAME_CHARS), _MODEL)
                self.setItemData(at, one_line(each.node, 64), _NODE)
        widest = max((text_width(label, "body") for _, label in options), default=0.0)
        self.view().setMinimumWidth(min(round(widest) + 28, 640))

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:  # noqa: N802
        super().initStyleOption(option)
        option.currentText = ""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        room = self.width() - 42.0
        node = str(self.currentData(_NODE) or "")
        name = str(self.currentData(_MODEL) or self.currentText() or "No model is ready")
        # A node's name is never cut; where there is no room for it beside some of the model's, the tooltip has it.
        beside = text_width(node, "dense") + 8 if node else 0.0
        if room - beside < min(text_width(name, "strong"), 90):
            beside = 0.0
        shown = elided(name, "strong", room - beside, Qt.TextElideMode.ElideMiddle)
        tint: Token = "text" if self.isEnabled() else "text3"
        write(painter, QRectF(10, 0, room, self.height()), shown, role="strong", tint=tint)
        if beside:
            left = 10 + text_width(shown, "strong") + 8
            write(painter, QRectF(left, 0, room, self.height()), node, role="dense", tint="text3")


class ModelSection(Section):
    """`chosen` carries an endpoint's id, `server_asked` an address and a key, the others a remembered server's id."""

    chosen = Signal(str)
    launch_asked = Signal()
    server_asked = Signal(str, str)
    again_asked = Signal(str)
    forget_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._offered: tuple[tuple[tuple[str, str], ...], str] = ((), "-")
        self._target: ChatEndpoint | None = None
        self._waiting = ""
        self._slots: int | None = None
        self.sign = IconLabel("", size=12)
        self.state = Label("", "label", "text3")
        self.model = ModelSelect()
        self.note = Label("", "label", "text3", is_wrapped=True)
        self.launch = Button("Launch a model", kind="link")
        self.connect_server = Button("Connect to a server", kind="link")
        self.server = ServerForm()
        self._build()
        self.model.currentIndexChanged.connect(lambda _: self.chosen.emit(self.model.key()))
        self.launch.clicked.connect(self.launch_asked)
        self.connect_server.clicked.connect(lambda: self.open_server(is_open=not self.server.isVisibleTo(self)))
        self.server.asked.connect(self.server_asked)
        self.server.again_asked.connect(self.again_asked)
        self.server.forget_asked.connect(self.forget_asked)
        self.server.closed.connect(lambda: self.open_server(is_open=False))

    def _build(self) -> None:
        self.model.setAccessibleName("Model")
        head = row(Label("Model", "label", "text3"), self.sign, self.state)
        head.setSpacing(5)
        self.column.addLayout(head)
        self.column.addWidget(self.model)
        links = row(self.connect_server, self.launch)
        self.column.addLayout(links)
        self.column.addWidget(self.server)
        self.column.addWidget(self.note)
        self.server.setVisible(False)
        self.note.setVisible(False)

    def open_server(self, *, is_open: bool) -> None:
        """Show the form for a server's address, or take it away with what was typed in it."""
        self.server.setVisible(is_open)
        self.connect_server.setText("Connect to a server" if not is_open else "Close")
        self.connect_server.updateGeometry()
        if is_open:
            self.server.begin()
        else:
            self.server.clear()

    def show_servers(self, links: tuple[ServerLink, ...]) -> None:
        """The servers that are remembered."""
        self.server.show_known(links)

    def show_models(self, endpoints: tuple[ChatEndpoint, ...], target: ChatEndpoint | None, waiting: str) -> None:
        """Show which models are ready and which one is asked."""
        chosen = target.id if target is not None else ""
        offered = (tuple((each.id, each.label) for each in endpoints), chosen)
        # A list that is open must not be filled anew under the pointer.
        if offered != self._offered:
            self._offered = offered
            self.model.blockSignals(True)
            self.model.show_models(endpoints, has_none=not chosen)
            self.model.set_key(chosen)
            self.model.setEnabled(bool(endpoints))
            self.model.blockSignals(False)
            self.model.update()
        if target is None or self._target is None or target.id != self._target.id:
            self._slots = None
        self._target, self._waiting = target, waiting
        self._show_state()
        self.launch.setVisible(not endpoints)
        self.model.setToolTip(plain_tooltip(one_line(target.label, 240)) if target is not None else "")
        note = target.endpoint.note if target is not None else waiting
        self.note.setText(one_line(note, 300))
        self.note.setVisible(bool(note))

    def show_slots(self, slots: int | None) -> None:
        """How many questions the server answers at once, once that is known; None is not known."""
        if slots != self._slots:
            self._slots = slots
            self._show_state()

    def _show_state(self) -> None:
        target, waiting = self._target, self._waiting
        tint: Token = "ok" if target is not None else "text3"
        words = "loading" if waiting else "not ready"
        if target is not None:
            pool = target.pool()
            slots = self._slots or (pool.slots if pool is not None else None)
            words = f"ready, {count(slots)} slot{'s' if slots != 1 else ''}" if slots else "ready"
        self.sign.set_icon("check" if target is not None else "", tint)
        self.state.set_tint(tint)
        self.state.setText(words)
