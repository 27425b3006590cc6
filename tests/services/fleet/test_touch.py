"""One ledger for everybody who touches a server without a sign-in: at most once a minute, and the wait is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.candidate import SearchOptions, SearchState, Source
from sparkdesk.core.cluster.enrolment import EnrolStage, Who
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.services.fleet.discovery import Discovery
from sparkdesk.services.fleet.look import Looks
from sparkdesk.services.fleet.touch import REST_S, Touches
from sparkdesk.services.wait import wait_for_value
from tests.infra.ssh_server import running_server
from tests.services.fleet.enrol_desk import PASSWORD, TIMEOUT_S, EnrolDesk, MovedClock
from tests.services.fleet.test_discovery import SilentNetwork, no_hosts


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[EnrolDesk]:
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    yield desk
    await desk.close()


class Doors:
    """SSH servers at some addresses, and who knocked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.knocks: list[str] = []

    async def greet(self, address: str, port: int, *, timeout_s: float) -> str:
        self.knocks.append(address)
        return "SSH-2.0-OpenSSH_9.6p1" if address in self.addresses else ""


async def search(discovery: Discovery, ranges: str) -> list[str]:
    """The addresses that a search of this range finds."""
    discovery.start(SearchOptions(sources=frozenset(), ranges=ranges))
    await wait_for_value(
        discovery.progress,
        lambda found: any(each.source is Source.RANGE and each.state is SearchState.DONE for each in found),
        timeout_s=TIMEOUT_S,
    )
    return [candidate.address for candidate in discovery.candidates.value]


async def test_a_search_knocks_nowhere_that_was_touched_within_the_minute(desk: EnrolDesk) -> None:
    touches, doors = Touches(desk.clock), Doors("10.0.0.1", "10.0.0.2")
    discovery = Discovery(
        tasks=desk.tasks, inventory=desk.inventory, listener=SilentNetwork(), greeter=doors, read_hosts=no_hosts,
        program=b"", clock=desk.clock, touches=touches,
    )  # fmt: skip
    touches.note("10.0.0.1", 22)  # a person looked at its key
    assert sorted(await search(discovery, "10.0.0.1-3")) == ["10.0.0.1", "10.0.0.2"]
    assert sorted(doors.knocks) == ["10.0.0.2", "10.0.0.3"]
    assert touches.age_s("10.0.0.2", 22) is not None
    assert touches.age_s("10.0.0.3", 22) is None  # nobody is there
    desk.clock.move(REST_S)
    await search(discovery, "10.0.0.1-2")
    assert sorted(doors.knocks) == ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3"]


def test_a_server_is_its_address_its_port_and_the_way_there() -> None:
    clock = MovedClock()
    touches = Touches(clock)
    touches.note("10.0.0.1", 22)
    assert touches.age_s("10.0.0.1", 2222) is None
    assert touches.age_s("10.0.0.1", 22, "ssh-ed25519 AAAA") is None
    assert touches.age_s("10.0.0.1", 22) is not None
    clock.move(REST_S)
    assert touches.age_s("10.0.0.1", 22) is None


async def test_a_look_that_failed_counts_as_a_touch_and_the_next_one_waits(desk: EnrolDesk) -> None:
    visits = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    desk.enroller.start(Who("127.0.0.1", port, "nvidia"))
    await desk.reach(EnrolStage.FAILED)
    assert visits == 1
    desk.enroller.retry()
    now = await wait_for_value(desk.enroller.enrolment, lambda now: "again in" in now.message, timeout_s=TIMEOUT_S)
    assert now.stage is EnrolStage.LOOKING
    assert visits == 1
    desk.clock.move(61.0)
    await desk.reach(EnrolStage.FAILED)
    assert visits == 2
    server.close()


async def test_a_look_waits_for_the_minute_after_a_searchs_knock(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        touches = Touches(desk.clock)
        touches.note("127.0.0.1", server.port)
        desk.enroller._looks = Looks(SshConnector(), touches, desk.clock)
        desk.start(server)
        await wait_for_value(desk.enroller.enrolment, lambda now: "again in" in now.message, timeout_s=TIMEOUT_S)
        assert server.seen.connections == 0
        desk.clock.move(61.0)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.message == ""
        assert server.seen.connections == 1


async def test_a_server_that_a_search_found_is_shown_at_once_to_who_chooses_it(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        touches = Touches(desk.clock)
        looks = desk.enroller._looks = Looks(SshConnector(), touches, desk.clock)
        touches.note("127.0.0.1", server.port)  # the knock
        await looks.finish_visit("127.0.0.1", server.port)
        desk.start(server)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert server.seen.connections == 1
        assert not server.seen.users


async def test_a_host_is_asked_for_its_key_once_a_minute_however_often_one_clicks(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        for _ in range(4):
            desk.start(server)
            now = await desk.reach(EnrolStage.TRUST)
            assert now.offer is not None
            desk.clock.move(14.0)
        assert server.seen.connections == 1
        desk.clock.move(14.0)
        desk.start(server)
        await desk.reach(EnrolStage.TRUST)
        assert server.seen.connections == 2
        assert not server.seen.users
