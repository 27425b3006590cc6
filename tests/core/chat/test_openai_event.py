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
    TextDelta,
    ToolCallDelta,
    Usage,
)
from sparkdesk.core.chat.openai_event import MAX_ANSWER_CHARS, ChunkDecoder, clean_text, error_text
from sparkdesk.core.chat.sse import SseEvent, SseParser, SseTooLarge

CAPTURES = Path(__file__).resolve().parents[2] / "data" / "captures"


def decode(stream: bytes) -> list[ChatEvent]:
    parser, decoder = SseParser(), ChunkDecoder()
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
finish_reason
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
