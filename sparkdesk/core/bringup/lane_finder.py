"""Which halves share a subnet: one lane a half of each direct cable, one lane a half of all nodes on a switch.

The one rule: only ports that their node showed, and that carry neither its default route nor our sign-in, get an
address; what is left out is said.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.netplan import OUR_FILE, TRIAL_FILE, addresses_in
from sparkdesk.core.bringup.reading import Interface, NodeReading
from sparkdesk.core.cluster.half import End, Half, cage_of
from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGES
from sparkdesk.core.cluster.topology import Cable
from sparkdesk.core.plain_text import make_line

_NETDEV = re.compile(r"[A-Za-z][A-Za-z0-9]{0,14}")
HALF_WORDS = ("first", "second")


@dataclass(frozen=True, slots=True)
class Port:
    """One half of a cage that gets an address. `standing` are its addresses but 169.254, in order (`standing_of`)."""

    node_id: str
    cage: str
    netdev: str
    mtu: int | None
    standing: tuple[ipaddress.IPv4Interface, ...]
    leased: tuple[str, ...] = ()
    """Those of them that DHCP gave."""
    waits: bool = False
    """Whether it is known to have no link."""


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane before it has a subnet."""

    cable: str
    half: int
    ports: tuple[Port, ...]


def find_lanes(case: Case) -> tuple[tuple[OpenLane, ...], tuple[str, ...]]:
    """Every lane with two ports or more, and sentences on what was left out.

    Ports that wait for a link, and may be named in a file of ours that was not read, are left out without one: they
    are as they were when that file was written (`untold_ports`).
    """
    problems: dict[str, None] = {}
    lanes = [lane for cable in case.topology.cables for lane in _of_cable(case, cable, problems)]
    for number in sorted({cable.switch_number for cable in case.topology.cables if cable.via_switch}):
        lanes += _of_switch(case, number, problems)
    return tuple(lane for lane in lanes if len(lane.ports) > 1), tuple(problems)


def standing_of(reading: NodeReading, interface: Interface) -> tuple[ipaddress.IPv4Interface, ...]:
    """Its addresses that can be a scheme. Of a port without a link, which systemd-networkd gives none, or takes them
    from, those that netplan's files give it."""
    if (found := _read_addresses(interface.addresses)) or interface.carrier is not False:
        return found
    texts = [file.content for file in reading.netplan or () if file.content and file.path != TRIAL_FILE]
    return _read_addresses(one for text in texts for one in addresses_in(text, interface.name))


def _read_addresses(texts: Iterable[str]) -> tuple[ipaddress.IPv4Interface, ...]:
    """No link-local, loopback or nonsense."""
    found = []
    for text in texts:
        try:
            one = ipaddress.IPv4Interface(text)
        except ValueError:
            continue
        if not (one.ip.is_link_local or one.ip.is_loopback or one.ip.is_multicast or one.ip.is_unspecified):
            found.append(one)
    return tuple(sorted(set(found)))


def _of_cable(case: Case, cable: Cable, problems: dict[str, None]) -> Iterator[OpenLane]:
    """The two halves of a direct cable between two nodes of the case."""
    if cable.via_switch or cable.b is None or cable.a[0] == cable.b[0]:
        return
    if not {cable.a[0], cable.b[0]} <= set(case.node_ids):
        return
    if not cable.halves:
        problems[f"No half of the cable {_end(case, cable.a)} to {_end(case, cable.b)} was seen; look again"] = None
    for index, pair in enumerate(cable.halves):
        half = _half_number(pair.a or pair.b, index)
        ports = [_port(case, end, seen, half, problems) for end, seen in ((cable.a, pair.a), (cable.b, pair.b))]
        yield OpenLane(cable.key, half, tuple(port for port in ports if port is not None))


def _of_switch(case: Case, number: int, problems: dict[str, None]) -> Iterator[OpenLane]:
    """Lanes of a switch: a cage and a half of each node. Without a cage that all nodes have there, their first ones."""
    cables = {cable.a: cable for cable in case.topology.cables_of_switch(number) if cable.a[0] in case.node_ids}
    cages = {node: [cage for cage in CAGES if (node, cage) in cables] for node in case.node_ids}
    cages = {node: own for node, own in cages.items() if own}
    if len(cages) < 2:
        return
    has_common = bool(set.intersection(*(set(own) for own in cages.values())))
    key = f"switch{number + 1}" if number else "switch"
    for place in range(len(CAGES)):
        ends = [
            (node, CAGES[place] if has_common else own[place])
            for node, own in cages.items()
            if (CAGES[place] in own if has_common else place < len(own))
        ]
        for half in (0, 1):
            seen = {end: _half_of(cables[end], half) for end in ends}
            ports = [_port(case, end, seen[end], half, problems) for end in ends]
            yield OpenLane(key, half, tuple(port for port in ports if port is not None))


def _half_of(cable: Cable, half: int) -> Half | None:
    halves = [pair.a for pair in cable.halves if pair.a is not None]
    return next((one for index, one in enumerate(halves) if _half_number(one, index) == half), None)


def _half_number(half: Half | None, index: int) -> int:
    for netdevs in CAGE_NETDEVS.values():
        if half is not None and half.netdev in netdevs:
            return netdevs.index(half.netdev)
    return min(index, 1)


def _port(case: Case, end: End, half: Half | None, number: int, problems: dict[str, None]) -> Port | None:
    """The port, or None with a problem."""
    reading = case.reading(end[0])
    interface = reading.interfaces.get(half.netdev) if half is not None else None
    why = _obstacle(reading, half, interface)
    if half is None or interface is None or why:
        words = why or f"it does not show the {HALF_WORDS[number]} half of {end[1]}; restart both Sparks at this cable"
        problems[f"{make_line(reading.name, max_chars=80)} gets no address there: {words}"] = None
        return None
    if half.netdev in untold_ports(reading):
        return None
    waits = interface.carrier is False
    standing = standing_of(reading, interface)
    return Port(end[0], end[1], half.netdev, interface.mtu, standing, interface.leased, waits)


def untold_ports(reading: NodeReading) -> tuple[str, ...]:
    """The halves without link and address whose other half stands, where our own file is there and was not read."""
    if not any(file.path == OUR_FILE and file.content is None for file in reading.netplan or ()):
        return ()
    ports = [
        reading.interfaces[name] for names in CAGE_NETDEVS.values() for name in names if name in reading.interfaces
    ]
    cages = {cage_of(port.name) for port in ports if port.carrier and standing_of(reading, port)}
    waiting = (port for port in ports if port.carrier is False and not standing_of(reading, port))
    return tuple(port.name for port in waiting if cage_of(port.name) in cages)


def _obstacle(reading: NodeReading, half: Half | None, interface: Interface | None) -> str:
    if not reading.did_answer:
        return "it did not answer"
    if half is None or interface is None:
        return ""
    if _NETDEV.fullmatch(half.netdev) is None:
        return f"the name of its port is not understood: {make_line(half.netdev, max_chars=40)}"
    if interface.part_of:
        words = "take it out of there, or address that by hand"
        return f"{half.netdev} is part of {make_line(interface.part_of, max_chars=30)}; {words}"
    if half.netdev in reading.default_netdevs:
        return f"{half.netdev} carries its default route"
    if half.netdev == reading.management and _is_ipv4(reading.management_address):
        return f"SparkDesk signed in over {half.netdev}; sign in over the management port"
    return ""


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _end(case: Case, end: End) -> str:
    return f"{make_line(case.reading(end[0]).name, max_chars=80)} {end[1]}"
