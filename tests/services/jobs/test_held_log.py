"""The rows of a log that are held: 50,000 of them, and never more text than is given room."""

from __future__ import annotations

import sys

from sparkdesk.core.jobs.record import LogLine
from sparkdesk.services.jobs.held_log import KEEP_CHARS, KEEP_LINES, HeldLog


def line(number: int, text: str = "") -> LogLine:
    """A line of an engine's log."""
    return LogLine(1, "engine" if number % 2 else "SparkDesk", "info", text or f"line {number}", offset=number)


def test_fifty_thousand_lines_are_held_and_a_new_reader_gets_every_one() -> None:
    log = HeldLog()
    for number in range(KEEP_LINES + 100):
        log.put(line(number))
    assert KEEP_LINES == 50_000
    assert len(log.past) == KEEP_LINES
    assert (log.past[0].offset, log.past[-1].offset) == (100, KEEP_LINES + 99)
    found = log.read(lambda: None, limit=16).drain()
    assert found == list(log.past), "nothing is lost on a reader that has just come"


def test_lines_of_the_greatest_length_are_held_within_the_bound_of_characters() -> None:
    log = HeldLog()
    text = "x" * 8192
    for number in range(KEEP_CHARS // 8192 + 500):
        log.put(line(number, text))
    assert sum(len(row.text) for row in log.past) <= KEEP_CHARS
    assert len(log.past) == KEEP_CHARS // 8192
    for number in range(KEEP_LINES):
        log.put(line(number))
    assert len(log.past) == KEEP_LINES, "once they are gone there is room again"
    size = sum(sys.getsizeof(row) + sys.getsizeof(row.text) for row in log.past)
    assert size < 64 << 20


def test_a_single_line_that_is_too_long_for_all_room_is_held_alone() -> None:
    log = HeldLog(keep=10, keep_chars=4)
    log.put(line(1))
    log.put(line(2, "a very long one"))
    assert [row.offset for row in log.past] == [2]


def test_the_last_lines_of_one_source_come_in_their_order() -> None:
    log = HeldLog()
    for number in range(10):
        log.put(line(number))
    assert log.last_texts(2, "engine") == ["line 7", "line 9"]
