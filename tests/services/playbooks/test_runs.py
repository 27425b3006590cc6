"""Runs as the screens follow them: what is told while they go, how they are ended, and what a kill leaves to decide."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.errors import PlanError
from sparkdesk.core.playbooks.run_view import MAX_OUTPUT_CHARS, RunView, take_event
from sparkdesk.core.step import Output, Playbook, Run, Stage, Step, StepEvent
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.journal import RunRecord
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns, view_of
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.shell import LocalShell


def sh(name: str, script: str, undo: str = "", check: str = "") -> Step:
    """A step on the node."""

    def run(line: str) -> tuple[Run, ...]:
        return (Run(Command(("sh", "-c", line)), timeout_s=60.0),) if line else ()

    return Step(name, name.capitalize(), "n1", run(script), check=run(check), undo=run(undo))


def book(*steps: Step) -> Playbook:
    """One stage per step."""
    return Playbook("test", tuple(Stage(step.title, (step,)) for step in steps))


class Desk:
    """One run of the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(folder / "data")
        self.tasks = Tasks()
        shell = LocalShell(folder)
        runner = Runner(shells=lambda _: shell, store=self.store, clock=SystemClock(), settle_s=2.0)
        self.playbooks = PlaybookRuns(tasks=self.tasks, runner=runner, store=self.store, clock=SystemClock())

    def view(self, run_id: str) -> RunView:
        return self.playbooks.runs.value[run_id]

    async def until(self, run_id: str, is_right: Callable[[RunView], bool]) -> RunView:
        runs = await wait_for_value(self.playbooks.runs, lambda runs: is_right(runs[run_id]), timeout_s=90)
        return runs[run_id]

    async def close(self) -> None:
        await self.tasks.close()
        await self.store.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.store.open()
    yield desk
    await desk.close()


async def test_a_run_is_followed_to_its_end_and_taken_back(desk: Desk, tmp_path: Path) -> None:
    heard: list[tuple[str, StepEvent]] = []
    desk.playbooks.on_step.append(lambda step, event: heard.append((step.id, event)))
    run_id = desk.playbooks.start(book(sh("one", "echo hello; touch a", undo="rm a"), sh("two", "true")))
    assert not desk.view(run_id).is_over
    ended = await desk.playbooks.wait(run_id)
    view = desk.view(run_id)
    assert (ended.result, view.result, view.done_count) == ("done", "done", 2)
    assert view.output == "# One\nhello\n"
    assert [view.step(name).state for name in ("one", "two", "none")] == ["done", "done", "waiting"]
    assert {name for name, _ in heard} == {"one", "two"}
    assert (view.can_undo, view.can_resume) == (True, False)
    desk.playbooks.undo(run_id)
    view = await desk.until(run_id, lambda view: view.is_over)
    assert (view.result, view.is_undo, view.can_undo) == ("done", True, False)
    assert view.step("one").state == "undone"
    assert not (tmp_path / "a").exists()


