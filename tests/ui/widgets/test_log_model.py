from __future__ import annotations

import re
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from ui.widgets.log_filter import MAX_LINE_CHARS, OWN_SOURCE, LogFilter, LogLine, clean_line
from ui.widgets.log_model import LogModel
from ui.widgets.log_scan import LogScan


def lines(count: int, *, start: int = 0, source: str = "r0", level: str = "INFO") -> list[LogLine]:
    return [LogLine("12:00:00.000", source, level, f"line {start + i}") for i in range(count)]


def settle(model: LogModel) -> None:
    """Until the filter was asked of every line."""
    while model.is_filtering():
        QTest.qWait(5)


def shown(model: LogModel) -> list[str]:
    return [model.line(row).text for row in range(model.rowCount())]


@pytest.fixture
def model(qapp: QApplication) -> LogModel:
    return LogModel(max_lines=100)


def test_lines_show_within_one_flush_and_not_before(model: LogModel) -> None:
    flushes: list[tuple[int, int]] = []
    model.moved.connect(lambda added, dropped: flushes.append((added, dropped)))
    for number in range(30):
        model.append(lines(1, start=number))
    assert model.rowCount() == 0
    QTest.qWait(250)
    assert flushes == [(30, 0)]
    assert shown(model)[-1] == "line 29"


def test_the_oldest_lines_go_when_the_ring_is_full(model: LogModel) -> None:
    model.append(lines(90))
    model.flush()
    model.append(lines(40, start=90))
    model.flush()
    assert model.total() == 100
    assert shown(model)[0] == "line 30"
    assert shown(model)[-1] == "line 129"


def test_a_flood_between_two_flushes_keeps_the_newest(model: LogModel) -> None:
    model.append(lines(5))
    model.flush()
    model.append(lines(1000, start=5))
    model.flush()
    assert (model.total(), shown(model)[0], shown(model)[-1]) == (100, "line 905", "line 1004")


def test_a_filter_counts_only_what_passes_even_while_lines_drop(model: LogModel) -> None:
    model.set_filter(LogFilter(needle="LINE 1"))
    model.append(lines(100))
    model.flush()
    assert shown(model) == ["line 1", *(f"line {i}" for i in range(10, 20))]
    model.append(lines(12, start=100))
    model.flush()
    # Lines 0 to 11 are gone: of those that pass, 1, 10 and 11.
    assert shown(model) == [f"line {i}" for i in (*range(12, 20), *range(100, 112))]


def test_levels_and_ranks_are_filtered_but_our_own_lines_stay(model: LogModel) -> None:
    model.append([*lines(1), *lines(1, source="r1", level="ERROR"), *lines(1, source=OWN_SOURCE, level="WARN")])
    model.set_filter(LogFilter(sources=frozenset({"r0"})))
    settle(model)
    assert [model.line(row).source for row in range(model.rowCount())] == ["r0", OWN_SOURCE]
    model.set_filter(LogFilter(level="WARN"))
    settle(model)
    assert [model.line(row).level for row in range(model.rowCount())] == ["ERROR", "WARN"]
    model.set_filter(LogFilter())
    assert model.rowCount() == 3


def test_a_long_line_is_cut_and_says_so() -> None:
    line = clean_line(LogLine("", "r0", "INFO", "x" * 10_000_000))
    assert line.text == "x" * MAX_LINE_CHARS + "… 9,991,808 more"


def test_control_characters_cannot_act() -> None:
    line = clean_line(LogLine("", "r0", "INFO", "a\x1b[31mred\x07\tb\u202ec"))
    assert line.text == "ared\ufffd    b\ufffdc", "colouring goes, what else is no letter is marked"


@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["a", "b", ""])), max_size=12))
def test_rows_always_equal_a_filter_over_the_newest_lines(qapp: QApplication, steps: list[tuple[int, str]]) -> None:
    model = LogModel(max_lines=50)
    kept: list[LogLine] = []
    needle = ""
    for number, (count, needle) in enumerate(steps):
        model.set_filter(LogFilter(needle=needle))
        settle(model)
        batch = [LogLine("", "r0", "INFO", f"{'ab'[i % 2]} {number}.{i}") for i in range(count)]
        model.append(batch)
        model.flush()
        kept = [*kept, *batch][-50:]
        assert shown(model) == [line.text for line in kept if needle in line.text]


def digits(last: str) -> LogFilter:
    return LogFilter(pattern=re.compile(rf"line \d*{last}$"))


def test_a_filter_over_many_lines_lets_the_window_go_on_and_keeps_what_is_shown(qapp: QApplication) -> None:
    model, told = LogModel(), []
    model.filtering_changed.connect(told.append)
    model.append(lines(30_000))
    model.set_filter(digits("[12]"))
    assert model.is_filtering(), "it gave the window back before all of them were asked"
    assert model.filter() == digits("[12]")
    assert model.rowCount() == 30_000
    settle(model)
    assert told == [True, False]
    assert shown(model) == [f"line {i}" for i in range(30_000) if i % 10 in (1, 2)]


def test_what_comes_and_goes_while_it_filters_is_in_its_place(qapp: QApplication) -> None:
    model = LogModel(max_lines=30_000)
    model.append(lines(30_000, start=1000))
    model.set_filter(digits("7"))
    assert model.prepend(lines(500, start=500)) == 500
    model.append(lines(200, start=31_000))
    model.flush()
    assert model.is_filtering()
    settle(model)
    assert shown(model) == [f"line {i}" for i in range(700, 31_200) if i % 10 == 7]
    model.let_older_go()
    assert shown(model)[0] == "line 1207"


def test_lines_that_go_before_they_were_asked_are_left_out(qapp: QApplication) -> None:
    held = deque(lines(30_000))
    scan = LogScan(digits("7"), 0)
    assert not scan.ask(held, 0)
    for _ in range(29_000):
        held.popleft()
    while not scan.ask(held, 29_000):
        pass
    assert list(scan.found) == [i for i in range(29_000, 30_000) if i % 10 == 7]


def test_the_next_filter_ends_the_one_before(qapp: QApplication) -> None:
    model, told = LogModel(), []
    model.append(lines(30_000))
    model.filtering_changed.connect(told.append)
    model.set_filter(digits("1"))
    model.set_filter(digits("8"))
    settle(model)
    assert {text[-1] for text in shown(model)} == {"8"}
    model.set_filter(digits("1"))
    model.set_filter(LogFilter())
    QTest.qWait(30)
    assert (model.is_filtering(), model.rowCount()) == (False, 30_000)
    assert told == [True, False] * 3


def test_another_log_is_shown_by_the_filter_that_was_on_its_way(qapp: QApplication) -> None:
    model = LogModel()
    model.append(lines(30_000))
    model.set_filter(digits("8"))
    assert model.is_filtering()
    model.clear()
    assert not model.is_filtering()
    model.append(lines(20))
    model.flush()
    assert shown(model) == ["line 8", "line 18"]
