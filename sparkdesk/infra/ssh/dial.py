"""The way to a node: a TCP connection, or a channel through a jump host's connection.

The one rule: the first bytes of the far end are looked at before asyncssh swallows them, because there sshd says why it
hangs up.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import asyncssh

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import NodeBusy, NodeError, Unreachable
from sparkdesk.infra.ssh.error import FOREIGN, map_error

RESOLVE_TIMEOUT_S = 5.0
TCP_TIMEOUT_S = 3.0
MAX_ADDRESSES = 4
GREETING_BYTES = 64

_BUSY_GREETING = b"Exceeded MaxStartups"
_PENALTY_GREETING = b"Not allowed at this time"


class NoFreeLogin(NodeBusy):
    """sshd has no free login slot now: worth another try in a moment."""


class Tunnel:
    """What asyncssh takes as `tunnel=`: opens a channel to the node on the jump host's connection.

    asyncssh's own ProxyJump from an SSH config would not check the jump host against the key that was confirmed here.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, record: NodeRecord) -> None:
        self._connection = connection
        self._record = record
        self.first = b""
        """The far end's first bytes."""

    async def create_connection(
        self, session_factory: Callable[[], Any], remote_host: str, remote_port: int
    ) -> tuple[Any, Any]:
        """Called by asyncssh. Raises Unreachable when the jump host finds no way."""

        def listen() -> Any:
            session = session_factory()
            hear = session.data_received

            def data_received(data: bytes, datatype: int | None = None) -> None:
                if len(self.first) < GREETING_BYTES:
                    self.first += data[:GREETING_BYTES]
                hear(data, datatype)

            session.data_received = data_received
            return session

        try:
            return await self._connection.create_connection(listen, remote_host, remote_port)
        except asyncssh.ChannelOpenError as error:
            raise self._no_way(error) from error

    def _no_way(self, error: asyncssh.ChannelOpenError) -> Unreachable:
        record = self._record
        assert record.jump is not None
        error_here = Unreachable(
            f"The {record.jump.title} does not reach port {record.port} of {record.address}",
            remedy="Check that the node is on and in the jump host's network, and that the jump host allows "
            "forwarding (AllowTcpForwarding).",
            detail=f"{error.reason}"[:400],
            node=record.name,
        )
        error_here.was_met = False
        return error_here


async def open_socket(record: NodeRecord) -> socket.socket:
    """A connected TCP socket, by the first of the name's addresses that answers. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    last: Exception = OSError("the name has no address")
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(record.address, record.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, TimeoutError):
            error = socket.gaierror(socket.EAI_AGAIN, "no answer from the name server")
        raise _unreachable(record, error) from error
    for family, kind, protocol, _, where in found[:MAX_ADDRESSES]:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(TCP_TIMEOUT_S):
                await loop.sock_connect(sock, where)
            return sock
        except OSError as error:
            sock.close()
            last = error
        except asyncio.CancelledError:
            sock.close()
            raise
    raise _unreachable(record, last) from last


def _unreachable(record: NodeRecord, error: BaseException, *, was_met: bool = False) -> NodeError:
    mapped = map_error(error, node=record.name, address=record.address, port=record.port)
    if isinstance(mapped, Unreachable):
        mapped.was_met = was_met
    return mapped


async def check_greeting(record: NodeRecord, sock: socket.socket) -> None:
    """Looks at sshd's first bytes without taking them. Raises NodeBusy, Unreachable."""
    try:
        first = await _peek(sock)
    except NotImplementedError:
        return  # an event loop that cannot watch a socket (Windows): asyncssh will say "lost"
    except OSError as error:
        raise _unreachable(record, error, was_met=True) from error
    judge_greeting(record, first)


def judge_greeting(record: NodeRecord, first: bytes) -> None:
    """Raises NodeBusy when the first bytes are a refusal; no bytes at all are one too."""
    if first.startswith(_PENALTY_GREETING):
        raise NodeBusy(
            f"{record.name} refuses this computer for a while because of failed sign-ins",
            remedy="Wait: it lets go by itself after at most 10 minutes. SparkDesk tries again, seldom.",
            node=record.name,
        )
    if not first or first.startswith(_BUSY_GREETING):
        raise NoFreeLogin(
            f"{record.name} is busy with other logins",
            remedy="SparkDesk tries again. If it stays so, look for programs that log in there again and again.",
            detail=first.decode("ascii", "replace").strip(),
            node=record.name,
        )


async def _peek(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(sock, tell)
    try:
        await readable
    finally:
        loop.remove_reader(sock)
    return sock.recv(GREETING_BYTES, socket.MSG_PEEK)


# What host keys it has ----------------------------------------------------------------------------------------------

_VERSION = b"SSH-2.0-SparkDesk\r\n"
_KEXINIT = 20
"""Source: RFC 4253, section 12."""
_MAX_HEARD_BYTES = 64 * 1024
HEAR_TIMEOUT_S = 3.0
_NO_ANSWER: tuple[type[Exception], ...] = (NodeError, *FOREIGN)


async def hear_host_key_kinds(record: NodeRecord, tunnel: asyncssh.SSHClientConnection | None) -> tuple[str, ...]:
    """The kinds of host key that a node offers, from its opening message; nothing but our version is sent.

    sshd hangs up on a client that takes none of them, and its own list is then lost with the connection. Empty when it
    cannot be heard; never raises.
    """
    reader: Any = None
    writer: Any = None
    try:
        async with asyncio.timeout(HEAR_TIMEOUT_S):
            if tunnel is None:
                reader, writer = await asyncio.open_connection(sock=await open_socket(record))
            else:
                reader, writer = await tunnel.open_connection(record.address, record.port, encoding=None)
            writer.write(_VERSION)
            heard = b""
            while len(heard) < _MAX_HEARD_BYTES:
                piece = await reader.read(4096)
                heard += piece
                kinds = read_host_key_kinds(heard)
                if kinds or not piece:
                    return kinds
    except _NO_ANSWER:
        return ()
    finally:
        if writer is not None:
            writer.close()
    return ()


def read_host_key_kinds(heard: bytes) -> tuple[str, ...]:
    """The second name list of an SSH opening (version line, then KEXINIT); empty when it is not whole."""
    start = heard.find(b"SSH-")
    end = heard.find(b"\n", max(start, 0))
    packet = heard[end + 1 :]
    # length, padding length, message number, cookie; then the name lists (Source: RFC 4253, sections 6 and 7.1).
    if start < 0 or end < 0 or len(packet) < 26 or packet[5] != _KEXINIT:
        return ()
    at = 22
    names = b""
    for _ in range(2):
        size = int.from_bytes(packet[at : at + 4], "big")
        names = packet[at + 4 : at + 4 + size]
        if len(names) < size or at + 4 > len(packet):
            return ()
        at += 4 + size
    return tuple(names.decode("ascii", "replace").split(","))[:50] if names else ()
