"""What a cable is called now: its state from the last look and from its ports, and the rates at its ends. No Qt.

The one rule: a cable is what its ports say. An end that says nothing makes it "not known": never a tick without data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sparkdesk.core.cluster.half import End, Half
from sparkdesk.core.cluster.port import CAGE_RDMA_DEVICES, CAGES, Port, PortState
from sparkdesk.core.cluster.topology import Cable as SeenCable
from sparkdesk.core.cluster.topology import LookState, Stranger, Switch, Topology
from sparkdesk.core.cluster.topology_problem import FULL_GBPS, Problem
from ui import text
from ui.cluster.map.wiring import FarKind, Link, Wiring

Look = Literal["up", "degraded", "wrong", "one_way", "down", "unknown", "stale", "unused"]
"""WRONG: a link at full speed that is set up wrongly. STALE: what it was, of nodes that are silent now."""
ArrowEnd = Literal["", "first", "last"]
_SILENT = {cage: Port(cage, PortState.UNKNOWN) for cage in CAGES}
_WRONG = {
    "mtu-mismatch": "MTU mismatch",
    "subnet-mismatch": "Wrong subnet",
    "rdma-inactive": "RDMA not active",
    "no-ipv6": "no IPv6",
    "loop": "Loop",
}
"""Problems of a cable that has its link; in the order in which they are told."""
_HALF = ("half-down", "half-missing")
DETECTING = "detecting"
SWITCH = "Switch"


@dataclass(frozen=True, slots=True)
class Cable:
    """One line of the map. Rates are as the first end sees them; where only the other end tells, they are turned."""

    key: str
    ends: tuple[End, ...]
    look: Look
    word: str
    tx: str = ""
    rx: str = ""
    hint: str = ""
    """Tooltip and accessible text: the whole cable in a sentence or two."""
    to: FarKind = "none"
    """What is at its other end."""
    far: str = ""
    """The other device's or the switch's title; "" for a node."""
    detail: str = ""
    """More of the other device: its hardware address, or that nobody answers."""
    switch: int = 0
    problems: tuple[Problem, ...] = ()
    """What is wrong with it, worst first."""
    is_detecting: bool = False
    """Before the first look: the carriers tell, but nobody knows yet where it leads."""
    arrow: ArrowEnd = ""
    """The end that still receives, where it works one way only."""


@dataclass(frozen=True, slots=True)
class CableFacts:
    """What the cables' words are made from."""

    topology: Topology = field(default_factory=Topology)
    ports: Mapping[End, Port] = field(default_factory=dict)
    """What is known of now; an end that is missing is not known."""
    ages_s: Mapping[str, float] = field(default_factory=dict)
    """Nodes whose values are old or gone, with their age; NaN where that is not known either."""
    names: Mapping[str, str] = field(default_factory=dict)
    switch_titles: tuple[str, ...] = ()
    """By the switches' numbers."""


class _Parts(NamedTuple):
    """All that one cable is made from; while it is equal, so is the cable."""

    link: Link
    ports: tuple[Port, ...]
    ages: tuple[float | None, ...]
    """Per end; None where the node is live. Rounded, so that it can be compared."""
    names: tuple[str, ...]
    seen: SeenCable | None
    problems: tuple[Problem, ...]
    switch_title: str
    is_expected: bool
    is_seen: bool
    is_looking: bool
    doubt: str
    """What cannot be told of where it leads."""


