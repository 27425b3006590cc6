"""Steps that sign in anew, through real OpenSSH servers: another connection, the same lock, a reason without one."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import ClusterRecord, JumpHost, NodeRecord, NodeState
from sparkdesk.core.command import Command
from sparkdesk.core.errors import Unreachable
from sparkdesk.core.step import Playbook, Run, RunEnded, SignInAnew, Stage, Step, StepEnded, StepEvent
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from tests.infra.sshd import Sshd, running_sshd
from tests.services.fleet.fleet_desk import FleetDesk

LOCK = (Path(__file__).parents[3] / "sparkdesk" / "remote" / "lock.py").read_bytes()


class Desk:
    """The fleet of one node and a runner over it, as the application joins them."""

    def __init__(self, store: SqliteStore, record: NodeRecord) -> None:
        self.fleet = FleetDesk(store)
        self.record = record
        self.events: list[StepEvent] = []
        self.runner = Runner(
            shells=self.fleet.inventory.shell,
            store=store,
            clock=SystemClock(),
            lock_program=LOCK,
            owner="anna@laptop",
            sign_in_anew=self.fleet.inventory.sign_in_anew,
            settle_s=2.0,
        )

    async def open(self) -> None:
        await self.fleet.inventory.open(ClusterRecord(id="c", name="Test", nodes=(self.record,)))
        await self.fleet.wait_for(NodeState.LIVE)

    async def run(self, playbook: Playbook) -> RunEnded:
        return await self.runner.run("r", playbook, on_event=self.events.append)

    def results(self) -> dict[str, str]:
        return {event.step_id: event.result for event in self.events if isinstance(event, StepEnded)}


def sh(script: str) -> Run:
    """A script that tells on which connection it came."""
    return Run(Command(("sh", "-c", script)), timeout_s=20.0)


def book(*steps: Step) -> Playbook:
    """One stage per step, under the node's lock."""
    return Playbook("Change it", tuple(Stage(step.title, (step,)) for step in steps), needs_lock=True)


NOTE_CONNECTION = 'echo "$SSH_CONNECTION" >> "$HOME/ways"'
ANEW = Step(
    "anew",
    "Sign in anew",
    "spark-1",
    (sh(NOTE_CONNECTION), SignInAnew(20.0), sh(NOTE_CONNECTION)),
    check=(sh('[ "$(wc -l < "$HOME/ways")" -ge 2 ]'),),
    undo=(sh('rm -f "$HOME/ways"'),),
)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    (tmp_path / "locks").mkdir()
    env = f"SetEnv HOME={tmp_path / 'sshd' / 'node-home'} SPARKDESK_LOCK_DIR={tmp_path / 'locks'}"
    with running_sshd(tmp_path / "sshd", options=[env]) as server:
        yield server


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def desk(sshd: Sshd, store: SqliteStore) -> AsyncIterator[Desk]:
    desk = Desk(store, sshd.record())
    await desk.open()
    yield desk
    await desk.fleet.close()


def ways(server: Sshd) -> list[str]:
    return (server.home / "ways").read_text().splitlines()


async def test_what_follows_goes_over_another_connection_under_the_same_lock(desk: Desk, sshd: Sshd) -> None:
    before = desk.fleet.inventory.shell("spark-1")
    after = Step("after", "After", "spark-1", (sh(NOTE_CONNECTION),))
    ended = await desk.run(book(ANEW, after))
    assert (ended.result, ended.message) == ("done", "")
    first, second, third = ways(sshd)
    assert first != second == third
    assert desk.fleet.inventory.shell("spark-1") is not before
    assert desk.fleet.inventory.status("spark-1").is_live


async def test_a_node_that_lets_nobody_in_again_fails_the_step_with_the_lines_own_reason(
    desk: Desk, sshd: Sshd
) -> None:
    step = replace(ANEW, apply=(sh(NOTE_CONNECTION), sh(f"kill -9 {listener(sshd)}"), SignInAnew(2.0)), check=())
    ended = await desk.run(book(step))
    assert ended.result == "failed"
    assert "no new sign-in after 2 s: Nothing answers on port" in ended.message
    assert ended.remedy
    sshd.stop()
    sshd.start()
    await desk.fleet.wait_for(NodeState.LIVE)
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    assert not (sshd.home / "ways").exists()


