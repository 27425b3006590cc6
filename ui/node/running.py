"""The tab of what runs on a node and was not started by SparkDesk.

The one rule: these servers are read and talked to; there is no button here that stops or changes one.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.cluster.found_server import FoundServer
from ui import text, theme
from ui.node.model import NodeModel
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.empty_state import EmptyState
from ui.widgets.field import Select, TextInput
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label

MAX_SHOWN = 32
MAX_MODELS = 64
ENGINES = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
    "ollama": "Ollama",
    "trtllm": "TensorRT-LLM",
    "lmstudio": "LM Studio",
}


def engine_words(server: FoundServer) -> str:
    """The engine's name; what kind of interface it has where the engine is not known."""
    known = ENGINES.get(server.engine) or text.one_line(server.engine, 30)
    return known or ("Ollama interface" if server.api == "ollama" else "OpenAI interface")


def where_words(server: FoundServer) -> str:
    """Port, container or process, and owner."""
    host = wrap_line(server.host, 60)
    parts = [f"port {server.port} on {host}"]
    if server.container:
        parts.append(f"container {wrap_line(server.container, 60)}")
    if server.process:
        parts.append(f"process {wrap_line(server.process, 60)}")
    parts.append(f"owner {wrap_line(server.owner, 40)}" if server.owner else "owner not known")
    return " · ".join(parts)


def health_mark(server: FoundServer) -> tuple[str, str, str]:
    """The chip of a server's health."""
    if server.needs_key:
        return "Needs a key", "warn", "lock"
    if server.is_healthy is None:
        return "Answers", "neutral", "circle-help"
    return ("Healthy", "ok", "check") if server.is_healthy else ("Does not answer well", "warn", "triangle-alert")


def chat_reason(server: FoundServer, away: str) -> str:
    """Why it cannot be talked to now, "" when it can."""
    if away:
        return away
    if server.needs_key:
        return "It wants its key first"
    return "" if server.models else "It names no model"


