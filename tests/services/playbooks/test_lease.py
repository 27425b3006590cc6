"""Two SparkDesks with stores of their own against one node: one changes it at a time, and the other is told who."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.errors import Unreachable
from sparkdesk.core.playbooks.lock import LockHolder
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Expect, Playbook, Run, RunEnded, Stage, Step, StepEnded, StepEvent, Wait
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.lease import Leases
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.tasks import Tasks
from tests.fakes.shell import LocalShell

LOCK = (Path(__file__).parents[3] / "sparkdesk" / "remote" / "lock.py").read_bytes()
RENEW_S = 0.3


def sh(name: str, script: str, node: str = "n1") -> Step:
    """A step without a check: only the lock keeps it from being done twice."""
    return Step(name, name.capitalize(), node, (Run(Command(("sh", "-c", script)), timeout_s=20.0),))


def held(after: str = "true", node: str = "n1") -> Step:
    """A step that says that it has begun, and goes on when the test makes the file `go`."""
    return sh("one", f"touch begun; while [ ! -e go ]; do sleep 0.05; done; {after}", node)


def book(*steps: Step, title: str = "Change it") -> Playbook:
    """A playbook that needs the lock."""
    return Playbook(title, tuple(Stage(step.title, (step,)) for step in steps), needs_lock=True)


class Computer:
    """One computer's runner, store and line to the node."""

    def __init__(
        self, folder: Path, owner: str, *, renew_s: float = RENEW_S, busy_wait_s: float = 30.0, settle_s: float = 5.0
    ) -> None:
        self.store = SqliteStore(folder / f"data-{owner}")
        env = {"SPARKDESK_LOCK_DIR": str(folder / "locks")}
        self.shell = LocalShell(folder / "node", env=env)
        self.other = LocalShell(folder / "node", node="spark-2", env={"SPARKDESK_LOCK_DIR": str(folder / "locks-2")})
        self.events: list[StepEvent] = []
        self.holders: list[LockHolder] = []
        self.breaks = False
        self.runner = Runner(
            shells=self.shells,
            store=self.store,
            clock=SystemClock(),
            ask_break=self.ask_break,
            lock_program=LOCK,
            owner=owner,
            settle_s=settle_s,
            renew_s=renew_s,
            busy_wait_s=busy_wait_s,
        )

    def shells(self, node_id: str) -> Shell:
        shell = {"n1": self.shell, "n2": self.other}[node_id]
        if shell.is_cut:
            raise Unreachable(f"{shell.node} is not connected", remedy="Wait for it.", node=shell.node)
        return shell

    async def ask_break(self, holder: LockHolder) -> bool:
        self.holders.append(holder)
        return self.breaks

    async def run(self, playbook: Playbook, run_id: str = "r") -> RunEnded:
        return await self.runner.run(run_id, playbook, on_event=self.events.append)

    def results(self) -> dict[str, str]:
        return {event.step_id: event.result for event in self.events if isinstance(event, StepEnded)}


MakeComputer = Callable[..., Computer]


@pytest.fixture
async def computer(tmp_path: Path) -> AsyncIterator[MakeComputer]:
    for name in ("node", "locks", "locks-2"):
        (tmp_path / name).mkdir()
    made: list[Computer] = []

    def make(owner: str, **limits: float) -> Computer:
        made.append(Computer(tmp_path, owner, **limits))
        return made[-1]

    yield make
    for one in made:
        await one.store.close()


async def opened(make: MakeComputer, owner: str, **limits: float) -> Computer:
    """A computer whose store is open."""
    one = make(owner, **limits)
    await one.store.open()
    return one


async def until_file(path: Path) -> None:
    """Wait until it is there."""
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.02)


async def until_told(one: Computer, words: str) -> None:
    """Wait until the run's events say this."""
    async with asyncio.timeout(30):
        while not any(words in getattr(event, "text", "") for event in one.events):
            await asyncio.sleep(0.02)


async def test_of_two_at_once_one_applies_and_the_other_names_it(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk")
    playbook = book(sh("one", "echo x >> log; while [ ! -e go ]; do sleep 0.05; done"))
    runs = [asyncio.ensure_future(one.run(playbook)) for one in (anna, bob)]
    await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED, timeout=15)
    (tmp_path / "node/go").touch()
    ends = await asyncio.gather(*runs)
    assert sorted(end.result for end in ends) == ["done", "failed"]
    assert (tmp_path / "node/log").read_text() == "x\n"
    loser, winner = (anna, "bob@desk") if ends[0].result == "failed" else (bob, "anna@laptop")
    refused = next(end for end in ends if end.result == "failed")
    assert f"{winner} is at work on spark-1 (Change it" in refused.message
    assert refused.remedy
    assert await loser.store.journal("r") == (), "nothing was begun, so there is nothing to undo"
    assert (await loser.run(playbook)).result == "done", "the lock was let go at the end"


