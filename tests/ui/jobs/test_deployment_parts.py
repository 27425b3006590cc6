"""One deployment's side of the page: verdict, proposal, truth, endpoint, fix, as a person uses them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.errors import NodeError
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.verdict import Pace
from tests.ui import rack
from tests.ui.jobs.desk import AS_EXPECTED, BROKEN, COMING, DEGRADED, READY, SLOW_ONE, STOPPED, Desk
from tests.ui.picture import host_page, take_pictures
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.paint import text_width

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def desk(dressed: object) -> Desk:
    found = Desk()
    found.serve(READY, SLOW_ONE, DEGRADED, COMING, BROKEN, STOPPED, seconds=70)
    return found


def show(qtbot: QtBot, desk: Desk, **changes: object) -> DeploymentsPage:
    page = DeploymentsPage(DeploymentsModel(replace(desk.feeds(), **changes)))  # type: ignore[arg-type]
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


@pytest.fixture
def page(qtbot: QtBot, desk: Desk) -> DeploymentsPage:
    return show(qtbot, desk)


def pasted() -> str:
    return QGuiApplication.clipboard().text()


def test_the_verdict_stands_beside_ready(page: DeploymentsPage) -> None:
    head = page.detail.head
    assert head.verdict.accessibleName() == "Speed: 57.9 tok/s, as expected"
    assert head.verdict.mark().kind == "ok"
    page.model.select("j2")
    assert head.verdict.mark()[:2] == ("34.0 tok/s, about 60\u202f%", "warn")
    page.model.select("j3")
    assert not head.verdict.isVisible(), "one that is not ready has no speed"


def test_a_slow_one_tells_its_causes_in_order_with_what_was_seen(page: DeploymentsPage, desk: Desk) -> None:
    page.model.select("j2")
    assert not page.detail.speed.isVisible()
    QTest.mouseClick(page.detail.head.verdict, LEFT)
    speed = page.detail.speed
    assert speed.isVisible()
    assert speed.title.text() == "34.0 tok/s, about 60\u202f% of what this plan should do"
    assert "expected about 57.0 tok/s (54 to 62)" in speed.line.text()
    assert speed.causes() == [
        "It runs in eager mode",
        "No MoE kernel for this GPU was found",
        "The clock was low while it was measured",
    ]
    assert "enforce_eager=True" in [label.text() for label in speed.findChildren(type(speed.title))]
    QTest.mouseClick(speed.again, LEFT)
    assert desk.asked == [("check_again", "j2")]
    page.model.select("j1")
    assert not speed.isVisible(), "the card belongs to the one it was opened for"


def test_a_verdict_without_both_figures_is_no_praise(page: DeploymentsPage, desk: Desk) -> None:
    nan = float("nan")
    desk.verdicts["j1"] = replace(AS_EXPECTED, pace=Pace.UNKNOWN, expected_tok_s=nan, low_tok_s=nan, high_tok_s=nan)
    page.refresh()
    assert page.detail.head.verdict.mark()[:2] == ("57.9 tok/s, nothing to compare", "neutral")
    desk.verdicts["j1"] = replace(AS_EXPECTED, pace=Pace.UNKNOWN, measured_tok_s=nan)
    page.refresh()
    assert page.detail.head.verdict.mark().text == "Speed not known"


def test_the_timeline_folds_to_one_line_and_opens_again(page: DeploymentsPage) -> None:
    head = page.detail.head
    assert head.timeline.accessibleName().startswith("started in 3:30 · first token 412 ms. Stages: Pre-flight done")
    assert head.timeline.height() < 30
    QTest.mouseClick(head.fold, LEFT)
    QTest.qWait(20)
    assert head.timeline.height() > 40
    page.model.select("j2")
    QTest.qWait(20)
    assert head.timeline.height() < 30, "another one is folded again"


def test_a_start_says_what_it_does_and_how_long_it_still_takes(page: DeploymentsPage, desk: Desk) -> None:
    page.model.select("j3")
    said = "Weights: 19\u202f%, 12.4 of 65.2 GB, 410 MB/s, 5 of 14 files · about 2 min left"
    assert page.detail.head.live.text() == said
    row = next(entry for entry in page.model.entries() if entry.job_id == "j3")
    assert row.figures_short == "Weights 19\u202f%   ~2 min left"
    assert text_width(row.figures_short.replace("2 min", "22 min"), "dense") <= 200 - 2 - 24, "uncut in a narrow list"
    desk.stage.now_ms += 90_000
    page.refresh()
    assert page.detail.head.live.text().endswith("about 50 s left"), "it counts on between two reports"
    assert not page.detail.endpoint.isVisible()


def test_one_that_does_not_serve_as_it_should_says_why_and_offers_no_chat(page: DeploymentsPage) -> None:
    page.model.select("j6")
    detail = page.detail
    assert detail.head.chips()[0] == "Degraded"
    assert (detail.banner.kind, detail.banner.title()) == ("warn", DEGRADED.message)
    assert not detail.head.chat_button.isEnabled()
    assert detail.head.timeline.stages()[-1].title == "Degraded"
    assert "started again once" in detail.head.timeline.accessibleName()


def test_fix_and_relaunch_says_what_changes_and_fills_the_form_so(page: DeploymentsPage) -> None:
    page.model.select("j5")
    banner = page.detail.banner
    assert "context 131,072 to 65,536, KV cache type none to fp8" in banner.accessibleName()
    fixed, again = QSignalSpy(page.fix_asked), QSignalSpy(page.relaunch_asked)
    QTest.mouseClick(button(banner, "Fix and relaunch"), LEFT)
    QTest.mouseClick(page.detail.head.relaunch_button, LEFT)
    assert [fixed.at(at)[0] for at in range(fixed.count())] == ["j5", "j5"]
    assert again.count() == 0, "the same request would fail again"


def button(banner: Banner, words: str) -> Button:
    return next(each for each in banner.findChildren(Button) if each.text() == words)


def test_without_a_fix_the_same_is_launched_again(page: DeploymentsPage, desk: Desk) -> None:
    del desk.fixes["j5"]
    page.model.select("j5")
    fixed, again = QSignalSpy(page.fix_asked), QSignalSpy(page.relaunch_asked)
    QTest.mouseClick(button(page.detail.banner, "Relaunch"), LEFT)
    assert page.detail.head.relaunch_button.text() == "Relaunch"
    assert (fixed.count(), again.count()) == (0, 1)


@pytest.mark.parametrize(
    ("model", "page_url"), [("openai/gpt-oss-120b", True), ("../x?a=b", False), ("/srv/x.gguf", False)]
)
def test_a_licence_is_accepted_on_the_models_page(qtbot: QtBot, desk: Desk, model: str, page_url: bool) -> None:
    plan = desk.feeds().plan_of("j5")
    assert plan is not None
    other = replace(plan, request=plan.request.model_copy(update={"model": model}))
    desk.fixes["j5"] = Fix("Accept the licence on the model's page, then launch it again", opens="licence")
    page = show(qtbot, desk, plan_of=lambda _job_id: other)
    page.model.select("j5")
    opened: list[str] = []
    page.detail.opener = lambda url: opened.append(url.toString())
    again = QSignalSpy(page.relaunch_asked)
    if page_url:
        QTest.mouseClick(button(page.detail.banner, "Open the model's page"), LEFT)
        assert opened == [f"https://huggingface.co/{model}"]
    else:
        QTest.mouseClick(button(page.detail.banner, "Relaunch"), LEFT)
        assert opened == []
    assert again.count() == (0 if page_url else 1)


def test_a_token_that_is_missing_leads_to_the_settings(page: DeploymentsPage, desk: Desk) -> None:
    desk.fixes["j5"] = Fix("Give a token of the hub in Settings, then launch it again", opens="token")
    page.model.select("j5")
    asked = QSignalSpy(page.token_asked)
    QTest.mouseClick(button(page.detail.banner, "Give a token in Settings"), LEFT)
    assert asked.count() == 1


@pytest.mark.parametrize(
    ("note", "words"),
    [('"Hello", 344 ms', "first token 344 ms"), ("", "first token 1.00 s"), ("“, 9 ms” ok", "first token 1.00 s")],
)
def test_the_first_token_of_a_start_is_the_one_that_proved_it(page: DeploymentsPage, note: str, words: str) -> None:
    phases = tuple(replace(each, note=note) if each.key == "token" else each for each in READY.phases)
    assert page.model.start_summary(replace(READY, phases=phases)) == f"started in 3:30 · {words}"


def test_the_next_change_opens_the_form_and_can_be_put_off(page: DeploymentsPage, desk: Desk) -> None:
    card = page.detail.change
    assert card.isVisible()
    assert "14 requests wait" in card.accessibleName()
    assert "Sets users at once 8 to 16" in card.accessibleName()
    spy = QSignalSpy(page.relaunch_asked)
    QTest.mouseClick(card.open_button, LEFT)
    request = spy.at(0)[0]
    assert isinstance(request, LaunchRequest)
    assert request.concurrency == 16
    assert desk.asked == [], "nothing is changed by itself"
    QTest.mouseClick(card.later, LEFT)
    assert not card.isVisible()


def test_in_a_low_window_the_next_change_is_one_line_until_its_reasons_are_asked_for(page: DeploymentsPage) -> None:
    card = page.detail.change
    assert not card.more.isVisible()
    high = card.height()
    page.window().resize(1036, 648)
    page.resize(1036, 648)
    QTest.qWait(30)
    assert card.height() < min(high, 52)
    assert not card.why.isVisible()
    assert "14 requests wait" in card.accessibleName()
    QTest.mouseClick(card.more, LEFT)
    QTest.qWait(30)
    assert card.why.isVisible()


def test_plan_and_truth_stand_side_by_side_and_the_correction_can_be_taken_back(
    page: DeploymentsPage, desk: Desk
) -> None:
    card = page.detail.truth
    rows = [[cell.text for cell in row] for row in card.table.cells.table.rows]
    assert rows[0] == ["Weights", "62.1 GiB", "62.6 GiB", "+1\u202f%"]
    assert rows[3] == ["Loading the weights", "n/a", "2:38", "n/a"]
    assert card.table.cells.table.rows[2][3].look == "marked", "90 % more is marked"
    page.detail.cards.ensureWidgetVisible(card.switch)
    assert card.switch.isChecked()
    QTest.mouseClick(card.switch, LEFT)
    assert desk.corrections["j1"].is_applied is False
    page.refresh()
    assert "are not corrected" in card.words.text()


def test_copying_the_address_opens_a_port_here_first(page: DeploymentsPage, desk: Desk) -> None:
    endpoint = page.detail.endpoint
    assert "copying opens it here" in endpoint.where.text()
    assert desk.asked == [], "no port is opened before"
    endpoint.url.copy_text()
    assert desk.asked == [("open_door", "j1")]
    assert pasted() == "http://127.0.0.1:8000/v1" == endpoint.url.text()
    assert endpoint.where.text() == "Opened on this computer: 127.0.0.1:8000, through SSH to spark-5c2d:8080"
    QTest.mouseClick(endpoint.ways["curl"], LEFT)
    assert "curl http://127.0.0.1:8000/v1/chat/completions" in pasted()
    QTest.mouseClick(endpoint.ways["agents"], LEFT)
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8000/v1\n" in pasted()


def test_a_port_whose_line_is_lost_is_said_to_lead_nowhere(page: DeploymentsPage, desk: Desk) -> None:
    endpoint = page.detail.endpoint
    endpoint.copy("url")
    assert endpoint.door.text() == "Open here"
    desk.doors.set({"j1": replace(desk.doors.value["j1"], is_open=False)})
    page.refresh()
    assert (endpoint.door.text(), endpoint.door.kind()) == ("Tunnel down", "warn")
    assert "leads nowhere now" in endpoint.where.text()
    close = next(each for each in page.detail.head.make_menu().actions() if each.text().startswith("Close its port"))
    close.trigger()
    assert desk.asked[-1] == ("close_door", "j1")


def test_a_port_that_cannot_be_opened_is_said_and_nothing_is_copied(page: DeploymentsPage, desk: Desk) -> None:
    async def refuse(_job_id: str) -> str:
        raise NodeError("The line to the node is gone", remedy="Wait until it is back.", node="spark-5c2d")

    desk.answers["open_door"] = refuse
    QGuiApplication.clipboard().setText("before")
    page.detail.endpoint.copy("curl")
    assert pasted() == "before"
    assert page.detail.banner.title() == "spark-5c2d: The line to the node is gone"


def test_a_server_for_the_network_shows_its_key_only_when_asked(page: DeploymentsPage, desk: Desk) -> None:
    plan = desk.stage.plans["j1"]
    desk.stage.plans["j1"] = replace(plan, request=plan.request.model_copy(update={"reach": "lan"}))
    page.refresh()
    endpoint = page.detail.endpoint
    assert endpoint.url.text() == "http://10.0.20.30:8080/v1"
    assert not any("sk-secret" in label.text() for label in endpoint.findChildren(type(endpoint.where)))
    endpoint.copy("curl")
    assert "sk-secret" not in pasted()
    assert "$OPENAI_API_KEY" in pasted()
    assert ("api_key", "j1") not in desk.asked, "nor is it asked for where it is not needed"
    endpoint.copy("agents")
    assert "export OPENAI_API_KEY=sk-secret" in pasted()
    QTest.mouseClick(endpoint.show_key, LEFT)
    assert endpoint.key.text() == "sk-secret"
    QTest.mouseClick(endpoint.show_key, LEFT)
    assert not endpoint.key.isVisible()
    assert ("open_door", "j1") not in desk.asked, "the network's address needs no port here"


def test_a_chart_without_data_says_who_would_give_it(page: DeploymentsPage, desk: Desk) -> None:
    charts = page.detail.charts
    assert charts.ttft.accessibleName().startswith("TTFT 0.")
    charts.tabs.set_key("accepted")
    page.refresh()
    assert charts.more._empty_text == "No speculative decoding in this launch"
    now = desk.stage.jobs.value
    page_of = replace(rack.endpoint(2, "x"), metrics_path="/metrics")
    quiet = {"engine": "llamacpp", "endpoint": page_of}
    desk.stage.jobs.set(tuple(replace(job, **quiet) if job.job_id == "j2" else job for job in now))
    desk.stage.traces.keep_only(set())
    page.model.select("j2")
    assert charts.kv._empty_text.startswith("llama.cpp tells no share of its KV cache")


def test_a_restart_asks_with_both_plans_and_then_goes_out(page: DeploymentsPage, desk: Desk) -> None:
    QTest.mouseClick(page.detail.head.restart_button, LEFT)
    assert page.dialog is not None
    assert "job.py stop" in page.dialog.commands.text()
    assert "llama-server" in page.dialog.commands.text()
    assert desk.asked == []
    QTest.mouseClick(page.dialog.go, LEFT)
    assert desk.asked == [("restart", "j1")]


def test_one_found_running_without_a_plan_cannot_be_restarted(qtbot: QtBot, desk: Desk) -> None:
    page = show(qtbot, desk, plan_of=lambda _job_id: None)
    assert not page.detail.head.restart_button.isEnabled()
    assert "found running" in page.detail.head.restart_button.toolTip()


def test_the_menu_holds_what_is_seldom_wanted(page: DeploymentsPage, desk: Desk) -> None:
    menu = page.detail.head.make_menu()
    words = [action.text() for action in menu.actions()]
    assert words == [
        "Copy curl",
        "Copy launch command",
        "Open its launch form",
        "Save log…",
        "Switch to another model…",
        "Embedding server beside it…",
    ]
    menu.actions()[1].trigger()
    assert pasted().startswith("llama-server")
    menu.actions()[4].trigger()
    assert desk.asked == [("switch", "j1")]


def test_what_is_not_wired_is_not_offered(qtbot: QtBot, desk: Desk) -> None:
    page = show(qtbot, desk, measure=None, restart=None, switch=None, save_log=None, start=None, search_lines=None)
    detail = page.detail
    for part in (detail.head.measure_button, detail.head.restart_button, detail.log.head.search, detail.log.head.save):
        assert not part.isVisible()
    detail.endpoint.copy("url")
    assert pasted() == "http://127.0.0.1:8080/v1"


def test_the_last_launch_is_two_clicks_away_on_an_empty_page(qtbot: QtBot, desk: Desk) -> None:
    desk.last = desk.stage.plans["j1"]
    desk.stage.serve()
    page = show(qtbot, desk)
    assert page.again.text() == "Relaunch the last: smollm2-135m"
    QTest.mouseClick(page.again, LEFT)
    assert page.dialog is not None
    assert desk.asked == []
    QTest.mouseClick(page.dialog.go, LEFT)
    assert desk.asked == [("launch_again", desk.last.request)]


def test_the_log_keeps_its_height_where_the_cards_scroll(page: DeploymentsPage) -> None:
    page.window().resize(1044, 652)
    page.resize(1044, 652)
    QTest.mouseClick(page.detail.head.verdict, LEFT)
    QTest.qWait(60)
    assert page.detail.log.height() >= 168
    assert page.detail.cards.verticalScrollBar().maximum() > 0
    edge = page.detail.log.mapTo(page, page.detail.log.rect().topRight()).x()
    assert page.detail.head.mapTo(page, page.detail.head.rect().topRight()).x() == edge
    QTest.mouseClick(page.detail.log.head.size_button, LEFT)
    assert not page.detail.cards.isVisible()
    page.model.select("j2")
    assert page.detail.cards.isVisible(), "another deployment begins with its head"


def test_an_unknown_state_claims_nothing(page: DeploymentsPage, desk: Desk) -> None:
    unknown = replace(READY, state=JobState.UNKNOWN, readings=())
    desk.stage.jobs.set((unknown,))
    page.refresh()
    assert page.detail.head.chips()[0] == "Not known"
    assert not page.detail.head.verdict.isVisible()
    assert not page.detail.charts.isVisible()


@pytest.mark.parametrize("job_id", ["j1", "j2", "j3", "j5", "j6"])
def test_pictures_of_a_deployment(page: DeploymentsPage, desk: Desk, job_id: str) -> None:
    desk.chatter(job_id)
    page.model.select(job_id)
    if job_id == "j2":
        page.detail.head.verdict.click()
    take_pictures(page, f"deployment-{job_id}")
