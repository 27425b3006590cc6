"""Lines come out the same however the bytes were chopped, and none is ever kept longer than the cap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.telemetry.frame import Line, LineFramer

pieces = st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"\r", b"\r\n", b"x" * 30]), max_size=20)


def run(framer: LineFramer, chunks: list[bytes]) -> list[Line]:
    lines = [line for chunk in chunks for line in framer.feed(chunk)]
    return lines + framer.finish()


@given(pieces, st.booleans())
def test_every_split_gives_the_same_lines(chunks: list[bytes], splits_returns: bool) -> None:
    data = b"".join(chunks)
    whole = run(LineFramer(16, splits_returns=splits_returns), [data])
    bytewise = run(LineFramer(16, splits_returns=splits_returns), [data[at : at + 1] for at in range(len(data))])
    assert run(LineFramer(16, splits_returns=splits_returns), chunks) == whole == bytewise


@given(pieces)
def test_no_byte_is_lost_or_invented(chunks: list[bytes]) -> None:
    lines = run(LineFramer(16), chunks)
    data = b"".join(chunks)
    assert sum(len(line.data) + line.cut_bytes for line in lines) == len(data) - data.count(b"\n")
    assert all(len(line.data) <= 16 for line in lines)


def test_a_line_of_10_mb_is_cut_and_counted_and_the_next_one_is_whole() -> None:
    framer = LineFramer(64 * 1024)
    lines = [line for _ in range(1024) for line in framer.feed(b"x" * 10240)]
    assert lines == []
    assert framer.feed(b"\nnext\n") == [Line(b"x" * 65536, 10240 * 1024 - 65536), Line(b"next")]


def test_a_progress_bar_of_carriage_returns_is_many_lines() -> None:
    framer = LineFramer(100, splits_returns=True)
    assert framer.feed(b"10%\r20%\r30%\r\ndone\n") == [Line(b"10%"), Line(b"20%"), Line(b"30%"), Line(b"done")]
