"""Servers that others started: found on a node that becomes live, talked to through it, never changed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.chat.event import Finished, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, TextPart
from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.errors import EndpointError, SettingsError, Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Shell
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.chat.found_link import offer_found
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.found_servers import FoundServers
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.shell import LocalShell
from tests.infra.sshd import running_sshd
from tests.servers.chosen_port import chosen_port
from tests.servers.llamacpp import LlamaServer, llama_server

PROGRAM = Path(__file__).parents[3] / "sparkdesk" / "remote" / "servers.py"
RECORD = NodeRecord(id="n1", name="spark-1", address="127.0.0.1", port=22, user="me", host_key="ssh-ed25519 AAAAKEY")
KEY = "a-very-secret-key"


class Desk:
    """The service on one node that is a folder of this computer."""

    def __init__(self, folder: Path) -> None:
        self.shell = LocalShell(folder)
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest((NodeStatus(RECORD, NodeState.LIVE, 0),))
        self.secrets = KeyringSecrets()
        self.own: set[int] = set()
        self.tasks = Tasks()
        self.found = self.make()

    def make(self) -> FoundServers:
        return FoundServers(
            nodes=self.nodes,
            shells=self.shell_of,
            clients=OpenAiClients(),
            secrets=self.secrets,
            program=PROGRAM.read_bytes(),
            clock=SystemClock(),
            own_ports=lambda node_id: self.own,
        )

    def shell_of(self, node_id: str) -> Shell:
        if self.shell.is_cut:
            raise Unreachable("spark-1 is away", remedy="Wait.", node="spark-1")
        return self.shell

    def server(self, port: int) -> FoundServer | None:
        return next((server for server in self.found.servers.value if server.port == port), None)

    async def look(self, port: int) -> FoundServer:
        await self.found.look("n1")
        server = self.server(port)
        assert server is not None
        return server


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.found.close()
    await desk.tasks.close()


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(port=chosen_port()) as server:
        yield server


@pytest.fixture(scope="module")
def locked() -> Iterator[LlamaServer]:
    with llama_server(port=chosen_port(), api_key=KEY) as server:
        yield server


async def say(found: FoundServers, server: FoundServer) -> str:
    """What the server answers to "ping", through its node."""
    request = ChatRequest(server.models[0], (Message(Role.USER, (TextPart("ping"),)),))
    words, ends = "", 0
    async with found.client(server.id) as client:
        async for event in client.chat(request):
            words += event.text if isinstance(event, TextDelta) else ""
            ends += isinstance(event, Finished)
    assert ends == 1
    return words


async def test_a_server_is_found_when_its_node_becomes_live(desk: Desk, llama: LlamaServer) -> None:
    desk.tasks.start_exclusive("watch", desk.found.watch, "n1", desk.shell)
    servers = await wait_for_value(
        desk.found.servers, lambda servers: any(s.port == llama.port for s in servers), timeout_s=20
    )
    server = next(server for server in servers if server.port == llama.port)
    assert (server.id, server.engine, server.is_healthy) == (f"n1:{llama.port}", "llamacpp", True)


async def test_a_found_server_answers_through_its_node(desk: Desk, llama: LlamaServer) -> None:
    server = await desk.look(llama.port)
    assert await say(desk.found, server) == "pong"
    (offer,) = [offer for offer in offer_found(desk.found, desk.nodes.value) if offer.endpoint.port == llama.port]
    assert offer.label == f"{Path(server.models[0]).name} on spark-1", "by its file, not by the path of it"
    assert offer.endpoint.context_tokens == server.context_tokens[0]


async def test_nothing_is_offered_of_a_node_that_is_away(desk: Desk, llama: LlamaServer) -> None:
    await desk.look(llama.port)
    away = (NodeStatus(RECORD, NodeState.UNREACHABLE, 0, "gone", "wait"),)
    assert offer_found(desk.found, away) == ()
    desk.nodes.set(away)
    assert desk.server(llama.port) is not None  # what is known stays


async def test_servers_of_our_own_jobs_are_left_out(desk: Desk, llama: LlamaServer) -> None:
    await desk.look(llama.port)
    desk.own.add(llama.port)
    desk.found.refresh_own()
    assert desk.server(llama.port) is None
    await desk.found.look("n1")
    assert desk.server(llama.port) is None
    desk.own.clear()
    desk.found.refresh_own()
    assert desk.server(llama.port) is None  # it was not asked this time
    await desk.look(llama.port)


async def test_a_server_that_ends_leaves_the_list(desk: Desk) -> None:
    with llama_server(port=chosen_port()) as server:
        found = await desk.look(server.port)
        server.kill()
        await desk.found.look("n1")
        assert desk.server(server.port) is None
        with pytest.raises(EndpointError, match="gone"):
            async with desk.found.client(found.id):
                pass


async def test_a_server_that_stalls_is_kept_for_some_rounds_while_its_port_listens(
    desk: Desk, llama: LlamaServer
) -> None:
    await desk.look(llama.port)
    llama.process.send_signal(signal.SIGSTOP)
    try:
        stalled = await desk.look(llama.port)
        assert (stalled.is_healthy, stalled.note) == (None, "It did not answer in time")
        assert stalled.models
    finally:
        llama.process.send_signal(signal.SIGCONT)
    assert (await desk.look(llama.port)).is_healthy is True


async def test_a_node_that_leaves_the_cluster_takes_its_servers_along(desk: Desk, llama: LlamaServer) -> None:
    await desk.look(llama.port)
    desk.nodes.set(())
    assert desk.found.servers.value == ()


async def test_a_server_that_wants_a_key_is_opened_by_one_and_stays_open(desk: Desk, locked: LlamaServer) -> None:
    server = await desk.look(locked.port)
    assert (server.needs_key, server.models) == (True, ())
    assert [offer for offer in offer_found(desk.found, desk.nodes.value) if offer.endpoint.port == locked.port] == []
    with pytest.raises(EndpointError, match="does not accept the key"):
        await desk.found.give_key(server.id, "wrong")
    assert (await desk.look(locked.port)).needs_key is True
    await desk.found.give_key(server.id, KEY)
    opened = desk.server(locked.port)
    assert opened is not None
    assert (opened.needs_key, bool(opened.models)) == (False, True)
    assert await say(desk.found, opened) == "pong"
    assert (await desk.look(locked.port)).needs_key is False
    # Another start of the program finds the kept key; a node with another host key never gets it.
    desk.found.close()
    desk.found = desk.make()
    assert (await desk.look(locked.port)).needs_key is False
    desk.found.close()
    changed = replace(RECORD, host_key="ssh-ed25519 AAAAOTHER")
    desk.nodes.set((NodeStatus(changed, NodeState.LIVE, 0),))
    desk.found = desk.make()
    assert (await desk.look(locked.port)).needs_key is True


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nend", "k\u00fcy", "x" * 600])
async def test_what_cannot_be_a_key_is_refused_before_it_is_sent(desk: Desk, locked: LlamaServer, key: str) -> None:
    server = await desk.look(locked.port)
    with pytest.raises(SettingsError):
        await desk.found.give_key(server.id, key)


async def test_the_keys_of_a_removed_node_are_forgotten(desk: Desk, locked: LlamaServer) -> None:
    server = await desk.look(locked.port)
    await desk.found.give_key(server.id, KEY)
    desk.nodes.set(())
    await desk.found.forget(RECORD)
    desk.nodes.set((NodeStatus(RECORD, NodeState.LIVE, 0),))
    assert (await desk.look(locked.port)).needs_key is True
    assert await desk.secrets.get(desk.found._secret_name(server)) is None


async def test_no_key_stands_in_a_command(desk: Desk, locked: LlamaServer) -> None:
    server = await desk.look(locked.port)
    await desk.found.give_key(server.id, KEY)
    await desk.look(locked.port)
    assert desk.shell.lines
    assert not any(KEY in line for line in desk.shell.lines)


async def test_a_node_that_is_away_says_so(desk: Desk) -> None:
    desk.shell.cut()
    with pytest.raises(Unreachable):
        await desk.found.look("n1")


async def test_a_spark_that_serves_a_model_can_be_chatted_with_as_soon_as_it_was_added(
    llama: LlamaServer, tmp_path: Path
) -> None:
    """Real OpenSSH, real server: the line becomes live, the server is found, a token comes through the tunnel."""
    with running_sshd(tmp_path) as sshd:
        tasks, store, clock = Tasks(), SqliteStore(None), SystemClock()
        await store.open()
        inventory = Inventory(tasks=tasks, connector=SshConnector(), store=store, clock=clock)
        found = FoundServers(
            nodes=inventory.nodes,
            shells=inventory.shell,
            clients=OpenAiClients(),
            secrets=KeyringSecrets(),
            program=PROGRAM.read_bytes(),
            clock=clock,
            own_ports=lambda node_id: (),
        )
        inventory.on_live.append(found.watch)
        try:
            async with asyncio.timeout(60):
                await inventory.open(ClusterRecord(id="c", name="Test", nodes=(sshd.record(),)))
                servers = await wait_for_value(
                    found.servers, lambda servers: any(s.port == llama.port for s in servers), timeout_s=50
                )
                server = next(server for server in servers if server.port == llama.port)
                assert await say(found, server) == "pong"
        finally:
            found.close()
            await inventory.close()
            await tasks.close()
            await store.close()
