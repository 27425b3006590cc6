"""A server that became slower than it was itself is told with both figures and both moments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.appraisal.judge import NOT_PREDICTED, fall_note
from sparkdesk.core.jobs.verdict import Pace, Verdict
from tests.ui import rack
from tests.ui.jobs.desk import AS_EXPECTED, CAUSES, READY, SLOW_ONE, Desk
from tests.ui.picture import host_page, take_pictures
from ui.jobs.model import DeploymentsModel, moment
from ui.jobs.view import DeploymentsPage
from ui.jobs.words.speed import fell_from, note_words, verdict_mark, verdict_title

FIRST = replace(AS_EXPECTED, at_ms=rack.NOW_MS - 26 * 3_600_000)
FALLEN = replace(
    AS_EXPECTED,
    pace=Pace.UNKNOWN,
    measured_tok_s=37.2,
    expected_tok_s=math.nan,
    low_tok_s=math.nan,
    high_tok_s=math.nan,
    causes=CAUSES[2:],
    note=f"{fall_note(FIRST)}. {NOT_PREDICTED}",
)
Open = Callable[[Verdict], DeploymentsPage]


@pytest.fixture
def opened(qtbot: QtBot, dressed: object) -> Open:
    """Opens the page with the card of this verdict; the first one was FIRST."""

    def open_one(verdict: Verdict) -> DeploymentsPage:
        desk = Desk(verdicts={"j1": verdict}, firsts={"j1": FIRST})
        desk.serve(READY, SLOW_ONE, seconds=5)
        page = DeploymentsPage(DeploymentsModel(desk.feeds()))
        qtbot.addWidget(host_page(page, 1232, 852))
        page.refresh()
        page.detail.head.verdict.click()
        return page

    return open_one


def test_a_fall_is_told_by_the_figure_before_and_its_moment(opened: Open) -> None:
    page = opened(FALLEN)
    detail = page.detail
    assert detail.head.verdict.mark()[:2] == ("37.2 tok/s, fell by 36\u202f%", "warn")
    speed = detail.speed
    assert speed.title.text() == "37.2 tok/s, 36\u202f% less than when it was first measured"
    when = moment(FIRST.at_ms, page.model.feeds.now_ms())
    assert f"; first measured {when}: 57.9 tok/s; first token" in speed.line.text()
    assert speed.note.text() == NOT_PREDICTED, "the rest is said above"
    assert speed.causes() == [CAUSES[2].words]
    take_pictures(page, "deployment-fall")


def test_a_fall_without_a_cause_says_so(opened: Open) -> None:
    speed = opened(replace(FALLEN, causes=(), note=fall_note(FIRST))).detail.speed
    assert speed.none.isVisible()
    assert not speed.note.isVisible()


def test_a_fall_within_what_was_expected_is_no_praise() -> None:
    fallen = replace(AS_EXPECTED, measured_tok_s=48.0, low_tok_s=40.0)
    assert verdict_mark(fallen, FIRST).text == "48.0 tok/s, fell by 17\u202f%"


def test_a_slow_one_keeps_its_share_of_the_plan(opened: Open) -> None:
    slow = replace(FALLEN, pace=Pace.SLOWER, expected_tok_s=57.0, low_tok_s=54.0, high_tok_s=62.0)
    page = opened(slow)
    assert page.detail.head.verdict.mark().text == "37.2 tok/s, about 65\u202f%"
    assert verdict_title(slow, FIRST).endswith("of what this plan should do")
    assert "57.9 tok/s; expected about 57.0 tok/s (54 to 62)" in page.detail.speed.line.text()


def test_a_small_difference_is_no_fall(opened: Open) -> None:
    near = replace(AS_EXPECTED, measured_tok_s=50.0)
    assert fell_from(near, FIRST) is None
    assert fell_from(FALLEN, None) is None
    assert note_words(replace(near, note="Example."), None) == "Example."
    line = opened(near).detail.speed.line.text()
    assert "first measured" not in line
