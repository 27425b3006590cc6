"""The deployments page as a person uses it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.telemetry.energy import EnergyView
from tests.ui import rack
from tests.ui.picture import SHOTS, host_page, take_pictures
from tests.ui.stage import Stage
from tests.ui.test_deployments_model import JOBS
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage

ADOPTED = replace(
    rack.job("j4", "qwen3.6-35b", 2),
    is_adopted=True,
    endpoint=replace(rack.endpoint(2, "qwen3.6-35b"), note="simulated vLLM, real llama.cpp"),
    readings=(("requests_running", 1.0),),
)


DRAWN = EnergyView(7200.0, 18_000.0, math.nan, "", math.nan, 1.25, 0.98, 1, "Energy is the GPU rail's.")


def bandwidth(job_id: str) -> Bandwidth | None:
    known = Bandwidth(178.0, 178.0 / 273.0, 5.87e9)
    return known if job_id == "j1" else Bandwidth(math.nan, math.nan, math.nan, "No request runs")


def open_page(qtbot: QtBot, stage: Stage) -> DeploymentsPage:
    feeds = replace(stage.deployment_feeds(), bandwidth=bandwidth, energy=lambda _job_id: DRAWN)
    page = DeploymentsPage(DeploymentsModel(feeds))
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    found.serve(JOBS[0], ADOPTED, *JOBS[1:])
    found.live(90)
    found.write("j1", *(f"slot {i % 8} | processing task {i}" for i in range(200)))
    found.write("j1", "all 8 slots busy", source="SparkDesk", level="warning")
    return found


@pytest.fixture
def page(qtbot: QtBot, stage: Stage) -> DeploymentsPage:
    return open_page(qtbot, stage)


def test_a_ready_deployment_shows_state_endpoint_charts_and_log(page: DeploymentsPage) -> None:
    detail = page.detail
    assert detail.endpoint.url.text() == "http://127.0.0.1:8080/v1"
    assert detail.charts.tokens.has_data()
    assert detail.charts.kv.accessibleName().startswith("KV cache in use ")
    QTest.qWait(250)
    assert detail.log.model.total() == 201
    assert detail.head.timeline.stages()[-1].title == "Ready"
    assert detail.head.timeline.height() < 30, "the timeline folds when ready"


def test_a_deployment_tells_its_memory_bandwidth_and_energy_without_a_hover(page: DeploymentsPage) -> None:
    said = page.detail.effort.said()
    assert said["Memory bandwidth (computed)"] == "178 GB/s · 65\u202f% of 273"
    assert said["Energy per token (GPU rail)"] == "1.25 J/tok"
    assert said["Wall"] == "about 5.0 Wh, estimate"
    page.window().resize(1100, 700)
    assert page.detail.effort.isVisible()
    page.model.select("j4")
    assert page.detail.effort.said()["Memory bandwidth (computed)"] == "n/a: no request runs"
    page.model.select("j2")
    assert not page.detail.effort.isVisible(), "one that is not ready takes nothing"


def test_what_an_engine_does_not_report_is_said(page: DeploymentsPage) -> None:
    page.model.select("j4")
    assert not page.detail.charts.kv.has_data()
    assert page.detail.charts.requests.has_data()


def test_a_job_that_was_found_running_and_its_note_are_marked(page: DeploymentsPage) -> None:
    page.model.select("j4")
    assert page.detail.head.chips() == ["Ready", "Found running", "simulated vLLM, real llama.cpp"]
    page.model.select("j1")
    assert page.detail.head.chips() == ["Ready"]


def test_stopping_asks_first_and_names_the_loss(page: DeploymentsPage) -> None:
    spy = QSignalSpy(page.stop_confirmed)
    QTest.mouseClick(page.detail.head.stop_button, Qt.MouseButton.LeftButton)
    dialog = page.dialog
    assert dialog is not None
    assert dialog.windowTitle() == "Stop gpt-oss-120b?"
    assert dialog.accessibleDescription() == "8 running requests end now."
    assert "job.py stop" in dialog.commands.text()
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert spy.count() == 0, "Enter keeps it running"
    assert not dialog.isVisible()
    assert dialog.keep.isDefault()
    assert not dialog.go.isDefault()


def test_a_stop_that_is_meant_goes_out_once(page: DeploymentsPage) -> None:
    spy = QSignalSpy(page.stop_confirmed)
    QTest.mouseClick(page.detail.head.stop_button, Qt.MouseButton.LeftButton)
    assert page.dialog is not None
    QTest.mouseClick(page.dialog.go, Qt.MouseButton.LeftButton)
    assert spy.count() == 1
    assert list(spy.at(0)) == ["j1"]


def test_chat_is_there_when_ready_only(page: DeploymentsPage) -> None:
    spy = QSignalSpy(page.chat_asked)
    QTest.mouseClick(page.detail.head.chat_button, Qt.MouseButton.LeftButton)
    assert list(spy.at(0)) == ["j1"]
    page.model.select("j2")
    assert not page.detail.head.chat_button.isEnabled()
    assert "not ready yet" in page.detail.head.chat_button.toolTip()


def test_a_failed_launch_says_why_and_can_be_mended(page: DeploymentsPage) -> None:
    page.model.select("j5")
    assert page.detail.banner.title() == "Memory fell to 3.8 GiB."
    spy = QSignalSpy(page.relaunch_asked)
    QTest.mouseClick(page.detail.head.relaunch_button, Qt.MouseButton.LeftButton)
    assert page.detail.head.relaunch_button.text() == "Relaunch", "no fix is known"
    assert spy.at(0)[0] == rack.request(1)
    page.model.select("j1")
    assert not page.detail.banner.isVisible(), "the message belongs to the failed one"


def test_an_ended_job_can_be_removed_after_a_question(page: DeploymentsPage) -> None:
    page.model.select("j3")
    spy = QSignalSpy(page.remove_confirmed)
    QTest.mouseClick(page.detail.head.forget_button, Qt.MouseButton.LeftButton)
    assert page.dialog is not None
    assert "spark-3995" in page.dialog.accessibleDescription()
    QTest.mouseClick(page.dialog.go, Qt.MouseButton.LeftButton)
    assert list(spy.at(0)) == ["j3"]


def test_a_stop_that_failed_is_said(page: DeploymentsPage, stage: Stage) -> None:
    first, *others = stage.jobs.value
    stage.jobs.set((replace(first, stop_error="Process 411 is still there."), *others))
    page.refresh()
    assert page.detail.banner.title() == "It could not be stopped"


def test_a_deployment_that_becomes_ready_shows_it_without_a_click(
    qtbot: QtBot, page: DeploymentsPage, stage: Stage
) -> None:
    page.model.select("j2")
    ready = rack.job("j2", "llama-3.3-70b", 1)
    stage.jobs.set(tuple(ready if job.job_id == "j2" else job for job in stage.jobs.value))
    qtbot.waitUntil(lambda: page.detail.head.chips() == ["Ready"], timeout=900)
    assert page.detail.head.chat_button.isEnabled()


def test_the_list_is_walked_by_keyboard(page: DeploymentsPage) -> None:
    page.list.setFocus()
    QTest.keyClick(page.list, Qt.Key.Key_Down)
    assert page.model.job_id == "j4"
    QTest.keyClick(page.list, Qt.Key.Key_Down)
    assert page.model.job_id == "j2", "headings are passed over"
    QTest.keyClick(page, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert page.model.job_id == "j3"


def test_the_filter_narrows_the_list(page: DeploymentsPage) -> None:
    QTest.keyClicks(page.filter, "coder")
    QTest.qWait(150)
    assert [row.title for row in page.list.entries.rows] == ["Stopped or failed, logs kept", "qwen3-coder"]


def test_the_log_of_another_deployment_replaces_the_one_before(page: DeploymentsPage, stage: Stage) -> None:
    QTest.qWait(250)
    page.model.select("j4")
    stage.write("j4", "only this")
    QTest.qWait(250)
    assert page.detail.log.model.all_text().endswith("only this")
    assert page.detail.log.model.total() == 1
    stage.write("j1", "not for this view")
    QTest.qWait(250)
    assert page.detail.log.model.total() == 1


def test_the_tunnel_is_copied_as_shown(page: DeploymentsPage) -> None:
    QTest.mouseClick(page.detail.endpoint.ways["tunnel"], Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "ssh -N -L 127.0.0.1:8080:127.0.0.1:8080 -- node0"


def test_a_hidden_page_does_not_read_on(page: DeploymentsPage, stage: Stage) -> None:
    page.hide()
    before = page.detail.charts.tokens.accessibleName()
    stage.live(30)
    QTest.qWait(1200)
    assert page.detail.charts.tokens.accessibleName() == before


def test_without_deployments_the_page_leads_to_launch(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, Stage())
    spy = QSignalSpy(page.launch_asked)
    assert not page.launch.isVisible(), "one filled button a screen"
    button = page.empty_button()
    assert button is not None
    button.click()
    assert spy.count() == 1


@pytest.mark.parametrize("job_id", ["j1", "j2", "j4", "j5"])
def test_pictures_of_the_page(page: DeploymentsPage, job_id: str) -> None:
    page.model.select(job_id)
    take_pictures(page, f"deployments-{job_id}")


def test_pictures_of_the_question_before_a_stop(page: DeploymentsPage) -> None:
    page.detail.head.stop_button.click()
    assert page.dialog is not None
    QTest.qWait(50)
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert page.dialog.grab().save(str(SHOTS / "deployments-stop.png"))


def test_pictures_without_deployments(qtbot: QtBot, dressed: object) -> None:
    take_pictures(open_page(qtbot, Stage()), "deployments-none")


def test_a_job_of_which_nothing_is_known_breaks_nothing(qtbot: QtBot, dressed: object) -> None:
    stage = Stage()
    unknown = replace(rack.job("jx", "found", 0, JobState.UNKNOWN), endpoint=None, phases=(), node_ids=("gone",))
    stage.jobs.set((unknown,))
    page = open_page(qtbot, stage)
    assert page.detail.head.chips() == ["Not known"]
    assert not page.detail.endpoint.isVisible()
