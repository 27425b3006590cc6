"""What found servers tell of their work: read now and then through their node, for charts and cards.

The one rule: reading only, at a modest rate, one page at a time; a server that does not answer is left in peace for a
while. What it says is a stranger's: bounded, and only what the metric table says can be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.errors import EndpointError, NodeError
from sparkdesk.core.jobs.engine_page import MORE_PAGES, PAGES, EnginePage
from sparkdesk.core.ports import EndpointClient
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.found_servers import FoundServers
from sparkdesk.services.jobs.heartbeat import Trail, read_more, read_page
from sparkdesk.services.records.reading_book import ReadingBook
from sparkdesk.services.rhythm import Rhythm
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

EVERY_S = 5.0
PEACE_S = 30.0
"""So long a server is left alone that did not answer, or whose node is away."""
MAX_WATCHED = 128
CLOSE_TIMEOUT_S = 3.0


class ServerReadings(ReadingBook):
    """The past readings of found servers. `readers` are the adapters' readers of /metrics, by engine."""

    def __init__(
        self,
        *,
        servers: FoundServers,
        tasks: Tasks,
        clock: Clock,
        readers: Mapping[str, Callable[[str], dict[str, float]]],
        every_s: float = EVERY_S,
        peace_s: float = PEACE_S,
    ) -> None:
        super().__init__(clock.now_ms)
        self._servers = servers
        self._tasks = tasks
        self._clock = clock
        self._pages = dict(PAGES) | {
            engine: (EnginePage("/metrics", read), *MORE_PAGES.get(engine, ())) for engine, read in readers.items()
        }
        self._every_s = every_s
        self._peace_s = peace_s
        self._watched: dict[str, str] = {}
        self._asking: set[str] = set()
        self._is_calm = asyncio.Event()
        self.rhythm = Rhythm()
        self._subscription = servers.servers.subscribe(self._follow)

    async def close(self) -> None:
        """Stop listening, and let every read under way end by itself, bounded."""
        self._subscription.close()
        for server_id in tuple(self._watched):
            self._leave(server_id)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while self._asking:
                    self._is_calm.clear()
                    await self._is_calm.wait()
        except TimeoutError:
            log.info("%d reads of found servers did not end in time", len(self._asking))

    def _follow(self, servers: tuple[FoundServer, ...]) -> None:
        wanted = {server.id: server.engine for server in servers if self._can_tell(server)}
        for server_id, engine in tuple(self._watched.items()):
            if wanted.get(server_id) != engine:
                self._leave(server_id)
        for server_id, engine in wanted.items():
            if server_id not in self._watched and len(self._watched) < MAX_WATCHED:
                self._watched[server_id] = engine
                self._tasks.start_exclusive(_task(server_id), self._watch, server_id, self._pages[engine])
        self.keep_only({server.id for server in servers})

    def _can_tell(self, server: FoundServer) -> bool:
        if server.needs_key or server.engine not in self._pages:
            return False
        return server.has_metrics or all(page.path != "/metrics" for page in self._pages[server.engine])

    def _leave(self, server_id: str) -> None:
        """No more of it. A read under way is not cut half way: it ends by itself."""
        del self._watched[server_id]
        if server_id not in self._asking:
            self._tasks.cancel(_task(server_id))

    async def _watch(self, server_id: str, pages: tuple[EnginePage, ...]) -> None:
        """Read again and again while it is watched."""
        while server_id in self._watched:
            try:
                async with self._connected(server_id) as client:
                    await self._read_on(server_id, client, pages)
            except (EndpointError, NodeError) as error:
                log.debug("readings of %s: %s", server_id, error.sentence())
            if server_id in self._watched:
                await self.rhythm.pause(self._peace_s)

    @asynccontextmanager
    async def _connected(self, server_id: str) -> AsyncIterator[EndpointClient]:
        """Opening and closing count as asking: they too are not to be cut."""
        self._begin(server_id)
        try:
            async with self._servers.client(server_id) as client:
                yield client
                self._begin(server_id)
        finally:
            self._end(server_id)

    async def _read_on(self, server_id: str, client: EndpointClient, pages: tuple[EnginePage, ...]) -> None:
        """Read its pages while they tell anything. Raises EndpointError."""
        trail = Trail()
        while server_id in self._watched:
            self._begin(server_id)
            found = await read_page(client, pages[0])
            if found:
                found = await read_more(client, pages[1:], found)
            if not found or server_id not in self._watched:
                return
            told = trail.add(self._clock.monotonic_s(), found)
            self.add(server_id, told, self._every_s * self.rhythm.factor)
            self._end(server_id)
            await self.rhythm.pause(self._every_s)

    def _begin(self, server_id: str) -> None:
        self._asking.add(server_id)

    def _end(self, server_id: str) -> None:
        self._asking.discard(server_id)
        self._is_calm.set()


def _task(server_id: str) -> str:
    return f"readings of {server_id}"
