"""What is typed into a log's filter: it never holds the window up, and polling is told from what matters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from ui.widgets.log_filter import LogFilter, LogLine, is_polling
from ui.widgets.log_head import LogHead
from ui.widgets.log_model import LogModel
from ui.widgets.log_pattern import REACH_CHARS, SlowPattern, count_repeats, reach_chars, read_pattern

CAPTURE = Path(__file__).parents[2] / "data" / "captures" / "vllm_cpu" / "startup_and_requests.log"


@pytest.mark.parametrize(
    "words",
    [
        "(a+)+$", "(a*)*b", "(a|aa)+$", "(?:a?){40}b", r"(\w+\s?)*:", "((ab)*c)*", r"([a-z]+)*\d", "(a{1,9})+b",
        ".*.*.*x", "a?" * 30 + "b", "(?P<w>a+)+b", "(?=(a+)+b)", "(a+){12}b",
    ],
)  # fmt: skip
def test_a_pattern_that_could_take_for_ever_is_refused(words: str) -> None:
    re.compile(words)
    with pytest.raises(SlowPattern):
        read_pattern(words)


@pytest.mark.parametrize(
    "words",
    [
        "LINE (3|7)$|health", r"\d+ tok/s", "error|warn(ing)?", r"[(+*]+", r"\(a+\)+", "(abc)+", r"GET .* 200",
        r"Loading .*\d{1,3}%", r"[]a]+x", "(?i:oom)", "(cuda|torch) error", r"x{3}", "(foo)?bar",
    ],
)  # fmt: skip
def test_a_pattern_as_people_write_them_is_taken(words: str) -> None:
    needle, pattern = read_pattern(words)
    assert not needle
    assert pattern is not None
    assert reach_chars(pattern) >= min(REACH_CHARS.values())


@given(st.text(alphabet="ab(|)*+?{}2,[]^\\.-:P<>=!", max_size=14))
def test_no_words_break_the_reader(words: str) -> None:
    try:
        read_pattern(words)
    except (re.error, SlowPattern):
        return


def test_two_open_repeats_look_at_the_beginning_of_a_line_only() -> None:
    _, pattern = read_pattern("a.*b.*c")
    wanted = LogFilter(pattern=pattern)
    assert count_repeats("a.*b.*c") == 2
    assert wanted.passes(LogLine("", "r0", "INFO", "a b c"))
    assert not wanted.passes(LogLine("", "r0", "INFO", "a" + " " * 600 + "b c"))


def test_a_pattern_that_is_slow_all_the_same_is_left_out(qapp: QApplication) -> None:
    model = LogModel()
    said: list[int] = []
    model.too_slow.connect(lambda: said.append(1))
    model.append([LogLine("", "r0", "INFO", "x" * 4000) for _ in range(800)])
    model.flush()
    model.set_filter(LogFilter(pattern=read_pattern("x.*x.*y")[1]))
    while not said:
        QTest.qWait(20)
    while model.is_filtering():
        QTest.qWait(20)
    assert model.filter().pattern is None
    assert model.rowCount() == 800


def test_polling_in_a_real_log_of_vllm_is_known() -> None:
    found = [line for line in CAPTURE.read_text("utf-8").splitlines() if is_polling(line)]
    assert [line.split('"')[1].split()[1] for line in found] == ["/health", "/health", "/metrics", "/metrics"]


@pytest.mark.parametrize(
    "line",
    [
        '[2025-05-26 07:52:49] INFO:     10.142.1.14:60288 - "GET /health HTTP/1.1" 200 OK',
        '(APIServer pid=7) INFO:     127.0.0.1:35522 - "GET /metrics HTTP/1.1" 200 OK',
        'INFO:     127.0.0.1:52460 - "GET /prometheus/metrics HTTP/1.1" 200 OK',
        "srv  log_server_r: done request: GET /metrics 127.0.0.1 200",
    ],
)
def test_polling_of_other_engines_is_known(line: str) -> None:
    assert is_polling(line)


@pytest.mark.parametrize(
    "line",
    [
        'INFO:     127.0.0.1:54036 - "GET /health HTTP/1.1" 503 Service Unavailable',
        '[2025-05-26 07:52:49] INFO:     10.142.1.14:60288 - "GET /health_generate HTTP/1.1" 200 OK',
        'INFO:     127.0.0.1:54036 - "POST /metrics HTTP/1.1" 200 OK',
        "(APIServer pid=31887) INFO 11-21 08:37:59 [launcher.py:195] Route: /health, Methods: GET",
        "GET /health 200",
        "srv  log_server_r: done request: POST /v1/chat/completions 127.0.0.1 200",
    ],
)
def test_what_tells_more_than_polling_stays(line: str) -> None:
    assert not is_polling(line)


def test_polls_are_counted_as_long_as_they_are_held(qapp: QApplication) -> None:
    model = LogModel(max_lines=10)
    model.set_filter(LogFilter(hides_polling=True))
    poll = LogLine("", "r0", "INFO", 'INFO:     127.0.0.1:1 - "GET /metrics HTTP/1.1" 200 OK')
    model.append([poll, poll, *(LogLine("", "r0", "INFO", f"line {n}") for n in range(6))])
    model.flush()
    assert (model.polls(), model.rowCount(), model.total()) == (2, 6, 8)
    model.append([LogLine("", "r0", "INFO", f"line {n}") for n in range(6, 9)])
    model.flush()
    assert model.polls() == 1
    model.clear()
    assert model.polls() == 0


def test_what_a_pattern_with_two_open_repeats_does_not_reach_is_said_beside_it(dressed: QApplication) -> None:
    head = LogHead("Log")
    head.words.setText("a.*b")
    assert head.reach.isHidden()
    head.words.setText("a.*b.*c")
    assert not head.reach.isHidden()
    assert "first 500 characters" in head.reach.text()
    assert head.problem.isHidden()
    head.words.setText("a.*b.*c.*d")
    assert head.reach.isHidden(), "one that is refused says only that"
    head.words.setText("")
    assert head.reach.isHidden()
