"""Clients of running servers, shared: chat, bench and heartbeat of one job use one forward through its node.

The one rule: a client lives as long as somebody uses it, over the connection that is live now; one whose connection was
replaced is given to nobody new.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient, EndpointClients, Shell

CLOSE_TIMEOUT_S = 5.0


@dataclass(slots=True)
class _Lease:
    """A client with its forward, and how many use it."""

    shell: Shell
    client: EndpointClient
    stack: AsyncExitStack
    users: int = 0


class EndpointPool:
    """One client per server, reference-counted."""

    def __init__(self, shells: Callable[[str], Shell], clients: EndpointClients) -> None:
        self._shells = shells
        self._clients = clients
        self._leases: dict[str, _Lease] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def client(self, key: str, endpoint: Endpoint, *, api_key: str = "") -> AsyncIterator[EndpointClient]:
        """A client for the endpoint; `key` names the server. Raises a NodeError when its node is not live."""
        async with self._opening.setdefault(key, asyncio.Lock()):
            lease = await self._take(key, endpoint, api_key)
        try:
            yield lease.client
        finally:
            lease.users -= 1
            if lease.users == 0:
                if self._leases.get(key) is lease:
                    del self._leases[key]
                await _close(lease)

    async def _take(self, key: str, endpoint: Endpoint, api_key: str) -> _Lease:
        shell = self._shells(endpoint.node_id)
        lease = self._leases.get(key)
        if lease is None or lease.shell is not shell:
            stack = AsyncExitStack()
            address = await stack.enter_async_context(shell.forward(endpoint.host, endpoint.port))
            lease = _Lease(shell, self._clients.open(endpoint, address, api_key=api_key), stack)
            self._leases[key] = lease
        lease.users += 1
        return lease

    def drop(self, key: str) -> None:
        """The server ends: give its client to nobody new. Who uses it sees it cut off, and closes it by leaving.

        It is not closed from here: a connection that one task reads must not be closed by another.
        """
        self._leases.pop(key, None)

    def close(self) -> None:
        """Drop every client."""
        self._leases.clear()


async def _close(lease: _Lease) -> None:
    """Bounded: the forward of a dead connection must not hold anybody up."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await lease.client.close()
            await lease.stack.aclose()
    except TimeoutError:
        pass  # it ends with its connection