async def test_a_run_without_the_need_takes_no_lock(computer: MakeComputer, tmp_path: Path) -> None:
    anna = await opened(computer, "anna@laptop")
    plain = Playbook("p", (Stage("s", (sh("one", "true"),)),))
    assert (await anna.run(plain)).result == "done"
    assert list((tmp_path / "locks").iterdir()) == []


async def test_a_lock_outlives_the_lease_while_its_run_goes_on(computer: MakeComputer, tmp_path: Path) -> None:
    anna = await opened(computer, "anna@laptop")
    running = asyncio.ensure_future(anna.run(book(held())))
    await until_file(tmp_path / "node/begun")
    (lease,) = (tmp_path / "locks").glob("sparkdesk-lease-*.json")
    before = json.loads(lease.read_text())["renewed_s"]
    async with asyncio.timeout(15):
        while json.loads(lease.read_text())["renewed_s"] == before:
            await asyncio.sleep(0.05)
    (tmp_path / "node/go").touch()
    assert (await running).result == "done"
    assert json.loads(lease.read_text())["released"] is True


async def test_who_is_broken_stops_before_the_next_step(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk")
    running = asyncio.ensure_future(anna.run(book(held("echo anna >> log"), sh("two", "echo second >> log"))))
    await until_file(tmp_path / "node/begun")
    bob.breaks = True
    breaking = asyncio.ensure_future(bob.run(book(sh("other", "echo bob >> log"))))
    await until_told(bob, "A command of anna@laptop still runs")
    (tmp_path / "node/go").touch()
    ended = await breaking
    assert (ended.result, anna.holders) == ("done", []), ended
    assert [holder.who for holder in bob.holders] == ["anna@laptop"]
    broken = await running
    assert broken.result == "failed"
    assert "The lock on spark-1 was broken" in broken.message
    assert broken.remedy
    assert anna.results() == {"one": "done", "two": "failed"}
    assert (tmp_path / "node/log").read_text() == "anna\nbob\n"
    entries = [json.loads(entry) for entry in await bob.store.journal("r")]
    assert any(entry["kind"] == "note" and "anna@laptop" in entry["text"] for entry in entries)


async def test_who_is_broken_between_two_renewals_begins_nothing_more(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop", renew_s=3600.0), await opened(computer, "bob@desk")
    running = asyncio.ensure_future(anna.run(book(held(), sh("two", "echo second >> log"))))
    await until_file(tmp_path / "node/begun")
    bob.breaks = True
    breaking = asyncio.ensure_future(bob.run(book(sh("other", "echo bob >> log"))))
    await until_told(bob, "A command of anna@laptop still runs")
    (tmp_path / "node/go").touch()
    assert (await breaking).result == "done"
    assert "The lock on spark-1 was broken" in (await running).message
    assert anna.results() == {"one": "done", "two": "failed"}
    assert (tmp_path / "node/log").read_text() == "bob\n"


async def test_a_command_that_never_ends_is_named_and_nothing_is_begun(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk", busy_wait_s=1.0)
    running = asyncio.ensure_future(anna.run(book(held())))
    await until_file(tmp_path / "node/begun")
    bob.breaks = True
    ended = await bob.run(book(sh("other", "touch other")))
    assert ended.result == "failed"
    assert ended.message.startswith("A command of anna@laptop still runs on spark-1: Change it; it has not ended in")
    assert f"sudo fuser -v {tmp_path}/locks/sparkdesk-busy-{os.getuid()}-" in ended.remedy
    assert await bob.store.journal("r") == ()
    (tmp_path / "node/go").touch()
    await running
    assert not (tmp_path / "node/other").exists()
    assert (await bob.run(book(sh("other", "touch other")))).result == "done"


async def test_the_wait_for_a_strangers_command_can_be_cancelled(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk")
    running = asyncio.ensure_future(anna.run(book(held())))
    await until_file(tmp_path / "node/begun")
    bob.breaks = True
    waiting = asyncio.ensure_future(bob.run(book(sh("other", "touch other"))))
    await until_told(bob, "waiting for its end")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (tmp_path / "node/go").touch()
    await running
    assert (await anna.run(book(sh("three", "true")), "s")).result == "done", "the lock was let go"
    assert not (tmp_path / "node/other").exists()


async def test_a_lock_that_a_restart_swept_away_is_held_anew(computer: MakeComputer, tmp_path: Path) -> None:
    anna = await opened(computer, "anna@laptop", renew_s=3600.0)
    locks = tmp_path / "locks"
    ended = await anna.run(book(sh("one", f"rm -f {locks}/*"), sh("two", f"ls {locks} > seen; echo two >> log")))
    assert ended.result == "done", ended
    assert (tmp_path / "node/log").read_text() == "two\n"
    assert "sparkdesk-busy-" in (tmp_path / "node/seen").read_text()


async def test_a_no_to_breaking_leaves_the_holder_alone(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk")
    running = asyncio.ensure_future(anna.run(book(held(), sh("two", "true"))))
    await until_file(tmp_path / "node/begun")
    assert (await bob.run(book(sh("other", "touch other")))).result == "failed"
    assert len(bob.holders) == 1
    assert not (tmp_path / "node/other").exists()
    (tmp_path / "node/go").touch()
    assert (await running).result == "done"


async def test_all_nodes_or_none(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk")
    running = asyncio.ensure_future(anna.run(book(held(node="n2"))))
    await until_file(tmp_path / "node/begun")
    ended = await bob.run(book(sh("a", "true"), sh("b", "true", "n2")))
    assert ended.result == "failed"
    assert "spark-2" in ended.message
    assert (await anna.run(book(sh("three", "true")), "s")).result == "done", "spark-1 was let go"
    (tmp_path / "node/go").touch()
    assert (await running).result == "done"


async def test_a_lease_that_a_lost_line_left_behind_is_no_strangers(computer: MakeComputer, tmp_path: Path) -> None:
    anna = await opened(computer, "anna@laptop")
    running = asyncio.ensure_future(anna.run(book(sh("one", "touch begun; sleep 1"), sh("two", "echo two >> log"))))
    await until_file(tmp_path / "node/begun")
    anna.shell.cut()
    await asyncio.sleep(RENEW_S * 3)
    anna.shell.mend()
    assert (await running).result == "unknown", "the first step's end was not seen"
    ended = await anna.run(book(sh("two", "echo two >> log")), "s")
    assert (ended.result, anna.holders) == ("done", []), ended


async def test_a_step_that_waits_for_its_node_needs_no_answer_from_it(computer: MakeComputer, tmp_path: Path) -> None:
    """A restart: the node is away longer than a renewal, and without its lease when it is back."""
    anna = await opened(computer, "anna@laptop")
    wait = Wait(Command(("test", "-e", "back")), Expect(), every_s=0.05, timeout_s=30.0)
    steps = (sh("one", "touch begun"), Step("two", "Two", "n1", (wait,)), sh("three", "echo three >> log"))
    running = asyncio.ensure_future(anna.run(book(*steps)))
    async with asyncio.timeout(30):
        while "one" not in anna.results():
            await asyncio.sleep(0.02)
    anna.shell.cut()
    await asyncio.sleep(RENEW_S * 3)
    for lease in (tmp_path / "locks").iterdir():
        lease.unlink()
    (tmp_path / "node/back").touch()
    anna.shell.mend()
    assert (await running).result == "done"
    (lease,) = (tmp_path / "locks").iterdir()
    assert json.loads(lease.read_text())["who"] == "anna@laptop"


async def test_a_cancelled_run_lets_go(computer: MakeComputer, tmp_path: Path) -> None:
    anna, bob = await opened(computer, "anna@laptop"), await opened(computer, "bob@desk")
    running = asyncio.ensure_future(anna.run(book(sh("one", "touch begun; sleep 30"))))
    await until_file(tmp_path / "node/begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await bob.run(book(sh("other", "true")))).result == "done"


async def test_who_is_cancelled_while_a_node_gives_its_lease_leaves_no_stranger_behind(
    computer: MakeComputer, tmp_path: Path
) -> None:
    anna, ben = await opened(computer, "anna@desk"), await opened(computer, "ben@lab")
    said = b"print(json.dumps(getattr(leases, argv[0])(*argv[1:])))"
    assert said in LOCK
    slow = LOCK.replace(said, b"print(json.dumps(getattr(leases, argv[0])(*argv[1:])), time.sleep(9))")
    quick, anna.runner._locking = anna.runner._locking, replace(anna.runner._locking, program=slow)
    running = asyncio.ensure_future(anna.run(book(sh("one", "true"))))
    await until_file(tmp_path / f"locks/sparkdesk-lease-{os.getuid()}.json")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    anna.runner._locking = quick
    assert (await ben.run(book(sh("two", "true")))).result == "done"
    assert (await anna.run(book(sh("three", "true")), "again")).result == "done"
    assert (anna.holders, ben.holders) == ([], [])


async def test_without_the_lock_program_nothing_is_changed(computer: MakeComputer, tmp_path: Path) -> None:
    anna = await opened(computer, "anna@laptop")
    runner = Runner(shells=anna.shells, store=anna.store, clock=SystemClock())
    ended = await runner.run("r", book(sh("one", "touch begun")), on_event=anna.events.append)
    assert ended.result == "failed"
    assert not (tmp_path / "node/begun").exists()


async def test_a_killed_runners_lock_ends_by_itself_and_its_run_goes_on_elsewhere(
    computer: MakeComputer, tmp_path: Path
) -> None:
    """kill -9 in the middle of a step: the lease is not renewed, expires, and is taken over; the journal goes on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(tmp_path), cwd=Path(__file__).parents[3]
    )
    try:
        await until_file(tmp_path / "node/begun")
    finally:
        process.kill()
        await process.wait()
    bob = await opened(computer, "bob@desk")
    assert (await bob.run(book(sh("other", "true")))).result == "failed"
    assert bob.holders[0].who == "victim@laptop"
    (lease,) = (tmp_path / "locks").glob("sparkdesk-lease-*")
    value = json.loads(lease.read_text())
    lease.write_text(json.dumps({**value, "renewed_s": value["renewed_s"] - 61}))
    taking = asyncio.ensure_future(bob.run(book(sh("other", "echo other >> log"))))
    await until_told(bob, "A command of victim@laptop still runs on spark-1: Long; waiting for its end")
    assert (tmp_path / "node/log").read_text() == "one\n"
    (tmp_path / "node/go").touch()
    assert (await taking).result == "done"
    told = [getattr(event, "text", "") for event in bob.events]
    assert any("victim@laptop no longer renewed" in text for text in told)
    again = await opened(computer, "victim@laptop")
    assert await again.store.unfinished_runs() == ("r",)
    ended = await again.runner.resume("r", on_event=again.events.append)
    assert ended.result == "done"
    assert (tmp_path / "node/log").read_text() == "one\ntwo\nother\n"
    assert os.path.exists(tmp_path / "node/begun")


async def test_a_killed_runs_lock_is_not_asked_about_once_its_run_is_in_sight_again(computer: MakeComputer) -> None:
    """Whoever starts SparkDesk again may begin another run at once: the lock that stands there is its own."""
    anna = await opened(computer, "anna@laptop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Leases, "release", _forget)  # as a kill behind the last step does
        assert (await anna.run(book(sh("one", "true")))).result == "done"
    await anna.store.close()
    stranger, again = await opened(computer, "bob@desk"), await opened(computer, "anna@laptop")
    assert (await stranger.run(book(sh("other", "true")))).result == "failed"
    tasks = Tasks()
    runs = PlaybookRuns(tasks=tasks, runner=again.runner, store=again.store, clock=SystemClock())
    await runs.recall("r")
    assert (await again.run(book(sh("other", "true")), "s")).result == "done"
    assert again.holders == []
    await tasks.close()


async def _forget(_leases: Leases) -> None:
    pass


_VICTIM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from sparkdesk.core.command import Command
    from sparkdesk.core.step import Playbook, Run, Stage, Step
    from tests.services.playbooks.test_lease import Computer

    async def main():
        computer = Computer(Path(sys.argv[1]), "victim@laptop")
        await computer.store.open()
        done = (Run(Command(("grep", "-q", "one", "log"))),)
        one = Step("one", "One", "n1", (Run(Command(("sh", "-c", "echo one >> log"))),), check=done)
        has_two = (Run(Command(("grep", "-q", "two", "log"))),)
        script = "touch begun; while [ ! -e go ]; do sleep 0.05; done; echo two >> log"
        two = Step("two", "Two", "n1", (Run(Command(("sh", "-c", script))),), check=has_two)
        await computer.run(Playbook("Long", (Stage("a", (one,)), Stage("b", (two,))), needs_lock=True))

    asyncio.run(main())
""")
