"""Chat streams of real servers become chat events; hostile ones become one CutOff; nothing raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.event import (
    ChatEvent,
    CutOff,
    Finished,
    PromptProgress,
    ReasoningDelta,
    ServedModel,
    TextDelta,
    TokenChoice,
    TokenChoices,
    ToolCallDelta,
    Usage,
)
from sparkdesk.core.chat.server.words import clean_text, error_text
from sparkdesk.core.chat.stream.openai_event import MAX_ANSWER_CHARS, ChunkDecoder, is_same_model
from sparkdesk.core.chat.stream.sse import SseEvent, SseParser, SseTooLarge

CAPTURES = Path(__file__).resolve().parents[3] / "data" / "captures"


def decode(stream: bytes, asked: str = "") -> list[ChatEvent]:
    parser, decoder = SseParser(), ChunkDecoder(asked)
    events = [event for item in parser.feed(stream) for event in decoder.feed(item, 1.0)]
    last = decoder.end(2.0)
    return [*events, last] if last is not None else events


def chunks(*bodies: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usage_of(events: list[ChatEvent]) -> Usage:
    return [event for event in events if isinstance(event, Usage)][-1]


def test_llama_cpp_streams_text_then_its_count_then_the_end() -> None:
    events = decode((CAPTURES / "llamacpp_smollm2" / "chat_stream_usage.sse").read_bytes())
    assert text_of(events).startswith("1. Red\n2")
    assert events[-2] == Usage(34, 12, 24, 232.091, 350.956)
    assert events[-1] == Finished("stop", 1.0)


def test_llama_cpp_tells_its_count_by_timings_when_usage_was_not_asked_for() -> None:
    usage = usage_of(decode((CAPTURES / "llamacpp_tiny" / "tool_call_truncated_stream.sse").read_bytes()))
    assert usage.completion_tokens
    assert usage.prompt_ms


def test_llama_cpp_tells_how_much_of_the_prompt_it_has_read() -> None:
    events = decode((CAPTURES / "llamacpp_smollm2" / "chat_stream_timings_per_token.sse").read_bytes())
    assert PromptProgress(24, 24, 33, 1.0) in events


def test_reasoning_of_llama_cpp_and_of_vllm_is_told_from_the_answer() -> None:
    events = decode((CAPTURES / "llamacpp_reasoning" / "reasoning_stream.sse").read_bytes())
    assert any(isinstance(event, ReasoningDelta) for event in events)
    for name in ("reasoning", "reasoning_content"):
        assert decode(chunks(delta(**{name: "hm"})))[0] == ReasoningDelta("hm", 1.0)
    assert decode(chunks(delta(reasoning="hm", reasoning_content="hm")))[:-1] == [ReasoningDelta("hm", 1.0)]


def test_parallel_tool_calls_keep_apart_and_their_arguments_join_to_json() -> None:
    events = decode((CAPTURES / "llamacpp_tiny" / "tool_call_parallel_stream.sse").read_bytes())
    joined: dict[int, str] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            joined[event.index] = joined.get(event.index, "") + event.arguments
    assert {index: json.loads(text) for index, text in joined.items()} == {0: {"city": "Oslo"}, 1: {"city": "Rome"}}
    assert events[-1] == Finished("tool_calls", 1.0)


def test_vllm_counts_on_every_chunk_and_the_last_count_stands() -> None:
    events = decode((CAPTURES / "vllm_cpu" / "chat_stream_continuous_usage.sse").read_bytes())
    assert usage_of(events).completion_tokens == 6
    assert events[-1] == Finished("length", 1.0)


def test_an_engine_that_dies_inside_a_good_stream_is_cut_off_in_its_own_words() -> None:
    events = decode((CAPTURES / "vllm_cpu" / "shutdown_midstream_SIGTERM.sse").read_bytes())
    assert text_of(events)
    assert isinstance(events[-1], CutOff)
    assert "EngineCore encountered an issue" in events[-1].message
    assert events[-1].kind == "engine_dead"


def test_an_overflow_in_the_middle_of_an_answer_has_its_kind_and_its_numbers() -> None:
    body = (CAPTURES / "llamacpp_smollm2" / "err_context_overflow.json").read_bytes()
    last = decode(chunks(delta(content="x")) + b"data: " + body + b"\n\ndata: [DONE]\n\n")[-1]
    assert isinstance(last, CutOff)
    assert (last.kind, last.prompt_tokens, last.context_tokens) == ("context_overflow", 6031, 2048)
    last = decode(chunks(delta(content="x"), {"error": {"code": 500, "message": "Context size has been exceeded."}}))[
        -1
    ]
    assert isinstance(last, CutOff)
    assert last.kind == "context_overflow"


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_the_engine_gave_up_is_no_whole_answer(reason: str) -> None:
    stream = chunks(delta(content="x"), {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    for end in (b"", b"data: [DONE]\n\n"):
        last = decode(stream + end)[-1]
        assert isinstance(last, CutOff)
        assert last.kind == "aborted"


def test_another_model_than_was_asked_for_is_told_once_and_before_its_text() -> None:
    stream = (CAPTURES / "llamacpp_smollm2" / "chat_stream_usage.sse").read_bytes()
    events = decode(stream, asked="no-such-model")
    assert events[0] == ServedModel("smollm2-135m", "no-such-model", 1.0)
    assert sum(isinstance(event, ServedModel) for event in events) == 1
    assert decode(stream, asked="smollm2-135m") == decode(stream)


@pytest.mark.parametrize(
    ("asked", "served", "is_same"),
    [
        ("tiny", "Tiny", True),
        ("tinytool.gguf", "/models/tinytool.gguf", True),
        ("tinytool", "C:\\models\\a\\tinytool.gguf", True),
        ("llama3.2", "llama3.2:latest", True),
        ("llama3.2:1b", "llama3.2:3b", False),
        ("acme/m", "other/m", False),
        ("m", "acme/m", False),
    ],
)
def test_one_model_may_be_named_as_its_file(asked: str, served: str, is_same: bool) -> None:
    assert is_same_model(asked, served) is is_same


def test_how_sure_the_model_was_comes_after_its_token() -> None:
    events = decode((CAPTURES / "llamacpp_smollm2" / "chat_stream_logprobs.sse").read_bytes())
    first, second = events[:2]
    assert isinstance(first, TextDelta)
    assert second == TokenChoices(
        (TokenChoice("Hello", -0.5439180135726929, (("Hello", -0.5439180135726929), ("Hi", -2.393794298171997))),), 1.0
    )
    kinds = [type(event) for event in events if not isinstance(event, Usage | Finished)]
    assert kinds == [TextDelta, TokenChoices] * (len(kinds) // 2)


@pytest.mark.parametrize("logprob", [None, "x", True, 0.5, float("nan"), float("-inf"), [], 10**400])
def test_a_probability_that_is_none_is_left_out(logprob: object) -> None:
    rows = [{"token": "a", "logprob": logprob}, {"token": "b", "logprob": -1, "top_logprobs": [{"token": "c"}, 5]}]
    stream = chunks({"choices": [{"index": 0, "delta": {"content": "ab"}, "logprobs": {"content": rows}}]})
    assert decode(stream)[1] == TokenChoices((TokenChoice("b", -1.0),), 1.0)


@pytest.mark.parametrize(
    ("usage", "cached", "thought"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 7}, "prompt_tokens_details": {"cached_tokens": 3}}, 3, 7),
        ({"completion_tokens_details": {"reasoning_tokens": 0}, "prompt_tokens_details": None}, None, 0),
        ({"reasoning_tokens": 9}, None, 9),
        ({"reasoning_tokens": 0}, None, None),
        ({"completion_tokens_details": {"reasoning_tokens": -1}, "prompt_tokens_details": 5}, None, None),
    ],
)
def test_what_was_cached_and_what_was_thought_is_counted_where_it_is_told(
    usage: dict[str, object], cached: int | None, thought: int | None
) -> None:
    found = usage_of(decode(chunks({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 8, **usage}})))
    assert (found.cached_tokens, found.reasoning_tokens) == (cached, thought)


@pytest.mark.parametrize(
    "name", ["llamacpp_smollm2/shutdown_midstream_SIGKILL", "llamacpp_tool_lora/shutdown_midstream_SIGTERM"]
)
def test_a_stream_without_reason_and_done_is_cut_off_and_its_text_stays(name: str) -> None:
    events = decode((CAPTURES / f"{name}.sse").read_bytes())
    assert text_of(events)
    assert isinstance(events[-1], CutOff)
    assert events[-1].remedy


def test_done_without_a_reason_still_ends_well() -> None:
    assert decode(chunks(delta(content="x")) + b"data: [DONE]\n\n")[-1] == Finished("done", 1.0)


def test_a_reason_without_done_ends_well() -> None:
    stream = chunks({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert decode(stream) == [Finished("stop", 1.0)]


@pytest.mark.parametrize("path", sorted(CAPTURES.rglob("*.sse")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_captured_stream_ends_with_exactly_one_last_event(path: Path) -> None:
    events = decode(path.read_bytes())
    assert [isinstance(event, Finished | CutOff) for event in events].count(True) == 1
    assert isinstance(events[-1], Finished | CutOff)


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[1]",
        "null",
        "[" * 100_000,
        "1" * 10_000,
        '{"error": {"message": ["x"]}}',
        '{"error": "boom"}',
        "NaN",
        '"x"',
    ],
)
def test_hostile_json_is_one_cut_off_with_words(data: str) -> None:
    decoder = ChunkDecoder()
    (event,) = decoder.feed(SseEvent(data), 1.0)
    assert isinstance(event, CutOff)
    assert event.message
    assert event.remedy
    assert decoder.feed(SseEvent("[DONE]"), 1.0) == []


def test_an_event_that_is_too_large_is_a_cut_off() -> None:
    (event,) = ChunkDecoder().feed(SseTooLarge(5 << 20), 1.0)
    assert isinstance(event, CutOff)
    assert "5 MiB" in event.message


def test_an_answer_without_end_is_cut_off() -> None:
    decoder = ChunkDecoder()
    piece = SseEvent(json.dumps(delta(content="x" * 1_000_000)))
    events = [event for _ in range(6) for event in decoder.feed(piece, 1.0)]
    assert isinstance(events[-1], CutOff)
    assert len(text_of(events)) <= MAX_ANSWER_CHARS + 1_000_000


def test_text_that_no_encoder_takes_is_made_whole() -> None:
    (event, _) = decode(b'data: {"choices":[{"delta":{"content":"a\\ud800b\\u0000\\ud83d\\ude00"}}]}\n\n')
    assert event == TextDelta("a\ufffdb\ufffd\U0001f600", 1.0)


def test_a_second_choice_is_left_alone() -> None:
    assert decode(chunks({"choices": [{"index": 1, "delta": {"content": "x"}}]}))[:-1] == []


KEYS = """
choices delta content reasoning tool_calls index id function name arguments usage timings prompt_tokens message error
completion_tokens prompt_tokens_details cached_tokens prompt_n cache_n prompt_ms prompt_progress total processed
finish_reason logprobs token logprob top_logprobs model code type
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=20,
)


@given(bodies=st.lists(JSON, max_size=4))
def test_any_json_gives_events_and_never_raises(bodies: list[Any]) -> None:
    events = decode(b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies))
    assert isinstance(events[-1], Finished | CutOff)
    for event in events:
        if isinstance(event, TextDelta):
            event.text.encode()


@given(body=JSON)
def test_an_error_body_of_any_shape_gives_bounded_plain_words(body: Any) -> None:
    words = error_text(body)
    assert len(words) <= 600
    assert words.isprintable()


@given(text=st.text(alphabet=st.characters(), max_size=30) | st.text(max_size=10))
def test_cleaned_text_can_be_encoded_and_keeps_what_was_fine(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    if "\0" not in text and not any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        assert cleaned == text
