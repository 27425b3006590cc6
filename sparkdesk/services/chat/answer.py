"""The answer that is being written, put together from its events.

The one rule: it can be asked for at any moment, so that a stop, an error or a save finds all that has come.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.event import ChatEvent, ReasoningDelta, TextDelta, ToolCallDelta
from sparkdesk.core.chat.message import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.timing import AnswerClock


class Answer:
    """The answer that is being written: its pieces and its clock."""

    def __init__(self, turn: Turn, position: int, sent_s: float) -> None:
        self._turn = turn
        self.position = position
        self.clock = AnswerClock(sent_s)
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, ToolCallPart] = {}

    def add(self, event: ChatEvent) -> None:
        """Take the next event."""
        self.clock.add(event)
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, ReasoningDelta):
            self._reasoning.append(event.text)
        elif isinstance(event, ToolCallDelta):
            call = self._calls.get(event.index, ToolCallPart("", "", ""))
            self._calls[event.index] = ToolCallPart(
                call.id or event.id, call.name or event.name, call.arguments + event.arguments
            )

    def turn(self, state: TurnState) -> Turn:
        """The turn as it stands."""
        parts: list[Part] = []
        if self._reasoning:
            self._reasoning = ["".join(self._reasoning)]
            parts.append(ReasoningPart(self._reasoning[0]))
        if self._text:
            self._text = ["".join(self._text)]
            parts.append(TextPart(self._text[0]))
        parts.extend(self._calls.values())
        usage = self.clock.usage
        return replace(
            self._turn,
            message=Message(Role.ASSISTANT, tuple(parts)),
            state=state,
            timing=self.clock.timing(),
            usage=usage,
        )
