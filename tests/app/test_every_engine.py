"""Five engines from the pages: chosen in the form, launched by its button, ready by a token, measured, stopped.

llama.cpp is the real server; the others are the strict simulations, and their pages say so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.bench.run import BenchRun, BenchShape, BenchState
from sparkdesk.core.command import Command
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobState, JobStatus, PhaseState
from tests.app.desk import all_live, play, until
from tests.app.program import require_demo
from ui.launch.view import LaunchPage

SERVICE = ("--nodes", "1", "--running", "ollama")
SETTLE_S = 0.6
SHAPE = BenchShape(prompt_tokens=32, answer_tokens=8, concurrencies=(1, 2))


@dataclass(frozen=True)
class Case:
    """What a person chooses, and the words that must stand beside its answers."""

    engine: str
    model: str
    fields: tuple[tuple[str, object], ...] = ()
    note: str = ""


CASES = (
    Case("llamacpp", "SmolLM2-135M-Instruct"),
    Case("vllm", "openai/gpt-oss-20b", note="simulated vLLM"),
    Case("sglang", "openai/gpt-oss-20b", note="simulated SGLang"),
    Case("trtllm", "openai/gpt-oss-20b", note="simulated TensorRT-LLM"),
    Case("ollama", "openai/gpt-oss-20b", (("served_name", "gpt-oss:20b"),), note="simulated Ollama"),
)


@pytest.fixture(autouse=True)
def demo() -> None:
    require_demo()


@pytest.mark.timeout(420)
def test_an_owner_launches_measures_and_stops_each_engine_from_the_pages(qapp: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await all_live(desktop, 1)
        for case in CASES:
            job = await launched(desktop, case)
            assert job.state is JobState.READY, f"{case.engine}: {job.message} {job.remedy}"
            assert all(phase.state is PhaseState.DONE for phase in job.phases), job.phases
            assert job.endpoint is not None
            assert case.note in job.endpoint.note
            await listens_on_the_loopback_alone(desktop, job.endpoint)
            run = await measured(desktop, job)
            assert run.state is BenchState.DONE, f"{case.engine}: {run.message}"
            assert [point.concurrency for point in run.points] == [1, 2]
            assert all(point.failed == 0 and point.answer_tokens > 0 for point in run.points), run.points
            await stopped(desktop, job)

    assert play(qapp, story, WindowOptions(is_simulated=True, simulation=SERVICE), limit_s=380) == 0


async def launched(desktop: Desktop, case: Case) -> JobStatus:
    """The server that the form's button started, ready or over."""
    window, launcher = desktop.window, desktop.stack.launcher
    window.show_page("launch")
    page = desktop.pages.launch_page
    assert isinstance(page, LaunchPage)
    model = page.model
    model.pick(case.model)
    model.set_field("engine", case.engine)
    for name, value in case.fields:
        model.set_field(name, value)
    known = {job.job_id for job in launcher.jobs.value}
    await asyncio.sleep(SETTLE_S)  # the plan follows the form a moment later
    await until(lambda: page.plan.launch.isEnabled(), f"a plan for {case.engine}: {model.blocker()}")
    assert model.form.engine == case.engine
    QTest.mouseClick(page.plan.launch, Qt.MouseButton.LeftButton)
    await until(lambda: any(job.job_id not in known for job in launcher.jobs.value), f"{case.engine} is launched")
    job_id = next(job.job_id for job in launcher.jobs.value if job.job_id not in known)

    def settled() -> bool:
        status = launcher.status(job_id)
        return status is not None and (status.state is JobState.READY or status.state.is_over)

    await until(settled, f"{case.engine} is ready", timeout_s=90.0)
    status = launcher.status(job_id)
    assert status is not None
    return status


async def listens_on_the_loopback_alone(desktop: Desktop, endpoint: Endpoint) -> None:
    """As the node's own `ss` says it, and as the page does."""
    listed = await desktop.stack.inventory.shell(endpoint.node_id).run(Command(("ss", "-Hltn")))
    rows = [line.split()[3] for line in listed.stdout.decode().splitlines()]
    addresses = {row.rpartition(":")[0] for row in rows if row.rpartition(":")[2] == str(endpoint.port)}
    assert addresses
    assert all(address.startswith("127.") for address in addresses), addresses

    def seen_open() -> bool | None:
        (node,) = desktop.stack.launcher.node_contexts.value
        return None if node.open_ports is None else endpoint.port in node.open_ports

    await until(lambda: seen_open() is False, "the node was looked at")


async def measured(desktop: Desktop, job: JobStatus) -> BenchRun:
    """A short measurement of it."""
    bench = desktop.stack.assessment.bench
    run_id = bench.start(job.job_id, SHAPE)

    def over() -> bool:
        return any(run.id == run_id and run.state is not BenchState.RUNNING for run in bench.runs.value)

    await until(over, f"{job.title} is measured", timeout_s=60.0)
    return next(run for run in bench.runs.value if run.id == run_id)


async def stopped(desktop: Desktop, job: JobStatus) -> None:
    """Stop it by the page's own button."""
    desktop.pages.ask_stop(job.job_id)
    await asyncio.sleep(0.2)
    page = desktop.pages.deployments_page
    assert page is not None
    page.stop_confirmed.emit(job.job_id)
    launcher = desktop.stack.launcher

    def is_over() -> bool:
        status = launcher.status(job.job_id)
        return status is not None and status.state is JobState.STOPPED and not status.stop_error

    await until(is_over, f"{job.title} is stopped", timeout_s=60.0)
