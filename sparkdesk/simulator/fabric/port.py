"""What each port of each node is like, given the wires and the faults that are on: the model behind cables and files.

The one rule: pure, and the only place that decides what a cable does. The real network is set up from it, the files of
a node show it, and where there are no packets the programs of a node answer from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sparkdesk.simulator.fabric.cabling import End, Wire, address_of, wrong_address
from sparkdesk.simulator.machine import gb10

SLOW_MBPS = 100_000  # what a switch that negotiates by itself may give. Source: multi-sparks-through-switch
SMALL_MTU = 1500
WIRE_MTU = 9216
DEVICE_FAULTS = ("storage", "stranger", "silent")
SWITCH_NAME = "switch-1"
STORAGE_NAME = "storage-1"
_SWITCH_MAC = "02:5d:00:00:00:01"


@dataclass(frozen=True, slots=True, order=True)
class LinkFault:
    """A fault at one cage; `half` is 0 or 1 where it is at one half only, else -1."""

    name: str
    end: End
    half: int = -1


@dataclass(frozen=True, slots=True)
class Port:
    """One half of one cage as it is now. `segment` is the part of a wire that it is on, "" without a plug.

    `wire_mtu` is what the wire carries; `peers` are (MAC, IPv4 address or "") of who would answer a ping of all.
    """

    node: int
    netdev: str
    mac: str
    cage: int
    half: int
    segment: str = ""
    is_switched: bool = False
    carrier: bool = False
    speed_mbps: int = -1
    mtu: int = SMALL_MTU
    wire_mtu: int = WIRE_MTU
    address: str = ""
    is_rdma_active: bool = False
    is_deaf: bool = False
    lldp: tuple[str, str, bool] | None = None
    """Name, MAC and whether it is a bridge, of who names itself at the other end."""
    peers: tuple[tuple[str, str], ...] = ()
    faults: tuple[str, ...] = ()
    """The faults that are at this very port."""

    def as_dict(self) -> dict[str, Any]:
        """For a message."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Device:
    """A machine at the other end of a cable that is no node, and answers a ping."""

    segment: str
    mac: str


def device_mac(fault: LinkFault) -> str:
    """The MAC of the storage or of the stranger in this cage: of no maker, as the second bit says."""
    kind = 0x50 + DEVICE_FAULTS.index(fault.name)
    return f"02:5d:{kind:02x}:00:{fault.end.node:02x}:{fault.end.cage:02x}"


def read_fault(name: str, node: int, place: str, wires: Sequence[Wire]) -> LinkFault:
    """The fault NAME at a cage ("P1") or at a half (by its netdev); "" is the usual place.

    Raises ValueError for a place that no node has.
    """
    if place in ("P0", "P1"):
        return LinkFault(name, End(node, int(place[1])), 1 if name in _OF_HALVES else -1)
    for half in gb10.HALVES:
        if place == half.netdev:
            return LinkFault(name, End(node, half.cage), gb10.half_number(half) if name in _OF_HALVES else -1)
    if place:
        names = ", ".join(("P0", "P1", *(half.netdev for half in gb10.HALVES)))
        raise ValueError(f"no place of a node is called {place!r}; there are: {names}")
    cabled = sorted(end.cage for wire in wires for end in wire.ends if end.node == node)
    if name in DEVICE_FAULTS:
        free = [cage for cage in (0, 1) if cage not in cabled]
        cage = free[0] if free else 0
    else:
        cage = cabled[-1] if cabled else gb10.CABLED_CAGE
    return LinkFault(name, End(node, cage), 1 if name in _OF_HALVES else -1)


_OF_HALVES = ("half-down", "rdma-inactive")


def make_ports(
    wires: Iterable[Wire],
    faults: Iterable[LinkFault],
    count: int,
    dark: Iterable[int] = (),
    *,
    is_fresh: bool = False,
) -> tuple[Port, ...]:
    """All ports of nodes 1 to `count`, four a node. Nodes that are `dark` have no power: their ends give no light.

    Where they are `is_fresh` nobody has set up a port: it has no address, and the MTU that a driver begins with.
    """
    unlit = (LinkFault("cable-out", End(node, cage)) for node in dark for cage in (0, 1))
    on = frozenset((*faults, *unlit))
    at = {end: wire for wire in wires for end in wire.ends}
    ports = [_make_port(End(node, half.cage), half, at, on) for node in range(1, count + 1) for half in gb10.HALVES]
    if is_fresh:
        ports = [
            replace(port, mtu=SMALL_MTU, address=port.address if "wrong-subnet" in port.faults else "")
            for port in ports
        ]
    return tuple(replace(port, peers=tuple(_peers(port, ports, on))) for port in ports)


