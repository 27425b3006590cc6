"""Found servers are read through their node, in peace when they are silent, and only while they are known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from backends.llamacpp import backend as llamacpp
from backends.vllm import backend as vllm
from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_USED, MODEL_BYTES, REQUESTS_RUNNING
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.found_servers import FoundServers
from sparkdesk.services.fleet.server_readings import ServerReadings
from sparkdesk.services.tasks import Tasks
from tests.fakes.shell import LocalShell
from tests.servers.chosen_port import chosen_port
from tests.servers.llamacpp import LlamaServer, llama_server
from tests.servers.raw_http import raw_server
from tests.services.fleet.test_found_servers import PROGRAM, say

RECORD = NodeRecord(id="n1", name="spark-1", address="127.0.0.1", port=22, user="me", host_key="ssh-ed25519 AAAAKEY")


class Desk:
    """Found servers of a node that is this computer, and what they tell."""

    def __init__(self, folder: Path) -> None:
        self.shell = LocalShell(folder)
        self.tasks = Tasks()
        self.bugs: list[BaseException] = []
        self.tasks.on_bug = lambda _name, bug: self.bugs.append(bug)
        self.found = FoundServers(
            nodes=Latest((NodeStatus(RECORD, NodeState.LIVE, 0),)),
            shells=lambda _node_id: self.shell,
            clients=OpenAiClients(),
            secrets=KeyringSecrets(),
            program=PROGRAM.read_bytes(),
            clock=SystemClock(),
            own_ports=lambda _node_id: (),
        )
        self.readings = ServerReadings(
            servers=self.found,
            tasks=self.tasks,
            clock=SystemClock(),
            readers={"vllm": vllm.readings, "llamacpp": llamacpp.readings},
            every_s=0.05,
            peace_s=0.05,
        )

    def find(self, *servers: FoundServer) -> None:
        """As if a look had found these."""
        self.found._known["n1"] = servers
        self.found._publish()

    async def wait_for(self, server_id: str, key: str, is_right: Callable[[float], bool]) -> float:
        async with asyncio.timeout(20):
            while not is_right(value := self.readings.newest(server_id, key)):
                await asyncio.sleep(0.02)
        return value


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    await desk.readings.close()
    desk.found.close()
    await desk.tasks.close()
    assert desk.bugs == []


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaServer]:
    with llama_server(port=chosen_port()) as server:
        yield server


def page(status: str, body: str) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """Answers every request with this."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        data = body.encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
        await writer.drain()

    return answer


async def test_a_real_server_tells_how_fast_it_is_and_what_its_cache_holds(desk: Desk, llama: LlamaServer) -> None:
    await desk.found.look("n1")
    server = next(server for server in desk.found.servers.value if server.port == llama.port)
    await desk.wait_for(server.id, REQUESTS_RUNNING, lambda value: value == 0.0)
    assert await say(desk.found, server) == "pong"
    assert await desk.wait_for(server.id, GENERATED_RATE, lambda value: value > 0) > 0
    assert await desk.wait_for(server.id, KV_USED, lambda value: value == 0.0) == 0.0


async def test_an_old_vllm_is_read_by_its_old_names(desk: Desk) -> None:
    text = "vllm:gpu_cache_usage_perc 0.5\nvllm:num_requests_running 2\n"
    async with raw_server(page("200 OK", text)) as server:
        desk.find(FoundServer("n1:1", "n1", "127.0.0.1", server.port, "openai", "vllm", has_metrics=True))
        assert await desk.wait_for("n1:1", KV_USED, lambda value: value == value) == 0.5
        assert server.requests[0].startswith(b"GET /metrics ")


async def test_ollama_tells_the_memory_of_its_models(desk: Desk) -> None:
    async with raw_server(page("200 OK", '{"models": [{"size_vram": 5000000000}]}')) as server:
        desk.find(FoundServer("n1:1", "n1", "127.0.0.1", server.port, "ollama", "ollama"))
        assert await desk.wait_for("n1:1", MODEL_BYTES, lambda value: value == value) == 5e9
        assert server.requests[0].startswith(b"GET /api/ps ")


async def test_a_value_that_cannot_be_is_not_kept(desk: Desk) -> None:
    text = "vllm:kv_cache_usage_perc 57\nvllm:num_requests_running 2\n"
    async with raw_server(page("200 OK", text)) as server:
        desk.find(FoundServer("n1:1", "n1", "127.0.0.1", server.port, "openai", "vllm", has_metrics=True))
        await desk.wait_for("n1:1", REQUESTS_RUNNING, lambda value: value == 2.0)
        assert not desk.readings.has("n1:1", KV_USED)


async def test_a_server_that_fails_is_asked_again_in_peace_and_one_that_is_gone_never(desk: Desk) -> None:
    async with raw_server(page("503 Busy", "{}")) as server:
        desk.find(FoundServer("n1:1", "n1", "127.0.0.1", server.port, "openai", "vllm", has_metrics=True))
        async with asyncio.timeout(20):
            while len(server.requests) < 3:
                await asyncio.sleep(0.02)
        assert desk.readings.ids == ()
        desk.find()
        async with asyncio.timeout(20):
            while any(name.startswith("readings") for name in desk.tasks.names):
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "server",
    [
        FoundServer("n1:1", "n1", "127.0.0.1", 1, "openai", "vllm", has_metrics=False),
        FoundServer("n1:1", "n1", "127.0.0.1", 1, "openai", "lmstudio", has_metrics=True),
        FoundServer("n1:1", "n1", "127.0.0.1", 1, "openai", "vllm", has_metrics=True, needs_key=True),
    ],
)
async def test_a_server_that_has_nothing_to_tell_is_not_asked(desk: Desk, server: FoundServer) -> None:
    desk.find(server)
    assert desk.tasks.names == ()