class ServerCard(Card):
    """One server."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.server_id = ""
        self._title = ElidedLabel("", "object_title", "text")
        self._engine = Chip()
        self._health = Chip()
        self.exposed = Chip("Open to the network", "warn", "globe")
        self._where = Label("", "dense", "text3", is_wrapped=True, is_selectable=True)
        self._note = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.models = Select(is_small=True)
        self.models.setAccessibleName("Model to talk to")
        self.chat = Button("Chat", icon="message-square")
        self.key = TextInput(placeholder="Its API key", is_small=True)
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setAccessibleName("API key of this server")
        self.use_key = Button("Use key", is_small=True)
        self._key_row = QWidget()
        self._build()
        self.chat.clicked.connect(lambda: self._model.actions.chat(self.server_id, self.models.key()))
        self.use_key.clicked.connect(self._give_key)
        self.key.returnPressed.connect(self._give_key)

    def _build(self) -> None:
        column = self.column(spacing=6)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(IconLabel("server", "text2"))
        head.addWidget(self._title, 1)
        for part in (self._engine, self._health, self.exposed, self.models, self.chat):
            head.addWidget(part)
        self.models.setFixedWidth(200)
        column.addLayout(head)
        column.addWidget(self._where)
        column.addWidget(self._note)
        row = QHBoxLayout(self._key_row)
        row.setContentsMargins(0, 2, 0, 0)
        row.setSpacing(8)
        self.key.setMaximumWidth(260)
        row.addWidget(self.key, 1)
        row.addWidget(self.use_key)
        row.addWidget(Label("Kept in your keyring, or for this run where there is none.", "label", "text3"))
        row.addStretch(1)
        column.addWidget(self._key_row)

    def _give_key(self) -> None:
        key = self.key.text()
        # Not kept in the widget a moment longer than needed.
        self.key.clear()
        if key:
            self._model.actions.give_key(self.server_id, key)

    def show_server(self, server: FoundServer, away: str) -> None:
        """Show a server."""
        self.server_id = server.id
        models = [text.one_line(model, 120) for model in server.models[:MAX_MODELS]]
        title = text.one_line(server.title, 120) or (models[0] if models else f"Port {server.port}")
        self._title.setText(title)
        self._engine.set_state(engine_words(server))
        word, kind, icon = health_mark(server)
        self._health.set_state(word, kind, icon)  # type: ignore[arg-type]  # the kinds of a chip
        self.exposed.setVisible(bool(server.is_exposed))
        self._where.setText(where_words(server))
        self._note.setText(_note_words(server))
        self._note.setVisible(bool(self._note.text()))
        self.models.set_options(list(zip(server.models[:MAX_MODELS], models, strict=True)))
        self.models.setVisible(len(models) > 1)
        self.chat.set_disabled_reason(chat_reason(server, away))
        self._key_row.setVisible(server.needs_key)
        self.use_key.set_disabled_reason(away)
        self.setAccessibleName(f"{title}, {engine_words(server)}, {word}")


def _note_words(server: FoundServer) -> str:
    parts = []
    if server.is_exposed:
        parts.append("It listens beyond loopback: anyone on the network can use it.")
    elif server.is_exposed is None:
        parts.append("Whether others on the network can reach it is not known.")
    if server.note:
        parts.append(wrap_line(server.note, 300))
    return " ".join(parts)


NOTHING_FOUND = "Nothing else answers on this node"
WHAT_SHOWS = "What others started on this node shows here: vLLM, SGLang, llama.cpp, Ollama and others."


class RunningTab(QWidget):
    """The servers found, and SparkDesk's own jobs in one line; `refresh` reads the model."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._age = ElidedLabel("", "dense", "text3")
        self.look = Button("Look again", icon="refresh-cw")
        self._own = QHBoxLayout()
        self._own_row = QWidget()
        self._own_ids: tuple[tuple[str, str], ...] = ()
        self.cards: list[ServerCard] = []
        self._body = QWidget()
        self._list = QVBoxLayout(self._body)
        self.empty = EmptyState("radar", NOTHING_FOUND, WHAT_SHOWS, action="Look again")
        self._stack = QStackedWidget()
        self._build()
        self.look.clicked.connect(self.read_anew)
        self.empty.action_clicked.connect(self.read_anew)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(Label("Running, not started by SparkDesk", "strong", "text"))
        head.addWidget(self._age, 1)
        head.addWidget(self.look)
        self._own_row.setLayout(self._own)
        self._own.setContentsMargins(0, 0, 0, 0)
        self._own.setSpacing(10)
        self._body.setProperty("tone", "page")
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(theme.GAP)
        words = "SparkDesk reads these and can talk to them. It never stops or changes one."
        self._list.addWidget(Label(words, "dense", "text3"))
        self._list.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._body)
        self._stack.addWidget(area)
        self._stack.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(self._own_row)
        column.addWidget(self._stack, 1)

    def read_anew(self) -> None:
        """Look for servers again."""
        if not self._model.away_reason():
            self._model.actions.look_for_servers(self._model.node_id)

    def refresh(self) -> None:
        """Show what was found."""
        servers, away = self._model.servers()[:MAX_SHOWN], self._model.away_reason()
        while len(self.cards) < len(servers):
            card = ServerCard(self._model)
            self.cards.append(card)
            self._list.insertWidget(len(self.cards), card)
        for i, card in enumerate(self.cards):
            card.setVisible(i < len(servers))
            if i < len(servers):
                card.show_server(servers[i], away)
        newest = max((server.t_ms for server in servers), default=0)
        self._age.setText(self._model.age_words(newest, "Seen"))
        self.look.setVisible(bool(servers))
        self.look.set_disabled_reason(away)
        button = self.empty.findChild(Button)
        if button is not None:
            button.set_disabled_reason(away)
        self.empty.set_words(
            "What runs there is not known" if away else NOTHING_FOUND, f"{away}." if away else WHAT_SHOWS
        )
        self._stack.setCurrentIndex(0 if servers else 1)
        self._show_own()

    def _show_own(self) -> None:
        """SparkDesk's own jobs, so that nobody thinks the node is idle: a link each to its page."""
        jobs = tuple((job.job_id, text.one_line(job.title, 32)) for job in self._model.jobs()[:3])
        self._own_row.setVisible(bool(jobs))
        if jobs == self._own_ids:
            return
        self._own_ids = jobs
        while (item := self._own.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._own.addWidget(Label("Started by SparkDesk:", "dense", "text3"))
        for job_id, title in jobs:
            link = Button(title, kind="link")
            link.clicked.connect(lambda _checked=False, job_id=job_id: self._model.actions.open_job(job_id))
            self._own.addWidget(link)
        self._own.addStretch(1)
