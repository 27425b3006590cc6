"""Forwards through a real OpenSSH server: open while the node is live, on loopback only, back after a reconnect."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sparkdesk.core.cluster.forward import JUPYTER_PORTS_FILE, Forward, ForwardSpec, ForwardState
from sparkdesk.core.cluster.node import NodeRecord, NodeState, NodeStatus
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Connection
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.fleet.forwards import KIND, Forwards
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.shell import LocalShell
from tests.infra.sshd import Sshd, free_port, running_sshd
from tests.servers.raw_http import RawServer, raw_server

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Desk:
    """The service, with nodes that a test makes live by hand."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.tasks = Tasks()
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(())
        self.forwards = Forwards(nodes=self.nodes, store=store, tasks=self.tasks)

    def show(self, *records: NodeRecord) -> None:
        self.nodes.set(tuple(NodeStatus(record, NodeState.LIVE, 0) for record in records))

    async def own(self, port: int, **more: str) -> str:
        """An own entry for a port of the first node."""
        node_id = self.nodes.value[0].record.id
        return await self.forwards.add(ForwardSpec("", node_id, "", "Mine", port, **more))

    def find(self, forward_id: str) -> Forward:
        return next(forward for forward in self.forwards.forwards.value if forward.spec.id == forward_id)

    async def until(self, forward_id: str, *states: ForwardState) -> Forward:
        await wait_for_value(
            self.forwards.forwards,
            lambda all_: any(f.spec.id == forward_id and f.state in states for f in all_),
            timeout_s=20,
        )
        return self.find(forward_id)

    @asynccontextmanager
    async def live(self, connection: Connection, record: NodeRecord) -> AsyncIterator[None]:
        """As the inventory does it: the hook runs while the line stands, and is cancelled when it goes."""
        task = self.tasks.start(self.forwards.watch, record.id, connection)
        assert task is not None
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await connection.close()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    store = SqliteStore(None)
    await store.open()
    desk = Desk(store)
    yield desk
    desk.forwards.close_all()
    await desk.tasks.close()
    await store.close()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path) as server:
        yield server


@pytest.fixture
async def page() -> AsyncIterator[RawServer]:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO)
        await writer.drain()

    async with raw_server(answer) as server:
        yield server


async def get(port: int) -> bytes:
    """What a browser of this computer would get."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def listening_addresses(port: int) -> list[str]:
    """Where this process listens on the port, by the kernel's word."""
    connections = psutil.Process(os.getpid()).net_connections("tcp")
    return [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN and c.laddr.port == port]


async def test_a_page_of_the_node_opens_here_on_loopback_alone(desk: Desk, sshd: Sshd, page: RawServer) -> None:
    desk.show(sshd.record())
    forward_id = await desk.own(page.port, path="/lab?a=b")
    assert desk.find(forward_id).state is ForwardState.CLOSED
    async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
        forward = await desk.forwards.open(forward_id)
        assert (forward.state, forward.answers, forward.message) == (ForwardState.OPEN, True, "")
        assert forward.url == f"http://127.0.0.1:{forward.local_port}/lab?a=b"
        assert (await get(forward.local_port)).endswith(b"hello")
        assert listening_addresses(forward.local_port) == ["127.0.0.1"]
        assert await desk.forwards.open(forward_id) == forward  # twice is once
        await desk.forwards.close(forward_id)
        assert desk.find(forward_id) == Forward(replace(forward.spec, is_wanted=False))
        await asyncio.sleep(0.05)
        assert listening_addresses(forward.local_port) == []


async def test_a_port_where_nothing_answers_is_open_and_says_so(desk: Desk, sshd: Sshd) -> None:
    desk.show(sshd.record())
    port = free_port()
    forward_id = await desk.own(port)
    async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
        forward = await desk.forwards.open(forward_id)
        assert (forward.state, forward.answers) == (ForwardState.OPEN, False)
        assert f"port {port} of the node" in forward.remedy


async def test_a_node_that_forbids_forwards_is_told_from_one_where_nothing_answers(
    desk: Desk, tmp_path: Path, page: RawServer
) -> None:
    with running_sshd(tmp_path, options=("AllowTcpForwarding no",)) as sshd:
        desk.show(sshd.record())
        forward_id = await desk.own(page.port)
        async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
            forward = await desk.forwards.open(forward_id)
            assert (forward.state, forward.url) == (ForwardState.FAILED, "")
            assert "forbids forwards" in forward.message
            assert "AllowTcpForwarding yes" in forward.remedy


async def test_a_wanted_forward_waits_while_its_node_is_away_and_comes_back_on_the_same_port(
    desk: Desk, sshd: Sshd, page: RawServer
) -> None:
    desk.show(sshd.record())
    forward_id = await desk.own(page.port)
    waiting = await desk.forwards.open(forward_id)
    assert (waiting.state, bool(waiting.remedy)) == (ForwardState.WAITING, True)
    async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
        first = await desk.until(forward_id, ForwardState.OPEN)
    lost = desk.find(forward_id)
    assert (lost.state, lost.url, lost.local_port) == (ForwardState.WAITING, "", 0)
    assert listening_addresses(first.local_port) == []
    async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
        again = await desk.until(forward_id, ForwardState.OPEN)
        assert again == first
        assert (await get(again.local_port)).endswith(b"hello")


async def test_a_line_that_breaks_leaves_no_port_open(desk: Desk, sshd: Sshd, page: RawServer) -> None:
    desk.show(sshd.record())
    forward_id = await desk.own(page.port)
    connection = await SshConnector().connect(sshd.record())
    async with desk.live(connection, sshd.record()):
        forward = await desk.forwards.open(forward_id)
        sshd.kill_sessions()
        await connection.wait_closed()
    await asyncio.sleep(0.05)
    assert [name for name in desk.tasks.names if name.startswith("forward")] == []
    assert listening_addresses(forward.local_port) == []
    assert desk.find(forward_id).state is ForwardState.WAITING


