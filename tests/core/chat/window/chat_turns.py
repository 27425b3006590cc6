"""Turns for tests of windows: any conversation that hypothesis can think of."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from sparkdesk.core.chat.message import FilePart, Message, Part, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import Turn

ROLES = st.sampled_from((Role.USER, Role.ASSISTANT))
WORDS = st.text(alphabet="ab é中\n. ", max_size=60)


def turn(number: int, role: Role, text: str, *files: FilePart) -> Turn:
    """A turn with its number."""
    said: tuple[Part, ...] = (TextPart(text),) if text else ()
    return Turn(Message(role, (*said, *files)), number=number, parent=number - 1 if number else None)


def dialogue(*texts: str) -> tuple[Turn, ...]:
    """Question, answer, question, ... and so on."""
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(turn(at, roles[at % 2], text) for at, text in enumerate(texts))


def conversations(max_turns: int = 14) -> st.SearchStrategy[tuple[Turn, ...]]:
    """Any order of questions and answers, some of which say nothing; the newest is a question that says something."""
    some = st.lists(st.tuples(ROLES, WORDS), max_size=max_turns)
    return some.map(lambda rows: _numbered([*rows, (Role.USER, "And now?")]))


def _numbered(rows: Sequence[tuple[Role, str]]) -> tuple[Turn, ...]:
    made = [turn(at, role, text) for at, (role, text) in enumerate(rows)]
    thought = Turn(Message(Role.ASSISTANT, (ReasoningPart("Hm."),)), number=1000)
    return tuple([*made[:-1], thought, made[-1]] if len(made) > 2 else made)
