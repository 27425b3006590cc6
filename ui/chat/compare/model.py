"""The view-model of a comparison: its columns, what may be asked, and how the last answers differ.

Rule: QtCore only. Each column is shown by a chat's own view-model; what differs is told, never which one is better.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.chat.message import NO_IMAGES, Attachment, Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.text_diff import Piece, diff, likeness
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.services.chat.attaching import Draft
from sparkdesk.services.chat.comparison import MAX_COLUMNS, MIN_COLUMNS, Comparison
from sparkdesk.services.chat.conversation import Conversation
from sparkdesk.services.chat.conversations import Conversations
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui.bridge import Bridge, telling
from ui.chat.model import ChatModel


class Difference(NamedTuple):
    """An answer held against the first column's."""

    pieces: tuple[Piece, ...]
    likeness: float
    """Share of the characters that are the same, 0 to 1."""


class CompareModel(QObject):
    """Made from the conversations, the model servers that are ready, and the bridge."""

    columns_changed = Signal()
    """There are other columns."""
    state_changed = Signal()
    """A column's model, or whether it is answering, is another."""
    answers_changed = Signal()
    """The last answers are others, and done."""
    failed = Signal(object)
    """A SparkDeskError to show."""
    refused = Signal(object)
    """The `Draft` of a question that the comparison shown did not take."""

    def __init__(
        self,
        conversations: Conversations,
        endpoints: Latest[tuple[ChatEndpoint, ...]],
        bridge: Bridge,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._conversations = conversations
        self._endpoints = endpoints
        self._bridge = bridge
        self._comparison: Comparison | None = None
        self._told: tuple[Turn | None, ...] = ()
        self._differences: dict[int, Difference] = {}
        self.columns: tuple[ChatModel, ...] = ()

    # What is shown ---------------------------------------------------------------------------------------------

    @property
    def endpoints(self) -> tuple[ChatEndpoint, ...]:
        """The model servers that are ready."""
        return self._endpoints.value

    @property
    def is_answering(self) -> bool:
        """Whether a column is being answered."""
        return self._comparison is not None and self._comparison.is_answering

    @property
    def has_turns(self) -> bool:
        """Whether something was asked: then columns are neither added nor taken away."""
        return any(column.turns for column in self.columns)

    @property
    def title(self) -> str:
        """What the comparison is called."""
        first = self.columns[0].conversation if self.columns else None
        return first.title.value if first is not None and self.has_turns else "Compare models"

    @property
    def exchanges(self) -> int:
        """How many questions were asked."""
        return max(((len(column.turns) + 1) // 2 for column in self.columns), default=0)

    def shows(self, session_id: str) -> bool:
        """Whether this conversation is one of the columns."""
        return any(each.id == session_id for each in self._conversations_shown())

    def session_id(self) -> str:
        """The id under which the comparison stands in the list."""
        return next((each.id for each in self._conversations_shown()), "")

    def session_ids(self) -> tuple[str, ...]:
        """The ids of the columns' conversations that are stored."""
        stored = (column.conversation for column in self.columns if column.turns)
        return tuple(each.id for each in stored if each is not None)

    def obstacle(self) -> str:
        """Why nothing can be asked now; "" when it can."""
        missing = sum(column.target is None for column in self.columns)
        if not self.columns or missing == len(self.columns):
            return "Choose at least one model above its column."
        return ""

    def add_obstacle(self) -> str:
        """Why no column can be added now; "" when one can."""
        if self.has_turns:
            return "The question was asked already: begin a new comparison to have other columns."
        if len(self.columns) >= MAX_COLUMNS:
            return f"At most {MAX_COLUMNS} models stand side by side."
        return "" if self.endpoints else "No model is ready."

    def last_answer(self, place: int) -> Turn | None:
        """The last answer of a column, None while there is none that is done."""
        turns = self.columns[place].turns
        is_done = bool(turns) and turns[-1].message.role is Role.ASSISTANT and not turns[-1].state.is_open
        return turns[-1] if is_done else None

    def difference(self, place: int) -> Difference | None:
        """How a column's last answer differs from the first column's; None for the first, and while one is missing."""
        if place in self._differences:
            return self._differences[place]
        first, other = self.last_answer(0), self.last_answer(place)
        if place == 0 or first is None or other is None:
            return None
        pieces = diff(first.text, other.text)
        self._differences[place] = Difference(pieces, likeness(pieces))
        return self._differences[place]

    # What the person does --------------------------------------------------------------------------------------

    def start(self, chosen: ChatEndpoint | None = None) -> None:
        """A new comparison: of the model that was talked to and the next one, or of one model twice."""
        ready = list(self.endpoints)
        if chosen is not None and any(each.id == chosen.id for each in ready):
            ready.sort(key=lambda each: each.id != chosen.id)
        targets = ready[:MIN_COLUMNS]
        if targets:
            self._begin([*targets, *targets][:MIN_COLUMNS])
        else:
            self._take(None)

    def open(self, session_ids: tuple[str, ...]) -> None:
        """Show a comparison that is stored."""

        async def opened() -> None:
            try:
                self._take(await self._conversations.open_comparison(session_ids))
            except (KeyError, ValueError):
                return

        self._start(opened)

    def leave(self) -> None:
        """Show no comparison: the one that was shown is no more."""
        self._take(None)

    def rename(self, title: str) -> None:
        """Give the comparison another title, which is its first column's."""
        if self.has_turns:
            self._start(lambda: self._conversations.rename(self.session_id(), title))

    def set_target(self, place: int, endpoint_id: str) -> None:
        """Have a column talk to this server."""
        found = next((each for each in self.endpoints if each.id == endpoint_id), None)
        if found is None or not 0 <= place < len(self.columns) or self.columns[place].target is found:
            return
        if self.has_turns:
            self.columns[place].choose_endpoint(endpoint_id)
            return
        targets = self._targets()
        self._begin([found if at == place else target for at, target in enumerate(targets)])

    def add_column(self) -> None:
        """One column more, with a model that has none yet where there is one."""
        if self.add_obstacle():
            return
        taken = {target.id for target in self._targets()}
        fresh = next((each for each in self.endpoints if each.id not in taken), self.endpoints[0])
        self._begin([*self._targets(), fresh])

    def remove_column(self, place: int) -> None:
        """One column less; two stay."""
        if not self.has_turns and len(self.columns) > MIN_COLUMNS:
            self._begin([target for at, target in enumerate(self._targets()) if at != place])

    def ask(self, text: str, attachments: tuple[Attachment, ...] = (), images: Mapping[str, bytes] = NO_IMAGES) -> None:
        """Ask every column."""
        comparison = self._comparison
        if comparison is None:
            return

        async def ask() -> None:
            had = _held(comparison)
            try:
                await comparison.ask(text, attachments, images)
            except SparkDeskError:
                # Where one column took it, it stands there.
                if comparison is self._comparison and _held(comparison) == had:
                    self.refused.emit(Draft(text, attachments, images))
                raise

        self._start(ask)

    def ask_again(self) -> None:
        """Have the last question answered again in every column."""
        if self._comparison is not None:
            self._start(self._comparison.regenerate)

    def stop(self) -> None:
        """Stop every answer."""
        if self._comparison is not None:
            self._comparison.stop()

    # Inside ----------------------------------------------------------------------------------------------------

    def _targets(self) -> list[ChatEndpoint]:
        return [column.target for column in self.columns if column.target is not None]

    def _conversations_shown(self) -> tuple[Conversation, ...]:
        return self._comparison.columns if self._comparison is not None else ()

    def _begin(self, targets: list[ChatEndpoint]) -> None:
        self._take(self._conversations.compare(targets))

    def _take(self, comparison: Comparison | None) -> None:
        self._comparison = comparison
        for column in self.columns:
            column.deleteLater()
        conversations = self._conversations_shown()
        self.columns = tuple(self._column(conversation) for conversation in conversations)
        self._told, self._differences = (), {}
        self.columns_changed.emit()
        self._on_rows()

    def _column(self, conversation: Conversation) -> ChatModel:
        column = ChatModel(self._conversations, self._endpoints, self._bridge, self, column=conversation)
        column.failed.connect(self.failed)
        column.state_changed.connect(self.state_changed)
        column.rows_changed.connect(self._on_rows)
        return column

    def _on_rows(self) -> None:
        answers = tuple(self.last_answer(place) for place in range(len(self.columns)))
        if answers != self._told:
            self._told, self._differences = answers, {}
            self.answers_changed.emit()

    def _start(self, fn: Callable[[], Awaitable[None]]) -> None:
        self._bridge.start(telling(self.failed.emit, fn))


def _held(comparison: Comparison) -> int:
    """How many turns and questions in line the columns have."""
    return sum(len(column.all_turns) + len(column.queued.value) for column in comparison.columns)
