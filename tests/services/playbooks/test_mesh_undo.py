"""The steps of the SSH keys taken back one by one, in any order: in the end every file and folder is as it was."""

from __future__ import annotations

import json
import random
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.bringup.chapters.keys import plan_keys
from sparkdesk.core.bringup.mesh import READS, read_ssh
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.keys import leave_own_folder
from sparkdesk.core.program import python_command
from sparkdesk.core.step import Output, Playbook, StepEvent
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.playbooks.runner import Runner
from tests.core.bringup.cases import make_case
from tests.core.bringup.mesh_cases import make_key
from tests.fakes.shell import LocalShell

REMOTE = Path(__file__).parents[3] / "sparkdesk" / "remote"
RIGHTS, PAIR, LET_IN, HOSTS = ("keys-rights-n1", "keys-pair-n1", "keys-let-in-n1", "keys-hosts-n1")
OF_N2 = ("keys-rights-n2", "keys-pair-n2", "keys-let-in-n2", "keys-hosts-n2")


class Desk:
    """Two nodes that are folders: n1 as it came out of its box, n2 with a home that others may write to."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        self.folder = folder
        self.homes = {one: folder / "homes" / one for one in ("n1", "n2")}
        self.store = store
        self.events: list[StepEvent] = []
        shells = {one: LocalShell(home, node=one) for one, home in self.homes.items()}
        self.runner = Runner(shells=shells.__getitem__, store=store, clock=SystemClock())
        for home in self.homes.values():
            home.mkdir(parents=True)
        ssh = self.homes["n2"] / ".ssh"
        ssh.mkdir()
        (self.homes["n2"] / ".local" / "state").mkdir(parents=True)
        (ssh / "authorized_keys").write_text("# mine\nssh-ed25519 AAAA other@host")
        (ssh / "authorized_keys").chmod(0o664)
        ssh.chmod(0o755)
        self.homes["n2"].chmod(0o775)

    async def set_up(self, run_id: str = "r") -> None:
        """Apply the chapter, up to the signing in, which needs a server; the homes as they are then are kept."""
        reader = Reader(
            program=(REMOTE / "reader.py").read_bytes(),
            shells=lambda node_id: LocalShell(self.homes[node_id], node=node_id), clock=SystemClock(),
        )  # fmt: skip
        case = replace(make_case(2, Shape.PAIR), mark=run_id, programs=mesh_programs())
        readings = {
            one: replace(case.reading(one), ssh=read_ssh(await reader.read(one, READS))) for one in case.node_ids
        }
        stages = plan_keys(replace(case, readings=readings)).stages[:-1]
        ended = await self.runner.run(run_id, Playbook("mesh", stages), on_event=self.events.append)
        assert (ended.result, ended.message) == ("done", "")
        shutil.copytree(self.folder / "homes", self.folder / "set up", symlinks=True, dirs_exist_ok=True)

    async def begin_anew(self, run_id: str) -> None:
        """Homes and journal as after the set-up, under another run's name."""
        shutil.rmtree(self.folder / "homes")
        shutil.copytree(self.folder / "set up", self.folder / "homes", symlinks=True)
        for entry in await self.store.journal("r"):
            await self.store.append_journal(run_id, entry)

    async def undo(self, *steps: str, run_id: str = "r") -> None:
        only = frozenset(steps) if steps else None
        ended = await self.runner.undo(run_id, on_event=self.events.append, only=only)
        assert (ended.result, ended.message) == ("done", "")

    def everything(self) -> dict[str, tuple[str, bytes]]:
        """Every file and folder with its mode."""
        found = {}
        for path in sorted((self.folder / "homes").rglob("*")):
            data = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(self.folder / "homes"))] = (f"{stat.S_IMODE(path.lstat().st_mode):o}", data)
        return found


def mesh_programs() -> dict[str, bytes]:
    return {name: (REMOTE / f"{name}.py").read_bytes() for name in ("mesh_undo", "ssh_mesh")}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    yield Desk(tmp_path, store)
    await store.close()


def orders(count: int) -> list[tuple[str, ...]]:
    """Oldest first, and by chance; the way newest first is the undo of all."""
    every = [*(RIGHTS, PAIR, LET_IN, HOSTS), *OF_N2]
    rng = random.Random(8)
    return [tuple(every), *(tuple(rng.sample(every, len(every))) for _ in range(count))]


async def test_steps_that_are_taken_back_one_by_one_in_any_order_leave_nothing(desk: Desk) -> None:
    before = desk.everything()
    await desk.set_up()
    for number, order in enumerate(orders(1)):
        await desk.begin_anew(f"r{number}")
        for step in order:
            await desk.undo(step, run_id=f"r{number}")
        assert desk.everything() == before, order
    await desk.begin_anew("rn")
    await desk.undo(run_id="rn")
    assert desk.everything() == before, "newest first"
    await desk.undo(run_id="r")
    assert desk.everything() == before, "where nothing is left to be taken back"


@pytest.mark.parametrize("first", [(RIGHTS,), (PAIR, OF_N2[0])])
async def test_the_undo_of_all_is_exact_whatever_was_taken_back_before(desk: Desk, first: tuple[str, ...]) -> None:
    before = desk.everything()
    await desk.set_up()
    for step in first:
        await desk.undo(step)
        if step == RIGHTS:
            said = [json.loads(one.text) for one in desk.events if isinstance(one, Output) and one.step_id == RIGHTS]
            message = "~/.ssh goes with the last key of SparkDesk that is taken out of it"
            assert said[-1] == {"ok": True, "message": message}
    await desk.undo()
    assert desk.everything() == before


async def test_what_a_person_put_beside_our_keys_keeps_its_folders(desk: Desk) -> None:
    await desk.set_up()
    home = desk.homes["n1"]
    (home / ".ssh" / "id_rsa").write_text("mine")
    (home / ".local" / "state" / "other").mkdir()
    for step in (RIGHTS, PAIR, HOSTS, LET_IN):
        await desk.undo(step)
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == [
        ".local", ".local/state", ".local/state/other", ".ssh", ".ssh/id_rsa",
    ]  # fmt: skip


async def test_another_bring_up_that_stands_keeps_the_folder_until_it_is_taken_back_too(desk: Desk) -> None:
    before = desk.everything()
    await desk.set_up()
    shell, sources = LocalShell(desk.homes["n1"]), list(mesh_programs().values())
    comment, path = "sparkdesk-mesh spark-9 n9", str(REMOTE / "ssh_mesh.py")
    await shell.run(Command(("python3", path, "let-in", "other", comment)), stdin=make_key(9).encode())
    await desk.undo()
    kept = desk.homes["n1"] / ".ssh" / "authorized_keys"
    assert kept.read_text() == f"{make_key(9)} {comment}\n"
    await shell.run(python_command(sources, "undo", "other", "let-in"), stdin=b"".join(sources))
    await shell.run(leave_own_folder().command)
    assert desk.everything() == before
