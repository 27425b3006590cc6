"""Turns and settings come back as they were stored, and anything at all that is stored can be read."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.context import ContextParts, Excerpt, SentContext, WindowPolicy
from sparkdesk.core.chat.event import MAX_TOP_LOGPROBS, TokenChoice, Usage
from sparkdesk.core.chat.message import (
    AnswerForm,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    Role,
    Sampling,
    TextPart,
    Thinking,
    ToolCallPart,
    ToolResultPart,
)
from sparkdesk.core.chat.session import NOT_NUMBERED, ChatSettings, Turn, TurnFailure, TurnState
from sparkdesk.core.chat.store.session_json import (
    MAX_CHOICES,
    MAX_TAGS,
    add_pieces,
    piece_to_json,
    settings_from_json,
    settings_to_json,
    turn_from_json,
    turn_to_json,
)
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.core.chat.tree import TurnTree

text = st.text(max_size=20)
count = st.integers(0, (1 << 53) - 1)
maybe_count = st.none() | count
number = st.floats(allow_nan=False, allow_infinity=False)
maybe_number = st.none() | number

part = st.one_of(
    st.builds(TextPart, text),
    st.builds(ReasoningPart, text),
    st.builds(ToolCallPart, text, text, text),
    st.builds(ToolResultPart, text, text, st.booleans()),
    st.builds(FilePart, text, text, text, count, text),
    st.builds(ImagePart, text, text, text, st.integers(0, 1 << 20), st.integers(0, 1 << 20), count),
)
message = st.builds(Message, st.sampled_from(Role), st.lists(part, max_size=4).map(tuple))
choice = st.builds(TokenChoice, text, number, st.lists(st.tuples(text, number), max_size=3).map(tuple))
sent = st.builds(
    SentContext,
    policy=st.sampled_from(WindowPolicy),
    left_out=st.lists(count, max_size=5).map(tuple),
    summary=text,
    summed_up=st.lists(count, max_size=5).map(tuple),
    excerpts=st.lists(st.builds(Excerpt, count, text, text, number), max_size=3).map(tuple),
    memory=text,
    parts=st.builds(ContextParts, *[maybe_count] * 4, st.booleans(), maybe_count),
    note=text,
)
turn = st.builds(
    Turn,
    message,
    st.sampled_from(TurnState),
    st.none() | st.builds(AnswerTiming, *[number] * 6, maybe_count, maybe_count, maybe_count, st.booleans()),
    st.none() | st.builds(Usage, maybe_count, maybe_count, maybe_count, maybe_number, maybe_number, maybe_count),
    note=text,
    error=text,
    remedy=text,
    failure=st.none() | st.builds(TurnFailure, st.text(min_size=1, max_size=9), maybe_count, maybe_count, maybe_number),
    label=text,
    t_ms=count,
    finish_reason=text,
    number=count,
    parent=maybe_count,
    energy_j=number,
    sent=st.none() | sent,
    choices=st.lists(choice, max_size=3).map(tuple),
)
settings = st.builds(
    ChatSettings,
    text,
    st.builds(
        Sampling,
        maybe_number,
        maybe_number,
        maybe_count,
        maybe_number,
        st.none() | st.integers(1, 1 << 40),
        maybe_count,
        st.lists(text, max_size=3).map(tuple),
    ),
    text,
    count,
    count,
    st.builds(AnswerForm, text, st.integers(0, MAX_TOP_LOGPROBS), st.sampled_from(Thinking), maybe_count),
    st.sampled_from(WindowPolicy),
    text,
    st.booleans(),
    st.booleans(),
    st.lists(text, max_size=3).map(tuple),
    maybe_count,
    st.lists(st.builds(Message, st.just(Role.USER), st.lists(part, min_size=1, max_size=3).map(tuple)), max_size=2).map(
        tuple
    ),
    text,
    text,
    st.integers(0, 16),
)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(turn)
def test_a_turn_with_anything_in_it_comes_back_as_it_was(stored: Turn) -> None:
    assert turn_from_json(turn_to_json(stored)) == stored


@given(settings)
def test_settings_of_every_kind_come_back_as_they_were(stored: ChatSettings) -> None:
    assert settings_from_json(settings_to_json(stored)) == stored


@given(st.data())
def test_any_field_may_be_anything_and_the_words_stay(data: st.DataObject) -> None:
    stored = json.loads(turn_to_json(Turn(Message(Role.USER, (TextPart("what a person wrote"),)), number=3, parent=2)))
    spoiled = data.draw(st.sets(st.sampled_from(sorted(set(stored) - {"role", "parts", "state"})), min_size=1))
    for name in spoiled:
        stored[name] = data.draw(json_value)
    read = turn_from_json(json.dumps(stored).encode())
    assert read.text == "what a person wrote"
    again = turn_from_json(turn_to_json(read))
    assert again.message == read.message
    assert TurnTree([read]).shown[0].text == "what a person wrote"


@given(st.dictionaries(st.sampled_from(sorted(json.loads(settings_to_json(ChatSettings())))), json_value))
def test_any_setting_may_be_anything(stored: dict[str, Any]) -> None:
    read = settings_from_json(json.dumps(stored).encode())
    assert settings_from_json(settings_to_json(read)) == read


def test_what_is_stored_is_bounded_however_large_it_came() -> None:
    huge = {
        "role": "assistant",
        "parts": [{"kind": "file", "name": "n" * 9999, "text": "t", "size_bytes": 10**400}],
        "choices": [["a", -1.0, [["b", -2.0]] * 25]] * (MAX_CHOICES + 5),
        "sent": {"left_out": [1] * 200_000, "excerpts": [{"turn": 1}] * 9999},
        "number": 10**300,
        "parent": "x",
        "energy_j": 10**400,
    }
    turn = turn_from_json(json.dumps(huge).encode())
    (file,) = turn.message.attachments
    assert len(file.name) == 200
    assert len(turn.choices) == MAX_CHOICES
    assert len(turn.choices[0].others) == MAX_TOP_LOGPROBS
    assert turn.sent is not None
    assert len(turn.sent.left_out) == 100_000
    assert len(turn.sent.excerpts) == 256
    assert (turn.number, turn.parent) == (NOT_NUMBERED, NOT_NUMBERED)
    assert math.isnan(turn.energy_j)
    tags = {"tags": ["t" * 999] * 99, "queued": [[{"kind": "text", "text": "q"}]] * 99}
    read = settings_from_json(json.dumps(tags).encode())
    assert (len(read.tags), len(read.tags[0]), len(read.queued)) == (MAX_TAGS, 200, 64)


@given(st.lists(st.binary(max_size=30) | json_value.map(lambda value: json.dumps(value).encode()), max_size=5))
def test_damaged_pieces_add_nothing_and_never_raise(pieces: list[bytes]) -> None:
    base = Turn(Message(Role.ASSISTANT, (ReasoningPart("hm"), TextPart("said"), ToolCallPart("1", "f", "{"))))
    assert add_pieces(base, [b"[1]", b"3", b"{", *pieces]).message == base.message
    assert add_pieces(base, [b'{"calls": [[0, "", "", "}"], [true], ["x", 1, 2, 3], 7]}']).message.parts[2] == (
        ToolCallPart("1", "f", "{}")
    )
    assert piece_to_json([Usage(1, 2)]) == b""
