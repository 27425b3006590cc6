"""Runs that end part way because a person wants it so: paused, one step rolled back, chosen steps taken back."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.step import Expect, Playbook, Stage, Step, StepEvent, Wait
from sparkdesk.services.playbooks.runs import Owner
from tests.services.playbooks.test_runs import Desk, book, sh


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.store.open()
    yield desk
    await desk.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait, bounded."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def written(name: str, script: str = "") -> Step:
    """Writes its name into the log; its undo says so too."""
    return sh(name, f"echo {name} >> log; {script or 'true'}", undo=f"echo undo {name} >> log")


def held(name: str) -> Step:
    """Goes on when the test makes the file `go`."""
    wait = "while [ ! -e go ]; do sleep 0.02; done"
    return sh(
        name, f"echo {name} >> log; {wait}", undo=f"echo undo {name} >> log", check=f"test -e go && grep -q {name} log"
    )


def lines(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().splitlines() if path.exists() else []


async def test_a_paused_run_ends_the_step_under_way_and_is_carried_on(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.playbooks.start(book(held("one"), written("two"), written("three")))
    await until(lambda: "one" in lines(tmp_path))
    desk.playbooks.pause(run_id)
    (tmp_path / "go").touch()
    ended = await desk.playbooks.wait(run_id)
    view = desk.view(run_id)
    assert (ended.result, view.result, view.can_resume, view.can_undo) == ("paused", "paused", True, True)
    assert view.remedy
    assert [view.step(name).state for name in ("one", "two", "three")] == ["done", "waiting", "waiting"]
    assert await desk.store.unfinished_runs() == (run_id,), "a later start offers it too"
    desk.playbooks.resume(run_id)
    assert (await desk.playbooks.wait(run_id)).result == "done"
    assert lines(tmp_path) == ["one", "two", "three"]
    assert await desk.store.unfinished_runs() == ()


async def test_a_pause_within_a_stage_holds_the_steps_that_wait_for_room(desk: Desk, tmp_path: Path) -> None:
    stage = Stage("s", (held("one"), written("two"), written("three")), max_parallel=1)
    run_id = desk.playbooks.start(Playbook("p", (stage,)))
    await until(lambda: "one" in lines(tmp_path))
    desk.playbooks.pause(run_id)
    (tmp_path / "go").touch()
    assert (await desk.playbooks.wait(run_id)).result == "paused"
    assert lines(tmp_path) == ["one"]
    desk.playbooks.undo(run_id)
    await desk.until(run_id, lambda view: view.result == "done")
    assert lines(tmp_path) == ["one", "undo one"]


async def test_a_pause_after_the_last_step_began_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.playbooks.start(book(held("one")))
    await until(lambda: "one" in lines(tmp_path))
    desk.playbooks.pause(run_id)
    (tmp_path / "go").touch()
    assert (await desk.playbooks.wait(run_id)).result == "done"


async def test_an_undo_can_be_paused_and_the_rest_be_taken_back_later(desk: Desk, tmp_path: Path) -> None:
    slow = sh("two", "echo two >> log", undo="echo undo two >> log; while [ ! -e go ]; do sleep 0.02; done")
    run_id = desk.playbooks.start(book(written("one"), slow))
    await desk.playbooks.wait(run_id)
    desk.playbooks.undo(run_id)
    await until(lambda: "undo two" in lines(tmp_path))
    desk.playbooks.pause(run_id)
    (tmp_path / "go").touch()
    assert (await desk.until(run_id, lambda view: view.is_over)).result == "paused"
    assert (desk.view(run_id).can_resume, desk.view(run_id).undoable) == (False, {"one"})
    desk.playbooks.undo(run_id)
    await desk.until(run_id, lambda view: view.result == "done")
    assert lines(tmp_path) == ["one", "two", "undo two", "undo one"]


async def test_what_was_paused_when_the_program_ended_is_offered_again(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.playbooks.start(book(held("one"), written("two")))
    await until(lambda: "one" in lines(tmp_path))
    desk.playbooks.pause(run_id)
    (tmp_path / "go").touch()
    await desk.playbooks.wait(run_id)
    await desk.close()
    later = Desk(tmp_path)
    await later.store.open()
    await later.playbooks.load()
    view = later.view(run_id)
    assert (view.result, view.message) == ("interrupted", "It was paused, and SparkDesk ended then")
    later.playbooks.resume(run_id)
    assert (await later.playbooks.wait(run_id)).result == "done"
    assert lines(tmp_path) == ["one", "two"]
    await later.close()


async def test_some_steps_are_done_first_and_the_others_when_a_person_wants_them(desk: Desk, tmp_path: Path) -> None:
    names = ("one", "two", "three", "four")
    run_id = desk.playbooks.start(book(*(written(name) for name in names)), only=frozenset({"two", "four"}))
    assert (await desk.playbooks.wait(run_id)).result == "paused"
    assert lines(tmp_path) == ["two", "four"]
    desk.playbooks.resume(run_id, frozenset({"one"}))
    assert (await desk.playbooks.wait(run_id)).result == "paused"
    assert [desk.view(run_id).step(name).state for name in names] == ["done", "done", "waiting", "done"]
    desk.playbooks.resume(run_id)
    assert (await desk.playbooks.wait(run_id)).result == "done"
    assert lines(tmp_path) == ["two", "four", "one", "three"]
    desk.playbooks.undo(run_id)
    await desk.until(run_id, lambda view: view.is_over)
    assert lines(tmp_path)[4:] == ["undo four", "undo three", "undo two", "undo one"]


# Chosen steps -------------------------------------------------------------------------------------------------------


async def test_chosen_steps_are_taken_back_last_first_and_the_rest_later(desk: Desk, tmp_path: Path) -> None:
    names = ("one", "two", "three", "four")
    run_id = desk.playbooks.start(book(*(written(name) for name in names)))
    await desk.playbooks.wait(run_id)
    desk.playbooks.undo(run_id, frozenset({"one", "three"}))
    view = await desk.until(run_id, lambda view: view.is_over)
    assert lines(tmp_path)[4:] == ["undo three", "undo one"]
    assert [view.step(name).state for name in names] == ["undone", "done", "undone", "done"]
    assert (view.result, view.can_undo, view.undoable) == ("done", True, {"two", "four"})
    (past,) = await desk.playbooks.history()
    assert past.undoable == {"two", "four"}
    desk.playbooks.undo(run_id, frozenset({"one"}))
    assert desk.view(run_id).is_over, "nothing of it stands any more"
    desk.playbooks.undo(run_id)
    view = await desk.until(run_id, lambda view: view.is_over)
    assert lines(tmp_path)[6:] == ["undo four", "undo two"]
    assert (view.result, view.can_undo) == ("done", False)


# Rolled back while it runs ------------------------------------------------------------------------------------------


async def test_a_step_that_is_rolled_back_is_undone_at_once_and_the_others_end(desk: Desk, tmp_path: Path) -> None:
    trial = sh("trial", "echo trial >> log; sleep 60", undo="echo undo trial >> log", check="test -e never")
    run_id = desk.playbooks.start(Playbook("p", (Stage("s", (trial, held("beside"))), Stage("t", (written("after"),)))))
    await until(lambda: set(lines(tmp_path)) == {"trial", "beside"})
    assert desk.playbooks.roll_back(run_id, "trial")
    assert not desk.playbooks.roll_back(run_id, "trial"), "it is under way already"
    await until(lambda: "undo trial" in lines(tmp_path))
    assert not desk.view(run_id).is_over
    (tmp_path / "go").touch()
    await desk.playbooks.wait(run_id)
    view = desk.view(run_id)
    assert (view.result, view.message) == ("cancelled", "Trial: rolled back")
    assert [view.step(name).state for name in ("trial", "beside", "after")] == ["undone", "done", "waiting"]
    assert (view.can_resume, view.undoable) == (True, {"beside"})
    (past,) = await desk.playbooks.history()
    assert (past.result, past.can_resume, past.undoable) == ("cancelled", True, {"beside"})
    desk.playbooks.resume(run_id)
    await until(lambda: lines(tmp_path).count("trial") == 2)
    desk.playbooks.cancel(run_id)
    await desk.playbooks.wait(run_id)


async def test_only_a_step_that_is_being_applied_can_be_rolled_back(desk: Desk, tmp_path: Path) -> None:
    run_id = desk.playbooks.start(book(written("one"), held("two")))
    await until(lambda: "two" in lines(tmp_path))
    assert not desk.playbooks.roll_back(run_id, "one")
    assert not desk.playbooks.roll_back(run_id, "none")
    assert not desk.playbooks.roll_back("no run", "two")
    (tmp_path / "go").touch()
    assert (await desk.playbooks.wait(run_id)).result == "done"


async def test_a_roll_back_that_fails_says_so_and_can_be_undone_again(desk: Desk, tmp_path: Path) -> None:
    trial = sh("trial", "echo trial >> log; sleep 60", undo="test -e mended && echo undo >> log")
    run_id = desk.playbooks.start(book(trial))
    await until(lambda: lines(tmp_path) == ["trial"])
    assert desk.playbooks.roll_back(run_id, "trial")
    assert (await desk.playbooks.wait(run_id)).result == "failed"
    assert desk.view(run_id).undoable == {"trial"}
    (tmp_path / "mended").touch()
    desk.playbooks.undo(run_id)
    await desk.until(run_id, lambda view: view.result == "done")
    assert lines(tmp_path) == ["trial", "undo"]


async def test_a_cancel_during_a_roll_back_ends_the_run(desk: Desk, tmp_path: Path) -> None:
    trial = sh("trial", "echo trial >> log; sleep 60", undo="echo undo >> log; sleep 60")
    run_id = desk.playbooks.start(book(trial))
    await until(lambda: lines(tmp_path) == ["trial"])
    desk.playbooks.roll_back(run_id, "trial")
    await until(lambda: "undo" in lines(tmp_path))
    desk.playbooks.cancel(run_id)
    assert (await desk.playbooks.wait(run_id)).result == "cancelled"
    assert desk.view(run_id).undoable == {"trial"}


@pytest.mark.parametrize("way", ["resume", "undo"])
@pytest.mark.parametrize("boundary", range(1, 5))
async def test_killed_at_each_boundary_of_a_roll_back_it_goes_on_or_is_taken_back(
    tmp_path: Path, boundary: int, way: str
) -> None:
    """The journal's entries: begun, step begun, rolling back, rolled back."""
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(tmp_path), str(boundary), cwd=Path(__file__).parents[3]
    )
    try:
        await until((tmp_path / "held").exists)
    finally:
        victim.kill()
        await victim.wait()
    (tmp_path / "quick").touch()
    desk = Desk(tmp_path)
    await desk.store.open()
    await desk.playbooks.load()
    (view,) = desk.playbooks.runs.value.values()
    assert len(await desk.store.journal(view.run_id)) == boundary
    assert view.can_undo is ((tmp_path / "there").exists() or boundary in (2, 3))
    (desk.playbooks.resume if way == "resume" else desk.playbooks.undo)(view.run_id)
    await desk.until(view.run_id, lambda view: view.is_over)
    assert (tmp_path / "there").exists() is (way == "resume")
    await desk.close()


