"""The log of a deployment: filters, tries, what is older, what lies on the node, and the first error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.errors import NodeError
from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.record import LogLine
from tests.ui.jobs.desk import READY, Desk
from tests.ui.picture import host_page, take_picture
from ui import text
from ui.jobs.log_rows import RowMaker
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.widgets.log_filter import LogLine as Row
from ui.widgets.log_model import LogModel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
LEFT = Qt.MouseButton.LeftButton
T_MS = 1_760_000_000_000


@dataclass(frozen=True)
class Answer:
    """What a search of the whole log gave."""

    lines: tuple[LogLine, ...]
    is_more: bool
    scanned_bytes: int
    next_offset: int = 0
    problem: str = ""
    fraction: float | None = None


Take = Callable[[Answer], bool]


def lines(first: int, count: int, words: str = "line") -> tuple[LogLine, ...]:
    return tuple(
        LogLine(T_MS + n, "engine", "info", f"{words} {n}", offset=1000 * (n + 1)) for n in range(first, first + count)
    )


@pytest.fixture
def desk(dressed: object) -> Desk:
    found = Desk()
    found.serve(READY, seconds=5)
    return found


@pytest.fixture
def page(qtbot: QtBot, desk: Desk) -> DeploymentsPage:
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    return page


def filled(page: DeploymentsPage, desk: Desk, *items: LogLine) -> None:
    before = page.detail.log.model.total()
    desk.log("j1", *items)
    for _ in range(60):
        QTest.qWait(20)
        if page.detail.log.model.total() >= before + len(items):
            return


def shown(page: DeploymentsPage) -> list[str]:
    model = page.detail.log.model
    return [model.line(row).text for row in range(model.rowCount())]


def test_a_pattern_filters_in_any_case(page: DeploymentsPage, desk: Desk) -> None:
    filled(page, desk, *lines(0, 30), LogLine(T_MS, "engine", "info", "GET /health 200"))
    QTest.keyClicks(page.detail.log.head.words, "LINE (3|7)$|health")
    assert shown(page) == ["line 3", "line 7", "GET /health 200"]
    assert page.detail.log.head.counted.text() == "3 of 31 lines"


def test_a_bad_pattern_is_named_and_the_rows_stay(page: DeploymentsPage, desk: Desk) -> None:
    filled(page, desk, *lines(0, 30))
    head = page.detail.log.head
    QTest.keyClicks(head.words, "line 2")
    before = shown(page)
    QTest.keyClicks(head.words, "(")
    assert shown(page) == before
    assert head.problem.text().startswith("Not a pattern: ")
    assert head.words.property("state") == "error"
    QTest.keyClick(head.words, Qt.Key.Key_Backspace)
    assert not head.problem.isVisible()


def test_a_pattern_that_could_hold_the_window_up_is_refused(page: DeploymentsPage, desk: Desk) -> None:
    filled(page, desk, LogLine(T_MS, "engine", "info", "a" * 4000 + "b"))
    head = page.detail.log.head
    QTest.keyClicks(head.words, "(a+)+$")
    assert head.problem.text().startswith("Not searched: a repeat of what repeats")
    assert len(shown(page)) == 1


def test_polling_is_hidden_counted_and_shown_on_a_click(page: DeploymentsPage, desk: Desk) -> None:
    head = page.detail.log.head
    filled(page, desk, *lines(0, 3))
    assert not head.polling.isVisible()
    poll = LogLine(T_MS, "engine", "info", 'INFO:     127.0.0.1:35522 - "GET /metrics HTTP/1.1" 200 OK')
    filled(page, desk, poll, *lines(3, 1), poll)
    assert head.polling.text() == "Polling hidden (2)"
    assert shown(page) == ["line 0", "line 1", "line 2", "line 3"]
    assert head.counted.text() == "4 of 6 lines"
    QTest.mouseClick(head.polling, LEFT)
    assert head.polling.text() == "Polling shown (2)"
    assert len(shown(page)) == 6


def test_levels_narrow_and_own_lines_have_their_own_names(page: DeploymentsPage, desk: Desk) -> None:
    filled(
        page,
        desk,
        *lines(0, 3),
        LogLine(T_MS, "SparkDesk", "warning", "ours"),
        LogLine(T_MS, "job", "warning", "the guard's"),
    )
    model = page.detail.log.model
    assert [model.line(row).source for row in (3, 4)] == ["SparkDesk", "guard"]
    assert all(model.line(row).is_own() for row in (3, 4))
    page.detail.log.head.level.set_key("WARN")
    assert shown(page) == ["ours", "the guard's"]


def test_every_try_can_be_looked_at_alone(page: DeploymentsPage, desk: Desk) -> None:
    filled(
        page,
        desk,
        LogLine(T_MS, "engine", "info", "first"),
        LogLine(T_MS, "job", "info", "ended with exit code 1; restart 1 of 3"),
        LogLine(T_MS, "engine", "info", "second"),
    )
    attempts = page.detail.log.head.attempts
    assert attempts.isVisible()
    attempts.set_key("1")
    assert shown(page) == ["first"]
    attempts.set_key("2")
    assert shown(page)[-1] == "second"
    attempts.set_key("0")
    assert len(shown(page)) == 3


def test_an_engine_cannot_pass_its_words_off_as_a_new_try() -> None:
    rows = RowMaker().rows([LogLine(T_MS, "engine", "info", "restart 2 of 3"), *lines(0, 1)])
    assert [row.attempt for row in rows] == [1, 1]


def test_ranks_are_chosen_where_there_are_several(qtbot: QtBot, desk: Desk) -> None:
    desk.stage.jobs.set((replace(READY, node_ids=("node0", "node1")),))
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, 1232, 852))
    ranks = (replace(line, rank=line.offset // 1000 % 2) for line in lines(0, 4))
    filled(page, desk, *ranks, LogLine(T_MS, "SparkDesk", "info", "ours"))
    head = page.detail.log.head
    assert head.ranks.isVisible()
    head.ranks.move_on("", 1)
    assert shown(page) == ["line 1", "line 3", "ours"]


def test_the_first_error_is_pulled_up_and_jumped_to(page: DeploymentsPage, desk: Desk) -> None:
    error = LogLine(T_MS, "engine", "error", "CUDA out of memory")
    filled(page, desk, *lines(0, 60), error, *lines(61, 60), replace(error, text="a later one"))
    log = page.detail.log
    assert log.error.isVisible()
    assert log.error.words.text().endswith(": CUDA out of memory")
    QTest.mouseClick(log.error.jump, LEFT)
    assert [log.model.line(row).text for row in log.area.selected()] == ["CUDA out of memory"]
    assert not log.is_following()
    QTest.keyClicks(log.head.words, "line 9")
    assert not log.error.jump.isEnabled(), "it is not among the rows shown"


def test_an_error_that_says_why_is_pulled_up_before_the_heading_over_it(page: DeploymentsPage, desk: Desk) -> None:
    head = LogLine(T_MS, "engine", "error", "Traceback (most recent call last):")
    filled(page, desk, head, replace(head, text="ValueError: no room"), replace(head, text="KeyError: later"))
    log = page.detail.log
    assert log.error.words.text().endswith(": ValueError: no room")
    assert log.model.row_of_error() == 1


def test_older_lines_come_when_the_top_is_reached_and_go_when_it_follows_again(
    page: DeploymentsPage, desk: Desk
) -> None:
    async def older(_job_id: str, before_offset: int) -> tuple[LogLine, ...]:
        return lines(50, 51) if before_offset == 101_000 else ()

    desk.answers["older_lines"] = older
    filled(page, desk, *lines(100, 60))
    log = page.detail.log
    log.area.verticalScrollBar().setValue(0)
    assert ("older_lines", "j1", 101_000) in desk.asked
    assert shown(page)[:2] == ["line 50", "line 51"], "the line that is held already is not there twice"
    assert log.model.total() == 110
    assert log.model.line(log.area.top_row()).text == "line 100", "who reads stays where they were"
    log.area.verticalScrollBar().setValue(0)
    assert [asked[2] for asked in desk.asked if asked[0] == "older_lines"] == [101_000, 51_000]
    log.area.verticalScrollBar().setValue(5)
    log.area.verticalScrollBar().setValue(0)
    assert len([asked for asked in desk.asked if asked[0] == "older_lines"]) == 2, "the log's beginning was reached"


def test_the_ring_holds_its_size_after_older_lines_were_let_go() -> None:
    model = LogModel(max_lines=100)
    model.append(RowMaker().rows(lines(100, 100)))
    model.flush()
    assert model.prepend(RowMaker().rows(lines(0, 100))) == 100
    model.append(RowMaker().rows(lines(200, 10)))
    model.flush()
    assert (model.total(), model.line(0).text) == (200, "line 10")
    model.let_older_go()
    assert (model.total(), model.line(0).text) == (100, "line 110")
    assert model.prepend(RowMaker().rows(lines(0, 300))) == 100, "never more than as many again"


def test_a_search_goes_over_the_whole_log_on_the_node(page: DeploymentsPage, desk: Desk) -> None:
    async def search(_job_id: str, pattern: str, level: str, before_offset: int, take: Take) -> Answer:
        assert (pattern, level) == ("OOM|killed", "warning")
        if before_offset < 0:
            return Answer(lines(5, 2), True, 256_000_000, next_offset=4000)
        assert before_offset == 4000, "it goes on where the node said"
        return Answer(lines(1, 1), False, 256_000_000)

    desk.answers["search_lines"] = search
    filled(page, desk, *lines(100, 20))
    log = page.detail.log
    log.head.level.set_key("WARN")
    QTest.keyClicks(log.head.words, "OOM|killed")
    QTest.mouseClick(log.head.search, LEFT)
    assert log.found.isVisible()
    assert log.found.words.text() == "2 lines found, there may be older ones; 256.0 MB read on the node"
    QTest.mouseClick(log.found.older, LEFT)
    assert [log.found.model.line(row).text for row in range(3)] == ["line 1", "line 5", "line 6"]
    assert not log.found.older.isVisible()
    QTest.mouseClick(log.found.back, LEFT)
    assert log.area.isVisible()
    assert log.model.total() == 20, "the live lines were kept"


def test_what_a_search_finds_comes_as_it_is_found_and_it_can_be_stopped(page: DeploymentsPage, desk: Desk) -> None:
    went_on: list[bool] = []
    log = page.detail.log

    async def search(_job_id: str, _pattern: str, _level: str, _before: int, take: Take) -> Answer:
        went_on.append(take(Answer(lines(8, 2), True, 100_000_000, fraction=0.4)))
        assert log.found.words.text() == f"Searching: {text.percent(0.4)} of the log, 2 lines so far"
        assert [log.found.model.line(row).text for row in range(2)] == ["line 8", "line 9"]
        went_on.append(take(Answer(lines(7, 3), True, 150_000_000, next_offset=900, fraction=0.6)))
        QTest.mouseClick(log.found.stop, LEFT)
        went_on.append(take(Answer(lines(0, 10), True, 200_000_000, fraction=0.8)))
        return Answer(lines(0, 10), False, 250_000_000)

    desk.answers["search_lines"] = search
    QTest.keyClicks(log.head.words, "x")
    log.search_node()
    assert went_on == [True, True, False]
    assert [log.found.model.line(row).text for row in range(3)] == ["line 7", "line 8", "line 9"]
    assert log.found.words.text() == "Stopped: 3 lines found so far, older ones were not searched"
    assert log.found.older.isVisible()
    assert not log.found.stop.isVisible()


def test_a_search_that_was_stopped_at_once_goes_on_nowhere_that_another_one_had_come_to(
    page: DeploymentsPage, desk: Desk
) -> None:
    log = page.detail.log

    async def search(*_args: object) -> Answer:
        return Answer(lines(5, 2), True, 1000, next_offset=500)

    async def stopped(*_args: object) -> Answer:
        QTest.mouseClick(log.found.stop, LEFT)
        return Answer((), False, 0)

    desk.answers["search_lines"] = search
    QTest.keyClicks(log.head.words, "one")
    log.search_node()
    assert log.found.older.isVisible()
    desk.answers["search_lines"] = stopped
    log.search_node()
    assert not log.found.older.isVisible(), "nothing was searched: there is no place to go on from"


def test_a_pattern_that_cannot_be_read_leaves_no_lines_that_another_one_found(
    page: DeploymentsPage, desk: Desk
) -> None:
    async def search(*_args: object) -> Answer:
        return Answer(lines(5, 2), True, 1000, next_offset=500)

    desk.answers["search_lines"] = search
    log = page.detail.log
    QTest.keyClicks(log.head.words, "one|two")
    log.search_node()
    assert log.found.model.total() == 2
    QTest.keyClicks(log.head.words, "|(")
    log.search_node()
    assert log.found.model.total() == 0
    assert log.found.words.text() == "Not searched: the pattern cannot be read."
    assert not log.found.older.isVisible()


def test_when_the_engine_said_a_line_is_told_to_the_second_and_its_column_stays_free_when_it_is_not_known() -> None:
    rows = RowMaker().rows(
        [
            LogLine(1_790_000_000_123, "engine", "info", "words"),
            LogLine(1_790_000_000_123, "SparkDesk", "info", "ours"),
            LogLine(0, "engine", "info", "found"),
        ]
    )
    assert [len(row.time_text) for row in rows] == [8, 12, 0]
    assert rows[1].time_text.endswith(".123")
    assert len({row.as_text().index(row.source) for row in rows}) == 1


def test_words_are_searched_as_words(page: DeploymentsPage, desk: Desk) -> None:
    QTest.keyClicks(page.detail.log.head.words, "100 % done")
    QTest.keyClick(page.detail.log.head.words, Qt.Key.Key_Return)
    (asked,) = [each for each in desk.asked if each[0] == "search_lines"]
    assert asked[2:5] == (r"100\ %\ done", "", -1)
    assert page.detail.log.found.words.text() == "The log could not be searched."


def test_a_node_that_does_not_answer_is_said(page: DeploymentsPage, desk: Desk) -> None:
    async def refuse(*_args: object) -> Answer:
        raise NodeError("No answer", remedy="Wait until it is back.", node="spark-5c2d")

    desk.answers["search_lines"] = desk.answers["older_lines"] = refuse
    QTest.keyClicks(page.detail.log.head.words, "x")
    page.detail.log.search_node()
    assert page.detail.banner.title() == "spark-5c2d: No answer"


def test_saving_asks_where_and_names_no_path_of_its_own(page: DeploymentsPage, desk: Desk) -> None:
    QTest.mouseClick(page.detail.log.head.save, LEFT)
    dialog = page.detail.log.dialog
    assert dialog is not None
    assert dialog.selectedFiles()[0].endswith("gpt-oss-120b.log")
    dialog.fileSelected.emit("/somewhere/a.log")
    assert desk.asked == [("save_log", "j1", "/somewhere/a.log")]
    dialog.close()


def test_lost_lines_and_colours_are_told_plainly() -> None:
    model = LogModel()
    coloured = LogLine(T_MS, "engine", "info", "\x1b[1;32mINFO\x1b[0m ready")
    model.append(RowMaker().rows([coloured, Lost(1234)]))
    model.flush()
    assert model.line(0).text == "INFO ready"
    assert model.line(1).text == "1,234 lines were lost: they came faster than they could be shown"
    assert model.line(1).is_own()


def test_the_cost_of_new_lines_does_not_grow_with_those_there_are(dressed: object) -> None:
    from time import perf_counter

    def cost(model: LogModel, rows: list[Row]) -> float:
        costs = []
        for at in range(0, len(rows), 1000):  # a batch is what comes in a tenth of a second
            begun_s = perf_counter()
            model.append(rows[at : at + 1000])
            model.flush()
            costs.append(perf_counter() - begun_s)
        return sorted(costs)[-1]

    rows = RowMaker().rows(lines(0, 10_000))
    empty, full = LogModel(), LogModel()
    full.append(RowMaker().rows(lines(0, 50_000)))
    full.flush()
    ratios = sorted(cost(full, rows) / cost(empty, rows) for _ in range(3))
    assert full.total() == 50_000
    assert ratios[0] < 8.0


def test_following_is_told_to_those_who_listen(page: DeploymentsPage, desk: Desk) -> None:
    filled(page, desk, *lines(0, 80))
    spy = QSignalSpy(page.detail.log.following_changed)
    page.detail.log.area.verticalScrollBar().setValue(3)
    filled(page, desk, *lines(80, 5))
    assert page.detail.log.head.follow.text() == "5 new, jump to end"
    QTest.mouseClick(page.detail.log.head.follow, LEFT)
    assert [list(spy.at(i)) for i in range(spy.count())] == [[False], [True]]


def test_pictures_of_a_search(page: DeploymentsPage, desk: Desk) -> None:
    async def search(*_args: object) -> Answer:
        return Answer(lines(5, 40, "WARNING out of memory in request"), True, 256_000_000)

    desk.answers["search_lines"] = search
    desk.chatter()
    QTest.keyClicks(page.detail.log.head.words, "memory")
    page.detail.log.search_node()
    page.detail.log.set_full(True)
    take_picture(page, "deployment-log-search", (1440, 900))
