"""A search on real networks: announcements, a range, and a machine that only a neighbour sees through a cable."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from zeroconf import ServiceInfo, Zeroconf

from sparkdesk.core.cluster.candidate import Candidate, SearchOptions, SearchState, Source
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.command import Command
from sparkdesk.core.ports import ConfiguredHost
from sparkdesk.infra.mdns import SERVICE, MdnsListener
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.ssh_greeting import SshGreeter
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.discovery import Discovery
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.lab.lab import Cable, Lab, LabNode

pytestmark = pytest.mark.lab

PROGRAM = (Path(__file__).resolve().parents[2] / "sparkdesk" / "remote" / "neighbours.py").read_bytes()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Nodes 0 and 1 on a cable; node 2, which nobody knows, on another one at node 0."""
    cables = (Cable(0, 1, 1, 1), Cable(0, 0, 2, 0))
    with Lab(3, tmp_path_factory.mktemp("chain"), marker="chain", cables=cables) as lab:
        yield lab


class Searcher:
    """Discovery over the lab's first two nodes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.tasks = Tasks()
        self.store = SqliteStore(None)
        clock = SystemClock()
        self.inventory = Inventory(tasks=self.tasks, connector=SshConnector(), store=self.store, clock=clock)
        self.discovery = Discovery(
            tasks=self.tasks,
            inventory=self.inventory,
            listener=MdnsListener(["10.42.0.1"]),
            greeter=SshGreeter(),
            read_hosts=self._hosts,
            program=PROGRAM,
            clock=clock,
        )

    async def _hosts(self) -> tuple[ConfiguredHost, ...]:
        return (ConfiguredHost("box", "10.42.0.13", user="nvidia"),)

    async def open(self) -> None:
        await self.store.open()
        nodes = tuple(node.record() for node in self.lab.nodes[:2])
        await self.inventory.open(ClusterRecord(id="c", name="C", nodes=nodes))
        await wait_for_value(self.inventory.nodes, lambda found: all(n.is_live for n in found), timeout_s=60)
        for node in self.lab.nodes:  # until the kernel has made sure that nobody else has its link-local addresses
            while "tentative" in await asyncio.to_thread(node.run, "ip", "-6", "addr"):
                await asyncio.sleep(0.1)

    async def search(self, options: SearchOptions) -> tuple[Candidate, ...]:
        """What a whole search finds."""
        self.discovery.start(options)
        over = (SearchState.DONE, SearchState.UNAVAILABLE)
        wanted = options.sources | ({Source.RANGE} if options.ranges else set())
        await wait_for_value(
            self.discovery.progress,
            lambda now: all(entry.state in over for entry in now if entry.source in wanted),
            timeout_s=90,
        )
        return self.discovery.candidates.value

    async def close(self) -> None:
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()


@pytest.fixture
async def searcher(chain: Lab) -> AsyncIterator[Searcher]:
    with chain.workstation():
        searcher = Searcher(chain)
        await searcher.open()
        yield searcher
        await searcher.close()


@contextmanager
def announcing(node: LabNode, name: str) -> Iterator[None]:
    """The node announces SSH, by a real responder in its network."""
    ready, over = threading.Event(), threading.Event()

    def announce() -> None:
        with node.network():
            responder = Zeroconf(interfaces=[node.address])
            address = socket.inet_aton(node.address)
            service = ServiceInfo(SERVICE, f"{name}.{SERVICE}", addresses=[address], port=22, server=f"{name}.local.")
            responder.register_service(service)
            ready.set()
            over.wait(120)
            responder.close()

    thread = threading.Thread(target=announce)
    thread.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        over.set()
        thread.join(20)


async def test_a_spark_without_an_address_is_seen_by_its_neighbour_and_reached_through_it(searcher: Searcher) -> None:
    found = await searcher.search(SearchOptions(sources=frozenset({Source.NEIGHBOUR})))
    assert len(found) == 1, searcher.discovery.progress.value
    stranger = found[0]
    assert stranger.jump is not None
    assert stranger.jump.address == searcher.lab.nodes[0].address
    assert stranger.address.startswith("fe80:")
    assert "spark-1 sees it through" in stranger.sightings[0].words
    assert stranger.likeness
    shell = searcher.inventory.shell("spark-1")
    async with shell.forward(stranger.address, 22) as way:
        reader, writer = await asyncio.open_unix_connection(way.socket_path)
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"SSH-2.0-OpenSSH")
        writer.close()


async def test_who_announces_ssh_is_found_with_its_name_and_a_range_adds_its_reason(searcher: Searcher) -> None:
    with announcing(searcher.lab.nodes[2], "spark-5c2d"):
        found = await searcher.search(
            SearchOptions(sources=frozenset({Source.MDNS, Source.SSH_CONFIG}), ranges="10.42.0.10-20")
        )
    by_address = {candidate.address: candidate for candidate in found}
    spark = by_address["10.42.0.13"]
    assert {sighting.source for sighting in spark.sightings} == {Source.MDNS, Source.SSH_CONFIG, Source.RANGE}
    assert spark.user == "nvidia"
    assert by_address["10.42.0.11"].known_as == "spark-1"
    assert set(by_address) == {"10.42.0.11", "10.42.0.12", "10.42.0.13"}


async def test_a_host_is_knocked_at_once_a_minute_however_often_one_searches(searcher: Searcher) -> None:
    node = searcher.lab.nodes[1]
    before = _visits(node)
    for _ in range(4):
        found = await searcher.search(SearchOptions(sources=frozenset(), ranges="10.42.0.12"))
        assert [candidate.address for candidate in found] == ["10.42.0.12"]
    for _ in range(300):  # the server writes its log in its own time
        if _visits(node) != before:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    assert len(_visits(node) - before) == 1


async def test_nothing_on_a_node_changes_by_being_looked_at(searcher: Searcher) -> None:
    shell = searcher.inventory.shell("spark-1")
    # Into a word first: beside a pipe `ps` would see its other ends, once as what they are and once as the shell still.
    script = "ip -br addr; ls -lR ~ /tmp; seen=$(ps -eo user,comm); echo \"$seen\" | grep -v ' ps$\\| sshd$' | sort"
    look = Command(("sh", "-c", script))
    before = (await shell.run(look)).text
    await searcher.search(SearchOptions(sources=frozenset({Source.NEIGHBOUR})))
    assert (await shell.run(look)).text == before


def _visits(node: LabNode) -> set[str]:
    """From which ports of ours somebody came to its SSH server and left without a word."""
    log = (node.root / "run/sshd.log").read_text("utf-8", "replace")
    return set(re.findall(r"Connection (?:closed|reset) by 10\.42\.0\.1 port (\d+)", log))
