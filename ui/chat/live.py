"""The answer that is being written, as rows that close one by one and one open tail.

Rule: QtCore only; an event adds to the tail or closes it, and never touches a closed row.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.chat.event import ChatEvent, ReasoningDelta, TextDelta
from sparkdesk.core.chat.markdown_block import BlockKind, MarkdownSplitter
from sparkdesk.core.chat.session import Turn
from ui.chat.row import BlockRow, Row, StatusRow, TailRow, ThoughtRow, has_content, sent_rows


@dataclass(frozen=True, slots=True)
class Growth:
    """What changed in the tail: `text` is added, or, with `is_reset`, is all there is now."""

    text: str
    is_reset: bool


class LiveAnswer:
    """One answer from its first event to its end."""

    def __init__(self, index: int, so_far: Turn) -> None:
        self.index = index
        self.reasoning = so_far.reasoning
        self.sent = so_far.sent
        self._splitter = MarkdownSplitter()
        self._closed: list[BlockRow] = []
        self.tail = ""
        self._has_text = False
        if so_far.text:
            self._read(so_far.text)
            self.tail = self._splitter.open_text

    def add(self, events: list[ChatEvent]) -> Growth:
        """Take some events; gives what the tail grew by."""
        for event in events:
            if isinstance(event, ReasoningDelta):
                self.reasoning += event.text
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        if not text:
            return Growth("", is_reset=False)
        had_tail = self._tail_row()
        has_closed = self._read(text)
        before, self.tail = self.tail, self._splitter.open_text
        if not has_closed and self._tail_row() == had_tail and self.tail.startswith(before):
            return Growth(self.tail[len(before) :], is_reset=False)
        return Growth(self.tail, is_reset=True)

    def _read(self, text: str) -> bool:
        self._has_text = True
        closed = self._splitter.feed(text)
        self._closed.extend(BlockRow(self.index, block) for block in closed if has_content(block))
        return bool(closed)

    def _tail_row(self) -> TailRow:
        is_code = self._splitter.kind is BlockKind.CODE
        return TailRow(self.index, is_code, self._splitter.language)

    @property
    def has_token(self) -> bool:
        """Whether anything was generated yet."""
        return self._has_text or bool(self.reasoning)

    @property
    def is_thinking(self) -> bool:
        """Whether only reasoning has come so far."""
        return bool(self.reasoning) and not self._has_text

    def rows(self) -> list[Row]:
        """The rows as they stand."""
        rows = sent_rows(self.sent, self.index)
        if self.reasoning:
            rows.append(ThoughtRow(self.index, is_live=True))
        rows.extend(self._closed)
        if self._has_text:
            # Also while it is empty: its widget is the one thing that should not be made again and again.
            rows.append(self._tail_row())
        rows.append(StatusRow(self.index))
        return rows