async def test_a_failed_run_is_carried_on_where_it_failed(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.playbooks.start(book(sh("one", "echo 1 >> log"), sh("two", "test -e key")))
    await desk.playbooks.wait(run_id)
    view = desk.view(run_id)
    assert (view.result, view.step("two").state, bool(view.remedy)) == ("failed", "failed", True)
    (tmp_path / "key").touch()
    desk.playbooks.resume(run_id)
    assert (await desk.playbooks.wait(run_id)).result == "done"
    assert (tmp_path / "log").read_text() == "1\n"


async def test_a_cancelled_run_is_over_and_can_be_undone(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.playbooks.start(book(sh("one", "touch a; sleep 60", undo="rm a")))
    async with asyncio.timeout(20):
        while not (tmp_path / "a").exists():
            await asyncio.sleep(0.02)
    desk.playbooks.cancel(run_id)
    assert (await desk.playbooks.wait(run_id)).result == "cancelled"
    assert desk.view(run_id).can_undo
    desk.playbooks.undo(run_id)
    await desk.until(run_id, lambda view: view.result == "done")
    assert not (tmp_path / "a").exists()


async def test_a_run_that_is_cancelled_before_it_began_is_over_too(desk: Desk) -> None:
    run_id = desk.playbooks.start(book(sh("one", "true")))
    desk.playbooks.cancel(run_id)
    assert (await desk.playbooks.wait(run_id)).result == "cancelled"
    await desk.tasks.close()
    late = desk.playbooks.start(book(sh("one", "true")))
    assert desk.view(late).result == "cancelled"


async def test_nobody_waits_for_a_run_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(PlanError):
        await desk.playbooks.wait("nothing")


@pytest.mark.parametrize("way", ["resume", "undo", "aside"])
async def test_a_killed_programs_run_is_offered_and_decided_by_the_person(tmp_path: Path, way: str) -> None:
    """kill -9 in the middle of the second step."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(tmp_path), cwd=Path(__file__).parents[3]
    )
    try:
        async with asyncio.timeout(30):
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.02)
    finally:
        process.kill()
        await process.wait()
    desk = Desk(tmp_path)
    await desk.store.open()
    await desk.playbooks.load()
    ((run_id, view),) = desk.playbooks.runs.value.items()
    assert (view.result, view.can_resume, view.can_undo, bool(view.remedy)) == ("interrupted", True, True, True)
    assert view.remedy == "Carry it on, undo it, or leave it as it is."
    assert [view.step(name).state for name in ("one", "two", "three")] == ["done", "unknown", "waiting"]
    assert (tmp_path / "log").read_text() == "one\n", "nothing is carried on by itself"
    if way == "resume":
        desk.playbooks.resume(run_id)
        assert (await desk.playbooks.wait(run_id)).result == "done"
        assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"
    elif way == "undo":
        desk.playbooks.undo(run_id)
        assert (await desk.playbooks.wait(run_id)).result == "done"
        assert (tmp_path / "log").read_text() == "one\nundo two\nundo one\n"
    else:
        await desk.playbooks.set_aside(run_id)
        assert desk.view(run_id).can_undo
    assert await desk.store.unfinished_runs() == ()
    (past,) = await desk.playbooks.history()
    assert (past.run_id, past.playbook.title) == (run_id, "long")
    await desk.close()


async def test_the_history_tells_ended_runs_newest_first(desk: Desk) -> None:
    first = desk.playbooks.start(book(sh("one", "true")))
    await desk.playbooks.wait(first)
    second = desk.playbooks.start(book(sh("one", "false")))
    await desk.playbooks.wait(second)
    again = PlaybookRuns(tasks=desk.tasks, runner=Runner(shells=_nobody, store=desk.store, clock=SystemClock()),
                         store=desk.store, clock=SystemClock())  # fmt: skip
    await again.load()
    assert again.runs.value == {}, "what has ended is not offered"
    found = await again.history()
    assert [(view.run_id, view.result, view.step("one").state) for view in found] == [
        (second, "failed", "failed"),
        (first, "done", "done"),
    ]
    assert all(view.started_ms and view.ended_ms and view.ended_ms >= view.started_ms for view in found)
    assert len(await again.history(limit=1)) == 1


def _nobody(_: str) -> LocalShell:
    raise AssertionError("no node is asked for the history")


def test_output_is_bounded_and_under_its_steps_title() -> None:
    view = RunView("r", book(sh("one", "x"), sh("two", "x")))
    for name, text in (("one", "a"), ("one", "b"), ("two", "c"), ("one", "d")):
        view = take_event(view, Output(name, 0, text))
    assert view.output == "# One\na\nb\n\n# Two\nc\n\n# One\nd\n"
    for _ in range(20):
        view = take_event(view, Output("one", 0, "x" * 10000))
    assert len(view.output) == MAX_OUTPUT_CHARS


_VICTIM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from tests.services.playbooks.test_runs import Desk, book, sh
    from sparkdesk.core.step import Playbook

    async def main():
        desk = Desk(Path(sys.argv[1]))
        await desk.store.open()
        playbook = book(
            sh("one", "echo one >> log", undo="echo undo one >> log"),
            sh("two", "if [ -e begun ]; then echo two >> log; else touch begun; sleep 60; fi",
               undo="echo undo two >> log", check="grep -q two log"),
            sh("three", "echo three >> log"),
        )
        await desk.playbooks.wait(desk.playbooks.start(Playbook("long", playbook.stages)))

    asyncio.run(main())
""")


@pytest.mark.parametrize(
    ("undo", "words"),
    [
        ((Run(Command(("true",))),), "Carry it on, undo it, or leave it as it is."),
        ((), "Carry it on or leave it as it is."),
    ],
)
def test_an_interrupted_run_names_only_what_can_be_done(undo: tuple[Run, ...], words: str) -> None:
    step = Step("one", "One", "n1", (Run(Command(("true",))),), undo=undo)
    record = RunRecord(playbook=Playbook("Do it", (Stage("s", (step,)),)), started_ms=1, begun={"one"})
    assert view_of("r1", record).remedy == words