def listener(sshd: Sshd) -> int:
    return int((sshd.folder / "pid").read_text())


async def test_another_machine_in_its_place_ends_the_wait_at_once(desk: Desk, sshd: Sshd) -> None:
    sshd.change_host_key()
    started_s = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable) as caught:
        await desk.fleet.inventory.sign_in_anew("spark-1", timeout_s=30.0)
    assert asyncio.get_running_loop().time() - started_s < 15.0
    assert caught.value.message == desk.fleet.inventory.status("spark-1").message


async def test_a_node_that_is_removed_meanwhile_ends_the_wait_at_once(desk: Desk, sshd: Sshd) -> None:
    sshd.stop()
    waiting = asyncio.ensure_future(desk.fleet.inventory.sign_in_anew("spark-1", timeout_s=30.0))
    await asyncio.sleep(0.2)
    await desk.fleet.inventory.remove_node("spark-1")
    with pytest.raises(Unreachable, match="no longer in the cluster"):
        await asyncio.wait_for(waiting, 5.0)


async def test_a_runner_that_cannot_sign_in_anew_says_so(store: SqliteStore, desk: Desk) -> None:
    bare = Runner(shells=desk.fleet.inventory.shell, store=store, clock=SystemClock())
    playbook = Playbook("p", (Stage("s", (Step("one", "One", "spark-1", (SignInAnew(1.0),)),)),))
    ended = await bare.run("r2", playbook, on_event=desk.events.append)
    assert (ended.result, bool(ended.remedy)) == ("failed", True)
    assert "cannot sign in anew" in ended.message


async def test_a_node_behind_a_jump_host_is_signed_in_to_anew_through_it(
    sshd: Sshd, store: SqliteStore, tmp_path: Path
) -> None:
    with running_sshd(tmp_path / "jump") as jump:
        way = JumpHost("127.0.0.1", jump.port, jump.user, jump.host_key, str(jump.key_path))
        desk = Desk(store, replace(sshd.record(), jump=way))
        await desk.open()
        signed_in = jump.log.count("Accepted publickey")
        assert (await desk.run(book(ANEW))).result == "done"
        assert len(set(ways(sshd))) == 2
        assert jump.log.count("Accepted publickey") == signed_in + 1
        await desk.fleet.close()


_VICTIM = textwrap.dedent("""
    import asyncio, json, sys
    from pathlib import Path
    from sparkdesk.core.cluster.node import NodeRecord
    from sparkdesk.infra.store import SqliteStore
    from tests.services.playbooks import test_sign_in_anew as here

    async def main(data, record, boundary):
        store = SqliteStore(Path(data))
        await store.open()
        desk = here.Desk(store, NodeRecord(**json.loads(record)))
        await desk.open()
        left = int(boundary)
        write = store.append_journal

        async def append(run_id, entry):
            nonlocal left
            await write(run_id, entry)
            left -= 1
            if left == 0:
                Path(data, "held").touch()
                await asyncio.sleep(60)

        store.append_journal = append
        await desk.run(here.book(here.ANEW))

    asyncio.run(main(*sys.argv[1:]))
""")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", ["resume", "undo"])
@pytest.mark.parametrize("boundary", [1, 2, 3])
async def test_killed_at_each_boundary_it_is_carried_on_or_taken_back(
    sshd: Sshd, tmp_path: Path, boundary: int, way: str
) -> None:
    """The journal's entries are the boundaries: the run began, the step began, the step ended."""
    record = sshd.record()
    fields = {name: getattr(record, name) for name in ("id", "name", "address", "port", "user", "host_key", "key_path")}
    arguments = (str(tmp_path / "data"), json.dumps(fields), str(boundary))
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, *arguments, cwd=Path(__file__).parents[3]
    )
    try:
        await until((tmp_path / "data" / "held").exists)
    finally:
        victim.kill()
        await victim.wait()
    store = SqliteStore(tmp_path / "data")
    await store.open()
    desk = Desk(store, record)
    await desk.open()
    go = desk.runner.resume if way == "resume" else desk.runner.undo
    ended = await go("r", on_event=desk.events.append)
    assert (ended.result, ended.message) == ("done", "")
    assert (sshd.home / "ways").exists() is (way == "resume")
    await desk.fleet.close()
    await store.close()
