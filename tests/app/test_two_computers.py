"""Two instances with configurations of their own and one Spark: a person takes over what the other computer started.

The one rule: the other computer is the application's services with a store of its own; the Spark is a simulated one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.stack import Stack
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.services.wait import wait_for_value
from tests.app.adding import buttons_on, click
from tests.app.desk import all_live, play, until
from tests.app.sparks import job_in, launch, record_of, running_sparks
from ui.jobs.view import DeploymentsPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
OPTIONS = WindowOptions(is_forgetful=True)


async def other_computer(cluster: ClusterRecord, folder: Path) -> tuple[Stack, JobStatus]:
    """Anna's computer, with a model that she has launched."""
    anna = Stack(folder=folder)
    await anna.open()
    await anna.inventory.open(cluster)
    await wait_for_value(
        anna.inventory.nodes, lambda nodes: bool(nodes) and all(node.is_live for node in nodes), timeout_s=30
    )
    return anna, await launch(anna, cluster.nodes[0].id)


def test_a_person_takes_over_what_another_computer_started_and_stops_it(
    app: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(desktop: Desktop) -> None:
        here = desktop.stack.launcher.owner
        monkeypatch.setenv("LOGNAME", "anna")  # whom the account on another computer belongs to
        anna, job = await other_computer(record_of(simulator), tmp_path / "anna")
        assert anna.launcher.owner.startswith("anna@")
        assert anna.launcher.owner != here
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        await desktop.stack.inventory.open(record_of(simulator))
        await all_live(desktop, 1)
        await job_in(desktop.stack, job.job_id, JobState.READY)
        assert [each.id for each in desktop.pages.endpoints.value] == [job.job_id], "it can be talked to"
        desktop.pages.show_job(job.job_id)
        page = desktop.window.page("deployments")
        assert isinstance(page, DeploymentsPage)
        head = page.detail.head
        await until(lambda: head.origin() == f"Started from {anna.launcher.owner}", "whose it is")
        click(head.takeover_button)
        assert page.dialog is not None
        assert "holder.json" in page.dialog.commands.text()
        click(page.dialog.go)
        await until(lambda: head.origin().endswith("taken over by this computer"), "the take-over")
        assert "Take over…" not in buttons_on(head)
        click(head.stop_button)
        assert page.dialog is not None
        click(page.dialog.go)
        await job_in(desktop.stack, job.job_id, JobState.STOPPED)
        assert (await job_in(anna, job.job_id, JobState.STOPPED)).stop_error == ""
        await anna.close()

    with running_sparks(tmp_path, 1) as simulator:
        assert play(app, story, OPTIONS) == 0
