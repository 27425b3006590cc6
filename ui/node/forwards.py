"""The tab of a node's forwards: what is open on which port of this computer, and own entries.

The one rule: a local address is shown only while it can be used; waiting and failing are said in words.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.cluster.forward import Forward, ForwardState
from ui import text, theme
from ui.node.forward_form import ForwardEntry
from ui.node.mark import FORWARD_MARKS
from ui.node.model import NodeModel
from ui.node.wrap import wrap_line
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.copy_field import CopyField
from ui.widgets.field import Field, Select, TextInput
from ui.widgets.label import ElidedLabel, Label

MAX_SHOWN = 48


def place_words(forward: Forward) -> str:
    """Which port of the node it leads to."""
    spec = forward.spec
    host = "the node" if spec.host in ("127.0.0.1", "localhost", "::1") else text.one_line(spec.host, 60)
    return f"Port {spec.port} on {host}" if spec.port else f"On {host}; its port is read there each time"


_SILENT = "The way is open, and nothing answers on that port of the node"
_DEFAULT_WORDS = {
    ForwardState.WAITING: "It opens again by itself when the node is back",
    ForwardState.FAILED: "It could not be opened",
}


def state_words(forward: Forward) -> str:
    """What is to be said about its state, with what to do; "" when the chip says it all."""
    message, remedy = wrap_line(forward.message, 300), wrap_line(forward.remedy, 300)
    if forward.state is ForwardState.OPEN and forward.answers is False:
        message = message or _SILENT
    message = message or _DEFAULT_WORDS.get(forward.state, "")
    return f"{message.rstrip('.')}. {remedy}".strip() if message else ""


class ForwardRow(Card):
    """One forward."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.forward: Forward | None = None
        self._title = ElidedLabel("", "body_medium", "text")
        self.chip = Chip()
        self._place = ElidedLabel("", "label", "text3")
        self.url = CopyField("Local address")
        self.browser = Button("Open in browser", icon="external-link", is_small=True)
        self.toggle = Button("Open", is_small=True)
        self.remove = IconButton("x", "Remove this entry")
        self._words = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self._build()
        self.browser.clicked.connect(self._browse)
        self.toggle.clicked.connect(self._toggle)
        self.remove.clicked.connect(self._remove)

    def _build(self) -> None:
        names = QVBoxLayout()
        names.setSpacing(1)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._title)
        top.addWidget(self.chip)
        top.addStretch(1)
        names.addLayout(top)
        names.addWidget(self._place)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addLayout(names, 1)
        self.url.setFixedWidth(250)
        for part in (self.url, self.browser, self.toggle, self.remove):
            row.addWidget(part)
        column = self.column(spacing=4, margins=(14, 8, 10, 8))
        column.addLayout(row)
        column.addWidget(self._words)

    def show_forward(self, forward: Forward, away: str) -> None:
        """Show a forward."""
        self.forward = forward
        title = text.one_line(forward.spec.title, 80)
        self._title.setText(title)
        self.chip.set_state(*FORWARD_MARKS[forward.state])
        self._place.setText(place_words(forward))
        is_open = forward.state is ForwardState.OPEN and bool(forward.url)
        url = text.one_line(forward.url, 300) if is_open else ""
        if self.url.text() != url:
            self.url.setText(url)
        self.url.setVisible(is_open)
        self.url.setAccessibleName(f"Local address of {title}")
        self.browser.setVisible(is_open)
        wants_close = forward.state in (ForwardState.OPEN, ForwardState.OPENING, ForwardState.WAITING)
        self.toggle.setText("Close" if wants_close else "Try again" if forward.message else "Open")
        self.toggle.setAccessibleName(f"{self.toggle.text()} {title}")
        self.toggle.updateGeometry()
        self.toggle.set_disabled_reason("" if wants_close else away)
        self.remove.setVisible(forward.spec.kind == "own")
        self._words.setText(state_words(forward))
        self._words.setVisible(bool(self._words.text()))
        self.set_state("error" if forward.state is ForwardState.FAILED else "normal")
        mark = FORWARD_MARKS[forward.state].text
        self.setAccessibleName(f"{title}, {mark}, {place_words(forward)}")

    def _browse(self) -> None:
        if self.forward is not None and self.forward.url:
            self._model.actions.open_url(self.forward.url)

    def _toggle(self) -> None:
        if self.forward is None:
            return
        is_wanted = self.forward.state in (ForwardState.OPEN, ForwardState.OPENING, ForwardState.WAITING)
        actions = self._model.actions
        (actions.close_forward if is_wanted else actions.open_forward)(self.forward.spec.id)

    def _remove(self) -> None:
        if self.forward is not None:
            self._model.actions.remove_forward(self.forward.spec.id)


