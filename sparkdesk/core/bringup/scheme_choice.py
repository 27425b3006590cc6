"""Chooses the addresses of a cluster's cables: adopts what stands and is valid, completes it, else takes free subnets.

The one rule: a subnet that is chosen touches no route and no address of any node, and the same case gives the same
scheme; run on its own result, everything is kept. The halves of a cage get different subnets; the older guide's one
subnet for both is adopted where it stands. Source: NVIDIA/dgx-spark-playbooks, multi-sparks-through-switch.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.lane_finder import OpenLane, Port, find_lanes, standing_of
from sparkdesk.core.bringup.lasting import is_address_lasting, is_mtu_lasting
from sparkdesk.core.bringup.netplan import MAX_MTU, OUR_FILE, TRIAL_FILE, gives_address
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.cluster.half import cage_of
from sparkdesk.core.plain_text import make_line

Network = ipaddress.IPv4Network
Interface4 = ipaddress.IPv4Interface

FIRST_SUBNET = ipaddress.IPv4Network("192.168.100.0/24")
_POOLS = tuple(Network(text) for text in ("192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8"))
"""RFC 1918, in the order in which free subnets are looked for; in the first from FIRST_SUBNET on."""
MIN_PREFIX, MAX_PREFIX = 16, 30
"""What is adopted: wider ones are whole offices; of two ends /31 is one too. Source: RFC 3021."""
SURE_PREFIX = 24
"""The widest in which one node's word is enough for the others' addresses."""
_SIZE = FIRST_SUBNET.num_addresses


def make_scheme(case: Case) -> Scheme:
    """The addresses of every lane: kept, completed or chosen, with sentences on what is not, and why."""
    lanes, problems = find_lanes(case)
    work = _Work(case, problems=list(problems))
    kept = [work.adopt(lane) for lane in lanes]
    if None in kept and (unknown := work.unknown_routes()):
        work.problems.append(f"No free subnet can be chosen: {unknown}. Look again when that can be read.")
    else:
        kept = [one or work.choose(lane) for lane, one in zip(lanes, kept, strict=True)]
    found = tuple(one for one in kept if one is not None)
    return Scheme(found, tuple(dict.fromkeys(work.problems)), tuple(dict.fromkeys(work.notes)))


@dataclass(slots=True)
class _Work:
    """What is given out so far."""

    case: Case
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)

    # Adopting ---------------------------------------------------------------------------------------------------

    def adopt(self, lane: OpenLane) -> Lane | None:
        """The lane with the subnet in which most of its ports stand already; None when there is no valid one."""
        networks = {one.network for port in lane.ports for one in port.standing}
        valid: list[tuple[int, Network, Mapping[Port, Interface4]]] = []
        for network in sorted(networks):
            there = _standing_in(lane, network)
            if not there:
                continue
            if (why := self._why_no_range(lane, network, there) or self._why_not(lane, network, there)) == "":
                valid.append((-len(there), network, there))
            else:
                self.notes.append(why)
        for _, network, standing in sorted(valid, key=lambda one: one[:2]):
            doubt = self._doubt(network, standing, lane)
            given = None if doubt else self._complete(network, standing, lane)
            if given is None:
                self.notes.append(self._stay_words(network, standing, doubt or "it has no number left for the others"))
                continue
            self._note_older_guide(lane, network)
            self._note_kept(lane, network, standing)
            return self._close(lane, network, given, set(standing))
        return None

    def _why_no_range(self, lane: OpenLane, network: Network, standing: Mapping[Port, Interface4]) -> str:
        """Why this is no range for cables; "" when it is."""
        top = MAX_PREFIX + 1 if len(lane.ports) == 2 else MAX_PREFIX
        if not any(network.subnet_of(pool) for pool in _POOLS):
            return self._stay_words(network, standing, "it is no private range (RFC 1918)")
        if not MIN_PREFIX <= network.prefixlen <= top:
            return self._stay_words(network, standing, f"only /{MIN_PREFIX} to /{top} is taken over")
        return ""

    def _stay_words(self, network: Network, standing: Mapping[Port, Interface4], why: str) -> str:
        there = ", ".join(f"{one} on {port.netdev} of {self._name(port)}" for port, one in standing.items())
        return f"{network} is not used for this cable: {why}. {there} stays, beside a subnet of its own for the cable."

    def _note_kept(self, lane: OpenLane, network: Network, standing: Mapping[Port, Interface4]) -> None:
        """Say whose addresses were believed, and which of them may change."""
        there = ", ".join(dict.fromkeys(self._name(port) for port in standing))
        new = ", ".join(dict.fromkeys(self._name(port) for port in lane.ports if port not in standing))
        if new:
            self.notes.append(f"{network} is kept: {there} stand in it already. New addresses in it: {new}.")
        leased = [self._name(port) for port, one in standing.items() if str(one) in port.leased]
        if leased:
            who = ", ".join(dict.fromkeys(leased))
            self.notes.append(f"DHCP gives {who} the addresses in {network}: they are kept, and not written down.")

    def _why_not(self, lane: OpenLane, network: Network, standing: Mapping[Port, Interface4]) -> str:
        """Why what stands in this subnet is no scheme; "" when it is."""
        owners: dict[ipaddress.IPv4Address, Port] = {}
        for port, one in standing.items():
            if one.ip in owners:
                return self._clash_words(owners[one.ip], port, one)
            owners[one.ip] = port
        for port, one in standing.items():
            for netdev, other in self._elsewhere(port):
                is_older_guide = other.network == network and netdev in self._twins(port)
                if other.network.overlaps(network) and not is_older_guide:
                    words = f"{one} on {port.netdev} and {other} on {make_line(netdev, max_chars=20)} overlap"
                    return f"{self._name(port)}: {words}. Both stay; a subnet of its own is used for {port.netdev}."
                if other.ip == one.ip:
                    return self._clash_words(port, Port(port.node_id, "", netdev, None, ()), one)
        return self._why_not_beside(lane, network, standing)

    def _why_not_beside(self, lane: OpenLane, network: Network, standing: Mapping[Port, Interface4]) -> str:
        """Whether lanes before this one leave it the subnet."""
        nodes = {port.node_id for port in lane.ports}
        hosts = {str(one.ip) for one in standing.values()}
        for other in self.lanes:
            if not Network(other.subnet).overlaps(network):
                continue
            is_twin = other.cable == lane.cable and other.half != lane.half and Network(other.subnet) == network
            is_apart = is_twin or not nodes & {end.node_id for end in other.ends}
            if not is_apart or hosts & {end.host for end in other.ends}:
                return f"{network} stands on two cables at once: the second one gets a subnet of its own."
        return ""

    def _clash_words(self, first: Port, second: Port, one: Interface4) -> str:
        source = self._source_of(second, one)
        return (
            f"{self._name(first)} ({first.netdev}) and {self._name(second)} ({second.netdev}) both have {one.ip}. This "
            f"lane gets a new subnet, and both addresses stay. Remove {one} from {self._name(second)}{source}."
        )

    def _source_of(self, port: Port, one: Interface4) -> str:
        files = self.case.reading(port.node_id).netplan or ()
        found = [file.path for file in files if file.content and gives_address(file.content, port.netdev, str(one))]
        if found:
            return f": it stands in {make_line(found[0], max_chars=120)}"
        return ": see which file in /etc/netplan has it (sudo grep -r), or whether it was set by hand"

    def _note_older_guide(self, lane: OpenLane, network: Network) -> None:
        if any(other.cable == lane.cable and other.subnet == str(network) for other in self.lanes):
            self.notes.append(
                f"Kept as is: both halves are in {network}, as NVIDIA's older guide has it. Its newer text asks for "
                "different subnets, since routing and NCCL can go wrong so."
            )

    def _complete(
        self, network: Network, standing: Mapping[Port, Interface4], lane: OpenLane
    ) -> dict[Port, Interface4] | None:
        """Every port with its address in the subnet; None when that cannot be."""
        given = dict(standing)
        for port in lane.ports:
            if port in given:
                continue
            if not self._is_free_for(port, network):
                return None
            used = self._used_hosts() | {one.ip for one in given.values()}
            low, high = _bounds(network)
            wishes = [self._octet(port), self._rank(port), *range(low, min(high, 1024))]
            hosts = (network[wish] for wish in wishes if low <= wish < high)
            free = next((host for host in hosts if host not in used), None)
            if free is None:
                return None
            given[port] = Interface4((free, network.prefixlen))
        return {port: given[port] for port in lane.ports}

    def _doubt(self, network: Network, standing: Mapping[Port, Interface4], lane: OpenLane) -> str:
        """Why the other ports get no address in this subnet; "" when they do, or when there is no other."""
        if len(standing) == len(lane.ports):
            return ""
        if any(str(one) in port.leased for port, one in standing.items()):
            return "DHCP gave what stands in it"
        if network.prefixlen < SURE_PREFIX and len({port.node_id for port in standing}) < 2:
            return f"one node alone says so, and it is wider than /{SURE_PREFIX}"
        for node_id in self.case.node_ids:
            reading, name = self.case.reading(node_id), make_line(self.case.reading(node_id).name, max_chars=80)
            if any(one.overlaps(network) for one in _networks((reading.management_address, reading.client_address))):
                return f"SparkDesk reaches {name} by an address in it"
            ports = [port for port in lane.ports if port.node_id == node_id]
            missing = [port for port in ports if port not in standing]
            own = {network} if ports and not missing else set()
            if not ports and any(one.overlaps(network) for one in self._known(node_id)):
                return f"{name} has another way to it"
            if own and any(one.overlaps(network) for one in set(self._known(node_id)) - own):
                return f"{name} has another way to a part of it"
            if not all(self._is_free_for(port, network) for port in missing):
                return f"{name} has another way to it, or its routes are not known"
        return ""

    def _known(self, node_id: str) -> list[Network]:
        """The networks that a node tells of. The halves of everything, as a VPN sets them, are default routes."""
        reading = self.case.reading(node_id)
        found = _networks(reading.routes or ())
        found += [one.network for port in reading.interfaces.values() for one in standing_of(reading, port)]
        return [one for one in found if one.prefixlen > 1]

    def _is_free_for(self, port: Port, network: Network) -> bool:
        """Whether a node that has no address in this subnet has no other way to it either."""
        reading = self.case.reading(port.node_id)
        twins = self._twins(port)
        others = [(netdev, one) for netdev, one in self._elsewhere(port) if one.network.overlaps(network)]
        if any(one.network != network or netdev not in twins for netdev, one in others) or reading.routes is None:
            return False
        routes = [route for route in _networks(reading.routes) if route.prefixlen > 1 and route.overlaps(network)]
        return not routes or (bool(others) and all(route == network for route in routes))

    # Choosing ---------------------------------------------------------------------------------------------------

    def choose(self, lane: OpenLane) -> Lane | None:
        """The lane with a subnet that is free on all nodes."""
        network = find_free([*self._taken(), *(Network(other.subnet) for other in self.lanes)])
        if network is None:
            self.problems.append("No private subnet is free on all nodes: their routes cover every one.")
            return None
        octets = [self._octet(port) for port in lane.ports]
        is_good = all(0 < octet < _SIZE - 1 for octet in octets) and len(set(octets)) == len(octets)
        hosts = octets if is_good else [self._rank(port) for port in lane.ports]
        given = {
            port: Interface4((network[host], network.prefixlen)) for port, host in zip(lane.ports, hosts, strict=True)
        }
        return self._close(lane, network, given, set())

    def unknown_routes(self) -> str:
        """Of the first node whose routes were not read, and why; "" when all were."""
        for node_id in self.case.node_ids:
            reading = self.case.reading(node_id)
            if not reading.did_answer or reading.routes is None:
                why = make_line(reading.problems.get("routes", ""), max_chars=120)
                words = f"the routes of {make_line(reading.name, max_chars=80)} were not read"
                return f"{words} ({why})" if why else words
        return ""

    def _taken(self) -> list[Network]:
        """Every network that any node has a route to or an address in, or is reached from."""
        found: list[Network] = []
        for node_id in self.case.node_ids:
            reading = self.case.reading(node_id)
            found += _networks(reading.routes or ())
            found += _networks((reading.management_address, reading.client_address))
            found += [one.network for port in reading.interfaces.values() for one in standing_of(reading, port)]
        return found

    # Both -------------------------------------------------------------------------------------------------------

    def _close(self, lane: OpenLane, network: Network, given: Mapping[Port, Interface4], kept: set[Port]) -> Lane:
        ends = tuple(self._end(port, one, port in kept) for port, one in given.items())
        closed = Lane(lane.cable, lane.half, str(network), ends)
        self.lanes.append(closed)
        return closed

    def _end(self, port: Port, one: Interface4, is_kept: bool) -> HalfAddress:
        reading = self.case.reading(port.node_id)
        files = reading.netplan or ()
        others = [file.content for file in files if file.path not in (OUR_FILE, TRIAL_FILE) and file.content]
        interface, wanted = reading.interfaces[port.netdev], self.case.choices.mtu
        return HalfAddress(
            port.node_id, port.cage, port.netdev, str(one),
            origin="kept" if is_kept else "chosen",
            mtu=min(max(port.mtu or 0, wanted), MAX_MTU),
            needs_mtu=(port.mtu or 0) < wanted,
            is_set_elsewhere=is_kept and any(gives_address(text, port.netdev, str(one)) for text in others),
            leased=port.leased,
            beside=tuple(str(other) for other in port.standing if other != one),
            waits=port.waits,
            is_lasting=is_address_lasting(reading, interface, one) if is_kept else True,
            is_mtu_lasting=is_mtu_lasting(reading, interface) if is_kept and (port.mtu or 0) >= wanted else True,
        )  # fmt: skip

    def _elsewhere(self, port: Port) -> list[tuple[str, Interface4]]:
        """The addresses of the node's other interfaces."""
        reading = self.case.reading(port.node_id)
        others = [(name, other) for name, other in reading.interfaces.items() if name != port.netdev]
        return [(name, one) for name, other in others for one in standing_of(reading, other)]

    def _twins(self, port: Port) -> set[str]:
        """The other half of the port's cage."""
        names = self.case.reading(port.node_id).interfaces
        return {name for name in names if name != port.netdev and cage_of(name) == port.cage}

    def _used_hosts(self) -> set[ipaddress.IPv4Address]:
        readings = [self.case.reading(node_id) for node_id in self.case.node_ids]
        standing = {
            one.ip for reading in readings for port in reading.interfaces.values() for one in standing_of(reading, port)
        }
        return standing | {ipaddress.IPv4Address(end.host) for lane in self.lanes for end in lane.ends}

    def _octet(self, port: Port) -> int:
        """The last number of the management address; 0 when there is none."""
        last = self.case.reading(port.node_id).management_address.rpartition(".")[2]
        return int(last) if last.isascii() and last.isdigit() and len(last) <= 3 else 0

    def _rank(self, port: Port) -> int:
        return self.case.node_ids.index(port.node_id) + 1

    def _name(self, port: Port) -> str:
        return make_line(self.case.reading(port.node_id).name, max_chars=80)


