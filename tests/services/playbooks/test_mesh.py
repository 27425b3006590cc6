"""The whole mesh between nodes with real sshd, StrictModes on, and different users: from nothing, and back to it."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapters.keys import plan_keys
from sparkdesk.core.bringup.mesh import READS, read_ssh
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Playbook, StepEnded, StepEvent
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.playbooks.runner import Runner
from tests.fakes.shell import LocalShell
from tests.infra.sshd import Sshd, find_sshd, require

REMOTE = Path(__file__).parents[3] / "sparkdesk" / "remote"
USERS = ("ana", "bob", "eve")
# ssh looks its home up by the account: the account of the node is put over this computer's for it alone.
_SSH = """#!/bin/sh
exec unshare --mount sh -c 'mount --bind "$0/passwd" /etc/passwd && exec /usr/bin/ssh "$@"' {folder} "$@"
"""


class Desk:
    """Nodes with their sshd, read and changed by this computer."""

    def __init__(self, nodes: list[Sshd], store: SqliteStore) -> None:
        self.nodes = nodes
        self.store = store
        self.events: list[StepEvent] = []
        self._shells = {node.name: self._shell(node, number) for number, node in enumerate(nodes, 1)}
        self.runner = Runner(shells=self.shell, store=store, clock=SystemClock())

    def _shell(self, node: Sshd, number: int) -> LocalShell:
        programs = node.folder / "bin"
        programs.mkdir()
        (programs / "ssh").write_text(_SSH.format(folder=node.folder))
        (programs / "ssh").chmod(0o755)
        connection = f"127.0.0.1 40000 127.0.1.{number} {node.port}"
        env = {"PATH": f"{programs}:{os.environ['PATH']}", "SSH_CONNECTION": connection}
        return LocalShell(node.home, node=node.name, env=env)

    def shell(self, node_id: str) -> Shell:
        """A node's shell."""
        return self._shells[node_id]

    async def look(self) -> Case:
        """What is there now."""
        reader = Reader(program=(REMOTE / "reader.py").read_bytes(), shells=self.shell, clock=SystemClock())
        readings = {}
        for number, node in enumerate(self.nodes, 1):
            answers = await reader.read(node.name, READS)
            readings[node.name] = NodeReading(
                node.name, node.name, hostname=node.name, host_key=node.host_key, user=node.user,
                management_address=f"127.0.1.{number}", ssh=read_ssh(answers),
            )  # fmt: skip
        programs = {name: (REMOTE / f"{name}.py").read_bytes() for name in ("mesh_undo", "ssh_mesh")}
        names = tuple(node.name for node in self.nodes)
        return Case(names, readings, Topology(), mark="a1", programs=programs, is_simulated=True)

    async def run(self, run_id: str = "r") -> tuple[str, str]:
        """Make the plan, and run it."""
        plan = plan_keys(await self.look())
        ended = await self.runner.run(run_id, Playbook("mesh", plan.stages), on_event=self.events.append)
        return ended.result, ended.message

    def results(self) -> dict[str, str]:
        """Step id -> last result."""
        return {event.step_id: event.result for event in self.events if isinstance(event, StepEnded)}

    def homes(self) -> dict[str, tuple[str, bytes]]:
        """Every file and folder of every home, with its mode; the application's own state folder excepted."""
        found = {}
        for node in self.nodes:
            for path in (node.home, *sorted(node.home.rglob("*"))):
                if ".local" not in path.parts:
                    mode = f"{stat.S_IMODE(path.lstat().st_mode):o}"
                    found[f"{node.name} {path.relative_to(node.home)}"] = (
                        mode,
                        path.read_bytes() if path.is_file() else b"",
                    )
        return found


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Sshd]]:
    """Three nodes with different users, each with a home of its own."""
    find_sshd()
    require(os.geteuid() == 0, "an account of its own for a node needs root")
    servers = []
    try:
        for number, user in enumerate(USERS, 1):
            options = (f"ListenAddress 127.0.1.{number}",)
            server = Sshd(tmp_path / f"node{number}", name=f"spark-{number}", options=options, password="unused")
            server.user = user
            server.start()
            servers.append(server)
        yield servers
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
async def desk(tmp_path: Path, nodes: list[Sshd]) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    yield Desk(nodes, store)
    await store.close()


async def test_every_node_signs_in_to_every_other_and_the_undo_leaves_no_byte(desk: Desk) -> None:
    first, second, third = (node.home for node in desk.nodes)
    second.chmod(0o775)
    (second / ".ssh").mkdir(mode=0o755)
    (second / ".ssh" / "authorized_keys").write_text("# mine\nssh-ed25519 AAAA other@host")
    (second / ".ssh" / "authorized_keys").chmod(0o664)
    (third / ".ssh").mkdir(mode=0o700)
    (third / ".ssh" / "config").write_text("Host *\n    User nobody\n    Port 1\n")
    (third / ".ssh" / "known_hosts").write_text("spark-1 ssh-ed25519 AAAA\n")
    before = desk.homes()
    assert await desk.run() == ("done", "")
    assert set(desk.results().values()) == {"done"}
    for node in desk.nodes:
        assert node.log.count("Accepted publickey") == 2
        assert f"Accepted publickey for {node.user} " in node.log
    keys = [(node.home / ".ssh" / "id_ed25519_sparkdesk").read_text() for node in desk.nodes]
    everywhere = "".join(data.decode("latin-1") for _, data in desk.homes().values())
    assert [everywhere.count(key) for key in keys] == [1, 1, 1], "a private half is on its own node alone"
    assert plan_keys(await desk.look()).stages == (), "the second time there is nothing to do"
    ended = await desk.runner.undo("r", on_event=desk.events.append)
    assert (ended.result, ended.message) == ("done", "")
    assert desk.homes() == before
    assert not list(first.rglob("bringup"))


async def test_a_node_that_takes_no_keys_is_named_with_what_to_do(desk: Desk) -> None:
    for node in desk.nodes:
        (node.home / ".ssh").mkdir(mode=0o700)
    case = await desk.look()
    desk.nodes[2].home.chmod(0o777)  # after the plan was made: StrictModes holds it against every key
    ended = await desk.runner.run("r", Playbook("mesh", plan_keys(case).stages), on_event=desk.events.append)
    assert ended.result == "failed"
    assert "spark-3 takes no key from this node" in ended.message
    assert "AuthorizedKeysFile" in ended.remedy


async def test_a_node_with_another_host_key_than_the_pinned_one_is_not_signed_in_to(desk: Desk) -> None:
    case = await desk.look()
    desk.nodes[2].change_host_key()
    ended = await desk.runner.run("r", Playbook("mesh", plan_keys(case).stages), on_event=desk.events.append)
    assert ended.result == "failed"
    assert "spark-3 shows another host key" in ended.message
    assert "Accepted" not in desk.nodes[2].log
