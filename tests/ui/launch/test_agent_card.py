"""Agents' tasks on the launch page: how many there are, when all are done, where more at once stops helping."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.agent.workload import AgentPoint, AgentRun
from tests.ui.launch import made
from tests.ui.launch.desk import LaunchDesk, open_page, settle
from tests.ui.launch.real import agent_run, answer, catalogue, reference
from tests.ui.launch.test_form_choices import click_preset
from ui.launch.plan.agent_card import label_places
from ui.launch.plan.agent_words import agent_words, long_time
from ui.launch.view import LaunchPage

POINTS = (
    AgentPoint(1, made.figure(800.0), made.figure(100.0)),
    AgentPoint(4, made.figure(370.0), made.figure(185.0)),
    AgentPoint(8, made.figure(360.0), made.figure(360.0)),
)
RUN = AgentRun(POINTS[1].total_s, 4, 4, POINTS)


@pytest.fixture
def page(qtbot: QtBot, dressed: object) -> LaunchPage:
    desk = LaunchDesk(answer, catalogue(), reference().engines)
    desk.agent_run = agent_run
    page = open_page(qtbot, desk)
    page.model.set_field("model", "llama-3.1-8b")
    page.model.settle_name()
    page.model.choose_workload("coding")
    settle(page)
    return page


def test_the_words_say_total_band_and_where_more_stops_helping() -> None:
    words = agent_words(RUN, 8)
    assert words is not None
    assert words.sentence == (
        "8 tasks, 4 at once: about 6 min 10 s, 5 min 26 s – 6 min 54 s. Soonest with 8 at once: about 6 min 00 s. "
        "Beyond 4 at once it gains less than 10 %. 3.7 times one task alone, which takes 1 min 40 s"
    )
    assert str(long_time(4 * 3600 + 120)) == "4 h 2 min"


def test_a_number_that_nothing_was_tried_beyond_is_not_called_the_end() -> None:
    words = agent_words(replace(RUN, knee=8), 8)
    assert words is not None
    assert words.knee is None
    assert not any(line.startswith("Beyond") for line in words.lines)


def test_what_memory_has_no_room_for_is_said_and_not_drawn_as_quick() -> None:
    full = AgentPoint(8, made.NOT_KNOWN, made.NOT_KNOWN)
    words = agent_words(replace(RUN, points=(*POINTS[:2], full)), 8)
    assert words is not None
    assert "Memory holds about 4 at once" in words.lines
    assert "No other number at once ends much sooner" in words.lines


def test_what_memory_holds_is_the_number_of_the_row() -> None:
    full = AgentPoint(8, made.NOT_KNOWN, made.NOT_KNOWN)
    words = agent_words(replace(RUN, points=(*POINTS[:2], full)), 8, 6)
    assert words is not None
    assert "Memory holds about 6 at once" in words.lines, "4 was only the last that was tried"


def test_a_very_large_heap_is_counted_in_groups() -> None:
    many = replace(RUN, total_s=made.figure(59_824_560.0))
    words = agent_words(many, 999_999)
    assert words is not None
    assert any(line.startswith("598,246 times one task alone") for line in words.lines)


def test_labels_of_many_bars_never_touch_and_the_own_one_stays(dressed: object) -> None:
    tried = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
    points = tuple(AgentPoint(each, made.figure(800.0), made.figure(100.0)) for each in tried)
    for own in (12, 256):
        words = agent_words(replace(RUN, concurrency=own, points=points), 999_999)
        assert words is not None
        places = label_places(words, 190)
        assert tried.index(own) in places
        assert len(places) > 6
        stand = sorted(places.values(), key=lambda place: place.left())
        assert all(one.right() < other.left() for one, other in pairwise(stand))
        assert stand[0].left() >= 0
        assert stand[-1].right() <= 190
    few = agent_words(RUN, 8)
    assert few is not None
    assert len(label_places(few, 190)) == 3, "with room all are there"


def test_what_is_not_known_has_no_card() -> None:
    assert agent_words(None, 8) is None
    assert agent_words(replace(RUN, total_s=made.NOT_KNOWN), 8) is None


def test_the_coding_preset_shows_the_card_and_a_chat_does_not(page: LaunchPage) -> None:
    assert page.plan.agents.isVisible()
    assert page.form.workload.tasks.isVisible()
    assert page.plan.agents.title.text() == "Agents: 8 tasks, 4 at once"
    assert page.plan.agents.accessibleName().startswith("8 tasks, 4 at once: about ")
    click_preset(page, "Chat")
    page.model.recompute()
    assert not page.plan.agents.isVisible()
    assert not page.form.workload.tasks.isVisible()


def test_more_tasks_take_longer_and_leave_the_launch_as_it_is(page: LaunchPage) -> None:
    request = page.model.preview.request
    before = page.plan.agents.total.text()
    page.form.workload.tasks.setFocus()
    page.form.workload.tasks.selectAll()
    QTest.keyClicks(page.form.workload.tasks, "64")
    page.model.recompute()
    assert page.plan.agents.title.text() == "Agents: 64 tasks, 4 at once"
    assert page.plan.agents.total.text() != before
    assert page.model.form.workload == "coding", "the heap is no part of the load"
    assert page.model.preview.request == request


def test_more_users_at_once_keep_the_tasks(page: LaunchPage) -> None:
    page.form.workload.users.setFocus()
    QTest.keyClick(page.form.workload.users, Qt.Key.Key_Up)
    page.model.recompute()
    assert page.model.form.workload == "custom"
    assert page.plan.agents.title.text() == "Agents: 8 tasks, 5 at once"


def test_a_launch_that_is_loaded_again_keeps_the_tasks(page: LaunchPage) -> None:
    page.model.set_field("tasks", 64)
    request = page.model.preview.request
    assert request is not None
    page.load(request)
    assert page.model.form.tasks == 64
