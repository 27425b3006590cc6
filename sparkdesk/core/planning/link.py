"""How fast a collective goes between chosen nodes, from their cabling: 200G, 100G, half a cable, a ring, or no cable.

The one rule: a cable that was not seen is no cable, and a cabling that was not looked at is not known: then there is
no link, and the planner says what it assumes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations
from types import MappingProxyType

from sparkdesk.core.cluster.half import Half
from sparkdesk.core.cluster.topology import Cable, HalfPair, Topology
from sparkdesk.core.planning.place import Link
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK

HALF_GBPS = 100.0
"""One half of a cage is four lanes of PCIe 5: a cable gives 200 Gb/s only over both. Source: NVIDIA's playbooks."""
REACH = 0.80
"""Of the line rate that a collective reaches: all-gather of two nodes 18.9 to 21 GB/s at 200 Gb/s and MTU 1500."""
REACH_JUMBO = 0.948
"""The same at MTU 9000: 23.7 GB/s with both RDMA devices."""
JUMBO_MTU = 8000
RING_SHARE = 0.5
"""Of a pair's rate in a ring of direct cables. Source: NVIDIA's own thresholds, 10 GB/s for a ring and 21.9 else."""
OFFICE = Link(gb_per_s=1.0, latency_s=150e-6, title="10 GbE network, no cable between them")
"""Source: at most 1.2 GB/s over the management port; arithmetic. The latency is an allowance."""
MOST_GROUPED = 4
"""Nodes of which all groups are looked at; more are on a switch, where groups are alike."""
NO_MEASUREMENTS: Mapping[str, float] = MappingProxyType({})


def link_between(
    topology: Topology, node_ids: Iterable[str], measured_gb_per_s: Mapping[str, float] = NO_MEASUREMENTS
) -> Link | None:
    """The slowest path that a collective over these nodes crosses; None: one node, or the cabling is not known.

    `measured_gb_per_s`: cable key -> 10^9 bytes a second that a collective was measured at; it stands before the line.
    """
    chosen = frozenset(node_ids)
    if len(chosen) < 2 or not topology.seen_ms or chosen & frozenset(topology.away):
        return None
    switched = _switched(topology, chosen)
    if switched:
        return _slowest(switched, measured_gb_per_s, "through a switch", 1.0)
    direct = [cable for cable in topology.cables if cable.b is not None and {cable.a[0], cable.b[0]} <= chosen]
    if not _joins(direct, chosen):
        return OFFICE
    share = 1.0 if len(chosen) == 2 else RING_SHARE
    return _slowest(_best_of_pairs(direct), measured_gb_per_s, "in a ring" if len(chosen) > 2 else "", share)


def links_within(
    topology: Topology, node_ids: Iterable[str], measured_gb_per_s: Mapping[str, float] = NO_MEASUREMENTS
) -> Mapping[frozenset[str], Link]:
    """What joins smaller groups of these nodes, where it is another link than all have; of at most `MOST_GROUPED`."""
    chosen = tuple(dict.fromkeys(node_ids))
    if not 2 < len(chosen) <= MOST_GROUPED:
        return {}
    whole = link_between(topology, chosen, measured_gb_per_s)
    groups = (frozenset(some) for size in range(2, len(chosen)) for some in combinations(chosen, size))
    found = {group: link_between(topology, group, measured_gb_per_s) for group in groups}
    return {group: link for group, link in found.items() if link is not None and link != whole}


def cable_gbps(cable: Cable) -> float:
    """The line rate that the cable can give now, both halves together; NaN: its ports did not say."""
    live = [half for half in cable.halves if half.is_up is not False and _is_addressed(half)]
    live = live or [half for half in cable.halves if half.is_up is not False]
    speeds = [speed for half in live for speed in _speeds(half)]
    if not cable.halves or (live and not speeds):
        return math.nan
    return min(min(speeds), HALF_GBPS * len(live)) if live else 0.0


def _slowest(cables: Iterable[Cable], measured: Mapping[str, float], words: str, share: float) -> Link | None:
    """Of the cables that must be crossed, what the slowest gives; None where one did not say its rate."""
    found: list[tuple[float, bool, str]] = []
    for cable in cables:
        rate, line = measured.get(cable.key, math.nan), cable_gbps(cable)
        is_measured = math.isfinite(rate) and rate > 0.0
        if not is_measured:
            rate = line / 8.0 * (REACH_JUMBO if _is_jumbo(cable) else REACH) * share
        if math.isnan(rate):
            return None
        title = f"{line:.0f}G cable" if math.isfinite(line) else "cable"
        found.append((rate, is_measured, " ".join(filter(None, (title, words)))))
    rate, is_measured, title = min(found)
    return Link(rate, DEFAULT_LINK.latency_s, is_measured, title) if rate > 0.0 else OFFICE


def _switched(topology: Topology, chosen: frozenset[str]) -> list[Cable]:
    """The cables of one switch that reach all chosen nodes, the fastest of each; empty: there is no such switch."""
    for number in range(len(topology.switches)):
        best: dict[str, Cable] = {}
        for cable in topology.cables_of_switch(number):
            other = best.get(cable.a[0])
            if cable.a[0] in chosen and (other is None or _rate(cable) > _rate(other)):
                best[cable.a[0]] = cable
        if set(best) == chosen:
            return list(best.values())
    return []


def _best_of_pairs(cables: Iterable[Cable]) -> list[Cable]:
    """Two nodes may have two cables: the faster counts, as one gives all that a node can send."""
    best: dict[frozenset[str], Cable] = {}
    for cable in cables:
        pair = frozenset((cable.a[0], cable.b[0])) if cable.b is not None else frozenset((cable.a[0],))
        if pair not in best or _rate(cable) > _rate(best[pair]):
            best[pair] = cable
    return list(best.values())


def _joins(cables: Iterable[Cable], chosen: frozenset[str]) -> bool:
    """Whether every chosen node has a cable to each neighbour that a ring over them needs: two, or one of a pair."""
    reach: dict[str, set[str]] = {node: set() for node in chosen}
    for cable in cables:
        if cable.b is not None and not cable.is_one_way:
            reach[cable.a[0]].add(cable.b[0])
            reach[cable.b[0]].add(cable.a[0])
    seen, waiting = set[str](), [min(chosen)]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += reach[node] - seen
    return seen == chosen and all(len(others) >= min(2, len(chosen) - 1) for others in reach.values())


def _rate(cable: Cable) -> float:
    rate = cable_gbps(cable)
    return rate if math.isfinite(rate) else 0.0


def _is_addressed(pair: HalfPair) -> bool:
    return all(half.addresses for half in (pair.a, pair.b) if half is not None)


def _speeds(pair: HalfPair) -> list[float]:
    return [half.speed_gbps for half in _ends(pair) if half.speed_gbps > 0.0]


def _is_jumbo(cable: Cable) -> bool:
    mtus = [half.mtu for pair in cable.halves if pair.is_up is not False for half in _ends(pair)]
    return bool(mtus) and all(mtu is not None and mtu >= JUMBO_MTU for mtu in mtus)


def _ends(pair: HalfPair) -> tuple[Half, ...]:
    return tuple(half for half in (pair.a, pair.b) if half is not None)