async def test_another_port_is_said_when_the_old_one_was_taken_meanwhile(
    desk: Desk, sshd: Sshd, page: RawServer
) -> None:
    desk.show(sshd.record())
    forward_id = await desk.own(page.port)
    await desk.forwards.open(forward_id)
    async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
        first = await desk.until(forward_id, ForwardState.OPEN)
    with socket.create_server(("127.0.0.1", first.local_port)):
        async with desk.live(await SshConnector().connect(sshd.record()), sshd.record()):
            again = await desk.until(forward_id, ForwardState.OPEN)
            assert again.local_port not in (0, first.local_port)
            assert f"Port {first.local_port} of this computer was taken" in again.message
            assert (await get(again.local_port)).endswith(b"hello")


async def test_what_is_wanted_is_kept_and_opens_in_the_next_run(desk: Desk, sshd: Sshd, page: RawServer) -> None:
    desk.show(sshd.record())
    forward_id = await desk.own(page.port)
    await desk.forwards.open(forward_id)
    await desk.forwards.open(f"{sshd.name}:dashboard")
    await desk.store.save_document(KIND, "broken", b"{nonsense")
    await desk.store.save_document(KIND, "evil", json.dumps(_spec(sshd.name).to_json() | {"host": "-x"}).encode())
    later = Desk(desk.store)
    later.show(sshd.record())
    await later.forwards.load()
    wanted = [f.spec.id for f in later.forwards.forwards.value if f.spec.is_wanted]
    assert wanted == [f"{sshd.name}:dashboard", forward_id]
    assert not any(f.spec.id == "evil" for f in later.forwards.forwards.value)
    async with later.live(await SshConnector().connect(sshd.record()), sshd.record()):
        assert (await later.until(forward_id, ForwardState.OPEN)).answers is True
    later.forwards.close_all()
    await later.tasks.close()


def _spec(node_id: str) -> ForwardSpec:
    return ForwardSpec("evil", node_id, "own", "Evil", 1)


async def test_a_kept_preset_keeps_only_the_wish(desk: Desk) -> None:
    record = NodeRecord(id="n1", name="spark-1", address="a", port=22, user="me")
    kept = ForwardSpec("n1:dashboard", "n1", "dashboard", "Else", 9, host="evil.example", is_wanted=True)
    await desk.store.save_document(KIND, kept.id, json.dumps(kept.to_json()).encode())
    await desk.forwards.load()
    desk.show(record)
    spec = desk.find("n1:dashboard").spec
    assert (spec.host, spec.port, spec.title, spec.is_wanted) == ("127.0.0.1", 11000, "DGX Dashboard", True)


async def test_the_list_follows_the_nodes(desk: Desk) -> None:
    one = NodeRecord(id="n1", name="spark-1", address="a", port=22, user="me")
    two = replace(one, id="n2", name="spark-2")
    desk.show(one, two)
    own = await desk.own(3000)
    ids = [forward.spec.node_id for forward in desk.forwards.forwards.value]
    assert sorted(ids) == ["n1"] * 6 + ["n2"] * 5
    desk.show(two)
    assert {forward.spec.node_id for forward in desk.forwards.forwards.value} == {"n2"}
    desk.show(one)
    assert desk.find(own).spec.title == "Mine"
    await desk.forwards.remove(own)
    with pytest.raises(SettingsError, match="no such forward"):
        await desk.forwards.open(own)
    assert await desk.store.documents(KIND) == {}


async def test_what_cannot_be_is_refused(desk: Desk) -> None:
    desk.show(NodeRecord(id="n1", name="spark-1", address="a", port=22, user="me"))
    with pytest.raises(SettingsError, match="belongs to every node"):
        await desk.forwards.remove("n1:dashboard")
    with pytest.raises(SettingsError, match="is there already"):
        await desk.forwards.add(ForwardSpec("n1:dashboard", "n1", "own", "x", 1))
    with pytest.raises(SettingsError, match="no longer in the cluster"):
        await desk.forwards.add(ForwardSpec("", "n9", "own", "x", 1))
    with pytest.raises(SettingsError, match="A port"):
        await desk.own(0)


class JupyterNode(LocalShell):
    """A node on which the DGX Dashboard has noted a JupyterLab port."""

    ports_file = ""

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        if path == JUPYTER_PORTS_FILE and self.ports_file:
            return self.ports_file.encode()
        return await super().fetch(path, max_bytes=max_bytes)


async def test_jupyterlabs_port_is_read_from_the_node_each_time(desk: Desk, tmp_path: Path, page: RawServer) -> None:
    record = NodeRecord(id="n1", name="spark-1", address="a", port=22, user="me")
    desk.show(record)
    node = JupyterNode(tmp_path)
    async with desk.live(node, record):
        missing = await desk.forwards.open("n1:jupyter")
        assert (missing.state, missing.message) == (ForwardState.FAILED, "spark-1 has no list of JupyterLab ports")
        assert "DGX Dashboard" in missing.remedy
        node.ports_file = "users:\n    - username: you\n      jupyterlab_port: 11003\n"
        assert "for me" in (await desk.forwards.open("n1:jupyter")).message
        node.ports_file += f"    - username: me\n      jupyterlab_port: {page.port}\n"
        forward = await desk.forwards.open("n1:jupyter")
        assert (forward.state, forward.answers, forward.spec.port) == (ForwardState.OPEN, True, 0)
        assert (await get(forward.local_port)).endswith(b"hello")