_VICTIM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from tests.services.playbooks.test_runs import Desk, book, sh

    async def main(folder, boundary):
        desk = Desk(Path(folder))
        await desk.store.open()
        write, left = desk.store.append_journal, int(boundary)

        async def append(run_id, entry):
            nonlocal left
            await write(run_id, entry)
            left -= 1
            if left == 0:
                Path(folder, "held").touch()
                await asyncio.sleep(60)

        desk.store.append_journal = append
        trial = sh("trial", "touch there; test -e quick || sleep 60", undo="rm -f there", check="test -e there")
        run_id = desk.playbooks.start(book(trial))
        while not Path(folder, "there").exists():
            await asyncio.sleep(0.02)
        desk.playbooks.roll_back(run_id, "trial")
        await desk.playbooks.wait(run_id)

    asyncio.run(main(*sys.argv[1:]))
""")


async def test_an_owner_hears_every_passage_and_answers_for_it(desk: Desk, tmp_path: Path) -> None:
    heard: list[StepEvent] = []
    asked: list[str] = []

    async def decide(step: Step, question: str) -> bool:
        asked.append(f"{step.id}: {question}")
        return True

    look = Wait(Command(("false",)), Expect(reader="json_field:ok"), every_s=0.02, timeout_s=0.1, ask="go on?")
    steps = (Step("ask", "Ask", "n1", (look,)), sh("one", "test -e key", undo="true"))
    run_id = desk.playbooks.start(book(*steps), owner=Owner(heard.append, decide))
    await desk.playbooks.wait(run_id)
    passages = [type(event).__name__ for event in heard].count("RunEnded")
    (tmp_path / "key").touch()
    desk.playbooks.resume(run_id)
    await desk.playbooks.wait(run_id)
    desk.playbooks.undo(run_id)
    await desk.until(run_id, lambda view: view.is_over)
    assert (passages, [type(event).__name__ for event in heard].count("RunEnded")) == (1, 3)
    assert asked == ["ask: go on?"]
