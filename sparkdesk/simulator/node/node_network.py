"""What a node's own configuration makes of its fast ports: addresses and MTU, over what the cables say.

The one rule: the last word counts. What root of the node set stays until root sets it anew, the node restarts, or a
fault of the port comes or goes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_MTU = 9216
LEAST_MTU = 68  # Source: linux/if_ether.h ETH_MIN_MTU
_MAX_ADDRESSES = 16

Port = dict[str, Any]


class BadSetting(Exception):
    """A setting that no port can have; the text is for the program that asked."""


@dataclass(frozen=True, slots=True)
class _Own:
    """What root set, and what the model of the cables said at that moment."""

    value: Any
    told: Any
    faults: tuple[str, ...]


class NodeNetwork:
    """Told what the cables are like and what root wants; `ports` is what follows."""

    def __init__(self) -> None:
        self._told: dict[str, Port] = {}
        self._mtus: dict[str, _Own] = {}
        self._addresses: dict[str, _Own] = {}

    def tell(self, ports: Iterable[Mapping[str, Any]]) -> None:
        """The cables say this of the ports."""
        self._told = {str(port["netdev"]): dict(port) for port in ports}

    @property
    def ports(self) -> list[Port]:
        """Each port as it is: `addresses` are all of its IPv4 addresses, `address` the first of them or ""."""
        return [self._effective(port) for port in self._told.values()]

    def set_mtu(self, netdev: str, mtu: int) -> None:
        """Root gives a port another MTU. Raises BadSetting."""
        port = self._known(netdev)
        if not LEAST_MTU <= mtu <= MOST_MTU:
            raise BadSetting(f"no MTU: {mtu}")
        self._mtus[netdev] = _Own(mtu, port["mtu"], tuple(port["faults"]))

    def set_addresses(self, netdev: str, addresses: Iterable[str]) -> None:
        """Root gives a port these addresses and takes all others away. Raises BadSetting."""
        port = self._known(netdev)
        wanted = tuple(dict.fromkeys(addresses))
        if len(wanted) > _MAX_ADDRESSES:
            raise BadSetting("too many addresses")
        for address in wanted:
            check_address(address)
        self._addresses[netdev] = _Own(wanted, port["address"], tuple(port["faults"]))

    def add_address(self, netdev: str, address: str) -> None:
        """One more. Raises BadSetting."""
        before = self.addresses_of(netdev)
        if address in before:
            raise BadSetting("it has it already")
        self.set_addresses(netdev, (*before, address))

    def remove_address(self, netdev: str, address: str) -> None:
        """One less. Raises BadSetting."""
        before = self.addresses_of(netdev)
        if address not in before:
            raise BadSetting("it has it not")
        self.set_addresses(netdev, (other for other in before if other != address))

    def addresses_of(self, netdev: str) -> tuple[str, ...]:
        """The addresses of a port now. Raises BadSetting."""
        return tuple(self._effective(self._known(netdev))["addresses"])

    def _known(self, netdev: str) -> Port:
        if netdev not in self._told:
            raise BadSetting(f"no port is called {netdev}")
        return self._told[netdev]

    def _effective(self, port: Port) -> Port:
        name = port["netdev"]
        usual = (port["address"],) if port["address"] else ()
        addresses = self._choose(self._addresses.get(name), port, port["address"], usual)
        mtu = self._choose(self._mtus.get(name), port, port["mtu"], port["mtu"])
        return {**port, "mtu": mtu, "addresses": list(addresses), "address": addresses[0] if addresses else ""}

    def _choose(self, own: _Own | None, port: Port, told: Any, usual: Any) -> Any:
        is_newer = own is not None and own.told == told and own.faults == tuple(port["faults"])
        return own.value if own is not None and is_newer else usual


def check_address(address: str) -> None:
    """Raise BadSetting where this is no "192.168.100.1/24"."""
    text, slash, prefix = address.partition("/")
    try:
        socket.inet_pton(socket.AF_INET, text)
    except OSError as error:
        raise BadSetting(f"no address: {address}") from error
    if not slash or not prefix.isdecimal() or not 1 <= int(prefix) <= 32:
        raise BadSetting(f"no address with a prefix: {address}")
