"""What the deployments page says of speed, of truth and of advice, word for word."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.bench.expectation import NOTHING
from sparkdesk.core.jobs.appraisal import judge
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.record import JobState, Phase, PhaseState
from sparkdesk.core.jobs.verdict import Pace
from sparkdesk.services.appraisal.appraisals import MEASURES, WAITS
from tests.ui.jobs.desk import AS_EXPECTED, BROKEN, FAILED, READY, SLOW, Desk, measured
from tests.ui.picture import host_page, take_pictures
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.jobs.words.sentence import join_sentences
from ui.jobs.words.speed import share_words, verdict_line, verdict_mark, verdict_title

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
LONG = "llama-3.3-70b-instruct-nvfp4"


def show(qtbot: QtBot, desk: Desk, width: int = 1232, height: int = 852) -> DeploymentsPage:
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, width, height))
    QTest.qWait(30)
    return page


def test_a_hundredth_of_what_was_expected_is_not_said_to_be_a_twentieth() -> None:
    slow = replace(SLOW, measured_tok_s=19.8, expected_tok_s=1840.0)
    assert share_words(slow) == "about 1\u202f%"
    for measured_tok_s in (3.0, 19.8, 90.0, 140.0, 700.0, 1500.0):
        one = replace(slow, measured_tok_s=measured_tok_s)
        assert share_words(one).replace("\u202f", " ") == f"about {judge.share_words(one)}"
    assert share_words(replace(slow, measured_tok_s=math.nan)) == ""


def test_a_check_that_runs_or_waits_is_not_an_unknown_speed() -> None:
    nothing = replace(AS_EXPECTED, pace=Pace.UNKNOWN, measured_tok_s=math.nan)
    assert verdict_mark(replace(nothing, note=MEASURES)).text == "Measuring its speed…"
    assert verdict_mark(replace(nothing, note=WAITS)).text == "Speed check waits: server busy"
    assert verdict_mark(replace(nothing, note="It could not be measured")).text == "Speed not known"
    assert verdict_title(replace(nothing, note=MEASURES)) == "Its speed is measured now"


def test_figures_of_a_thousand_and_more_are_grouped() -> None:
    quick = replace(AS_EXPECTED, measured_tok_s=1846.2, expected_tok_s=1846.0, low_tok_s=1150.0, high_tok_s=2944.0)
    assert "(1,150 to 2,944)" in verdict_line(quick, "now")
    assert judge.sentence(quick) == "1,846 tok/s, as expected (1,150-2,944)"


def test_a_rate_to_compare_with_says_of_which_load_it_is(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.serve(READY, seconds=5)
    desk.verdicts["j1"] = replace(AS_EXPECTED, expected_tok_s=1846.0)
    model = DeploymentsModel(desk.feeds())
    job = model.feeds.jobs.value[0]
    assert model.compare_to(job)[1] == "published at 8 users, 512/128: 231"
    model = DeploymentsModel(replace(desk.feeds(), expected=lambda *_: NOTHING))
    assert model.compare_to(job)[1] == "predicted at 1 user, 512/128: about 1,846"


def test_sentences_of_several_writers_each_end() -> None:
    assert join_sentences("Lower it to 83 % instead of 90%", "", "Fix and relaunch sets it") == (
        "Lower it to 83 % instead of 90%. Fix and relaunch sets it."
    )
    assert join_sentences("Is it there?", "Yes!") == "Is it there? Yes!"


def test_advice_and_a_runs_note_end_before_the_next_sentence(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.serve(READY, BROKEN, seconds=5)
    desk.fixes["j5"] = Fix("Take 83% of the memory instead of 90%", (("memory_fraction", 0.83),))
    page = show(qtbot, desk)
    page.model.select("j5")
    assert "instead of 90%. Fix and relaunch sets share of memory" in page.detail.banner.accessibleName()
    page.model.select("j1")
    desk.runs.set((measured(note="Its engine is simulated"),))
    page.detail.open_measure()
    assert page.detail.measure is not None
    assert page.detail.measure.note.text().startswith("Its engine is simulated. E2E, TTFT")


def test_truth_is_told_without_internal_words(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.serve(READY, seconds=5)
    desk.corrections["j1"] = replace(desk.corrections["j1"], engine="trtllm", build="stock")
    page = show(qtbot, desk)
    assert page.detail.truth.words.text().startswith("Plans of gpt-oss-120b with TensorRT-LLM are corrected")


def test_a_long_title_is_whole_while_the_chips_can_go_below(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.serve(replace(READY, title=LONG), seconds=70)
    page = show(qtbot, desk, 1036, 652)
    head = page.detail.head
    assert head._title.width() >= head._title.sizeHint().width()
    assert head.verdict.y() > head._title.y() + 10
    assert not head.verdict.isHidden()
    page.window().resize(1500, 852)
    page.resize(1500, 852)
    QTest.qWait(30)
    assert abs(head.verdict.geometry().center().y() - head._title.geometry().center().y()) < 6


def test_many_steps_fold_the_ended_ones_into_one(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    phases = (
        *FAILED[:4],
        Phase("switch", "Stop the other", PhaseState.DONE, 0.6),
        Phase("put", "Prepare", PhaseState.DONE, 0.6),
        *FAILED[4:],
    )
    desk.serve(replace(BROKEN, phases=phases), seconds=5)
    page = show(qtbot, desk, 1232, 852)
    line = page.detail.head.timeline
    assert len(line.stages()) == 10
    shown = line.columns()
    assert shown[0].title.endswith(" steps")
    assert line.width() / len(shown) >= 99
    assert "Stop the other done" in line.accessibleName(), "each is still read out"


def test_in_a_low_window_a_failed_start_is_its_failed_step_and_the_log_has_room(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.serve(BROKEN, seconds=5)
    desk.chatter("j5")
    page = show(qtbot, desk, 1036, 652)
    head = page.detail.head
    assert head.timeline.height() < 30
    assert head.fold.isVisible()
    page.window().resize(1232, 852)
    page.resize(1232, 852)
    QTest.qWait(30)
    assert head.timeline.height() > 40
    assert not head.fold.isVisible()


def test_an_axis_with_less_than_was_chosen_says_so(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.serve(READY, seconds=20)
    page = show(qtbot, desk)
    assert page.detail.charts.tokens.span_words() == "last 60 s of 15 min"
    assert "one hour" in page.spans.toolTip()


def test_pictures_of_long_names_many_steps_and_a_failure(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    slow = replace(SLOW, measured_tok_s=19.8, expected_tok_s=1840.0)
    desk.verdicts["j1"] = slow
    desk.serve(replace(READY, title=LONG), BROKEN, seconds=70)
    for job_id in ("j1", "j5"):
        desk.chatter(job_id)
    page = show(qtbot, desk)
    assert page.model.job() is not None
    take_pictures(page, "deployment-long")
    page.model.select("j5")
    assert page.model.job().state is JobState.FAILED  # type: ignore[union-attr]
    take_pictures(page, "deployment-failed")
