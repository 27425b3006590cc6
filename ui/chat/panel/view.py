"""The panel: the sections from the top, in one column that scrolls only where there is no room.

The one rule: the panel asks and shows; it keeps nothing that the conversation does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.chat.context import ContextUse, SentContext
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.chat.request.form_support import FormSupport, forms_of
from sparkdesk.core.chat.session import ChatSettings
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.server_link import ServerLink
from ui import theme
from ui.chat.panel.context.section import ContextSection
from ui.chat.panel.memory_section import MemorySection
from ui.chat.panel.model import PanelModel
from ui.chat.panel.model_section import ModelSection
from ui.chat.panel.prompt_section import PromptSection
from ui.chat.panel.sampling.form_section import FormSection
from ui.chat.panel.sampling.section import SamplingSection
from ui.widgets.card import Separator

_ANY = FormSupport()
"""Before a model is chosen everything can be set; what it does not take is said then."""
CONTEXT_MS = 1000


class SettingsPanel(QWidget):
    """The right side of the chat."""

    endpoint_chosen = Signal(str)
    """An endpoint's id."""
    changed = Signal(object)
    """A dict of fields of ChatSettings: what the person changed, and nothing else."""
    launch_asked = Signal()
    server_asked = Signal(str, str)
    """Address and key of a server that somebody else runs."""
    again_asked = Signal(str)
    """The id of a remembered server that shall be asked for its models again."""
    forget_asked = Signal(str)
    """The id of a remembered server."""
    context_asked = Signal()
    """Once a second while the panel is seen: a server's cache fills without anything happening in this chat."""
    file_asked = Signal(str)
    """The path of a file to be opened in the person's own editor."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: ChatSettings | None = None
        self._identity: tuple[str, int] = ("", -1)
        self._default = Sampling()
        self._support = _ANY
        self._has_server = False
        self._ticks = QTimer(self)
        self._ticks.setInterval(CONTEXT_MS)
        self._ticks.timeout.connect(self.context_asked)
        self.model = ModelSection()
        self.context = ContextSection()
        self.prompt = PromptSection()
        self.memory = MemorySection()
        self.sampling = SamplingSection()
        self.form = FormSection()
        self.area = QScrollArea()
        self._build()
        self._wire()
        self.setFocusProxy(self.model.model)

    def _build(self) -> None:
        inner = QWidget()
        inner.setProperty("tone", "page")
        column = QVBoxLayout(inner)
        column.setContentsMargins(0, 4, 0, theme.GAP)
        column.setSpacing(0)
        for section in (self.model, self.context, self.prompt, self.memory, self.sampling, self.form):
            column.addWidget(section)
            column.addWidget(Separator())
        column.addStretch(1)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.area)

    def _wire(self) -> None:
        self.model.chosen.connect(self.endpoint_chosen)
        self.model.launch_asked.connect(self.launch_asked)
        self.model.server_asked.connect(self.server_asked)
        self.model.again_asked.connect(self.again_asked)
        self.model.forget_asked.connect(self.forget_asked)
        self.memory.file_asked.connect(self.file_asked)
        self.context.policy_chosen.connect(lambda policy: self._tell(window=policy))
        self.prompt.changed.connect(lambda prompt: self._tell(system_prompt=prompt))
        self.memory.switched.connect(lambda is_on: self._tell(has_memory=bool(is_on)))
        self.sampling.changed.connect(lambda sampling: self._tell(sampling=sampling))
        self.form.changed.connect(lambda form: self._tell(form=form))

    def _tell(self, **changes: Any) -> None:
        # What is shown is this already: what else is shown anew before it was kept must not take it back.
        if self._shown is not None:
            self._shown = replace(self._shown, **changes)
        self.changed.emit(changes)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ticks.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._ticks.stop()
        self.prompt.keep()
        self.memory.keep()

    def attach(self, model: PanelModel) -> None:
        """Give the panel its files: presets and the projects' memories."""
        self.prompt.attach(model)
        self.memory.attach(model)

    def show_models(self, endpoints: tuple[ChatEndpoint, ...], target: ChatEndpoint | None, waiting: str) -> None:
        """Show which models are ready and which one is asked; what it does not do is off, with the reason."""
        self.model.show_models(endpoints, target, waiting)
        self._has_server = target is not None
        self.form.thinking.show_thinks(target.thinks if target is not None else None)
        self.prompt.show_given(target.system_prompt if target is not None else "")
        default = target.sampling if target is not None else Sampling()
        self.context.show_embedding(target.embed() is not None if target is not None else None)
        support = forms_of(target.endpoint.engine) if target is not None else _ANY
        if support is not self._support:
            self._support = support
            self.sampling.show_support(support)
            self.form.show_support(support)
        if default != self._default:
            self._default = default
            self.sampling.show_sampling(self._shown.sampling if self._shown is not None else default, default)

    def show_servers(self, links: tuple[ServerLink, ...]) -> None:
        """The servers of somebody else's that are remembered."""
        self.model.show_servers(links)

    def close_address(self) -> None:
        """The server is connected: its form has done its work."""
        self.model.open_server(is_open=False)

    def show_context(self, use: ContextUse, files: int | None = None) -> None:
        """Show how full the context is; `files` is how many files go along."""
        self.model.show_slots(use.pool.slots if use.pool is not None else None)
        self.context.show_use(use, files, has_server=self._has_server)

    def show_sent(self, sent: SentContext | None, said: Callable[[int], str]) -> None:
        """Show what was sent with the last question; `said` gives the words of a message by its number."""
        self.context.show_sent(sent, said)

    def show_settings(self, settings: ChatSettings, chat_id: str = "") -> None:
        """Show what is set for a chat. What is being written for it stays; what was written for another is dropped."""
        identity = (chat_id, settings.created_ms)
        is_other = identity != self._identity
        if settings == self._shown and not is_other:
            return
        self._shown, self._identity = settings, identity
        if is_other:
            self.sampling.forget_typing()
            self.form.forget_typing()
        self.prompt.show_prompt(settings.system_prompt, is_other=is_other)
        self.memory.show_project(settings.folder, has_memory=settings.has_memory)
        self.context.show_policy(settings.window)
        self.sampling.show_sampling(settings.sampling, self._default)
        self.form.show_form(settings.form)
