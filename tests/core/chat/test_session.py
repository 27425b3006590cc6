"""What is stored of a conversation comes back as it was; what was damaged comes back as a turn that says so."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.event import Usage
from sparkdesk.core.chat.message import Message, ReasoningPart, Role, Sampling, TextPart, ToolCallPart
from sparkdesk.core.chat.session import (
    ChatSettings,
    Turn,
    TurnState,
    request_messages,
    title_of,
)
from sparkdesk.core.chat.store.session_json import settings_from_json, settings_to_json, turn_from_json, turn_to_json
from sparkdesk.core.chat.stream.timing import AnswerTiming


def said(role: Role, text: str, state: TurnState = TurnState.DONE) -> Turn:
    return Turn(Message(role, (TextPart(text),) if text else ()), state=state)


def test_a_turn_comes_back_as_it_was_stored() -> None:
    parts = (ReasoningPart("hm"), TextPart("a\u2028b é"), ToolCallPart("1", "f", '{"a"'))
    turn = Turn(
        Message(Role.ASSISTANT, parts),
        state=TurnState.CUT_OFF,
        timing=AnswerTiming(ttft_s=1.5, completion_tokens=3, is_counted_by_server=True),
        usage=Usage(1, 3, None, 2.0, None),
        note="simulated vLLM, real llama.cpp",
        error="cut",
        remedy="Retry.",
        label="m on n",
        t_ms=5,
        finish_reason="length",
    )
    back = turn_from_json(turn_to_json(turn))
    assert replace(back, timing=None) == replace(turn, timing=None)
    assert back.timing is not None
    assert back.timing.ttft_s == 1.5
    assert math.isnan(back.timing.tpot_s)
    assert back.timing.is_counted_by_server


def test_settings_come_back_as_they_were_stored() -> None:
    settings = ChatSettings("Be brief.", Sampling(temperature=0.0, top_p=0.9, max_tokens=64), "m on n", 1, 2)
    assert settings_from_json(settings_to_json(settings)) == settings


@given(
    data=st.binary(max_size=80)
    | st.sampled_from([b"[]", b"{}", b'{"role":"user","parts":[{"kind":"text"}]}', b"[" * 9999])
)
def test_a_damaged_turn_says_so_and_never_raises(data: bytes) -> None:
    turn = turn_from_json(data)
    assert turn.message.role is Role.USER or turn.error
    settings_from_json(data)


def test_a_request_leaves_out_thoughts_empty_answers_and_questions_without_an_answer() -> None:
    turns = (
        said(Role.USER, "first"),
        said(Role.ASSISTANT, "", TurnState.FAILED),
        said(Role.USER, "second"),
        Turn(Message(Role.ASSISTANT, (ReasoningPart("hm"), TextPart("half an ans"))), state=TurnState.STOPPED),
        said(Role.USER, "third"),
    )
    sent = request_messages(turns, "Be kind.")
    assert [(message.role.value, message.text) for message in sent] == [
        ("system", "Be kind."),
        ("user", "second"),
        ("assistant", "half an ans"),
        ("user", "third"),
    ]


def test_a_title_is_one_short_line() -> None:
    assert title_of("  Why\nis   it slow?  ") == "Why is it slow?"
    assert len(title_of("word " * 100)) <= 60


def test_a_title_shows_no_marks_of_markdown() -> None:
    assert title_of("## Why is **this *very* slow** `ls -l`?") == "Why is this very slow ls -l?"
    assert title_of("- [the page](https://e.org/x) ~~now~~\n> said") == "the page now said"
    assert title_of("```python\nprint(1)\n```") == "print(1)"
    assert title_of("What is __init__, 2 * 3 * 4 and a*b*c?") == "What is __init__, 2 * 3 * 4 and a*b*c?"
    assert title_of("**" + "long " * 30 + "word**").startswith("long long")
    assert title_of("```") == "```"
