"""An embedding server beside a chat deployment is one click away, and only where one makes sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtGui import QAction
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.record import JobState, JobStatus
from tests.ui import rack
from tests.ui.jobs.desk import BROKEN, COMING, DEGRADED, READY, STOPPED, Desk
from tests.ui.picture import host_page
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage

SILENT = replace(READY, endpoint=replace(rack.endpoint(0, "files"), base_path=""))


def offered(qtbot: QtBot, desk: Desk, job: JobStatus, **request: object) -> list[QAction]:
    desk.serve(job, seconds=1)
    plan = desk.stage.plans[job.job_id]
    desk.stage.plans[job.job_id] = replace(plan, request=plan.request.model_copy(update=request))
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, 1232, 852))
    page.refresh()
    actions = page.detail.head.make_menu().actions()
    return [action for action in actions if action.text() == "Embedding server beside it…"]


@pytest.mark.parametrize("job", [READY, DEGRADED])
def test_one_click_asks_for_it_with_what_the_chat_server_was_launched_with(
    qtbot: QtBot, dressed: object, job: JobStatus
) -> None:
    desk = Desk()
    (action,) = offered(qtbot, desk, job)
    action.trigger()
    assert desk.asked == [("embed_beside", desk.stage.plans[job.job_id].request)]


@pytest.mark.parametrize("purpose", ["embed", "rerank"])
def test_it_stands_beside_no_server_that_does_not_chat(qtbot: QtBot, dressed: object, purpose: str) -> None:
    assert offered(qtbot, Desk(), READY, purpose=purpose) == []


@pytest.mark.parametrize("job", [STOPPED, BROKEN, COMING, SILENT, replace(READY, state=JobState.STOPPING)])
def test_it_stands_beside_nothing_that_does_not_serve_a_chat(qtbot: QtBot, dressed: object, job: JobStatus) -> None:
    assert offered(qtbot, Desk(), job) == []