def _make_port(end: End, half: gb10.CageHalf, at: dict[End, Wire], on: frozenset[LinkFault]) -> Port:
    number = gb10.half_number(half)
    own = {fault.name: fault for fault in on if fault.end == end and fault.half in (-1, number)}
    mac = gb10.hardware_address(end.node, gb10.netdev_number(half.netdev))
    port = Port(end.node, half.netdev, mac, end.cage, number, faults=tuple(sorted(own)))
    device = next((own[name] for name in DEVICE_FAULTS if name in own), None)
    wire = at.get(end)
    if _is_pulled(end, on) or (wire is None and device is None):
        return port
    if device is not None:
        name = "" if device.name != "storage" else STORAGE_NAME
        lldp = (name, device_mac(device), False) if name else None
        port = replace(port, segment=f"d{end.node}p{end.cage}", carrier=True, lldp=lldp)
        wire = None
    elif wire is not None:
        others = [other for other in wire.ends if other != end]
        is_whole = wire.is_switch or all(_is_in(other, on) for other in others)
        port = replace(
            port,
            segment=f"w{wire.number}" if wire.is_switch else f"w{wire.number}{'ab'[number]}",
            is_switched=wire.is_switch,
            carrier=is_whole,
            lldp=(SWITCH_NAME, _SWITCH_MAC, True) if wire.is_switch else None,
            address=address_of(wire, end, number),
        )
    return _suffer(port, wire, own, on)


def _suffer(port: Port, wire: Wire | None, own: dict[str, LinkFault], on: frozenset[LinkFault]) -> Port:
    """What faults do to a port that has a plug in it."""
    end = End(port.node, port.cage)
    ends = {end} if wire is None or wire.is_switch else set(wire.ends)
    has_carrier = port.carrier and "half-down" not in own
    is_slow = any(fault.name == "slow-line" and fault.end in ends for fault in on)
    is_narrow = any(fault.name == "wire-mtu" and fault.end in ends for fault in on)
    return replace(
        port,
        carrier=has_carrier,
        speed_mbps=(SLOW_MBPS if is_slow else gb10.FABRIC_MBPS) if has_carrier else -1,
        mtu=SMALL_MTU if "mtu" in own else gb10.FABRIC_MTU,
        wire_mtu=SMALL_MTU if is_narrow else WIRE_MTU,
        address=wrong_address(end, port.half) if "wrong-subnet" in own and port.address else port.address,
        is_rdma_active=has_carrier and "rdma-inactive" not in own,
        is_deaf="one-way" in own,
        lldp=port.lldp if has_carrier else None,
    )


def _is_pulled(end: End, on: frozenset[LinkFault]) -> bool:
    return any(fault.end == end and fault.name in ("cable-out", "link-down") for fault in on)


def _is_in(end: End, on: frozenset[LinkFault]) -> bool:
    """Whether the plug of the wire, and no other, is in this cage."""
    return not any(fault.end == end and fault.name in ("cable-out", "link-down", *DEVICE_FAULTS) for fault in on)


def _peers(port: Port, ports: Iterable[Port], on: frozenset[LinkFault]) -> Iterator[tuple[str, str]]:
    if not port.carrier:
        return
    for other in ports:
        is_reached = other.segment == port.segment and other.carrier and not (other.is_deaf or port.is_deaf)
        if is_reached and other is not port:
            yield other.mac, other.address.partition("/")[0]
    for device in find_devices(on):
        if device.segment == port.segment:
            yield device.mac, ""


def find_devices(faults: Iterable[LinkFault]) -> tuple[Device, ...]:
    """The machines that are no nodes and answer."""
    on = frozenset(faults)
    return tuple(
        Device(f"d{fault.end.node}p{fault.end.cage}", device_mac(fault))
        for fault in sorted(on)
        if fault.name in ("storage", "stranger") and not _is_pulled(fault.end, on)
    )
