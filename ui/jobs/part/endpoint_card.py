"""Where a deployment answers, what it takes, and how other programs get there.

The one rule: a port of this computer is opened when somebody copies an address that needs it, never before; a key is
shown only when it was asked for.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.services.jobs.reach.doors import Door
from ui import text
from ui.jobs.model import DeploymentsModel, EndpointText
from ui.jobs.words.snippet import agent_text, curl_text, python_text
from ui.jobs.words.standing import can_answer
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.copy_field import CopyField
from ui.widgets.label import Label

NARROW_PX = 700
_FIELD_ROOM = 56
"""Of an address field, beside its text: margins, frame and button."""
WAYS = (
    ("curl", "curl", "Copy a request as a curl command"),
    ("python", "Python", "Copy a program for the openai package"),
    ("agents", "Coding agents", "Copy OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL"),
    ("model", "Model id", "Copy the model's name as requests give it"),
    ("tunnel", "ssh", "Copy the command of an SSH tunnel of your own"),
)


class DoorField(CopyField):
    """An address whose copying may take a while: `copy_asked` first, then `put`."""

    copy_asked = Signal()

    def needed_width(self) -> int:
        """How wide it must be to show all of its text."""
        return self.fontMetrics().horizontalAdvance(self.text()) + _FIELD_ROOM

    def copy_text(self) -> None:
        """Ask for the address to be made ready."""
        self.copy_asked.emit()

    def put(self) -> None:
        """Copy what is shown now."""
        super().copy_text()


class EndpointCard(Card):
    """Three blocks beside each other: address, name and limits, ways to use it."""

    failed = Signal(object)
    """Carries the SparkDeskError of a door or key."""

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._said: EndpointText | None = None
        self.url = DoorField("base URL")
        self.door = Chip("", "ok", "lock")
        self.where = Label("", "label", "text3", is_wrapped=True)
        self.exposure = Label("", "label", "warn", is_wrapped=True)
        self.key = Label("", "mono", "text", is_selectable=True)
        self.copy_key = Button("Copy key", kind="link")
        self.show_key = Button("Show key", kind="link")
        self.limits = Label("", "dense", "text2", is_wrapped=True)
        self.more_limits = Label("", "label", "text3", is_wrapped=True)
        self.ways = {key: Button(words, is_small=True) for key, words, _ in WAYS}
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._build()
        self._wire()

    def _build(self) -> None:
        for key, _, hint in WAYS:
            self.ways[key].setToolTip(hint)
            self.ways[key].setAccessibleName(hint)
        self._address, self._heading = QHBoxLayout(), QHBoxLayout()
        self._address.setSpacing(8)
        self._address.addWidget(self.url, 1)
        self._address.addWidget(self.door)
        self._heading.setSpacing(8)
        self._heading.addWidget(Label("Endpoint", "dense_strong", "text"))
        self._heading.addStretch(1)
        keys = QHBoxLayout()
        keys.setSpacing(10)
        for part in (self.copy_key, self.show_key, self.key):
            keys.addWidget(part)
        keys.addStretch(1)
        ways = QVBoxLayout()
        ways.setSpacing(6)
        for keys_of_row in (("curl", "python", "agents"), ("model", "tunnel")):
            line = QHBoxLayout()
            line.setSpacing(6)
            for key in keys_of_row:
                line.addWidget(self.ways[key])
            line.addStretch(1)
            ways.addLayout(line)
        blocks = (
            _block(self._heading, self._address, self.where, self.exposure, keys),
            _block("Served name and limits", self.limits, self.more_limits),
            _block("Use it from", ways),
        )
        self._row.setSpacing(22)
        for block, stretch in zip(blocks, (1, 1, 0), strict=True):
            self._row.addLayout(block, stretch)
        self.column(spacing=6).addLayout(self._row)

    def _wire(self) -> None:
        self.url.copy_asked.connect(lambda: self.copy("url"))
        self.copy_key.clicked.connect(lambda: self.copy("key"))
        self.show_key.clicked.connect(self._toggle_key)
        for key, button in self.ways.items():
            button.clicked.connect(lambda _c=False, key=key: self.copy(key))

    def show_job(self, job: JobStatus) -> None:
        """Show how the job is reached; hidden when it cannot be."""
        said = self._model.endpoint(job)
        self.setVisible(said is not None and can_answer(job))
        if said is None:
            return
        if said != self._said:
            self._hide_key()
        self._said = said
        self._show_door(said, self._model.feeds.doors.value.get(job.job_id))
        has_key = said.is_lan and self._model.feeds.api_key is not None
        for part in (self.copy_key, self.show_key):
            part.setVisible(has_key)
        self.key.setVisible(has_key and bool(self.key.text()))
        self.limits.setText(said.limits or "The limit of a request is not known")
        self.exposure.setText(said.exposure)
        self.exposure.setVisible(bool(said.exposure))
        self.more_limits.setText(said.more)
        self.more_limits.setVisible(bool(said.more))
        speaks = bool(said.base_path)
        for key in ("curl", "python", "agents", "model"):
            self.ways[key].setVisible(speaks and (key != "agents" or said.purpose in ("chat", "vision")))
        self.ways["tunnel"].setVisible(bool(said.tunnel))
        self._place_door()

    def _place_door(self) -> None:
        """The chip stands beside the address while all of that has room, else above it: a port is never cut."""
        is_beside = self._address.indexOf(self.door) >= 0
        taken = self.door.sizeHint().width() + self._address.spacing() if not self.door.isHidden() else 0
        room = self.url.width() + (taken if is_beside else 0)
        has_room = self.url.needed_width() <= room - taken
        if has_room == is_beside:
            return
        now, then = (self._heading, self._address) if has_room else (self._address, self._heading)
        now.removeWidget(self.door)
        then.addWidget(self.door)

    def _show_door(self, said: EndpointText, door: Door | None) -> None:
        url = text.one_line(door.url, 300) if door is not None and door.url and not said.is_lan else said.url
        if self.url.text() != url:
            self.url.setText(url)
        self.door.setVisible(said.is_lan or door is not None)
        if said.is_lan or door is None:
            self.door.set_state("On the network", "neutral", "globe")
            self.where.setText(said.where)
        elif door.is_open:
            self.door.set_state("Open here", "ok", "lock")
            note = f". {text.one_line(door.message, 160)}" if door.message else ""
            self.where.setText(f"Opened on this computer: {_host_of(url)}, through SSH to {said.at}{note}")
        else:
            self.door.set_state("Tunnel down", "warn", "unplug")
            why = text.one_line(door.message, 160) or "It opens again when the line to the node is back"
            self.where.setText(f"The port {_host_of(url)} leads nowhere now. {why}")

    # Copying --------------------------------------------------------------------------------------------------------

    def copy(self, kind: str) -> None:
        """Put an address, a key or a text on the clipboard; what needs a port here opens it first."""
        job, said, feeds = self._model.job(), self._said, self._model.feeds
        if job is None or said is None:
            return
        if kind in ("model", "tunnel"):
            QGuiApplication.clipboard().setText(said.model if kind == "model" else said.tunnel)
            self._tell_copied(kind)
        elif feeds.start is not None and (kind == "key" or said.is_lan or feeds.open_door is not None):
            feeds.start(self._copy_ready, job.job_id, kind, said)
        else:
            self._put(kind, said, said.url, "")

    async def _copy_ready(self, job_id: str, kind: str, said: EndpointText) -> None:
        feeds, url, key = self._model.feeds, said.url, ""
        try:
            if not said.is_lan and feeds.open_door is not None:
                url = text.one_line(await feeds.open_door(job_id), 300)
            if said.is_lan and kind in ("key", "agents") and feeds.api_key is not None:
                key = await feeds.api_key(job_id)
        except SparkDeskError as error:
            self.failed.emit(error)
            return
        job = self._model.job()
        if job is not None and job.job_id == job_id:
            self.show_job(job)
        self._put(kind, said, url, key)

    def _put(self, kind: str, said: EndpointText, url: str, key: str) -> None:
        if kind == "url" and self.url.text() == url:
            self.url.put()
            return
        texts = {
            "url": lambda: url,
            "key": lambda: key,
            "curl": lambda: curl_text(url, said.model, purpose=said.purpose, has_key=said.is_lan),
            "python": lambda: python_text(url, said.model, purpose=said.purpose, has_key=said.is_lan),
            "agents": lambda: agent_text(url, said.model, key=key),
        }
        QGuiApplication.clipboard().setText(texts[kind]())
        self._tell_copied(kind)

    def _tell_copied(self, kind: str) -> None:
        for key, button in self.ways.items():
            button.set_icon("check" if key == kind else "")

    def _toggle_key(self) -> None:
        job, feeds = self._model.job(), self._model.feeds
        if self.key.text() or job is None or feeds.start is None:
            self._hide_key()
            return
        feeds.start(self._reveal, job.job_id)

    async def _reveal(self, job_id: str) -> None:
        feeds = self._model.feeds
        if feeds.api_key is None:
            return
        try:
            key = await feeds.api_key(job_id)
        except SparkDeskError as error:
            self.failed.emit(error)
            return
        if self._model.job_id == job_id:
            self.key.setText(text.one_line(key, 200))
            self.key.setVisible(True)
            self.show_key.setText("Hide key")
            self.show_key.updateGeometry()

    def _hide_key(self) -> None:
        self.key.setText("")
        self.key.setVisible(False)
        self.show_key.setText("Show key")
        for button in self.ways.values():
            button.set_icon("")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_wide = self.width() >= NARROW_PX
        self._row.setDirection(QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom)
        self._row.setSpacing(22 if is_wide else 10)
        self._place_door()


def _block(title: str | QHBoxLayout, *parts: QWidget | QHBoxLayout | QVBoxLayout) -> QVBoxLayout:
    column = QVBoxLayout()
    column.setSpacing(5)
    head = Label(title, "dense_strong", "text") if isinstance(title, str) else title
    for part in (head, *parts):
        if isinstance(part, QWidget):
            column.addWidget(part)
        else:
            column.addLayout(part)
    column.addStretch(1)
    return column


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
