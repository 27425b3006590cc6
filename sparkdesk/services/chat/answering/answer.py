"""The answer that is being written, put together from its events.

The one rule: it can be asked for at any moment, so that a stop, an error or a save finds all that has come.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.event import (
    ChatEvent,
    ReasoningDelta,
    ServedModel,
    TextDelta,
    TokenChoice,
    TokenChoices,
    ToolCallDelta,
)
from sparkdesk.core.chat.message import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.store.session_json import MAX_CHOICES
from sparkdesk.core.chat.stream.timing import AnswerClock


class Answer:
    """The answer that is being written: what was there before, its pieces and its clock."""

    def __init__(self, base: Turn, sent_s: float) -> None:
        """`base` has the answer's number and place, and what it said already when it is continued."""
        self.base = base
        self.clock = AnswerClock(sent_s)
        self._text: list[str] = [base.text] if base.text else []
        self._reasoning: list[str] = [base.reasoning] if base.reasoning else []
        self._calls = dict(enumerate(base.message.calls))
        self._choices: list[TokenChoice] = list(base.choices)

    @property
    def number(self) -> int:
        """The number of its turn."""
        return self.base.number

    def add(self, event: ChatEvent) -> None:
        """Take the next event."""
        self.clock.add(event)
        if isinstance(event, TextDelta):
            self._text.append(event.text)
        elif isinstance(event, ReasoningDelta):
            self._reasoning.append(event.text)
        elif isinstance(event, ToolCallDelta):
            call = self._calls.get(event.index, ToolCallPart("", "", ""))
            self._calls[event.index] = call.with_more(event.id, event.name, event.arguments)
        elif isinstance(event, TokenChoices):
            self._choices.extend(event.choices[: MAX_CHOICES - len(self._choices)])
        elif isinstance(event, ServedModel):
            note = f"{event.model} answered; {event.asked} was asked for"
            if note not in self.base.note:
                self.base = replace(self.base, note="; ".join(part for part in (self.base.note, note) if part))

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
        return replace(
            self.base,
            message=Message(Role.ASSISTANT, tuple(parts)),
            state=state,
            timing=self.clock.timing(),
            usage=self.clock.usage,
            choices=tuple(self._choices),
        )
