"""The event-stream parser: right by the standard, and the same for every way of cutting the bytes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.stream.sse import SseEvent, SseItem, SseParser, SsePing, SseTooLarge

CAPTURES = sorted((Path(__file__).resolve().parents[3] / "data" / "captures").rglob("*.sse"))


def parse(*chunks: bytes, max_event_bytes: int = 1 << 20) -> list[SseItem]:
    parser = SseParser(max_event_bytes=max_event_bytes)
    return [item for chunk in chunks for item in parser.feed(chunk)]


def data_of(stream: bytes) -> list[str]:
    return [item.data for item in parse(stream) if isinstance(item, SseEvent)]


def test_there_are_captures_to_read() -> None:
    assert len(CAPTURES) > 20


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_the_standard_ends_a_line(end: bytes) -> None:
    stream = end.join([b"data: one", b"data: two", b"", b"data: three", b"", b""])
    assert data_of(stream) == ["one\ntwo", "three"]
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert parse(stream[:first], stream[first:second], stream[second:]) == parse(stream)


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_other_line_ends_of_unicode_do_not_tear_a_json_string(odd: str) -> None:
    (data,) = data_of(f'data: {{"text": "a{odd}b"}}\n\n'.encode())
    assert json.loads(data, strict=False) == {"text": f"a{odd}b"}


def test_a_byte_order_mark_is_dropped_at_the_start_only() -> None:
    assert data_of(b"\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\ndata: \xef\xbb\xbfz\n\n") == ["x", "\ufeffz"]


def test_comments_are_pings_and_names_belong_to_their_event() -> None:
    assert parse(b": ping\n\nevent: error\ndata: x\n\ndata: y\n\n") == [
        SsePing(),
        SseEvent("x", "error"),
        SseEvent("y"),
    ]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert data_of(b"data:  x\n\ndata:y\n\ndata\n\n") == [" x", "y", ""]


def test_an_unfinished_event_is_kept_back() -> None:
    parser = SseParser()
    assert parser.feed(b"data: half") == []
    assert parser.feed(b"\n\n") == [SseEvent("half")]


def test_bytes_that_are_not_utf8_become_replacement_characters_where_they_stood() -> None:
    assert data_of(b"data: a\xffb \xe2\x82\n\ndata: \xe2\x82\xac\n\n") == ["a\ufffdb \ufffd", "€"]


@pytest.mark.parametrize(
    "stream", [b"data: " + b"x" * 500 + b"\n\n", b"data: xxxxx\n" * 50 + b"\n", b":" + b"x" * 500 + b"\n\n"]
)
def test_an_event_over_the_limit_is_reported_once_and_the_next_one_is_read(stream: bytes) -> None:
    assert parse(stream + b"data: next\n\n", max_event_bytes=100) == [SseTooLarge(100), SseEvent("next")]


def test_a_line_without_an_end_takes_no_more_memory_than_the_limit() -> None:
    parser = SseParser(max_event_bytes=1000)
    items = [item for _ in range(5000) for item in parser.feed(b"x" * 1000)]
    assert items == [SseTooLarge(1000)]
    assert len(parser._line) <= 1


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_captured_stream_reads_the_same_cut_at_every_byte(path: Path) -> None:
    stream = path.read_bytes()[:6000]
    whole = parse(stream)
    assert whole
    assert parse(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    for cut in range(0, len(stream), 7):
        assert parse(stream[:cut], stream[cut:]) == whole


AWKWARD = st.lists(
    st.sampled_from(
        [
            b"\r",
            b"\n",
            b"\r\n",
            b"data: ",
            b"data:x",
            b":c",
            b"event: e",
            b"\xef\xbb\xbf",
            b"\xe2\x80\xa8",
            b"\xff",
            b"ab",
        ]
    ),
    max_size=40,
).map(b"".join)


@given(stream=AWKWARD | st.binary(max_size=60), data=st.data(), limit=st.integers(3, 30))
def test_any_bytes_read_the_same_in_any_chunks(stream: bytes, data: st.DataObject, limit: int) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert parse(*chunks, max_event_bytes=limit) == parse(stream, max_event_bytes=limit)
