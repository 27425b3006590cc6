"""Cabling: which cage is in use, how fast its line is, whether both halves work, and what is at the other end.

The one rule: it only tells. Cables are those that the topology recognised, and its words say what is wrong with them.
What a cage is called and how it works is unverified on hardware [cage-netdevs, cage-rdma-devices, link-speed].
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan
from sparkdesk.core.bringup.matrix import Cell, CellState, Row
from sparkdesk.core.bringup.reading import Interface, NodeReading
from sparkdesk.core.bringup.row import LOOK_AGAIN, fail, good, make_cell, make_row, skipped, unread, warn
from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGES
from sparkdesk.core.cluster.topology import Cable, LookState, Shape
from sparkdesk.core.cluster.topology_problem import FULL_GBPS, Problem

ADDRESS_PROBLEMS = ("mtu-mismatch", "subnet-mismatch", "subnet-shared", "no-ipv6")
"""What addresses and MTU are about: the chapter of the network sees to it."""
NO_CABLE = "Put a QSFP cable into the same cage of each node, and look again."
NAME_IT = "If it leads to a Spark, start that one or add it, then look again; if to another device, give it a label."
RESEAT = "Reseat the cable at both ends; if a half stays away, restart both nodes of the cable."
_WORDS = {
    "one-way": "one way only",
    "loop": "both cages joined",
    "not-asked": "not asked",
    "no-answer": "nobody answers",
    "half-missing": "one half only",
    "half-down": "a half is down",
    "rdma-inactive": "RDMA inactive",
    "slow-line": "slow line",
    "miscabled": "crossed, and works",
}
_STATES = {"crit": CellState.FAIL, "warn": CellState.WARN}


def plan_cabling(case: Case) -> ChapterPlan:
    """The rows of the cabling; it has no steps."""
    if len(case.node_ids) < 2 and not case.topology.cables:
        cells = {node_id: skipped("one node") for node_id in case.node_ids}
        row = Row("cabling-cage", Chapter.CABLING.value, "Cage in use", cells)
        return ChapterPlan(Chapter.CABLING, (row,), notes=("One node needs no cable.",))
    usual = _usual_cages(case)
    rows = (
        make_row(case, Chapter.CABLING, "cage", "Cage in use", lambda one: _judge_cage(case, one, usual)),
        make_row(case, Chapter.CABLING, "peer", "Joined with", lambda one: _judge_peer(case, one)),
        make_row(case, Chapter.CABLING, "speed", "Link speed", _judge_speed, is_unverified=True),
        make_row(case, Chapter.CABLING, "halves", "Both halves active", _judge_halves, is_unverified=True),
        make_row(case, Chapter.CABLING, "wiring", "Wiring", lambda one: _judge_wiring(case, one)),
    )
    return ChapterPlan(Chapter.CABLING, rows, notes=tuple(_notes(case)))


def cages_in_use(reading: NodeReading) -> tuple[str, ...]:
    """The cages of which at least one half has a link."""
    return tuple(cage for cage in CAGES if any(port.carrier for port in ports_of(reading, cage)))


def ports_of(reading: NodeReading, cage: str) -> tuple[Interface, ...]:
    """The halves of a cage that the node shows."""
    return tuple(port for netdev in CAGE_NETDEVS[cage] if (port := reading.interfaces.get(netdev)) is not None)


def _usual_cages(case: Case) -> tuple[str, ...]:
    """What most nodes use; of two that are as frequent, the one of the first node."""
    counts = Counter(cages_in_use(case.reading(node_id)) for node_id in case.node_ids)
    counts.pop((), None)
    return max(counts, key=lambda cages: counts[cages], default=())


def _judge_cage(case: Case, reading: NodeReading, usual: tuple[str, ...]) -> Cell:
    used, evidence = cages_in_use(reading), _shown_ports(reading)
    if not used:
        known = [port.carrier for cage in CAGES for port in ports_of(reading, cage)]
        if not reading.interfaces or (known and None in known):
            return unread(reading, "interfaces")
        # Ports may be switched off until a cable is seen. Source: /etc/nvidia/cx7-hotplug-enabled on captured nodes.
        return fail("no cable", NO_CABLE, evidence)
    words = " + ".join(used)
    is_alike = case.topology.shape not in (Shape.PAIR, Shape.SWITCH) or used == usual
    return good(words if is_alike else f"{words}, others use {' + '.join(usual)}", evidence)


def _shown_ports(reading: NodeReading) -> str:
    ports = (port for cage in CAGES for port in ports_of(reading, cage))
    words = {True: "link", False: "no link", None: "link not known"}
    return "\n".join(f"{port.name}: {words[port.carrier]}" for port in ports) or "the node shows no port of a cage"


def _judge_speed(reading: NodeReading) -> Cell:
    """Source: /sys/class/net/*/speed; 200000 is full, 100000 is a switch that negotiates wrongly (playbooks)."""
    live = [port for cage in CAGES for port in ports_of(reading, cage) if port.carrier]
    if not live:
        return skipped("no cable")
    speeds = [port.speed_gbps for port in live if math.isfinite(port.speed_gbps)]
    evidence = "\n".join(f"{port.name}: {_shown_speed(port.speed_gbps)}" for port in live)
    if len(speeds) < len(live):
        remedy = f"Read it on the node: ethtool {live[0].name}"
        return make_cell(CellState.UNREAD, "not told", evidence=evidence, remedy=remedy)
    slowest = min(speeds)
    if slowest < FULL_GBPS:
        remedy = "Use a cable made for 200 Gb/s. On a switch, set the port to 200GBASE-CR4 without auto-negotiation."
        return warn(f"{slowest:g}G", remedy, evidence)
    return good(f"{slowest:g}G", evidence)


def _shown_speed(speed_gbps: float) -> str:
    return f"{speed_gbps:g} Gb/s" if math.isfinite(speed_gbps) else "not told"


def _judge_halves(reading: NodeReading) -> Cell:
    used = cages_in_use(reading)
    if not used:
        return skipped("no cable")
    ports = [port for cage in used for port in ports_of(reading, cage)]
    total, up = 2 * len(used), sum(port.carrier is True for port in ports)
    told = [port for port in ports if port.carrier and port.is_rdma_active is not None]
    active = sum(port.is_rdma_active is True for port in told)
    evidence = "\n".join(f"{port.name}: {_shown_half(port)}" for port in ports)
    if any(port.carrier is None for port in ports):
        return make_cell(CellState.UNREAD, "not told", evidence=evidence, remedy=LOOK_AGAIN)
    if up < total:
        remedy = "One half carries half of the speed at most. " + RESEAT
        return warn(f"{up} of {total}", remedy, evidence)
    if told and active < len(told):
        remedy = "NCCL cannot use a half whose RDMA device is not active. Restart both nodes of the cable."
        return warn(f"{up} of {total}, RDMA {active}", remedy, evidence)
    return good(f"{up} of {total}" if told else f"{up} of {total}, no RDMA", evidence)


def _shown_half(port: Interface) -> str:
    link = {True: "link", False: "no link", None: "link not known"}[port.carrier]
    rdma = {True: "active", False: "not active", None: "not told"}[port.is_rdma_active]
    return f"{link}, RDMA {port.rdma_device or 'device'} {rdma}"


# What is at the other end --------------------------------------------------------------------------------------------


def _judge_peer(case: Case, reading: NodeReading) -> Cell:
    if case.topology.state is not LookState.DONE:
        remedy = case.topology.remedy or "Look at the cabling again."
        return make_cell(CellState.UNREAD, "not looked at", evidence=case.topology.message, remedy=remedy)
    cables = [cable for cable in case.topology.cables if reading.node_id in _nodes_of(cable)]
    if not cables:
        return fail("nobody", NO_CABLE) if cages_in_use(reading) else skipped("no cable")
    words = [_peer_words(case, cable, reading.node_id) for cable in cables]
    strangers = [cable.stranger for cable in cables if cable.stranger is not None]
    if any(stranger.kind == "spark" for stranger in strangers):
        return warn(", ".join(words), "Add it to this cluster, or give it a label if it belongs to another one.")
    keys = "\n".join(cable.key for cable in cables)
    if any(map(_is_unknown, cables)):
        return make_cell(CellState.UNREAD, ", ".join(words), evidence=keys, remedy=NAME_IT)
    return good(", ".join(words), keys)


def _is_unknown(cable: Cable) -> bool:
    """Whether nobody has said what is at its other end: neither the device itself nor a person."""
    if cable.via_switch or cable.b is not None:
        return False
    return cable.stranger is None or cable.stranger.kind == "unknown"


def _nodes_of(cable: Cable) -> tuple[str, ...]:
    return (cable.a[0],) if cable.b is None else (cable.a[0], cable.b[0])


def _peer_words(case: Case, cable: Cable, node_id: str) -> str:
    if cable.via_switch:
        switches = case.topology.switches
        title = switches[cable.switch_number].title if cable.switch_number < len(switches) else ""
        return title or "switch"
    if cable.b is not None:
        end = cable.b if cable.a[0] == node_id else cable.a
        name = case.reading(end[0]).name if end[0] in case.readings else "a node that was not chosen:"
        return f"{name} {end[1]}"
    stranger = cable.stranger
    if stranger is None:
        return "unknown"
    return stranger.label or stranger.name or ("another Spark" if stranger.kind == "spark" else "unknown device")


def _judge_wiring(case: Case, reading: NodeReading) -> Cell:
    """The topology's own problems of this node, but for those of addresses."""
    if case.topology.state is not LookState.DONE:
        return make_cell(CellState.UNREAD, "not looked at", remedy=case.topology.remedy or "Look at the cabling again.")
    found = [one for one in case.topology.problems if reading.node_id in _concerned(case, one) and _is_ours(one)]
    bad = [one for one in found if one.severity in _STATES]
    unknown = [one for one in found if one.id == "not-asked" or (one.id == "no-answer" and _is_nameless(case, one))]
    if unknown and not bad:
        text, evidence = _WORDS[unknown[0].id], "\n".join(one.message for one in found)
        return make_cell(CellState.UNREAD, text, evidence=evidence, remedy=unknown[0].remedy)
    if not bad:
        found = [one for one in found if one.id != "no-answer"]  # a person has named it
        text = ", ".join(dict.fromkeys(_WORDS.get(one.id, one.id) for one in found))
        return good(text or "as it should be", "\n".join(one.message for one in found))
    worst = bad[0]
    evidence = "\n".join(one.message for one in found)
    return make_cell(_STATES[worst.severity], _WORDS.get(worst.id, worst.id), evidence=evidence, remedy=worst.remedy)


def _is_nameless(case: Case, problem: Problem) -> bool:
    cable = case.topology.cable_at((problem.node_id, problem.cage))
    return cable is None or _is_unknown(cable)


def _concerned(case: Case, problem: Problem) -> tuple[str, ...]:
    """The nodes that a problem is told of: one of how a cable is plugged in, at both of its ends."""
    cable = case.topology.cable_at((problem.node_id, problem.cage)) if problem.id == "miscabled" else None
    return _nodes_of(cable) if cable is not None else (problem.node_id,)


def _is_ours(problem: Problem) -> bool:
    return problem.id not in ADDRESS_PROBLEMS


def _notes(case: Case) -> Iterator[str]:
    topology = case.topology
    if topology.doubt:
        yield f"{topology.doubt}: addresses are chosen for a cable, and work on such a switch too."
    for cable in topology.cables:
        if cable.stranger is not None and cable.stranger.kind == "spark":
            yield f"Found on {case.reading(cable.a[0]).name} {cable.a[1]}: another Spark. Add it?"
    for problem in topology.problems:
        if problem.severity == "note" and _is_ours(problem) and problem.id != "no-answer":
            yield f"{problem.message}. {problem.remedy}"
    if topology.shape in (Shape.CHAIN, Shape.MIXED, Shape.SINGLE, Shape.LOOP) and len(case.node_ids) > 1:
        yield f"The cabling is no pair, ring or switch ({topology.shape.value}); each cable that was found is set up."
