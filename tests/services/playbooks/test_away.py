"""A node that is away, or gone for good: what others hold is carried on and taken back without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Playbook, Run, Stage, Step
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.journal import read_record
from sparkdesk.services.playbooks.runs import PlaybookRuns, view_of
from sparkdesk.services.tasks import Tasks
from tests.services.playbooks.test_lease import Computer

SETTLE_S = 0.6


class Desk(Computer):
    """One computer, whose runs are followed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "anna@laptop", settle_s=SETTLE_S)
        self.tasks = Tasks()
        self.runs = PlaybookRuns(tasks=self.tasks, runner=self.runner, store=self.store, clock=SystemClock())

    async def do(self, run_id: str) -> RunView:
        """Until the run is over."""
        await self.runs.wait(run_id)
        return self.runs.runs.value[run_id]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    for name in ("node", "locks", "locks-2"):
        (tmp_path / name).mkdir()
    made = Desk(tmp_path)
    await made.store.open()
    yield made
    await made.tasks.close()
    await made.store.close()


def step(name: str, node: str, script: str = "true", *, has_undo: bool = True) -> Step:
    """Makes a file of its name, and takes it away."""

    def run(line: str) -> tuple[Run, ...]:
        return (Run(Command(("sh", "-c", line)), timeout_s=20.0),)

    undo = run(f"rm {name}-{node}") if has_undo else ()
    return Step(f"{name}-{node}", name.capitalize(), node, run(f"touch {name}-{node}; {script}"), undo=undo)


def book(*steps: Step) -> Playbook:
    return Playbook("Change it", tuple(Stage(one.title, (one,)) for one in steps), needs_lock=True)


def files(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "node").iterdir()}


TWO_EACH = book(step("a", "n1"), step("a", "n2"), step("b", "n1"), step("b", "n2"))


async def test_what_others_hold_is_taken_back_while_a_node_is_away_and_the_rest_later(
    desk: Desk, tmp_path: Path
) -> None:
    run_id = desk.runs.start(TWO_EACH)
    assert (await desk.do(run_id)).result == "done"
    desk.other.cut()
    desk.runs.undo(run_id)
    view = await desk.do(run_id)
    assert (view.result, view.undoable) == ("unknown", {"a-n2", "b-n2"})
    assert "spark-2 could not be reached: spark-2 is not connected" in view.message
    assert view.remedy == "Wait for it. Then undo again: what is left is taken back."
    assert files(tmp_path) == {"a-n2", "b-n2"}
    assert [view.step(one).state for one in ("a-n1", "a-n2")] == ["undone", "unknown"]
    past = view_of(run_id, await read_record(desk.store, run_id))
    assert (past.undoable, past.step("a-n2").state) == ({"a-n2", "b-n2"}, "done"), "nothing was tried there"
    desk.other.mend()
    desk.runs.undo(run_id)
    view = await desk.do(run_id)
    assert (view.result, view.undoable, files(tmp_path)) == ("done", frozenset(), set())


async def test_one_step_of_a_node_is_taken_back_while_another_is_away(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.runs.start(TWO_EACH)
    await desk.do(run_id)
    desk.other.cut()
    desk.runs.undo(run_id, frozenset({"a-n1"}))
    assert (await desk.do(run_id)).result == "done"
    assert files(tmp_path) == {"b-n1", "a-n2", "b-n2"}


async def test_a_node_that_goes_away_during_an_undo_is_waited_for_once(desk: Desk, tmp_path: Path) -> None:
    later = [step(name, "n2") for name in ("a", "b", "c", "d")]
    run_id = desk.runs.start(book(step("a", "n1"), *later))
    await desk.do(run_id)
    desk.runs.on_step.append(lambda *_: desk.other.cut())
    desk.runs.undo(run_id)
    view = await desk.do(run_id)
    assert (view.result, files(tmp_path)) == ("unknown", {"a-n2", "b-n2", "c-n2", "d-n2"})
    assert view.undoable == {"a-n2", "b-n2", "c-n2", "d-n2"}
    past = view_of(run_id, await read_record(desk.store, run_id))
    states = [past.step(one.id).state for one in later]
    assert states == ["done", "done", "done", "unknown"], "the last was waited for, and nothing was tried of the others"


async def test_an_undo_that_reached_nothing_leaves_the_way_on(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.runs.start(book(step("a", "n2"), step("b", "n2", "test -e go")))
    assert (await desk.do(run_id)).result == "failed"
    desk.other.cut()
    desk.runs.undo(run_id)
    view = await desk.do(run_id)
    assert (view.result, view.can_resume, view.undoable) == ("failed", True, {"a-n2", "b-n2"})
    desk.other.mend()
    (tmp_path / "node/go").touch()
    desk.runs.resume(run_id)
    assert (await desk.do(run_id)).result == "done"


async def test_a_run_goes_on_without_a_node_that_needs_nothing_any_more(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.runs.start(book(step("a", "n2"), step("b", "n1", "test -e go")))
    assert (await desk.do(run_id)).result == "failed"
    desk.other.cut()
    (tmp_path / "node/go").touch()
    desk.runs.resume(run_id)
    assert (await desk.do(run_id)).result == "done"


async def test_a_run_that_still_needs_a_node_which_is_away_begins_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.other.cut()
    view = await desk.do(desk.runs.start(TWO_EACH))
    assert (view.result, files(tmp_path)) == ("failed", set())
    assert "spark-2 is not connected" in view.message


async def test_a_node_on_which_nothing_is_to_be_taken_back_is_not_asked_for(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.runs.start(book(step("a", "n1"), step("a", "n2", has_undo=False)))
    await desk.do(run_id)
    desk.other.cut()
    desk.runs.undo(run_id)
    assert (await desk.do(run_id)).result == "done"
    assert files(tmp_path) == {"a-n2"}


async def test_a_node_can_be_let_go_of_for_good(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.runs.start(TWO_EACH)
    await desk.do(run_id)
    desk.other.cut()
    desk.runs.undo(run_id)
    await desk.do(run_id)
    await desk.runs.let_go(run_id, ("n2",))
    view = desk.runs.runs.value[run_id]
    assert (view.result, view.undoable, view.left) == ("done", frozenset(), {"a-n2", "b-n2"})
    past = view_of(run_id, await read_record(desk.store, run_id))
    assert (past.result, past.undoable, past.left) == ("done", frozenset(), {"a-n2", "b-n2"})
    assert await desk.store.unfinished_runs() == ()