class CableBuilder:
    """Builds the cables again and again; one of which nothing new is known stays the same."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[_Parts, Cable]] = {}

    def build(self, wiring: Wiring, facts: CableFacts) -> tuple[Cable, ...]:
        """Every line of the wiring with its state of now."""
        before, self._made = self._made, {}
        seen = {cable.key: cable for cable in facts.topology.cables}
        problems: dict[End, list[Problem]] = {}
        for problem in facts.topology.problems:
            problems.setdefault((problem.node_id, problem.cage), []).append(problem)
        used = {end[1] for end, port in facts.ports.items() if port.state in (PortState.UP, PortState.DEGRADED)}
        for link in wiring.links:
            here = tuple(one for end in link.ends for one in problems.get(end, ()))
            asked = tuple(one for end in link.ends for one in problems.get((end[0], ""), ()))
            # One cable is enough for a pair and for a switch: the other cage is a fault where it is used elsewhere.
            is_expected = wiring.shape == "ring" or link.ends[0][1] in used or (wiring.shape == "pair" and not used)
            parts = _Parts(
                link=link,
                ports=tuple(facts.ports.get(end, _SILENT[end[1]]) for end in link.ends),
                ages=tuple(_rounded(facts.ages_s.get(end[0])) for end in link.ends),
                names=tuple(facts.names.get(end[0], end[0]) for end in link.ends),
                seen=seen.get(link.key) if wiring.is_seen else None,
                problems=here + asked if wiring.is_seen else (),
                switch_title=title_at(facts.switch_titles, link.switch),
                is_expected=is_expected,
                is_seen=wiring.is_seen,
                doubt=facts.topology.doubt if wiring.is_seen and link.to == "node" else "",
                is_looking=not wiring.is_seen and facts.topology.state is LookState.LOOKING,
            )
            made = before.get(link.key)
            if made is None or made[0] != parts:
                made = (parts, _build(parts))
            self._made[link.key] = made
        return tuple(cable for _, cable in self._made.values())


def _rounded(age_s: float | None) -> float | None:
    """NaN is not equal to itself, so an age that is not known is -1."""
    return None if age_s is None else float(round(age_s)) if text.is_known(age_s) else -1.0


def _build(parts: _Parts) -> Cable:
    link = parts.link
    look, word = _judge(parts) if parts.is_seen else _judge_unseen(parts)
    far, detail = _far(parts)
    tx, rx = _rates(parts.ports) if look in ("up", "degraded", "wrong", "one_way") else ("", "")
    return Cable(
        key=link.key,
        ends=link.ends,
        look=look,
        word=word,
        tx=tx,
        rx=rx,
        hint=_hint(parts, word),
        to=link.to if parts.is_seen else "none",
        far=far,
        detail=detail,
        switch=link.switch,
        problems=parts.problems,
        is_detecting=not parts.is_seen,
        arrow=_arrow(parts) if look == "one_way" else "",
    )


# The state ------------------------------------------------------------------------------------------------------------


def _judge_unseen(parts: _Parts) -> tuple[Look, str]:
    """Before the first look: what the carriers tell, and nothing of where it leads."""
    states = {port.state for port in parts.ports}
    if PortState.UNKNOWN in states:
        return "unknown", DETECTING if parts.is_looking else "not known"
    if PortState.DOWN in states:
        # A cage that nobody uses is no fault; one that its neighbours use is.
        return ("down", "Down") if parts.is_expected else ("unused", "no link")
    return _judge_speed(parts)


def _judge(parts: _Parts) -> tuple[Look, str]:
    states = {port.state for port in parts.ports}
    if parts.link.is_missing or parts.link.to == "none":
        return _judge_open(parts, states)
    if PortState.DOWN in states:
        return "down", "Down"
    old = [age for age in parts.ages if age is not None]
    if old:
        age = max(old)
        return "stale", f"{text.age(age)} old" if age >= 0 else "not known now"
    if parts.seen is not None and parts.seen.is_one_way:
        return "one_way", "One way only"
    look, word = _judge_speed(parts)
    if look == "up":
        kinds = {problem.id for problem in parts.problems}
        wrong = next((word for kind, word in _WRONG.items() if kind in kinds), "")
        if wrong:
            return "wrong", wrong
        if "miscabled" in kinds:
            return "up", f"{word}, crossed"
    return look, word


def _judge_open(parts: _Parts, states: set[PortState]) -> tuple[Look, str]:
    """A cage without a cable, or a cable that is missing."""
    if states & {PortState.UP, PortState.DEGRADED} and not parts.link.is_missing:
        is_old = all(age is not None for age in parts.ages)
        return "unknown", "not known now" if is_old else "link, not looked at yet"
    was_asked = all(problem.id != "not-asked" for problem in parts.problems)
    if not was_asked and PortState.UNKNOWN in states:
        return "unknown", "not known"
    ages = [age for age in parts.ages if age is not None]
    if len(ages) < len(parts.ages):
        return ("down", "No cable") if parts.link.is_missing else ("unused", "no link")
    # All its ends are silent: what they told is not of now.
    if min(ages) < 0:
        return "unknown", "not known now"
    word = f"{text.age(max(ages))} ago"
    return ("unknown", f"No cable {word}") if parts.link.is_missing else ("unused", f"no link {word}")


def _judge_speed(parts: _Parts) -> tuple[Look, str]:
    """Of a cable that has its link."""
    speeds = [port.speed_gbps for port in parts.ports if text.is_known(port.speed_gbps)]
    halves = _seen_halves(parts)
    speeds = speeds or [half.speed_gbps for half in halves if half.carrier and text.is_known(half.speed_gbps)]
    speed = min(speeds, default=math.nan)
    is_slow = text.is_known(speed) and speed < FULL_GBPS
    is_half = any(problem.id in _HALF for problem in parts.problems)
    is_half |= not is_slow and any(port.state is PortState.DEGRADED for port in parts.ports)
    if is_half:
        line = speed if text.is_known(speed) else FULL_GBPS
        return "degraded", f"{line / 2:.0f}G, 1 of 2 halves"
    if is_slow:
        return "degraded", f"{speed:.0f}G, expected {FULL_GBPS:.0f}G"
    return "up", f"{speed:.0f}G" if text.is_known(speed) else "Up, speed n/a"


def _seen_halves(parts: _Parts) -> list[Half]:
    pairs = parts.seen.halves if parts.seen is not None else ()
    return [half for pair in pairs for half in (pair.a, pair.b) if half is not None]


def _arrow(parts: _Parts) -> ArrowEnd:
    """The end that receives: what it sends does not arrive."""
    failing = next((problem for problem in parts.problems if problem.id == "one-way"), None)
    if failing is None or (failing.node_id, failing.cage) == parts.link.ends[0]:
        return "first" if failing is not None else "last"
    return "last"


def _rates(ports: tuple[Port, ...]) -> tuple[str, str]:
    """(tx, rx) as the first end sees them."""
    first = ports[0]
    tx, rx = first.tx_gbps, first.rx_gbps
    if len(ports) > 1 and not text.is_known(tx):
        tx = ports[1].rx_gbps
    if len(ports) > 1 and not text.is_known(rx):
        rx = ports[1].tx_gbps
    return text.line_rate(tx).value, text.line_rate(rx).value


# Words ----------------------------------------------------------------------------------------------------------------


def _far(parts: _Parts) -> tuple[str, str]:
    if not parts.is_seen:
        return "", ""
    stranger = parts.seen.stranger if parts.seen is not None else None
    if stranger is not None:
        return title_of(stranger), _detail(stranger)
    return (parts.switch_title, "") if parts.link.to == "switch" else ("", "")


def switch_titles(topology: Topology, declared: str) -> tuple[str, ...]:
    """What each switch is called: by the user, else by itself, else "Switch". `declared`: as the cluster was set up."""
    switches = topology.switches or (Switch(),)
    names = [one.title for one in switches]
    if len(switches) == 1:
        return (text.one_line(names[0] or declared, 60) or SWITCH,)
    # A name that several tell is not that of one.
    shown = [text.one_line(name, 60) or SWITCH for name in names]
    return tuple(f"{name} {i + 1}" if shown.count(name) > 1 or name == SWITCH else name for i, name in enumerate(shown))


def title_at(titles: Sequence[str], number: int) -> str:
    """The title of the switch of this number."""
    return titles[number] if 0 <= number < len(titles) else SWITCH


def title_of(stranger: Stranger) -> str:
    """How another device is called: by the person's name for it, else by its own."""
    unnamed = "another Spark?" if stranger.kind == "spark" else "other device"
    return text.one_line(stranger.label or stranger.name, 60) or unnamed