def find_free(taken: Iterable[Network]) -> Network | None:
    """The first private /24 that overlaps none of these, from 192.168.100.0 on; None when there is none.

    0.0.0.0/0 and its two halves, as a VPN sets them, are default routes: they leave every subnet free.
    """
    ranges = sorted((int(one.network_address), int(one.broadcast_address)) for one in taken if one.prefixlen > 1)
    home = _POOLS[0]
    for start, end in (
        (int(FIRST_SUBNET.network_address), int(home.broadcast_address)),
        *((int(pool.network_address), int(pool.broadcast_address)) for pool in _POOLS[1:]),
        (int(home.network_address), int(FIRST_SUBNET.network_address) - 1),
    ):
        at = start
        for low, high in ranges:
            if low <= at + _SIZE - 1 and high >= at:
                at = (high // _SIZE + 1) * _SIZE
        if at + _SIZE - 1 <= end:
            return Network((at, FIRST_SUBNET.prefixlen))
    return None


def _standing_in(lane: OpenLane, network: Network) -> dict[Port, Interface4]:
    found: dict[Port, Interface4] = {}
    for port in lane.ports:
        for one in port.standing:
            low, high = _bounds(network)
            if one.network == network and low <= int(one.ip) - int(network.network_address) < high:
                found.setdefault(port, one)
    return found


def _bounds(network: Network) -> tuple[int, int]:
    """The first number of a host in it, and the one behind the last: a /31 has no number of its own, RFC 3021."""
    return (0, network.num_addresses) if network.prefixlen >= MAX_PREFIX + 1 else (1, network.num_addresses - 1)


def _networks(texts: Sequence[str]) -> list[Network]:
    found = []
    for text in texts:
        try:
            found.append(Network(text, strict=False))
        except ValueError:
            continue
    return found
