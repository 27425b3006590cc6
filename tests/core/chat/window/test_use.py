"""What a branch takes of the window, when the newest answer has no count of its own."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.chat.context import ContextParts, ContextUse, SentContext
from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.message import FilePart, ImagePart, Message, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import Turn, TurnFailure, TurnState, question
from sparkdesk.core.chat.store.session_json import turn_to_json
from sparkdesk.core.chat.store.stored_turn import stored_turn
from sparkdesk.core.chat.window.exchange import MESSAGE_TOKENS
from sparkdesk.core.chat.window.use import use_of

PARTS = ContextParts(system=10, messages=90, is_counted=True)


def asked(text: str) -> Turn:
    return Turn(question(text))


def answered(text: str, usage: Usage | None = None, sent: SentContext | None = None, *, thought: str = "") -> Turn:
    parts = (*((ReasoningPart(thought),) if thought else ()), *((TextPart(text),) if text else ()))
    return Turn(Message(Role.ASSISTANT, parts), usage=usage, sent=sent)


COUNTED = (asked("a"), answered("x" * 80, Usage(120, 20, 60), SentContext(parts=PARTS)))
"""An answer of four bytes a token."""


def test_an_answer_that_the_server_counted_is_told_by_its_count_alone() -> None:
    use = use_of(COUNTED)
    assert (use.used, use.cached, use.is_about) == (140, 60, False)
    assert use.parts.total == use.prompt == 120
    assert use_of(()) == ContextUse()


def test_what_was_written_since_the_last_count_is_estimated_by_that_answer() -> None:
    stopped = replace(answered("y" * 40, sent=SentContext(parts=PARTS)), state=TurnState.STOPPED)
    use = use_of((*COUNTED, asked("z" * 4), stopped))
    assert (use.prompt, use.answer, use.since) == (120, 20, 1 + 10 + 2 * MESSAGE_TOKENS)
    assert use.is_about
    assert use.cached is None, "that was of an older prompt"
    later = use_of((*COUNTED, asked("z" * 4), answered(""), asked("z" * 8)))
    assert later.since == 2 + MESSAGE_TOKENS, "a question without an answer is not sent again"


def test_what_was_thought_counts_while_it_is_the_last_and_not_after() -> None:
    thinking = answered("x" * 40, Usage(120, 20, reasoning_tokens=10), thought="t" * 40)
    assert use_of((asked("a"), thinking)).used == 140
    assert use_of((asked("a"), thinking, asked(""))).answer == 10
    live = answered("", thought="t" * 400)
    assert use_of((*COUNTED, asked("z" * 4), live)).since == 1 + MESSAGE_TOKENS + 100


def test_the_first_answer_is_told_by_the_estimated_parts_while_it_is_written() -> None:
    estimated = ContextParts(system=10, messages=90)
    use = use_of((asked("a"), answered("y" * 35, sent=SentContext(parts=estimated))))
    assert (use.prompt, use.used, use.since) == (None, 110, 10)
    assert use.is_about


def test_the_old_count_does_not_hold_for_a_prompt_that_was_cut() -> None:
    cut = SentContext(left_out=(0, 1), parts=ContextParts(messages=50))
    use = use_of((*COUNTED, asked("b"), answered("y" * 40, sent=cut)))
    assert (use.prompt, use.used) == (None, 60)


def test_a_refusal_is_told_with_its_own_numbers_until_something_else_is_asked() -> None:
    failure = TurnFailure("context_overflow", prompt_tokens=29_025, context_tokens=4096)
    refused = replace(answered("", sent=SentContext(parts=ContextParts(1, 0, 0, 9))), failure=failure)
    use = use_of((*COUNTED, asked("b"), refused))
    assert (use.used, use.limit, use.is_refused, use.is_about) == (29_025, 4096, True, False)
    assert use.parts.total == 29_025
    assert use.fraction is not None
    assert use.fraction > 7
    assert use_of((*COUNTED, asked("b"), refused, asked("c"))).is_refused is False
    other = replace(refused, failure=TurnFailure("stalled"))
    assert use_of((*COUNTED, asked("b"), other)).prompt == 120


def test_a_long_chat_is_not_read_to_tell_how_full_its_window_is() -> None:
    files = (
        ImagePart("p.png", "d", "image/png", 1, 1, 1),
        FilePart("a.py", "x"),
        FilePart("b.py", 'its "kind": "file"'),
    )
    old = stored_turn(turn_to_json(Turn(question('"kind": "image"', files), number=0)))
    plain = stored_turn(turn_to_json(Turn(question('"kind": "image"'), number=1)))
    for parts in (PARTS, replace(PARTS, is_counted=False)):
        answer = replace(COUNTED[1], sent=SentContext(parts=parts))
        assert use_of((plain, old, answer)).prompt == 120
        assert (plain.has_images, plain.files_count) == (False, 0)
        assert (old.has_images, old.files_count) == (True, 2)
        assert not is_read(plain)
        assert not is_read(old)
    assert old.message.images
    assert (old.has_images, old.files_count) == (True, 2)
    assert (plain.has_images, plain.text) == (False, '"kind": "image"')


def is_read(turn: Turn) -> bool:
    return not getattr(turn, "_data", b"")
