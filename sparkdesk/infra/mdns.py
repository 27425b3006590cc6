"""Listens for machines that announce SSH on this network (mDNS, `_ssh._tcp`). The only door to zeroconf.

The one rule: it asks for names and listens; it connects to nobody, and announces nothing of this computer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from zeroconf import Error, InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from sparkdesk.core.errors import Unreachable
from sparkdesk.core.ports import Announcement

log = logging.getLogger(__name__)

SERVICE = "_ssh._tcp.local."
"""What a Spark announces through avahi. Source: NVIDIA's connect-two-sparks playbook, discover-sparks."""
RESOLVE_MS = 3000
MAX_WAITING = 500


class MdnsListener:
    """Fulfils core's Listener. `interfaces` are this computer's own addresses; empty is all of them."""

    def __init__(self, interfaces: Sequence[str] = ()) -> None:
        self._interfaces = list(interfaces)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[Announcement]]:
        """While the block lives, each machine that announces SSH, as it is heard. Raises Unreachable: no multicast."""
        try:
            zeroconf = AsyncZeroconf(
                interfaces=self._interfaces or InterfaceChoice.Default, ip_version=IPVersion.V4Only
            )
        except (OSError, Error) as error:
            raise Unreachable(
                "This computer cannot listen for announcements",
                remedy="Add the Spark by its address.",
                detail=str(error),
            ) from error
        heard: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

        def on_change(*, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
            if state_change is not ServiceStateChange.Removed and not heard.full():
                heard.put_nowait(name)

        browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[on_change])
        try:
            yield _announcements(zeroconf, heard)
        finally:
            await browser.async_cancel()
            await zeroconf.async_close()


async def _announcements(zeroconf: AsyncZeroconf, heard: asyncio.Queue[str]) -> AsyncIterator[Announcement]:
    while True:
        name = await heard.get()
        info = AsyncServiceInfo(SERVICE, name)
        try:
            is_known = await info.async_request(zeroconf.zeroconf, RESOLVE_MS)
        except (OSError, Error) as error:
            log.info("mDNS: %s", error)
            continue
        if is_known and info.port:
            yield Announcement(
                name=name.removesuffix(f".{SERVICE}"),
                host=(info.server or "").rstrip("."),
                addresses=tuple(info.parsed_scoped_addresses(IPVersion.V4Only)),
                port=info.port,
            )
