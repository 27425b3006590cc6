"""Real echo requests in the node's own network, for its `ping`.

The one rule: only what the kernel received is told. Needs no rights where /proc/sys/net/ipv4/ping_group_range allows
it, as a node's does. Source: RFC 792, RFC 4443.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import NamedTuple

_IP_MTU, _IPV6_MTU = 14, 24  # Source: linux/in.h, linux/in6.h
_PAYLOAD_BYTES = 8  # the time of sending
# Linux's numbers, which Python does not name (everywhere).
_SO_BINDTODEVICE, _IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _IPV6_DONTFRAG, _PMTUDISC_DO = 25, 10, 23, 62, 2


class Request(NamedTuple):
    """Whom to ask and how. `device` is "" for the way that the routes have; `size` counts bytes after the header."""

    host: str
    device: str = ""
    probes: int = 0
    size: int = 56
    wait_s: float = 1.0
    end_s: float = 0.0
    """After so many seconds it is over; 0 is never."""
    is_whole: bool = False
    """Never in pieces."""
    pause_s: float = 1.0
    """Between two requests."""


class Answer(NamedTuple):
    """One echo reply."""

    address: str
    number: int
    size: int
    time_ms: float


def open_socket(request: Request) -> tuple[socket.socket, tuple[object, ...]]:
    """A socket and whom to send to. Raises OSError, where no route leads there too."""
    is_v6 = ":" in request.host
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    if not is_v6:
        with socket.socket(family, socket.SOCK_DGRAM) as route:
            route.connect((request.host, 1025))
    end = socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP)
    try:
        scope = socket.if_nametoindex(request.device) if request.device else 0
        if request.device:
            end.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, request.device.encode() + b"\0")
        if request.is_whole and is_v6:
            end.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DO)
            end.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
        elif request.is_whole:
            end.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)
        if is_v6 and scope:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, scope)
    except OSError:
        end.close()
        raise
    return end, (request.host, 0, 0, scope) if is_v6 else (request.host, 0)


def way_mtu(request: Request) -> int:
    """The MTU of the way to a host, as the kernel has it; 0 where it tells none."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in request.host else socket.AF_INET, socket.SOCK_DGRAM) as way:
            if request.device:
                way.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, request.device.encode() + b"\0")
            way.connect((request.host, 1025))
            level, name = (socket.IPPROTO_IPV6, _IPV6_MTU) if ":" in request.host else (socket.IPPROTO_IP, _IP_MTU)
            return way.getsockopt(level, name)
    except OSError:
        return 0


def send(end: socket.socket, target: tuple[object, ...], number: int, size: int) -> None:
    """One request. Raises OSError."""
    kind = 128 if end.family == socket.AF_INET6 else 8
    body = struct.pack("=d", time.monotonic())[: min(size, _PAYLOAD_BYTES)].ljust(size, b"\x10")
    end.sendto(struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, number) + body, target)


def receive(end: socket.socket, wait_s: float) -> Answer | None:
    """The next reply within this time."""
    if not select.select([end], [], [], max(0.0, wait_s))[0]:
        return None
    data, sender = end.recvfrom(65536)
    if len(data) < 8:
        return None
    (number,) = struct.unpack_from("!6xH", data)
    sent_s = struct.unpack_from("=d", data, 8)[0] if len(data) >= 8 + _PAYLOAD_BYTES else time.monotonic()
    return Answer(str(sender[0]).partition("%")[0], number, len(data), max(0.0, time.monotonic() - sent_s) * 1000)
