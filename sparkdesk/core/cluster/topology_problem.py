"""What is not as it should be with the cables, each with its port, its node and what a person does about it.

The one rule: what is not known is no problem. A cage that is plugged in another way but works at full speed is a note.
"""

from __future__ import annotations

import ipaddress
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sparkdesk.core.cluster.half import End, Half, NodeView
from sparkdesk.core.cluster.segment import SURE, Segment, heard_link

FULL_GBPS = 200.0
"""The line speed of a cage. Source: NVIDIA/dgx-spark-playbooks, multi-sparks-through-switch (ethtool: 200000Mb/s)."""
_RANKS = {"crit": 0, "warn": 1, "note": 2}
Network = ipaddress.IPv4Network


@dataclass(frozen=True, slots=True)
class PortMtu:
    """A port's MTU as it was found, and as the others on its wire have it."""

    netdev: str
    found: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to know or to mend. `id` is its kind; with node and cage it is one place."""

    id: str
    severity: str
    """ "note", "warn" or "crit"."""
    node_id: str
    cage: str
    message: str
    remedy: str
    netdev: str = ""
    """The half that it is about; "" is the cage, or the node."""
    mtu: PortMtu | None = None


def find_problems(views: Mapping[str, NodeView], segments: Iterable[Segment]) -> tuple[Problem, ...]:
    """All problems of the ports and the wires, worst first. Never raises."""
    wires = tuple(segments)
    plugged = {end for segment in wires for end in segment.ends}
    found = [problem for end in sorted(plugged) for problem in _judge_cage(end, views)]
    for segment in wires:
        found += _judge_silence(segment, views)
        found += _judge_direction(segment, views)
        found += _judge_mtu(segment, views)
        found += _judge_subnets(segment, views)
        found += _judge_loop(segment, views)
        found += _judge_speed(segment, views)
    found += _judge_absence(views)
    return sort_problems(found)


def sort_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Worst first, each once."""
    order = sorted(
        dict.fromkeys(problems), key=lambda one: (_RANKS.get(one.severity, 3), one.node_id, one.cage, one.id)
    )
    return tuple(order)


def halves_of(end: End, views: Mapping[str, NodeView]) -> tuple[Half, ...]:
    """The halves of one cage, in the order of their names."""
    view = views.get(end[0])
    if view is None:
        return ()
    return tuple(sorted((half for half in view.halves if half.cage == end[1]), key=lambda half: half.netdev))


def title(end: End, views: Mapping[str, NodeView]) -> str:
    """ "spark-1 P0"."""
    return f"{_name(end[0], views)} {end[1]}"


def _name(node_id: str, views: Mapping[str, NodeView]) -> str:
    view = views.get(node_id)
    return (view.name if view is not None else "") or node_id


def _live(end: End, views: Mapping[str, NodeView]) -> tuple[Half, ...]:
    return tuple(half for half in halves_of(end, views) if half.carrier)


