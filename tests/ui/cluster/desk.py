"""A cluster as a morning finds it: cables looked at, findings, figures of engines and energy. Nothing was measured."""

from __future__ import annotations

import math
from dataclasses import replace

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.half import Half
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.cluster.topology import Cable, HalfPair, LookState, Shape, Stranger, Switch, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.energy import EnergyView
from sparkdesk.core.telemetry.series import ChartSource
from tests.ui import rack
from tests.ui.picture import host_page
from tests.ui.stage import Stage
from ui.charts.feed import ChartFeeds
from ui.cluster.model import ClusterFeeds, ClusterModel
from ui.cluster.view import ClusterPage

SINCE_MS = rack.NOW_MS - 1_800_000
SLOW = Concern(
    "clock",
    "node2",
    Severity.WARN,
    "The GPU clock is held in its slow state",
    "731 MHz at 96 % GPU for 2 min; 500 to 950 MHz is the slow state",
    "Shut the node down, take its power plug out for a minute, and start it again.",
    cost="About half of the speed of what runs there.",
    since_ms=SINCE_MS,
)
CACHE = Concern(
    "page-cache",
    "node3",
    Severity.WARN,
    "Page cache fills the memory before a load",
    "41.0 GiB of page cache",
    "Drop it before the next launch.",
    fix=Playbook("Drop the page cache", ()),
    since_ms=SINCE_MS + 60_000,
)
MTU = Concern(
    "mtu-mismatch",
    "node1",
    Severity.WARN,
    "The MTU differs along a cable",
    "spark-bd26 P1: enp1s0f1np1 has MTU 1500, another port on this wire has 9000",
    "Give both ends the same MTU.",
    subject="P1",
    since_ms=SINCE_MS + 120_000,
)
CROSSED = Concern(
    "miscabled", "node0", Severity.NOTE, "A cable is plugged in another way than in the guide", "P0", "Nothing.", "P0"
)
HALVES = {"P0": ("enp1s0f0np0", "enP2p1s0f0np0"), "P1": ("enp1s0f1np1", "enP2p1s0f1np1")}
DEVICES = {"P0": ("rocep1s0f0", "roceP2p1s0f0"), "P1": ("rocep1s0f1", "roceP2p1s0f1")}
WORDS = "Energy is the GPU rail's. Cost and CO2 are of the wall, an estimate."
MAC = "9c:63:c0:11:22:33"


def half(i: int, cage: str, which: int, **more: object) -> Half:
    """One half of a cage of node `i`."""
    address = f"192.168.{100 + which}.{i + 1}/24"
    made = Half(
        f"node{i}", HALVES[cage][which], DEVICES[cage][which], f"4c:bb:47:00:0{i}:0{which}", "fe80::1", True, 100.0
    )
    made = replace(made, mtu=9000, addresses=(address,), is_rdma_active=True)
    return replace(made, **more) if more else made  # type: ignore[arg-type]


def pairs(i: int, cage: str, other: int | None = None, other_cage: str = "") -> tuple[HalfPair, ...]:
    """Both halves of a cable that is up."""
    return tuple(
        HalfPair(half(i, cage, which), None if other is None else half(other, other_cage, which)) for which in (0, 1)
    )


def switch_topology(seen_ms: int = rack.NOW_MS) -> Topology:
    """Four nodes on a switch by P1, with storage in P0 of the first."""
    cables = [Cable(f"node{i}:P1-switch", (f"node{i}", "P1"), via_switch=True, halves=pairs(i, "P1")) for i in range(4)]
    stranger = Stranger(MAC, "nas-1", "device")
    cables.append(Cable("node0:P0-other", ("node0", "P0"), stranger=stranger, halves=pairs(0, "P0")))
    problem = Problem("mtu-mismatch", "warn", "node1", "P1", MTU.evidence, MTU.remedy)
    return Topology(
        shape=Shape.SWITCH,
        cables=tuple(cables),
        rank_order=tuple(f"node{i}" for i in range(4)),
        problems=(problem,),
        strangers=(stranger,),
        switches=(Switch("CRS804-4DDQ"),),
        seen_ms=seen_ms,
        state=LookState.DONE,
    )


