"""Whatever a model, an engine or a node calls itself: on this page it is plain text, on its lines, and has an end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.bench.run import BenchState
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.next_change import NextChange
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, Phase
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.jobs.verdict import Cause
from sparkdesk.services.jobs.reach.doors import Door
from tests.ui import rack
from tests.ui.jobs.desk import BROKEN, DEGRADED, PHASES, READY, SLOW, Desk, measured
from tests.ui.picture import host_page
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.widgets.label import ElidedLabel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
MOST_CHARS = 1600
EVIL = '<b onclick="x">"q\' $(reboot) `id` \u202egnp.exe\u2066 \x1b[31mred\x00\r\nsecond\u2028line &amp; <img src=file:///etc/passwd>'
LONG = EVIL + "x" * 10_000
TURNERS = "\u202e\u2066\x1b\x00\r\u2028"


def spoilt(job: JobStatus, **more: object) -> JobStatus:
    """The job with evil words wherever its node or engine has one."""
    phases = tuple(replace(phase, note=LONG) for phase in job.phases or PHASES)
    endpoint = replace(rack.endpoint(0, LONG), note=LONG, context_tokens=4096)
    words = {"title": LONG, "message": LONG, "remedy": LONG, "phases": phases, "endpoint": endpoint, **more}
    return replace(job, **words)  # type: ignore[arg-type]


JOBS = {
    "ready": spoilt(READY, message="", owner=LONG, holder=LONG),
    "degraded": spoilt(replace(DEGRADED, job_id="j1", node_ids=("node0",))),
    "failed": spoilt(replace(BROKEN, job_id="j1"), message=f"{LONG[:200]}. Last line: {LONG}"),
    "strange": spoilt(replace(READY, state=JobState.UNKNOWN), engine=LONG, node_ids=("node0", LONG), stop_error=LONG),
    "account": spoilt(replace(READY, account=LONG)),
    "coming": spoilt(replace(READY, state=JobState.LOADING, phases=(Phase("load", LONG, PHASES[0].state),))),
}


def evil_desk(job: JobStatus) -> Desk:
    desk = Desk()
    desk.verdicts["j1"] = replace(SLOW, causes=tuple(Cause("k", LONG, LONG, LONG) for _ in range(20)), note=LONG)
    desk.changes["j1"] = NextChange("k", LONG, LONG, LONG, LONG, (("kv_dtype", LONG), (LONG, LONG)))
    desk.corrections["j1"] = Correction(LONG, LONG, LONG, 3, 1.0, 1.0)
    desk.fixes["j1"] = Fix(LONG, (("extra_flags", (LONG,)),))
    desk.doors.set({"j1": Door("j1", "http://127.0.0.1:8000/v1", 8000, is_open=False, message=LONG)})
    desk.serve(job, seconds=3)
    plan = desk.stage.plans["j1"]
    changes = {"served_name": LONG, "model": LONG, "quantization": LONG, "build": LONG, "tool_parser": LONG}
    desk.stage.plans["j1"] = replace(plan, title=LONG, request=plan.request.model_copy(update=changes))
    desk.runs.set((measured(BenchState.FAILED, title=LONG, engine=LONG, quantization=LONG, note=LONG, message=LONG),))
    for source in ("engine", "SparkDesk", "job", LONG):
        desk.log("j1", LogLine(desk.stage.now_ms, source, "error", LONG, offset=1))
    return desk


def said_by(widget: QWidget) -> Iterator[tuple[str, str]]:
    """Everything a widget and what is in it says, with where."""
    for each in (widget, *widget.findChildren(QWidget)):
        name = type(each).__name__
        yield f"{name} name", each.accessibleName()
        yield f"{name} description", each.accessibleDescription()
        yield f"{name} tooltip", each.toolTip()
        if isinstance(each, QLabel | QAbstractButton):
            yield f"{name} text", each.text()
        if isinstance(each, QDialog):
            yield f"{name} title", each.windowTitle()


def check(widget: QWidget) -> None:
    for where, words in said_by(widget):
        assert len(words) <= MOST_CHARS, f"{where} has no end: {len(words)} characters"
        assert not any(turner in words for turner in TURNERS), f"{where} turns or breaks its line: {words[:80]!r}"
        if "tooltip" in where:
            assert "<" not in words or words.startswith("<qt>"), f"{where} guesses markup: {words[:80]!r}"
            assert "<b" not in words.replace("<br>", ""), f"{where} reads markup: {words[:80]!r}"
            assert "<img" not in words
    for label in widget.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText, label.text()[:80]


@pytest.fixture(params=list(JOBS))
def page(request: pytest.FixtureRequest, qtbot: QtBot, dressed: object) -> DeploymentsPage:
    desk = evil_desk(JOBS[request.param])
    page = DeploymentsPage(DeploymentsModel(replace(desk.feeds(), owner="me@desk")))
    qtbot.addWidget(host_page(page, 1036, 652))
    QTest.qWait(150)
    return page


def test_evil_words_are_plain_bounded_lines_in_every_state(page: DeploymentsPage) -> None:
    if not page.detail.head.verdict.isHidden():
        page.detail.head.verdict.click()
    page.detail.head.fold.click()
    page.detail.change.more.click()
    QTest.qWait(20)
    check(page)
    for row in page.model.entries():
        for words in (row.title, row.line, row.figures, row.figures_short, row.fault):
            assert len(words) < 400
            assert not any(turner in words for turner in TURNERS)
    area = page.detail.cards
    assert area.widget().minimumSizeHint().width() <= area.viewport().width(), "it makes nothing wider than its place"
    for action in page.detail.head.make_menu().actions():
        assert len(action.text()) < 100


def test_evil_words_in_questions_and_measurements(page: DeploymentsPage) -> None:
    page.ask_stop("j1")
    page.ask_restart("j1")
    page.detail.forget_asked.emit("j1")
    if page.dialog is not None:
        check(page.dialog)
        assert page.dialog.width() < 900
    page.detail.open_measure()
    assert page.detail.measure is not None
    QTest.qWait(20)
    check(page.detail.measure)
    assert page.detail.measure.width() < 1000


def test_an_evil_log_is_lines_of_plain_text(page: DeploymentsPage) -> None:
    QTest.qWait(150)
    model = page.detail.log.model
    for row in range(model.rowCount()):
        assert not any(turner in model.line(row).text for turner in "\x1b\x00\r\n")
        assert len(model.line(row).text) < 9000
    if model.first_error() is not None:
        assert len(page.detail.log.error.words.text()) < 500


@pytest.mark.parametrize("kind", ["curl", "python", "agents"])
def test_an_evil_name_is_one_word_where_it_is_pasted(qtbot: QtBot, dressed: object, kind: str) -> None:
    desk = evil_desk(JOBS["ready"])
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, 1232, 852))
    page.detail.endpoint.copy(kind)
    pasted = QGuiApplication.clipboard().text()
    assert "http://127.0.0.1:8000/v1" in pasted
    assert len(pasted) < 2000
    if kind == "python":
        compile(pasted, "pasted", "exec")
    else:  # a shell reads the same words, and runs nothing else
        words = shlex.split(pasted)
        assert words[0] in ("curl", "export")
        assert sum("$(reboot)" in word for word in words) == 1


def test_an_elided_title_shows_its_whole_as_text(qtbot: QtBot, dressed: object) -> None:
    label = ElidedLabel("<b>bold</b> " * 20)
    qtbot.addWidget(label)
    label.resize(60, 20)
    label.show()
    assert label.toolTip().startswith("<qt>&lt;b&gt;bold")
