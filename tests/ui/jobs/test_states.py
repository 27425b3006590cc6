"""Each state of a deployment says what is known of it, and no more."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, Phase, PhaseState
from sparkdesk.core.jobs.verdict import Pace
from sparkdesk.services.appraisal.appraisals import MEASURES
from tests.ui import rack
from tests.ui.jobs.desk import AS_EXPECTED, BROKEN, FAILED, PHASES, READY, Desk
from tests.ui.picture import host_page
from ui.font import font
from ui.jobs.job_list import fault_lines
from ui.jobs.log_rows import RowMaker
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.jobs.words.fault import read_fault
from ui.jobs.words.speed import verdict_mark, verdict_title
from ui.jobs.words.standing import proof_time_s, start_summary
from ui.widgets.paint import text_width

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
FLOOR = "memory floor: 3.8 GiB available, at least 4.0 GiB wanted"
SHARDS = "Loading safetensors checkpoint shards:  64% Completed | 9/14"
LOADING = (
    *PHASES[:4],
    Phase("load", "Load", PhaseState.CURRENT, 92.0, "9 of 14 shards", 9 / 14),
    Phase("ready", "Ready", PhaseState.TO_DO),
)
SILENT = replace(rack.endpoint(0, "files"), base_path="")


def show(
    qtbot: QtBot, job: JobStatus, desk: Desk | None = None, size: tuple[int, int] = (1232, 852)
) -> DeploymentsPage:
    desk = desk or Desk()
    desk.serve(job, seconds=5)
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, *size))
    QTest.qWait(30)
    return page


# Failed ----------------------------------------------------------------------


def test_what_the_guard_did_is_told_as_cause_evidence_and_advice(qtbot: QtBot, dressed: object) -> None:
    page = show(qtbot, replace(BROKEN, message=f"The server is gone: {FLOOR}. Last line: {SHARDS}"))
    banner, row = page.detail.banner, page.model.entries()[1]
    assert banner.title() == "Memory ran low on spark-bd26: the guard stopped it before the node froze"
    assert row.fault == banner.title()
    said = banner.accessibleName()
    assert "3.8 GiB of memory were left, its floor is 4.0 GiB. Less context leaves the memory" in said
    assert said.endswith("Fix and relaunch sets context 131,072 to 65,536, KV cache type none to fp8.")
    assert "shards" not in said, "the log's last line is no cause"
    failed = next(stage for stage in page.detail.head.timeline.stages() if stage.state == "failed")
    assert failed.detail == "memory floor"


@pytest.mark.parametrize(
    ("more", "seen"),
    [
        (", and it falls by 2.1 GiB a second", ", and it fell by 2.1 GiB a second"),
        (", and the node stands still 43% of the time", ", and the node stood still 43\u202f% of the time"),
        ("", ""),
    ],
)
def test_why_the_guard_acted_early_is_evidence(more: str, seen: str) -> None:
    fault = read_fault(replace(BROKEN, message=f"Load the model: {FLOOR}{more}"), "spark-bd26")
    assert fault.evidence == f"3.8 GiB of memory were left, its floor is 4.0 GiB{seen}"
    assert fault.remedy == BROKEN.remedy


def test_a_last_line_stands_behind_the_cause() -> None:
    loop = "The server is gone: ended with exit code 1 after 3 restarts"
    fault = read_fault(replace(BROKEN, message=f"{loop}. Last line: CUDA out of memory", remedy="Read the log."), "")
    assert fault == (loop, "Its last line: CUDA out of memory", "Read the log.", "exit code 1")
    assert read_fault(replace(BROKEN, message="memory floor: ?"), "").cause == "memory floor: ?"


def test_a_long_cause_is_cut_with_an_ellipsis_and_never_in_the_middle_of_a_line(dressed: object) -> None:
    assert font("label").pixelSize() > 0
    lines = fault_lines("The engine said " + "a word or two " * 30, 176.0)
    assert len(lines) == 4
    assert lines[-1].endswith("…")
    assert all(text_width(line, "label") <= 176.0 for line in lines)
    assert fault_lines("exit code 1", 176.0) == ("exit code 1",)


def test_when_it_began_is_whole_in_a_narrow_list(qtbot: QtBot, dressed: object) -> None:
    row = show(qtbot, replace(BROKEN, phases=FAILED)).model.entries()[1]
    assert "started" in row.figures
    assert row.figures_short == row.figures.replace("started ", "")


# Not known, and on its way out ----------------------------------------------------------------------


def test_one_whose_node_is_silent_is_not_said_to_run(qtbot: QtBot, dressed: object) -> None:
    words = "Not known whether it still runs: spark-5c2d is not connected"
    page = show(qtbot, replace(READY, state=JobState.UNKNOWN, readings=(), message=words, remedy="It is looked at."))
    heading, row = page.model.entries()
    assert (heading.title, row.figures) == ("Not known", words)
    assert page.model.summary() == "1 not known"
    last = page.detail.head.timeline.stages()[-1]
    assert (last.title, last.state, last.time_text) == ("Ready", "unknown", "")
    head = page.detail.head
    for button in (head.chat_button, head.measure_button):
        assert "not known whether it runs" in button.toolTip()
    assert page.detail.endpoint.isVisible(), "it may answer yet"
    assert page.model.loss(page.model.feeds.jobs.value[0]).startswith("Not known whether it still runs")


def test_a_start_that_was_lost_sight_of_does_not_go_on_counting_or_offer_an_address(
    qtbot: QtBot, dressed: object
) -> None:
    page = show(qtbot, replace(READY, state=JobState.UNKNOWN, phases=LOADING, readings=(), message="No answer"))
    load, ready = page.detail.head.timeline.stages()[-2:]
    assert (load.state, load.time_text) == ("unknown", "")
    assert ready.state == "todo", "it was never ready"
    assert not page.detail.endpoint.isVisible()


def test_one_that_is_being_stopped_offers_nothing_that_would_fail(qtbot: QtBot, dressed: object) -> None:
    page = show(qtbot, replace(READY, state=JobState.STOPPING, readings=()))
    head = page.detail.head
    for button in (head.chat_button, head.measure_button, head.restart_button):
        assert "being stopped" in button.toolTip()
    assert not page.detail.endpoint.isVisible()
    assert page.model.summary() == "1 stopping"
    assert page.model.entries()[1].figures == "until its end is verified"


def test_a_stop_that_failed_says_what_to_do(qtbot: QtBot, dressed: object) -> None:
    left = replace(READY, state=JobState.UNKNOWN, message="The stop is not verified", remedy="Stop it again.")
    page = show(qtbot, replace(left, stop_error="Process 411 is still there"))
    assert page.detail.banner.accessibleName() == "It could not be stopped Process 411 is still there. Stop it again."


def test_a_degraded_one_is_a_warning_and_no_failure(qtbot: QtBot, dressed: object) -> None:
    page = show(qtbot, replace(READY, state=JobState.DEGRADED, message="The engine is dead."))
    assert page.detail.head.timeline.stages()[-1].state == "degraded"
    assert "Degraded not as it should be" in page.detail.head.timeline.accessibleName()


def test_the_point_where_a_start_stands_says_how_far_it_is_uncut(qtbot: QtBot, dressed: object) -> None:
    page = show(qtbot, replace(READY, state=JobState.LOADING, phases=LOADING, readings=()))
    assert page.detail.head.timeline.stages()[-2].detail == "64\u202f%"
    assert page.detail.head.live.text() == "Load: 64\u202f%, 9 of 14 shards"


def test_a_start_says_what_it_does_and_leaves_the_room_to_its_log(qtbot: QtBot, dressed: object) -> None:
    phases = (*LOADING[:4], Phase("token", "First token", PhaseState.CURRENT, 1.0, "Server listens"), LOADING[-1])
    page = show(qtbot, replace(READY, state=JobState.LOADING, phases=phases, readings=()))
    assert page.model.entries()[1].figures == "First token: Server listens"
    assert not page.detail.truth.isVisible()


def test_a_check_of_its_speed_that_runs_is_not_begun_again(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    desk.verdicts["j1"] = replace(AS_EXPECTED, pace=Pace.UNKNOWN, measured_tok_s=math.nan, note=MEASURES)
    page = show(qtbot, READY, desk)
    page.detail.head.verdict.click()
    speed = page.detail.speed
    assert speed.title.text() == "Its speed is measured now"
    assert "today" not in speed.line.text(), "it has no time before it ended"
    assert not speed.note.isVisible()
    assert speed.again.toolTip() == "<qt>It is measured now</qt>"


# What serves without tokens ----------------------------------------------------------------------


@pytest.mark.parametrize("note", ['"", 0 ms', "", '"x", 12 ms'])
def test_a_server_that_was_asked_for_no_token_has_no_time_of_one(note: str) -> None:
    phases = tuple(replace(each, note=note, seconds=0.2) if each.key == "token" else each for each in PHASES)
    job = replace(READY, engine="custom", endpoint=SILENT, phases=phases)
    assert math.isnan(proof_time_s(job))
    assert "token" not in start_summary(job)
    none = tuple(replace(each, note='"", 0 ms') if each.key == "token" else each for each in PHASES)
    assert math.isnan(proof_time_s(replace(READY, phases=none))), "no token takes no time"


def test_a_server_of_another_protocol_claims_no_tokens_and_cannot_be_measured(qtbot: QtBot, dressed: object) -> None:
    page = show(qtbot, replace(READY, engine="custom", endpoint=SILENT, readings=()))
    detail = page.detail
    assert "Ready check" in [stage.title for stage in detail.head.timeline.stages()]
    assert "OpenAI" in detail.head.measure_button.toolTip()
    assert detail.endpoint.limits.text() == "smollm2-135m", "no context, no users: it has none that we know of"
    assert detail.charts.none.isVisible()
    assert detail.charts.none.text() == "No charts. This server has no metrics page that SparkDesk reads."
    assert not detail.charts.tokens.isVisible(), "one sentence, not five empty charts"


def test_an_embedding_server_is_proved_by_an_answer_and_compared_to_no_token_rate(
    qtbot: QtBot, dressed: object
) -> None:
    desk = Desk()
    plan = rack.plan("j1", 0)
    desk.stage.plans["j1"] = replace(plan, request=plan.request.model_copy(update={"purpose": "embed"}))
    page = show(qtbot, READY, desk)
    assert "first answer 412 ms" in page.detail.head.timeline.accessibleName()
    assert page.model.compare_to(READY) == (None, "")
    assert "generates none" in page.detail.head.measure_button.toolTip()
    assert page.model.switched_off(READY, "generated_tokens_per_s") == "It generates no tokens"
    assert not page.detail.endpoint.ways["agents"].isVisible(), "a coding agent needs words"
    assert page.detail.endpoint.ways["python"].isVisible()


def test_no_figure_of_a_real_spark_stands_beside_a_simulated_one(qtbot: QtBot, dressed: object) -> None:
    page = show(qtbot, replace(READY, endpoint=replace(rack.endpoint(0, "x"), note="real llama.cpp, simulated node")))
    assert page.model.compare_to(page.model.feeds.jobs.value[0]) == (None, "")
    verdict = replace(AS_EXPECTED, pace=Pace.UNKNOWN, measured_tok_s=25.2)
    assert verdict_mark(verdict).text == "25.2 tok/s, not judged", "its card names what was expected"
    assert verdict_title(verdict) == "25.2 tok/s, not judged"


# Addresses and tries ----------------------------------------------------------------------


def test_the_port_of_an_address_is_never_cut(qtbot: QtBot, dressed: object) -> None:
    desk = Desk()
    page = show(qtbot, READY, desk, (1036, 652))
    endpoint = page.detail.endpoint
    endpoint.copy("url")
    QTest.qWait(60)
    assert endpoint.door.isVisible()
    assert endpoint.url.width() >= endpoint.url.needed_width()
    assert endpoint.door.y() < endpoint.url.y(), "the chip stands above"
    page.window().resize(1500, 852)
    page.resize(1500, 852)
    QTest.qWait(60)
    assert endpoint.door.geometry().left() >= endpoint.url.geometry().right()


def test_the_try_that_is_told_with_a_line_is_the_one_it_is_shown_under() -> None:
    line = LogLine(1, "engine", "info", "words", attempt=2)
    assert [row.attempt for row in RowMaker().rows([line, replace(line, attempt=0)])] == [2, 2]
