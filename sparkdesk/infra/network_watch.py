"""Tells when this computer's network is another, so that lost lines are tried at once instead of after a time-out.

Linux tells by rtnetlink: links, addresses and routes come and go as messages on a socket. The one rule: a message that
repeats what is known is no change (routers refresh their addresses and routes all the time), and a burst is one change.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator

log = logging.getLogger(__name__)

_IS_LINUX = sys.platform.startswith("linux")
QUIET_S = 0.3
"""A burst of messages is over when nothing came for so long."""
LEAST_GAP_S = 2.0
READ_BYTES = 65536

# Source: linux/rtnetlink.h, linux/if.h, linux/netlink.h.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # link, IPv4 address, IPv4 route, IPv6 address, IPv6 route
_NEWLINK, _DELLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 21, 24, 25
_REMOVALS = {_DELLINK: _NEWLINK, _DELADDR: _NEWADDR, _DELROUTE: _NEWROUTE}
_IFF_UP_AND_RUNNING = 0x1 | 0x40
_RTM_F_CLONED = 0x200
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, changed
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, lengths, tos, table, protocol, scope, type, flags

Known = dict[tuple[object, ...], object]
"""What is there, by kind and identity, as far as messages told."""


def take_message(known: Known, data: bytes) -> bool:
    """Note what a datagram says in `known`; gives whether any of it is news. What cannot be read is none."""
    has_news = False
    for kind, body in _messages(data):
        found = _understand(kind, body)
        if found is None:
            continue
        identity, value = found
        if kind in _REMOVALS:
            # What was there before this program began is not known; that it goes is news all the same.
            known.pop(identity, None)
            has_news = True
        elif known.get(identity) != value:
            known[identity] = value
            has_news = True
    return has_news


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _understand(kind: int, body: bytes) -> tuple[tuple[object, ...], object] | None:
    """What a message is about, and what it says of it; None when it is about nothing that matters."""
    what = _REMOVALS.get(kind, kind)
    try:
        if what == _NEWLINK:
            _, _, index, flags, _ = _LINK.unpack_from(body)
            return (what, index), flags & _IFF_UP_AND_RUNNING
        if what == _NEWADDR:
            family, prefix, _, _, index = _ADDRESS.unpack_from(body)
            found = dict(_attributes(body[_ADDRESS.size :]))
            return (what, family, prefix, index, found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)), True
        if what == _NEWROUTE:
            *head, flags = _ROUTE.unpack_from(body)
            if flags & _RTM_F_CLONED:
                return None
            found = dict(_attributes(body[_ROUTE.size :]))
            parts = (found.get(name) for name in (_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE))
            return (what, *head, *parts), True
    except struct.error:
        pass
    return None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += (length + 3) & ~3


class NetworkWatch:
    """Fulfils core's port of the same name."""

    @property
    def absence(self) -> str:
        """Why nothing can be told here; "" when it can."""
        if _IS_LINUX:
            return ""
        return "This system does not tell SparkDesk when its network changes: lost nodes are found a little later."

    async def changes(self) -> AsyncIterator[None]:
        """One item a change, at most one in two seconds; ends at once where nothing can be told."""
        opened = _open_socket()
        if opened is None:
            return
        with opened as sock:
            loop = asyncio.get_running_loop()
            known: Known = {}
            arrived = asyncio.Event()
            loop.add_reader(sock.fileno(), arrived.set)
            try:
                while True:
                    await arrived.wait()
                    if await _settle(sock, known, arrived):
                        yield
                        await asyncio.sleep(LEAST_GAP_S - QUIET_S)
            except OSError as error:
                log.warning("changes of the network are heard no more: %s", error)
            finally:
                loop.remove_reader(sock.fileno())


def _open_socket() -> socket.socket | None:
    if not _IS_LINUX:
        return None
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    except OSError as error:
        log.warning("changes of the network cannot be heard: %s", error)
        return None
    try:
        sock.bind((0, _GROUPS))
    except OSError as error:
        sock.close()
        log.warning("changes of the network cannot be heard: %s", error)
        return None
    return sock


async def _settle(sock: socket.socket, known: Known, arrived: asyncio.Event) -> bool:
    """Take in messages until it is quiet; gives whether there was news. A burst that never ends is cut."""
    has_news = False
    for _ in range(10):
        has_news |= _drain(sock, known)
        arrived.clear()
        if not has_news:
            return False
        try:
            async with asyncio.timeout(QUIET_S):
                await arrived.wait()
        except TimeoutError:
            break
    return has_news


def _drain(sock: socket.socket, known: Known) -> bool:
    has_news = False
    while True:
        try:
            data = sock.recv(READ_BYTES)
        except BlockingIOError:
            return has_news
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            known.clear()  # messages were lost: nothing is known any more
            has_news = True
            continue
        has_news |= take_message(known, data)