def _judge_cage(end: End, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    halves, where = halves_of(end, views), title(end, views)
    live = [half for half in halves if half.carrier]
    if live and len(halves) == 1:
        yield Problem(
            "half-missing", "warn", *end,
            f"{where} shows only one of its two halves, {live[0].netdev}: half of the speed at most",
            "Restart both nodes of this cable; a half may stay away until both have been restarted.",
        )  # fmt: skip
    for half in halves:
        if live and half.carrier is False:
            yield Problem(
                "half-down", "warn", *end,
                f"{where}: {half.netdev} has no link while {live[0].netdev} has one: half of the speed at most",
                f"Bring it up on {_name(end[0], views)}: sudo ip link set {half.netdev} up. If it stays down, reseat "
                "the cable and restart both nodes.",
            )  # fmt: skip
        if half.carrier and half.is_rdma_active is False:
            device = half.rdma_device or "The RDMA device"
            yield Problem(
                "rdma-inactive", "warn", *end,
                f"{where}: {device} of {half.netdev} is not active, so NCCL cannot use this half",
                "Look at ibv_devinfo and at the kernel's messages on the node; a restart of both nodes often mends it.",
                netdev=half.netdev,
            )  # fmt: skip


def _judge_silence(segment: Segment, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    """A link that nobody answers on; without any address no search goes through it."""
    for end in segment.ends:
        mute = [half for half in _live(end, views) if half.mac and not half.link_local]
        is_alone = len(segment.ends) == 1 and not segment.strangers and not segment.lldp
        if mute and is_alone:
            names = " and ".join(half.netdev for half in mute)
            yield Problem(
                "no-ipv6", "warn", *end,
                f"{title(end, views)}: {names} has no IPv6 link-local address, so what it leads to cannot be seen",
                "Allow it in netplan (link-local: [ ipv6 ] for this port; net.ipv6.conf.*.disable_ipv6 = 0), then "
                "look again.",
            )  # fmt: skip
        elif is_alone and _live(end, views):
            yield Problem(
                "no-answer", "note", *end,
                f"{title(end, views)} has a link, but nobody that is known answers on it",
                "If it leads to a Spark, add that one; if to storage or another device, give it a label.",
            )  # fmt: skip


def _judge_direction(segment: Segment, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    for sender, receiver in one_way_pairs(segment, views):
        yield Problem(
            "one-way", "crit", *sender,
            f"What {title(sender, views)} sends does not reach {title(receiver, views)}; the other direction works",
            "Reseat or change the cable. On a switch, look at this port's rules.",
        )  # fmt: skip


def one_way_pairs(segment: Segment, views: Mapping[str, NodeView]) -> tuple[tuple[End, End], ...]:
    """(from, to) where nothing arrives although the other direction surely does, and who should hear was asked."""
    return tuple(
        sorted(
            (receiver, sender)
            for sender, receiver in segment.sure
            if (receiver, sender) not in segment.reach
            and views[sender[0]].did_answer
            and any(half.link_local or half.addresses for half in _live(receiver, views))
        )
    )


def _judge_mtu(segment: Segment, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    """Every half that is unlike most on its wire; of two sizes that are as frequent, the smaller one is wrong."""
    halves = [half for end in segment.ends for half in _live(end, views)]
    counts = Counter(half.mtu for half in halves if half.mtu is not None)
    usual = max(counts, key=lambda mtu: (counts[mtu], mtu), default=0)
    for half in halves if len(counts) > 1 else ():
        if half.mtu is None or half.mtu == usual:
            continue
        end = (half.node_id, half.cage)
        yield Problem(
            "mtu-mismatch", "warn", *end,
            f"{title(end, views)}: {half.netdev} has MTU {half.mtu}, others on this wire have {usual}: large packets "
            "are lost without a word",
            f"Give all ends the same MTU, e.g. on {_name(end[0], views)}: sudo ip link set {half.netdev} mtu {usual}, "
            "and the same in netplan, which has the last word after a restart.",
            netdev=half.netdev, mtu=PortMtu(half.netdev, half.mtu, usual),
        )  # fmt: skip
    if len(counts) > 1:
        return
    for sender, receiver in lost_sizes(segment, views):
        yield Problem(
            "mtu-mismatch", "warn", *sender,
            f"Packets as large as the MTU ({usual}) do not get from {title(sender, views)} to "
            f"{title(receiver, views)}, small ones do",
            "Raise the MTU of what is between them (the switch's ports to 9216), or lower it at all ends.",
        )  # fmt: skip
        return


def lost_sizes(segment: Segment, views: Mapping[str, NodeView]) -> tuple[tuple[End, End], ...]:
    """(from, to) where small beacons arrived often and none of the sized ones did."""
    counts: dict[tuple[End, End], list[int]] = {}
    for node_id in {end[0] for end in segment.ends}:
        for row in views[node_id].heard:
            link = heard_link(node_id, row, views)
            if link is not None and link in segment.reach and row.from_netdev in views[row.from_node].sized_sent:
                total = counts.setdefault(link, [0, 0])
                total[0] += row.plain
                total[1] += row.sized
    return tuple(sorted(link for link, (plain, sized) in counts.items() if plain >= SURE and not sized))


def networks_of(half: Half) -> frozenset[Network]:
    """The IPv4 networks that a half is in; what is no address is left out."""
    found = set()
    for address in half.addresses:
        try:
            interface = ipaddress.ip_interface(address)
        except ValueError:
            continue
        if isinstance(interface, ipaddress.IPv4Interface):
            found.add(interface.network)
    return frozenset(found)


def _judge_subnets(segment: Segment, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    here = {half: networks_of(half) for end in segment.ends for half in _live(end, views)}
    # A half without a link keeps its address: the one that it was joined with is not in a wrong subnet for that.
    known = {half: networks_of(half) for end in segment.ends for half in halves_of(end, views)}
    told = set[End]()
    for half, networks in here.items():
        end = (half.node_id, half.cage)
        others = [theirs for other, theirs in known.items() if other.node_id != half.node_id and theirs]
        is_told = not segment.is_switch and any(other != end for other in told)  # once a cable is enough
        if not networks or not others or is_told or any(networks & theirs for theirs in others):
            continue
        told.add(end)
        shown = ", ".join(sorted(str(network) for network in networks))
        wanted = ", ".join(sorted({str(network) for theirs in others for network in theirs})[:4])
        yield Problem(
            "subnet-mismatch", "warn", *end,
            f"{title(end, views)}: {half.netdev} is in {shown}, which nobody else on this wire is in ({wanted})",
            f"Give {half.netdev} an address in the subnet of the port that it is joined with.",
            netdev=half.netdev,
        )  # fmt: skip
    for end in segment.ends:
        halves = _live(end, views)
        shared = frozenset.intersection(*(here[half] for half in halves)) if len(halves) > 1 else frozenset()
        if shared:
            yield Problem(
                "subnet-shared", "note", *end,
                f"{title(end, views)}: both halves are in {min(str(network) for network in shared)}",
                "Give each half a subnet of its own: NVIDIA's newer guide says that one for both breaks routing.",
            )  # fmt: skip


def _judge_loop(segment: Segment, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    if segment.is_loop:
        yield Problem(
            "loop", "warn", *segment.ends[0],
            f"A cable joins the two cages of {_name(segment.ends[0][0], views)} with each other",
            "Put one end of it into another node.",
        )  # fmt: skip


def _judge_speed(segment: Segment, views: Mapping[str, NodeView]) -> Iterator[Problem]:
    is_inside = len(segment.ends) > 1 or segment.is_switch
    for end in segment.ends:
        slow = [h for h in _live(end, views) if math.isfinite(h.speed_gbps) and 0 < h.speed_gbps < FULL_GBPS]
        if slow:
            yield Problem(
                "slow-line", "warn" if is_inside else "note", *end,
                f"{title(end, views)} runs at {slow[0].speed_gbps:g} Gb/s, not at {FULL_GBPS:g}",
                "Use a cable made for 200 Gb/s. On a switch, set the port to 200GBASE-CR4 without auto-negotiation.",
            )  # fmt: skip


def _judge_absence(views: Mapping[str, NodeView]) -> Iterator[Problem]:
    for node_id, view in views.items():
        if not view.did_answer:
            yield Problem(
                "not-asked", "note", node_id, "",
                f"{_name(node_id, views)} could not be asked about its cables",
                "Look again when the node is connected.",
            )  # fmt: skip


def find_miscabled(segments: Iterable[Segment], views: Mapping[str, NodeView], is_ring: bool) -> tuple[Problem, ...]:
    """Cables that work but are not as NVIDIA's guides have them: a ring goes from P0 to P1, a pair joins like cages.

    Source: NVIDIA/dgx-spark-playbooks, connect-three-sparks and connect-two-sparks.
    """
    found = []
    for segment in segments:
        if segment.is_switch or segment.is_loop or len(segment.ends) != 2:
            continue
        one, other = segment.ends
        if (one[1] == other[1]) is is_ring:
            wanted = "P0 of one node to P1 of the next" if is_ring else "the same cage on both nodes"
            message = f"The cable goes from {title(one, views)} to {title(other, views)}; the guide has {wanted}"
            remedy = "It works at full speed. Change it only if you follow the guide's address table by hand."
            found.append(Problem("miscabled", "note", *one, message, remedy))
    return tuple(found)