def pair_topology(seen_ms: int = rack.NOW_MS) -> Topology:
    """Two nodes with one direct cable, P1 to P1."""
    cable = Cable("node0:P1-node1:P1", ("node0", "P1"), ("node1", "P1"), halves=pairs(0, "P1", 1, "P1"))
    return Topology(Shape.PAIR, (cable,), ("node0", "node1"), seen_ms=seen_ms, state=LookState.DONE)


def bandwidth(job_id: str) -> Bandwidth | None:
    """What the service computes: of the second job too little is known."""
    if job_id == "j1":
        return Bandwidth(178.0, 178.0 / 273.0, 5.87e9)
    return Bandwidth(math.nan, math.nan, math.nan, "How many experts the model has is not known")


def energy(owner_id: str) -> EnergyView | None:
    """What the service adds up."""
    per_token = 0.78 if owner_id.startswith("j") else math.nan
    return EnergyView(44_640.0, 111_600.0, 0.0093, "EUR", 11.8, per_token, 0.98, SINCE_MS, WORDS)


class Desk(Stage):
    """A stage with everything that the page can show."""

    def measure(self, i: int, used_gib: float = 6.2, **values: float) -> None:
        """As in a stage; the first of four nodes has a device in its other cage."""
        if i == 0 and self.count == 4:
            values = {"cage_up__P0": 2.0, "cage_speed_gbps__P0": 200.0, "cage_tx_gbps__P0": 3.1, **values}
        super().measure(i, used_gib, **values)

    def dress(self) -> None:
        """Cables, findings and models of a working day."""
        self.topology.set(switch_topology(self.now_ms))
        self.findings.set((MTU, CACHE, SLOW, replace(CROSSED, since_ms=SINCE_MS)))
        self.serve(
            rack.job("j1", "gpt-oss-120b", 0, node_ids=("node0", "node1")),
            rack.job("j2", "qwen3.6-35b-a3b", 2),
            rack.job("j3", "llama-3.3-70b", 3, JobState.LOADING),
        )

    def clusters(self) -> Latest[tuple[ClusterRecord, ...]]:
        """Four saved clusters; the first is open."""
        shapes = (("c1", "rack-4", 4, "switch"), ("c2", "train-ring", 3, "ring"), ("c3", "pair-lab", 2, "pair"))
        made = [ClusterRecord(key, name, _records(count), shape=shape) for key, name, count, shape in shapes]
        return Latest((*made, ClusterRecord("c4", "desk-solo", _records(1), shape="single")))

    def chart_feeds(self) -> ChartFeeds:
        """What the charts read."""
        return ChartFeeds(
            sources=lambda: tuple(ChartSource(node.record.id, node.record.name, "node") for node in self.nodes.value),
            keys=lambda node_id: tuple(sorted(self.samples[node_id].values)) if node_id in self.samples else (),
            series=lambda node_id, key, span_s: self.histories[node_id].series(key, span_s),
            now_ms=lambda: self.now_ms,
        )

    def feeds(self, **more: object) -> ClusterFeeds:
        """Everything that the page reads."""
        made = replace(self.cluster_feeds(), bandwidth=bandwidth, energy=energy, charts=self.chart_feeds())
        return replace(made, **more)  # type: ignore[arg-type]  # the caller names fields of the feeds


def _records(count: int) -> tuple[rack.NodeRecord, ...]:
    return tuple(rack.record(i) for i in range(count))


def open_page(qtbot: QtBot, feeds: ClusterFeeds, width: int = 1232, height: int = 852) -> ClusterPage:
    """The page in a window of 1440 x 900."""
    page = ClusterPage(ClusterModel(feeds))
    host = host_page(page, width, height)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page
