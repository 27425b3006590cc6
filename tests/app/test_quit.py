"""Closing the window at any moment: nothing is said on standard error, nothing is left running, nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.stack import Stack
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.chat.session import TurnState
from sparkdesk.core.jobs.record import JobState
from tests.app.desk import all_live, play, until
from tests.app.program import require_demo, running_program
from tests.app.sparks import job_in, launch, plan_of, record_of, running_sparks
from tests.simulator.conftest import Simulator

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
QUITS = 20
PAGES = ("cluster", "launch", "deployments", "chat", "settings", "add_node")


@pytest.fixture(scope="module")
def sparks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_sparks(tmp_path_factory.mktemp("sparks"), 1) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def is_silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is left for the garbage collector to complain about."""
    complaints: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda seen: complaints.append(f"{seen.exc_value!r} {seen.object!r}"))
    yield
    gc.collect()
    assert complaints == []


def visiting(number: int) -> Callable[[Desktop], Coroutine[Any, Any, None]]:
    """A short life with some of the pages."""

    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        if number % 4:
            desktop.pages.add_all()
            for page in PAGES[: number % (len(PAGES) + 1)]:
                desktop.window.show_page(page)
            await asyncio.sleep(0.02 * (number % 5))

    return story


def test_twenty_quits_in_a_row_are_silent(app: QApplication, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(QUITS):
        assert play(app, visiting(number), WindowOptions(is_forgetful=bool(number % 2))) == 0
    assert capfd.readouterr().err == ""


def count_simulation(process: psutil.Process) -> int:
    """The simulator and all below it; whatever else a library starts for a moment is none of it."""
    with suppress(psutil.NoSuchProcess):
        for child in process.children():
            if "simulate" in child.cmdline():
                return 1 + len(child.children(recursive=True))
    return 0


@pytest.mark.parametrize(
    ("number", "children", "after_s"), [(signal.SIGTERM, 1, 0.0), (signal.SIGINT, 5, 0.0), (signal.SIGTERM, 5, 2.0)]
)
def test_a_signal_ends_the_program_and_its_simulation(
    tmp_path: Path, number: signal.Signals, children: int, after_s: float
) -> None:
    with running_program(tmp_path, "run", "--simulated") as program:
        process = psutil.Process(program.process.pid)
        deadline_s = time.monotonic() + 40
        while count_simulation(process) < children:
            assert time.monotonic() < deadline_s, "the simulation did not start"
            time.sleep(0.02)
        time.sleep(after_s)
        below = process.children(recursive=True)
        process.send_signal(number)
        code, said = program.end(timeout_s=40)
        assert said.strip() == ""
        assert code == 0
        _, alive = psutil.wait_procs(below, timeout=10)
        assert alive == []


def test_closing_while_a_launch_runs_lets_it_be_carried_on(
    app: QApplication, sparks: Simulator, own_home: Path
) -> None:
    require_demo()
    folder = own_home / "sparkdesk" / "data"
    job_ids: list[str] = []

    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        await desktop.stack.inventory.open(record_of(sparks))
        (node,) = await all_live(desktop, 1)
        plan = await plan_of(desktop.stack, node.record.id, model="SmolLM2-135M-Instruct")
        job_ids.append(await desktop.stack.launcher.launch(plan))
        await job_in(desktop.stack, job_ids[0], JobState.LOADING)

    assert play(app, story) == 0

    async def look() -> None:
        stack = Stack(folder=folder)
        await stack.open()
        await stack.inventory.open(record_of(sparks))
        await job_in(stack, job_ids[0], JobState.READY, timeout_s=60)
        await stack.launcher.stop(job_ids[0])
        await job_in(stack, job_ids[0], JobState.STOPPED)
        await stack.close()

    asyncio.run(look())


def test_closing_while_an_answer_is_written_keeps_it(app: QApplication, sparks: Simulator, own_home: Path) -> None:
    require_demo()
    shown: list[str] = []

    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        await desktop.stack.inventory.open(record_of(sparks))
        (node,) = await all_live(desktop, 1)
        job = await launch(desktop.stack, node.record.id, model="SmolLM2-135M-Instruct")
        desktop.pages.chat_with(job.job_id)
        page = desktop.pages.chat_page
        assert page is not None
        conversation = page.model.conversation
        assert conversation is not None
        await conversation.ask("Write a very long story about a harbour, in one hundred chapters.")
        await until(lambda: (turn := conversation.live_turn()) and len(turn.text) > 40, "some of the answer")
        turn = conversation.live_turn()
        assert turn is not None
        shown.append(turn.text)

    assert play(app, story) == 0

    async def look() -> None:
        stack = Stack(folder=own_home / "sparkdesk" / "data")
        await stack.open()
        (summary,) = stack.chat.conversations.sessions.value
        turn = (await stack.chat.conversations.open(summary.id)).turns.value[-1]
        assert turn.state is TurnState.STOPPED
        assert turn.text.startswith(shown[0])
        await stack.close()

    asyncio.run(look())
