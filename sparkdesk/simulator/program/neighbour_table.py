"""The kernel's table of neighbours in the node's own network, by the routing socket.

The one rule: reads only. Numbers. Source: linux/rtnetlink.h, linux/neighbour.h.
"""

from __future__ import annotations

import socket
import struct

_GETNEIGH, _NEWNEIGH, _DONE, _ERROR = 30, 28, 3, 2
_REQUEST_DUMP = 0x1 | 0x300
_DST, _LLADDR = 1, 2
_USELESS = 0x20 | 0x40  # failed; needs none, as of groups


def read() -> list[tuple[str, str, str]]:
    """(device, address, MAC), IPv6 first. Nothing where the kernel tells nothing."""
    found: list[tuple[str, str, str]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as end:
        end.settimeout(2.0)
        for family in (socket.AF_INET6, socket.AF_INET):
            try:
                end.send(struct.pack("=IHHII", 28, _GETNEIGH, _REQUEST_DUMP, 1, 0) + struct.pack("=B11x", family))
                found += _read_dump(end, family)
            except OSError:
                continue
    return found


def _read_dump(end: socket.socket, family: int) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    while True:
        data = end.recv(65536)
        while len(data) >= 16:
            length, kind = struct.unpack_from("=IH", data)
            if kind in (_DONE, _ERROR) or length < 16:
                return found
            if kind == _NEWNEIGH:
                found += _read_row(data[16:length], family)
            data = data[length + -length % 4 :]


def _read_row(row: bytes, family: int) -> list[tuple[str, str, str]]:
    number, state = struct.unpack_from("=4xiH", row)
    values, at = {}, 12
    while at + 4 <= len(row):
        length, kind = struct.unpack_from("=HH", row, at)
        values[kind] = row[at + 4 : at + length]
        at += max(4, length + -length % 4)
    if state & _USELESS or _DST not in values or len(values.get(_LLADDR, b"")) != 6:
        return []
    return [(socket.if_indextoname(number), socket.inet_ntop(family, values[_DST]), values[_LLADDR].hex(":"))]
