"""Set up the ports inside a node's own network: size of packets, IPv4 addresses, on.

The one rule: only the ports that the fabric has put there are touched; without them nothing happens.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sparkdesk.simulator.fabric.netlink import Netlink


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a port is to be like."""

    mtu: int
    addresses: tuple[str, ...]


class PortSetter:
    """Remembers what it did to each port, and does what is different."""

    def __init__(self) -> None:
        self._netlink = Netlink()
        self._done: dict[str, _Wish] = {}

    def apply(self, ports: Iterable[Mapping[str, Any]]) -> None:
        """Let the ports be like this. A port that is gone stays away; a node's root may have changed its own."""
        there = {name: number for number, name in socket.if_nameindex()}
        for port in ports:
            name, wanted = str(port["netdev"]), _Wish(int(port["mtu"]), tuple(map(str, port["addresses"])))
            if name in there and self._done.get(name) != wanted:
                with contextlib.suppress(OSError):
                    self._set(there[name], wanted, self._done.get(name))
                    self._done[name] = wanted

    def _set(self, number: int, wanted: _Wish, before: _Wish | None) -> None:
        had = before.addresses if before is not None else ()
        self._netlink.set_mtu(number, wanted.mtu)
        for address in had:
            if address not in wanted.addresses:
                _ignore(errno.EADDRNOTAVAIL, self._netlink.remove_address, number, address)
        for address in wanted.addresses:
            if address not in had:
                _ignore(errno.EEXIST, self._netlink.add_address, number, address)
        self._netlink.set_up(number, is_up=True)


def _ignore(code: int, act: Callable[[int, str], None], number: int, address: str) -> None:
    """Do this; it may have been done already."""
    try:
        act(number, address)
    except OSError as error:
        if error.errno != code:
            raise
