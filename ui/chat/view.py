"""The chat page: list, transcript with composer, and settings; the settings become a drawer in a narrow window.

The one rule: the page only lays out and passes on; what is said and kept is the view-model's.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.services.chat.attaching import Draft
from ui import theme
from ui.action import ActionRegistry
from ui.chat.compare.model import CompareModel
from ui.chat.compare.page import ComparePage
from ui.chat.compose.composer import Composer
from ui.chat.compose.model import ComposeModel
from ui.chat.compose.page_command import PageCommands
from ui.chat.model import LOOKED_BACK, ChatModel
from ui.chat.page.below import below
from ui.chat.page.commands import add_commands
from ui.chat.page.find_bar import FindBar
from ui.chat.page.head import PANEL_TITLE, ChatHead
from ui.chat.page.queue_row import QueueRow
from ui.chat.panel.context.words import ring_words
from ui.chat.panel.section import WIDTH_PX as PANEL_PX
from ui.chat.panel.view import SettingsPanel
from ui.chat.sessions.list import WIDTH_PX as LIST_PX
from ui.chat.sessions.list import SessionList
from ui.chat.sessions.menu import add_forms
from ui.chat.sessions.model import SessionsModel
from ui.chat.transcript import Transcript
from ui.text import count, one_line
from ui.theme import Token, color
from ui.widgets.banner import Banner
from ui.widgets.drawer import Drawer
from ui.widgets.empty_state import EmptyState

DRAWER_BELOW_PX = 1072
"""Of the page: a window of 1280 without its sidebar."""


class _Side(QFrame):
    """A flat panel with one line towards the middle."""

    def __init__(self, panel: QWidget, width: int, *, is_left: bool, fill: Token) -> None:
        super().__init__()
        self._is_left = is_left
        self._fill: Token = fill
        self.setFixedWidth(width)
        column = QVBoxLayout(self)
        column.setContentsMargins(0 if is_left else 1, 0, 1 if is_left else 0, 0)
        column.addWidget(panel)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), color(self._fill))
        x = self.width() - 1 if self._is_left else 0
        painter.fillRect(QRectF(x, 0, 1, self.height()), color("border"))


class _Line(QFrame):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(1)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), color("border"))


class ChatPage(QWidget):
    """The page. `launch_asked`: the person wants to start a model server."""

    launch_asked = Signal()
    server_asked = Signal(str, str)
    """Address and key of a server that somebody else runs; answered by `show_server` or `model.failed`."""
    export_asked = Signal(tuple, str)
    """The ids of conversations that are wanted as a file, and the value of a `TransferForm`."""
    import_asked = Signal()
    raise_asked = Signal(str, int)
    """The id of a server that is to be launched again with so many tokens of context; 0 is not known how many."""

    def __init__(self, model: ChatModel, compose: ComposeModel | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.sessions = SessionList()
        self.list_model = SessionsModel(model.conversations, model.bridge, self)
        self.banner = Banner()
        self.head = ChatHead()
        self.queue = QueueRow()
        self.search = FindBar(model.find)
        self.transcript = Transcript(model)
        self.no_model = EmptyState("message-square", "", "", action="Launch a model", is_primary=True)
        self.no_words = EmptyState("message-square", "", "")
        self.middle = QStackedWidget()
        self.stack = QStackedWidget()
        """What stands under the head: the conversation, or a comparison."""
        self.comparison: ComparePage | None = None
        self.composer = Composer(compose)
        self.settings = SettingsPanel()
        self._side = QWidget()
        self._drawer = Drawer(self, width=PANEL_PX + 2)
        self._unkept = ""
        self._was_answering = False
        self.setAccessibleName("Chat")
        self._build()
        self._wire()
        self.slash = PageCommands(self)
        self._show_all()

    def _build(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(_Side(self.sessions, LIST_PX, is_left=True, fill="sidebar"))
        row.addLayout(self._build_middle(), 1)
        self._side = _Side(self.settings, PANEL_PX, is_left=False, fill="sidebar")
        row.addWidget(self._side)

    def _build_middle(self) -> QVBoxLayout:
        self.middle.addWidget(self.transcript)
        self.middle.addWidget(self.no_model)
        self.middle.addWidget(self.no_words)
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(_Line())
        column.addWidget(self.search)
        talk = QWidget()
        inside = QVBoxLayout(talk)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        inside.addWidget(self.middle, 1)
        inside.addLayout(below(self.banner, self.queue, self.composer))
        self.stack.addWidget(talk)
        column.addWidget(self.stack, 1)
        return column

    def _wire(self) -> None:
        model = self.model
        model.sessions_changed.connect(self._show_sessions)
        model.conversation_changed.connect(self._on_conversation)
        model.rows_changed.connect(self._show_middle)
        model.state_changed.connect(self._show_state)
        model.failed.connect(self._on_failed)
        model.refused.connect(self.composer.restore)
        self._wire_list()
        self.composer.sent.connect(self._send)
        self.composer.stopped.connect(model.stop)
        self.composer.edit_last_asked.connect(lambda: self.transcript.act_here("edit"))
        self.settings.endpoint_chosen.connect(model.choose_endpoint)
        self.settings.changed.connect(model.change_settings)
        self.settings.context_asked.connect(self._show_context)
        self.settings.launch_asked.connect(self.launch_asked)
        self.settings.server_asked.connect(self.server_asked)
        self.no_model.action_clicked.connect(self.launch_asked)
        self._wire_head()

    def _wire_list(self) -> None:
        model, sessions = self.model, self.sessions
        sessions.use(self.list_model)
        sessions.chosen.connect(self.open_session)
        sessions.place_chosen.connect(self._open_at)
        sessions.new_asked.connect(self.start_new)
        sessions.export_asked.connect(self.export_asked)
        sessions.import_asked.connect(self.import_asked)
        self.list_model.removed.connect(self._on_removed)
        self.list_model.failed.connect(self._on_failed)
        model.turn_asked.connect(self._show_turn)

    # Comparing ---------------------------------------------------------------------------------------------------

    def add_comparison(self, comparison: ComparePage) -> None:
        """Let models be compared here."""
        self.comparison = comparison
        self.stack.addWidget(comparison)
        comparison.launch_asked.connect(self.launch_asked)
        comparison.model.columns_changed.connect(self._show_head)
        comparison.model.state_changed.connect(self._show_head)
        comparison.model.answers_changed.connect(self._show_all)

    @property
    def is_comparing(self) -> bool:
        """Whether a comparison is shown."""
        return self.comparison is not None and self.stack.currentWidget() is self.comparison

    @property
    def shown(self) -> ChatModel | CompareModel:
        """What is shown: a conversation, or a comparison."""
        return self.comparison.model if self.comparison is not None and self.is_comparing else self.model

    def _compare(self, is_on: bool) -> None:
        if not is_on:
            self.show_chat()
        elif self.comparison is not None and not self.is_comparing:
            self.comparison.model.start(self.model.target)
            self._show_comparison()

    def _show_comparison(self) -> None:
        if self.comparison is not None:
            self.stack.setCurrentWidget(self.comparison)
            self._after_switch()
            self.comparison.composer.setFocus()

    def show_chat(self) -> None:
        """Show the conversation, not a comparison."""
        self.stack.setCurrentIndex(0)
        self._after_switch()

    def _after_switch(self) -> None:
        self.head.compare.setChecked(self.is_comparing)
        self.search.leave()
        self._place_panel()
        self._show_all()

    def open_session(self, session_id: str) -> None:
        """Show a conversation or a comparison of the list."""
        known = next((each for each in self.model.sessions if each.id == session_id), None)
        if known is not None and known.comparison and self.comparison is not None:
            if not self.comparison.model.shows(session_id):
                self.comparison.model.open(known.comparison)
            self._show_comparison()
        else:
            self.show_chat()
            self.model.open_session(session_id)

    def _on_removed(self, session_id: str) -> None:
        if self.is_comparing and self.comparison is not None and self.comparison.model.shows(session_id):
            self.comparison.model.leave()
            self.show_chat()
        self.model.leave(session_id)

    def _open_at(self, session_id: str, number: int) -> None:
        known = next((each for each in self.model.sessions if each.id == session_id), None)
        if known is None or not known.comparison:
            self.model.open_at(session_id, number)

    def _show_turn(self, at: int) -> None:
        """Put the keyboard at a turn that a search found."""
        self.transcript.column.setFocus()
        self.transcript.focus_message(at)

    def _wire_head(self) -> None:
        model = self.model
        self.head.renamed.connect(lambda title: self.shown.rename(title))
        self.head.compare_asked.connect(self._compare)
        self.head.export_asked.connect(self.export)
        self.head.panel_asked.connect(self._drawer.open)
        self.queue.drop_asked.connect(model.drop_queued)
        self.queue.send_asked.connect(model.send_queued)
        self.queue.edit_asked.connect(self._take_back)
        self.queue.left.connect(self.composer.setFocus)
        self.search.found.connect(self.transcript.show_found)
        self.search.left.connect(self.transcript.column.setFocus)
        self.transcript.offer_taken.connect(self._on_offer)

    def add_commands(self, registry: ActionRegistry, show: Callable[[], object] = lambda: None) -> None:
        """Give the palette what can be done here, with its keys; `show` brings this page up."""
        add_commands(self, registry, show)

    def regions(self) -> list[QWidget]:
        """The parts of the page that F6 goes to, one after the other."""
        parts = [self.sessions, self.head, self.transcript.column, self.queue, self.composer, self.settings]
        if self.comparison is not None:
            parts += [*(column.endpoint for column in self.comparison.columns), self.comparison.composer]
        return [part for part in parts if part.isVisibleTo(self)]

    def resume(self) -> None:
        """Have the last answer go on where it ends."""
        if self.model.turns:
            self.model.act("continue", self.model.turns[-1].number)

    def export(self) -> None:
        """Ask as what the chat, or each column of a comparison, is to be written, and then for the file."""
        if not (ids := self.shown.session_ids()):
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_forms(menu, lambda form: self.export_asked.emit(ids, form))
        menu.popup(self.head.export.mapToGlobal(self.head.export.rect().bottomLeft()))
        menu.setActiveAction(menu.actions()[0])

    def show_server(self, endpoint_id: str) -> None:
        """Talk to a server that was just connected to."""
        self.banner.clear()
        self.settings.close_address()
        self.model.choose_endpoint(endpoint_id)
        self.composer.setFocus()

    def start_new(self) -> None:
        """Begin a new conversation and put the cursor where it is written."""
        self.show_chat()
        self.model.start_new()
        self.composer.setFocus()

    def _show_all(self) -> None:
        self._show_sessions()
        self._show_middle()
        self._show_state()

    def _on_conversation(self) -> None:
        self.banner.clear()
        self.search.leave()
        self._was_answering = self.model.is_answering
        self._show_all()

    def _show_sessions(self) -> None:
        shown = self.model.conversation.id if self.model.conversation is not None else ""
        if self.is_comparing and self.comparison is not None:
            shown = self.comparison.model.session_id()
        self.sessions.set_sessions(self.model.sessions, shown)

    def _show_middle(self) -> None:
        has_turns = bool(self.model.turns)
        empty = self.no_words if self.model.target is not None else self.no_model
        self.middle.setCurrentWidget(self.transcript if has_turns else empty)
        self._show_head()

    def _show_head(self) -> None:
        if self.is_comparing and self.comparison is not None:
            self.head.show_chat(self.comparison.model.title, self.comparison.model.exchanges)
            return
        conversation = self.model.conversation
        # A question and its answer are one: to tell them apart each would have to be read from the disk.
        exchanges = (len(self.model.turns) + 1) // 2
        title = conversation.title.value if conversation is not None else ""
        # Where the panel is not seen, who is talked to stands here.
        target = self.model.target if not self.head.panel_button.isHidden() else None
        self.head.show_chat(title, exchanges, target.label if target is not None else "")

    def _show_state(self) -> None:
        model, conversation = self.model, self.model.conversation
        if conversation is None:
            return
        target = model.target
        reason = "" if target is not None else self._reason()
        self.composer.show_conversation(conversation.id, has_begun=bool(model.turns))
        self.composer.show_state(is_answering=model.is_answering, reason=reason)
        takes_images = target.takes_images if target is not None else None
        self.composer.set_server(target.id if target is not None else "", takes_images=takes_images)
        self.queue.show_queue(model.queued)
        self._show_unkept(conversation.unkept.value)
        self._announce()
        self.settings.show_models(model.endpoints, target, model.waiting_text)
        self.settings.show_settings(conversation.settings.value, conversation.id)
        self._show_context()
        sent = next((turn.sent for turn in reversed(model.turns[-LOOKED_BACK:]) if turn.sent is not None), None)
        self.settings.show_sent(sent, self._said)
        self._show_empty()
        self._show_middle()

    def _show_context(self) -> None:
        use = self.model.context_use()
        self.settings.show_context(use, self._files() if use.parts.files else None)
        self.composer.set_context(use.fraction, ring_words(use))

    def _files(self) -> int:
        """How many files go along with what is shown."""
        return sum(turn.files_count for turn in self.model.turns)

    def _said(self, number: int) -> str:
        """The words of a turn, whole."""
        known = self.model.conversation.all_turns if self.model.conversation is not None else ()
        return next((turn.text for turn in known if turn.number == number), "")

    def _announce(self) -> None:
        """Tell a screen reader that an answer began or ended; what comes in between is not told."""
        is_answering = self.model.is_answering
        if is_answering == self._was_answering:
            return
        self._was_answering = is_answering
        last = self.model.turns[-1] if self.model.turns else None
        if is_answering:
            words = "The model answers"
        elif last is not None and last.error:
            words = f"The answer ended with a problem: {one_line(last.error, 200)}"
        else:
            words = "The answer is complete"
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, words))

    def _show_unkept(self, words: str) -> None:
        """Say that something shown is not on the disk, and take that back when it is."""
        if words == self._unkept:
            return
        self._unkept = words
        if words:
            self.banner.show_notice("warn", "This chat is not kept", one_line(words, 600))
        else:
            self.banner.clear()

    def _take_back(self, place: int) -> None:
        """Put a question of the line back into the composer."""
        waiting = self.model.drop_queued(place)
        if waiting is not None:
            self.composer.add(Draft(waiting.text, waiting.attachments, waiting.images))
            self.composer.setFocus()

    def _on_offer(self, key: str, at: int) -> None:
        """A way on that goes beyond the transcript."""
        target = self.model.target
        if key == "raise" and target is not None:
            offer = self.model.raise_offer(at)
            self.raise_asked.emit(target.id, offer or 0)

    def _reason(self) -> str:
        label = self.model.conversation.endpoint_label.value if self.model.conversation is not None else ""
        gone = f"{one_line(label, 80)} is not ready." if label else "No model is ready."
        if not self.model.endpoints:
            return gone
        choice = f"Choose a model {self._panel_place()} to go on."
        return f"{gone} {choice}" if label else choice

    def _panel_place(self) -> str:
        """Where a model is chosen, in words that fit the window's width."""
        return f"in “{PANEL_TITLE}” at the top" if self.width() < DRAWER_BELOW_PX else "at the right"

    def _show_empty(self) -> None:
        target, waiting = self.model.target, self.model.waiting_text
        self.no_model.set_primary(not waiting)
        if target is not None:
            limit = target.endpoint.context_tokens
            room = f" Up to {count(limit)} tokens." if limit else ""
            note = f" {one_line(target.endpoint.note, 200)}." if target.endpoint.note else ""
            self.no_words.set_words(one_line(target.label, 120), f"Ask something.{room}{note}")
        elif waiting:
            self.no_model.set_words("A model is on its way", one_line(waiting, 300))
        else:
            self.no_model.set_words(
                "No model is ready",
                f"Launch one on your Sparks, or connect to a server {self._panel_place()}, then talk to it here.",
            )

    def _send(self, draft: Draft) -> None:
        self.banner.clear()
        self.composer.clear()
        self.transcript.show_newest()
        self.model.ask(draft.text, draft.attachments, draft.images)

    def _on_failed(self, error: SparkDeskError) -> None:
        self.banner.show_error(error.message, error.remedy, detail=error.detail, node=error.node)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.composer.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.model.is_answering and not self.is_comparing:
            self.model.stop()
            event.accept()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_panel()
        if (event.oldSize().width() < DRAWER_BELOW_PX) != (self.width() < DRAWER_BELOW_PX):
            self._show_state()  # Its words say where the panel is.

    def _place_panel(self) -> None:
        """Beside the conversation, or over it where there is no room; a comparison needs the room for its columns."""
        is_drawer = self.width() < DRAWER_BELOW_PX
        self.head.panel_button.setVisible(is_drawer and not self.is_comparing)
        layout = self.layout()
        if layout is None:
            return
        is_beside = layout.indexOf(self._side) >= 0
        is_moving = is_drawer == is_beside or self.is_comparing
        if is_moving and self._side.isAncestorOf(self.window().focusWidget()):
            # The panel goes from here to there: the keyboard would go to whatever comes next in the window.
            self.composer.setFocus()
        if is_drawer and is_beside:
            layout.removeWidget(self._side)
            self._drawer.set_panel(self._side)
        elif not is_drawer and not is_beside:
            self._drawer.close_drawer()
            self._drawer.take_panel()
            layout.addWidget(self._side)
        if self.is_comparing:
            self._drawer.close_drawer()
        if not is_drawer:
            self._side.setVisible(not self.is_comparing)
