"""Cables: which ones a shape has, and what the two ends say about them. Pure: no Qt.

The one rule: a cable is what its ports say. An end that says nothing makes it "not known": never a tick without data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sparkdesk.core.cluster.port import CAGE_RDMA_DEVICES, CAGES, Port, PortState
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.telemetry.cage import CABLE_GBPS
from ui import text

Look = Literal["up", "degraded", "wrong", "one_way", "down", "unknown", "stale", "unused"]
"""WRONG: a link at full speed whose two ends are set up differently. STALE: what it was, of nodes that are silent."""
Shape = Literal["single", "pair", "ring", "switch", "loose"]
End = tuple[str, str]
"""Node id and cage."""
FarKind = Literal["node", "switch", "stranger", "none"]
_SILENT = {cage: Port(cage, PortState.UNKNOWN) for cage in CAGES}


@dataclass(frozen=True, slots=True)
class Cable:
    """One cable, or one port without a known other end. Rates are as the first end sees them."""

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


def shape_of(shape: str, node_count: int) -> Shape:
    """The shape to draw. A recorded one that cannot be is drawn as "loose": ports without a claimed other end."""
    fits = {"single": node_count == 1, "pair": node_count == 2, "ring": node_count == 3, "switch": node_count >= 2}
    for name in ("single", "pair", "ring", "switch"):
        if shape == name and fits[name]:
            return name
    return "single" if node_count == 1 else "loose"


def plan_ends(shape: Shape, node_ids: Sequence[str]) -> tuple[tuple[End, ...], ...]:
    """The ends of every cable of a shape: two for a cable between nodes, one towards a switch or an open port."""
    if shape == "pair":
        first, second = node_ids
        return tuple(((first, cage), (second, cage)) for cage in CAGES)
    if shape == "ring":
        count = len(node_ids)
        return tuple(((node_ids[i], "P0"), (node_ids[(i + 1) % count], "P1")) for i in range(count))
    return tuple(((node_id, cage),) for node_id in node_ids for cage in CAGES)


def build_cables(
    shape: Shape, node_ids: Sequence[str], ports: Mapping[End, Port], names: Mapping[str, str]
) -> tuple[Cable, ...]:
    """Every cable with its state. `ports` holds what is known; an end that is missing is not known."""
    return CableBuilder().build(shape, node_ids, ports, names)


class CableBuilder:
    """Builds the cables again and again; one of which nothing new is known stays the same."""

    def __init__(self) -> None:
        self._made: dict[tuple[End, ...], tuple[object, Cable]] = {}

    def build(
        self, shape: Shape, node_ids: Sequence[str], ports: Mapping[End, Port], names: Mapping[str, str]
    ) -> tuple[Cable, ...]:
        """As `build_cables`."""
        before, self._made = self._made, {}
        used_cages = {end[1] for end, port in ports.items() if port.state in (PortState.UP, PortState.DEGRADED)}
        for ends in plan_ends(shape, node_ids):
            known = [ports.get(end, _SILENT[end[1]]) for end in ends]
            # One cable is enough for a pair and for a switch: the other cage is a fault where it is used elsewhere.
            is_expected = shape == "ring" or ends[0][1] in used_cages or (shape == "pair" and not used_cages)
            told = (is_expected, known, [names.get(node_id) for node_id, _ in ends])
            made = before.get(ends)
            if made is None or made[0] != told:
                made = (told, _build(ends, known, names, is_expected=is_expected))
            self._made[ends] = made
        return tuple(cable for _, cable in self._made.values())


def _build(ends: tuple[End, ...], ports: Sequence[Port], names: Mapping[str, str], *, is_expected: bool) -> Cable:
    states = {port.state for port in ports}
    speeds = [port.speed_gbps for port in ports if text.is_known(port.speed_gbps)]
    speed = min(speeds) if speeds else math.nan
    look: Look
    if PortState.UNKNOWN in states:
        look, word = "unknown", "not known"
    elif PortState.DOWN in states:
        # A cage that nobody uses is no fault; one that its neighbours use is.
        look, word = ("down", "Down") if is_expected else ("unused", "no link")
    elif PortState.DEGRADED in states:
        look, word = "degraded", _degraded_word(speed)
    else:
        look, word = "up", f"{speed:.0f}G" if text.is_known(speed) else "Up, speed n/a"
    has_rates = look in ("up", "degraded")
    return Cable(
        key="|".join(f"{node_id}:{cage}" for node_id, cage in ends),
        ends=ends,
        look=look,
        word=word,
        tx=text.line_rate(ports[0].tx_gbps).value if has_rates else "",
        rx=text.line_rate(ports[0].rx_gbps).value if has_rates else "",
        hint=_hint(ends, ports, names, word),
    )


def _degraded_word(speed_gbps: float) -> str:
    if text.is_known(speed_gbps) and speed_gbps < CABLE_GBPS:
        return f"{speed_gbps:.0f}G, expected {CABLE_GBPS:.0f}G"
    return "One half up, expected two"


def _hint(ends: tuple[End, ...], ports: Sequence[Port], names: Mapping[str, str], word: str) -> str:
    title = " to ".join(f"{names.get(node_id, node_id)} {cage}" for node_id, cage in ends)
    lines = [f"{title}: {word}"]
    for (node_id, cage), port in zip(ends, ports, strict=True):
        halves = " and ".join(CAGE_RDMA_DEVICES[cage])
        rates = f"tx {text.line_rate(port.tx_gbps)}, rx {text.line_rate(port.rx_gbps)}"
        lines.append(f"{names.get(node_id, node_id)} {cage} ({halves}): {rates}")
    return "\n".join(lines)