class AddForward(Card):
    """The form for an own entry; its errors show once the person has tried to add it."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._has_tried = False
        self.title = TextInput(placeholder="My notebook", is_small=True)
        self.port = TextInput(placeholder="8888", is_small=True)
        self.host = TextInput("127.0.0.1", is_small=True)
        self.path = TextInput("/", is_small=True)
        self.scheme = Select(is_small=True)
        self.scheme.set_options([("http", "http"), ("https", "https")])
        self.add = Button("Add", icon="plus", is_small=True)
        self.fields = {
            "title": Field("Name", self.title),
            "port": Field("Port on the node", self.port),
            "host": Field("As the node sees it", self.host),
            "scheme": Field("Kind", self.scheme),
            "path": Field("Path", self.path),
        }
        self._build()
        self.add.clicked.connect(self._add)
        for editor in (self.title, self.port, self.host, self.path):
            editor.textChanged.connect(self._check_again)
            editor.returnPressed.connect(self._add)

    def _build(self) -> None:
        column = self.column(spacing=8)
        head = QHBoxLayout()
        head.addWidget(Label("Add a forward", "dense_strong", "text"))
        words = "It listens on 127.0.0.1 of this computer only, on a free port, while the node is connected."
        head.addSpacing(8)
        head.addWidget(ElidedLabel(words, "label", "text3"), 1)
        column.addLayout(head)
        row = QHBoxLayout()
        row.setSpacing(8)
        for key, stretch in (("title", 3), ("port", 2), ("host", 3), ("scheme", 1), ("path", 3)):
            row.addWidget(self.fields[key], stretch, Qt.AlignmentFlag.AlignTop)
        holder = QVBoxLayout()
        holder.setContentsMargins(0, 20, 0, 0)
        holder.addWidget(self.add)
        holder.addStretch(1)
        row.addLayout(holder)
        column.addLayout(row)

    def entry(self) -> ForwardEntry:
        """What is typed now."""
        return ForwardEntry(
            title=self.title.text(),
            port=self.port.text(),
            host=self.host.text(),
            scheme=self.scheme.key(),
            path=self.path.text() or "/",
        )

    def _check_again(self) -> None:
        if self._has_tried:
            self._show_problems()

    def _show_problems(self) -> bool:
        problems = self.entry().problems(self._model.forwards())
        for key, field in self.fields.items():
            field.set_error(problems.get(key, ""))
        return not problems

    def _add(self) -> None:
        self._has_tried = True
        if not self._show_problems():
            return
        self._model.actions.add_forward(self.entry().spec(self._model.node_id))
        self.reset()

    def reset(self) -> None:
        """Empty the form."""
        self._has_tried = False
        for editor, words in ((self.title, ""), (self.port, ""), (self.host, "127.0.0.1"), (self.path, "/")):
            editor.setText(words)
        for field in self.fields.values():
            field.set_error("")


class ForwardsTab(QWidget):
    """The list and the form; `refresh` reads the model."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.rows: list[ForwardRow] = []
        self.form = AddForward(model)
        self._none = Label("No forward yet. Add one below.", "dense", "text3")
        self._body = QWidget()
        self._list = QVBoxLayout(self._body)
        self._body.setProperty("tone", "page")
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(8)
        words = "Programs of the node, on an address of this computer. An open one opens again after a lost connection."
        self._list.addWidget(Label(words, "dense", "text3", is_wrapped=True))
        self._list.addWidget(self._none)
        self._list.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._body)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addWidget(area, 1)
        column.addWidget(self.form)
        model.node_changed.connect(lambda _node_id: self.form.reset())

    def refresh(self) -> None:
        """Show the forwards as they are."""
        forwards, away = self._model.forwards()[:MAX_SHOWN], self._model.away_reason()
        while len(self.rows) < len(forwards):
            row = ForwardRow(self._model)
            self.rows.append(row)
            self._list.insertWidget(len(self.rows), row)
        for i, row in enumerate(self.rows):
            row.setVisible(i < len(forwards))
            if i < len(forwards):
                row.show_forward(forwards[i], away)
        self._none.setVisible(not forwards)
