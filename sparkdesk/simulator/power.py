"""Power of the simulated nodes: a restart with a new boot id, a shut-down that lasts until it is waked.

The one rule: only the node's own processes end and start; nothing here knows this computer's power.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.node.node import NodeError
from sparkdesk.simulator.ssh.server import NodeServer

ANSWER_S = 0.4  # who asked for it gets an answer before the line is cut
WAKE_PORT = 9  # Source: IANA "discard", by custom where magic packets go
_log = logging.getLogger(__name__)


class Power:
    """Switches nodes. `group` owns what runs meanwhile; `on_boot` is called for each node that has come up again."""

    def __init__(self, group: asyncio.TaskGroup, boot_s: float, on_boot: Callable[[NodeServer], None]) -> None:
        self._group = group
        self._boot_s = boot_s
        self._on_boot = on_boot
        self._busy: set[str] = set()
        self._off: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.DatagramTransport] = []

    def is_on(self, server: NodeServer) -> bool:
        """Whether the node runs and is not about to go down."""
        return server.node.identity.name not in self._busy | self._off

    def request(self, server: NodeServer, how: str) -> None:
        """`reboot` or `poweroff`; one that is on its way already stays as it is."""
        name = server.node.identity.name
        if self.is_on(server):
            self._busy.add(name)
            self._begin(self._cycle(server, how))

    def wake(self, server: NodeServer) -> bool:
        """Start a node that was shut down; False when it runs or is on its way."""
        name = server.node.identity.name
        if name not in self._off:
            return False
        self._off.discard(name)
        self._busy.add(name)
        self._begin(self._boot(server))
        return True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cycle(self, server: NodeServer, how: str) -> None:
        await asyncio.sleep(ANSWER_S)
        server.cut()
        await server.node.lose_power()
        if how == "poweroff":
            self._busy.discard(server.node.identity.name)
            self._off.add(server.node.identity.name)
            return
        await self._boot(server)

    async def _boot(self, server: NodeServer) -> None:
        await asyncio.sleep(self._boot_s)
        name = server.node.identity.name
        try:
            await server.node.start(is_confined=server.node.is_confined)
            await server.listen(server.kept_port)
            self._on_boot(server)
        except (NodeError, OSError) as error:
            _log.error("%s did not come up again: %s", name, error)
            server.node.stop()
            self._off.add(name)
        finally:
            self._busy.discard(name)

    async def listen(self, servers: Iterable[NodeServer]) -> None:
        """Hear magic packets that are sent to a node's own address, where this user may take the port."""
        loop = asyncio.get_running_loop()
        for server in servers:
            end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end.setblocking(False)
            try:
                end.bind((server.node.identity.address, WAKE_PORT))
            except OSError:
                end.close()
                return
            listener = _Listener(self, server)
            transport, _protocol = await loop.create_datagram_endpoint(functools.partial(_same, listener), sock=end)
            self._listeners.append(transport)

    def close(self) -> None:
        """Hear no more, and leave what is on its way."""
        for task in list(self._tasks):
            task.cancel()
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.close()


def _same(listener: _Listener) -> _Listener:
    return listener


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, power: Power, server: NodeServer) -> None:
        self._power = power
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Six bytes of ones, then the MAC sixteen times: the node wakes. Anything else is nothing."""
        if is_magic(data, gb10.hardware_address(self._server.node.identity.index, 1)):
            self._power.wake(self._server)


def is_magic(data: bytes, mac: str) -> bool:
    """Whether a magic packet for this MAC is in the data. Source: AMD, Magic Packet Technology (publication 20213)."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16 in data
