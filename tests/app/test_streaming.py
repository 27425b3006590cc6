"""While a real llama.cpp answers, the window tells how fast, and what that takes of memory and energy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.telemetry.metric import BANDWIDTH, TOKEN_ENERGY, WALL_POWER
from tests.app.desk import all_live, play, until
from tests.app.program import require_demo
from tests.app.sparks import job_in, record_of, running_sparks
from tests.simulator.conftest import Simulator
from ui.cluster.view import ClusterPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
MODEL = "smollm2-135m-instruct"
LONG = "Write a very long story about a harbour, in one hundred chapters."


@pytest.fixture(scope="module")
def sparks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    require_demo()
    with running_sparks(tmp_path_factory.mktemp("streaming"), 1) as simulator:
        yield simulator


async def serve(desktop: Desktop, node_id: str) -> str:
    """Launch the model from the form; gives the job's id once it is ready."""
    desktop.window.show_page("launch")
    page = desktop.pages.launch_page
    assert page is not None
    assert page.model.feeds.topology is desktop.stack.fleet.topology.topology
    page.model.pick(MODEL)
    page.model.set_field("nodes", (node_id,))
    await until(lambda: page.model.preview.plan is not None and not page.model.blocker(), "a plan that fits")
    page.model.launch()
    await until(lambda: desktop.stack.launcher.jobs.value, "the launch")
    job_id = desktop.stack.launcher.jobs.value[0].job_id
    await job_in(desktop.stack, job_id, JobState.READY, timeout_s=60)
    return job_id


async def see(desktop: Desktop, job_id: str, node_id: str) -> None:
    """The card, the strip, the deployment's page and the charts, while the answer goes on."""
    desktop.window.show_page("cluster")
    page = desktop.window.page("cluster")
    assert isinstance(page, ClusterPage)
    await until(lambda: "computed" in page.strip.cards()[0].traffic.text(), "the memory bandwidth in the strip")
    await until(lambda: (card := page.model.scene.card(node_id)) and "tok/s" in card.detail, "the rate on the card")
    desktop.window.resize(1100, 700)
    await until(lambda: "GB/s" in page.strip.cards()[0].short.text(), "the bandwidth in a low window")
    desktop.pages.show_job(job_id)
    detail = desktop.pages.deployments_page
    assert detail is not None
    await until(lambda: "GB/s" in detail.detail.effort.said().get("Memory bandwidth (computed)", ""), "the figures")
    book = desktop.stack.records.series
    await until(lambda: {BANDWIDTH, TOKEN_ENERGY} <= set(book.keys(job_id)), "series of the deployment")
    assert WALL_POWER in book.keys(node_id)
    assert (book.series(job_id, BANDWIDTH, 300)[1] > 0).any()


def test_a_deployment_that_streams_shows_its_rate_and_memory_bandwidth(app: QApplication, sparks: Simulator) -> None:
    async def story(desktop: Desktop) -> None:
        desktop.window.resize(1440, 900)
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        await desktop.stack.inventory.open(record_of(sparks))
        (node,) = await all_live(desktop, 1)
        job_id = await serve(desktop, node.record.id)
        desktop.pages.chat_with(job_id)
        chat = desktop.pages.chat_page
        assert chat is not None
        assert chat.model.conversation is not None
        await chat.model.conversation.ask(LONG)
        await see(desktop, job_id, node.record.id)
        await desktop.stack.launcher.stop(job_id)

    assert play(app, story) == 0
