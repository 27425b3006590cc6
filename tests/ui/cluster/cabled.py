"""Scenes of real cablings: from plugs follow what nodes tell, from that the topology, from that what is drawn.

The one rule: the topology is always built by the core from the nodes' views; nothing here says what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.half import End, NodeView
from sparkdesk.core.cluster.node import NodeState, NodeStatus
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import Topology, build_topology
from sparkdesk.core.telemetry.sample import Sample
from tests.core.cluster.cabling import Cabling, Wire, chain, crossed_ring, pair, ring, switch, two_cables
from tests.ui import rack
from ui.cluster.map.layout import lay_out
from ui.cluster.map.place import MapLayout
from ui.cluster.scene import Known, Scene, build_scene

Views = dict[str, NodeView]


@dataclass
class Cabled:
    """A cluster with its cables. `change` alters what the nodes told, `values` what they measure."""

    cabling: Cabling
    declared: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[Views], None] = lambda _views: None
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    states: dict[str, NodeState] = field(default_factory=dict)
    ages_s: dict[str, float] = field(default_factory=dict)
    now_ms: int = rack.NOW_MS

    def topology(self) -> Topology:
        """What the core makes of it."""
        views = {node: replace(view, name=name_of(node)) for node, view in self.cabling.views().items()}
        self.change(views)
        return build_topology(views, self.labels)

    def statuses(self) -> tuple[NodeStatus, ...]:
        """The nodes as they are now."""
        found = []
        for i, node in enumerate(self.cabling.nodes):
            one = rack.status(i, self.states.get(node, NodeState.LIVE))
            found.append(replace(one, record=replace(one.record, id=node, name=name_of(node))))
        return tuple(found)

    def sample(self, node: str) -> Sample:
        """What a node measures: its carriers are those of the cabling."""
        i = int(node[1:]) - 1
        plugged = {end for wire in self.cabling.wires for end in wire.ends}
        values: dict[str, float] = {}
        for cage, netdevs in CAGE_NETDEVS.items():
            up = sum((node, netdev) not in self.cabling.down for netdev in netdevs) if (node, cage) in plugged else 0
            values[f"cage_up.{cage}"] = float(up)
            values[f"cage_speed_gbps.{cage}"] = 200.0 if up else float("nan")
            values[f"cage_tx_gbps.{cage}"] = 11.8 + i if up else float("nan")
            values[f"cage_rx_gbps.{cage}"] = 9.6 - i / 2 if up else float("nan")
        made = rack.sample(i, (93.8, 12.2, 55.1, 30.6)[i % 4], values | self.values.get(node, {}))
        return replace(made, node_id=node, t_ms=self.now_ms - round(self.ages_s.get(node, 0.4) * 1000))

    def known(self, topology: Topology | None = None, **more: object) -> Known:
        """What a scene is made from."""
        cluster = replace(rack.cluster(0, self.declared), nodes=tuple(each.record for each in self.statuses()))
        samples = {node: (self.sample(node), self.ages_s.get(node, 0.4)) for node in self.cabling.nodes}
        made = Known(cluster, self.statuses(), samples=samples, topology=topology or self.topology())
        return replace(made, **more) if more else made  # type: ignore[arg-type]  # its own fields

    def scene(self, topology: Topology | None = None) -> Scene:
        """What is drawn."""
        return build_scene(self.known(topology))


def name_of(node: str) -> str:
    """The name of node "n1"."""
    return rack.record(int(node[1:]) - 1).name


def placed(scene: Scene, width: float = 848, height: float = 570) -> MapLayout:
    """Where it lies."""
    return lay_out(scene.wiring, width, height)


def wire_to(end: End, *macs: str) -> Wire:
    """A cable to a device that is no node."""
    return Wire([end], list(macs))


def _with(cabling: Cabling, *wires: Wire) -> Cabling:
    cabling.wires += wires
    return cabling


def _half_down() -> Cabling:
    cabling = pair()
    cabling.down.add(("n2", "enP2p1s0f1np1"))
    return cabling


def _other_mtu() -> Cabling:
    cabling = pair()
    cabling.mtus = {("n2", netdev): 1500 for netdev in CAGE_NETDEVS["P1"]}
    return cabling


def set_subnets(views: Views) -> None:
    """Every half in the subnet of its cable, but one half of n2 in another."""
    for number, node in enumerate(views):
        halves = []
        for half in views[node].halves:
            net = 100 + CAGE_NETDEVS[half.cage].index(half.netdev) + (50 * number if "P2" in half.netdev else 0)
            halves.append(replace(half, addresses=(f"192.168.{net}.{10 + number}/24",)))
        views[node] = replace(views[node], halves=tuple(halves))


def silence(views: Views) -> None:
    """n1 hears nothing."""
    views["n1"] = replace(views["n1"], heard=())


def slow_down(views: Views) -> None:
    """The line of n1 runs at half its speed."""
    halves = tuple(replace(half, speed_gbps=100.0) for half in views["n1"].halves)
    views["n1"] = replace(views["n1"], halves=halves)


MACS = ("00:1b:21:00:00:01", "00:1b:21:00:00:02")


def rails(count: int) -> Cabling:
    """Each cage of every node on a switch of its own."""
    wires = [Wire([(f"n{i + 1}", cage) for i in range(count)], is_switch=True) for cage in ("P0", "P1")]
    return Cabling(count, wires)


def two_switches() -> Cabling:
    """Two switches with three nodes each, joined by a cable between two of the nodes."""
    ends = [[(f"n{i + 1}", "P0") for i in part] for part in (range(3), range(3, 6))]
    wires = [Wire(part, is_switch=True) for part in ends]
    return Cabling(6, [*wires, Wire([("n1", "P1"), ("n4", "P1")])])


def with_guests(count: int = 4) -> Cabled:
    """A switch with two devices on it that are no nodes."""
    made = switch(count)
    made.wires[0].strangers = list(MACS)
    return Cabled(made, "switch")


def ring_without_a_cable() -> Cabled:
    """A ring of three with its last cable out."""
    return Cabled(chain(3), "ring")


def switch_without_a_cable() -> Cabled:
    """Four nodes that were set up with a switch; one is not on it."""
    return Cabled(Cabling(4, [Wire([(f"n{i}", "P1") for i in (1, 2, 3)], is_switch=True)]), "switch")


CASES: dict[str, Callable[[], Cabled]] = {
    "single": lambda: Cabled(Cabling(1, []), "single"),
    "loop": lambda: Cabled(Cabling(1, [Wire([("n1", "P0"), ("n1", "P1")])]), "single"),
    "storage": lambda: Cabled(Cabling(1, [wire_to(("n1", "P0"), *MACS)]), "", {MACS[0]: "Storage"}),
    "pair": lambda: Cabled(pair(), "pair"),
    "pair-two-cables": lambda: Cabled(two_cables(), "pair"),
    "pair-crossed": lambda: Cabled(pair("01"), "pair"),
    "pair-cable-out": lambda: Cabled(Cabling(2, []), "pair"),
    "half-down": lambda: Cabled(_half_down(), "pair"),
    "mtu": lambda: Cabled(_other_mtu(), "pair"),
    "subnet": lambda: Cabled(pair(), "pair", change=set_subnets),
    "one-way": lambda: Cabled(pair(), "pair", change=silence),
    "slow": lambda: Cabled(pair(), "pair", change=slow_down, values={"n1": {"cage_speed_gbps.P1": 100.0}}),
    "other-device": lambda: Cabled(_with(pair(), wire_to(("n1", "P0"), *MACS)), "pair", {MACS[0]: "Storage"}),
    "strangers": lambda: Cabled(_with(pair(), wire_to(("n1", "P0"), *MACS), wire_to(("n2", "P0"))), "pair"),
    "ring": lambda: Cabled(ring(), "ring"),
    "crossed-ring": lambda: Cabled(crossed_ring(), "ring"),
    "cable-out": ring_without_a_cable,
    "chain": lambda: Cabled(chain(4)),
    "chain-of-three": lambda: Cabled(chain(3)),
    "ring-of-four": lambda: Cabled(ring(4)),
    "ring-of-six": lambda: Cabled(ring(6)),
    "ring-of-eight": lambda: Cabled(ring(8)),
    "ring-of-twelve": lambda: Cabled(ring(12)),
    "switch": lambda: Cabled(switch(4, ("P1",)), "switch"),
    "switch-both-cages": lambda: Cabled(switch(4, ("P0", "P1")), "switch"),
    "switch-cable-out": switch_without_a_cable,
    "switch-of-three": lambda: Cabled(switch(3), "switch"),
    "switch-of-eight": lambda: Cabled(switch(8), "switch"),
    "switch-of-sixteen": lambda: Cabled(switch(16, ("P0", "P1")), "switch"),
    "switch-of-64": lambda: Cabled(switch(64), "switch"),
    "switch-guests": with_guests,
    "two-rails": lambda: Cabled(rails(4), "switch"),
    "two-rails-of-eight": lambda: Cabled(rails(8), "switch"),
    "mixed": lambda: Cabled(two_switches()),
    "not-joined": lambda: Cabled(Cabling(3, [])),
}  # fmt: skip
"""Every shape and fault that is drawn, by name."""
