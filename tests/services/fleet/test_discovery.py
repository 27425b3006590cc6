"""A search that replaces another is told of by itself alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sparkdesk.core.cluster.candidate import SearchOptions, SearchState, Source
from sparkdesk.core.ports import Announcement, ConfiguredHost
from sparkdesk.infra.ssh_greeting import SshGreeter
from sparkdesk.services.fleet.discovery import Discovery
from sparkdesk.services.wait import wait_for_value
from tests.services.fleet.fleet_desk import fleet_desk


class SilentNetwork:
    """A network on which nobody announces anything."""

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[Announcement]]:
        yield self._wait()

    async def _wait(self) -> AsyncIterator[Announcement]:
        await asyncio.Event().wait()
        yield Announcement("", "", (), 0)


async def no_hosts() -> tuple[ConfiguredHost, ...]:
    return ()


async def test_a_search_that_was_replaced_does_not_call_the_next_one_stopped() -> None:
    async with fleet_desk() as desk:
        discovery = Discovery(
            tasks=desk.tasks,
            inventory=desk.inventory,
            listener=SilentNetwork(),
            greeter=SshGreeter(),
            read_hosts=no_hosts,
            program=b"",
            clock=desk.clock,
        )

        def state() -> SearchState:
            return next(entry.state for entry in discovery.progress.value if entry.source is Source.MDNS)

        def is_running(_progress: object) -> bool:
            return state() is SearchState.RUNNING

        discovery.start(SearchOptions(sources=frozenset({Source.MDNS})))
        await wait_for_value(discovery.progress, is_running, timeout_s=10)
        seen: list[SearchState] = []
        watch = discovery.progress.subscribe(lambda _progress: seen.append(state()))
        discovery.start(SearchOptions(sources=frozenset({Source.MDNS})))
        seen.clear()
        for _ in range(20):
            await asyncio.sleep(0)
        watch.close()
        assert set(seen) <= {SearchState.IDLE, SearchState.RUNNING}
        assert state() is SearchState.RUNNING
        discovery.stop()
        await wait_for_value(discovery.progress, lambda _progress: state() is SearchState.DONE, timeout_s=10)