def _detail(stranger: Stranger) -> str:
    return text.one_line(stranger.mac, 20) or "nobody answers"


def _hint(parts: _Parts, word: str) -> str:
    ends = [f"{name} {end[1]}" for name, end in zip(parts.names, parts.link.ends, strict=True)]
    far, detail = _far(parts)
    if far:
        ends.append(f"{far} ({detail})" if detail else far)
    lines = [f"{' to '.join(ends)}: {word}"]
    if not parts.is_seen:
        lines.append("The cables have not been looked at: this is what the ports tell.")
    if parts.doubt:
        lines.append(f"{parts.doubt}.")
    for number, (end, port) in enumerate(zip(parts.link.ends, parts.ports, strict=True)):
        rates = f"tx {text.line_rate(port.tx_gbps)}, rx {text.line_rate(port.rx_gbps)}"
        # What the look saw of the halves is not said of a link that has gone since, or that nobody tells of.
        is_there = port.state in (PortState.UP, PortState.DEGRADED)
        halves = [_half_words(half) for half in _halves_at(parts, number) if is_there or half.carrier is False]
        where = f"{parts.names[number]} {end[1]}"
        if not halves:
            halves = list(CAGE_RDMA_DEVICES[end[1]])
        lines.append(f"{where} ({' and '.join(halves)}): {rates}, both halves added")
    lines += [f"{problem.message}. {problem.remedy}" for problem in parts.problems]
    return "\n".join(lines)


def _halves_at(parts: _Parts, number: int) -> list[Half]:
    pairs = parts.seen.halves if parts.seen is not None else ()
    return [half for pair in pairs if (half := pair.a if number == 0 else pair.b) is not None]


def _half_words(half: Half) -> str:
    words = [half.rdma_device or half.netdev]
    if half.carrier is False:
        words.append("no link")
    elif text.is_known(half.speed_gbps):
        words.append(f"{half.speed_gbps:.0f}G")
    if half.mtu is not None:
        words.append(f"MTU {half.mtu}")
    words += [text.one_line(address, 40) for address in half.addresses[:1]]
    if half.is_rdma_active is False:
        words.append("RDMA not active")
    return " ".join(words)
