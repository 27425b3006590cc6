"""Pictures of real cablings, for people to look at; what is drawn on them is held against the truth.

build/shots/lab-NAME-THEME.png: a pair, a ring, a crossed ring, a switch; a cable out, half of one, an MTU mismatch, a
wrong subnet. The samples are the machines' own, by telemetry over SSH.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.topology import TopologyWatch
from tests.lab.cabling import Cabling, looks_of, place, set_ports, truth_of
from tests.lab.desk import REMOTE, Desk, opened_desk
from tests.lab.drawing import draw, drawn
from tests.lab.lab import Lab
from tests.lab.patchbay import Patchbay, Plug, Wire
from tests.ui.picture import SHOTS
from ui import theme
from ui.cluster.map.view import TopologyMap
from ui.cluster.scene import Scene
from ui.style import install_style

pytestmark = pytest.mark.lab

NODES = 12
WAIT_S = 90.0
RING = (((0, 0), (1, 1)), ((1, 0), (2, 1)), ((2, 0), (0, 1)))
CROSSED = (((0, 0), (1, 0)), ((1, 1), (2, 0)), ((2, 1), (0, 1)))
PAIR = Wire(((0, 1), (1, 1)))
P1_OF_SECOND = (1, 1)
Problems = AbstractSet[tuple[str, Plug]]


def cabling(name: str, count: int, *wires: Wire, fault: str = "", problems: Problems = frozenset()) -> Cabling:
    """A cabling with a fault at the second node's P1, and what that leads to."""
    return Cabling(name, count, list(wires), fault, P1_OF_SECOND, set(problems))


FIRST = (
    cabling("pair", 2, PAIR),
    cabling("ring", 3, *map(Wire, RING)),
    cabling("crossed-ring", 3, *map(Wire, CROSSED)),
    cabling("switch", 4, Wire(tuple((node, 0) for node in range(4)), is_switch=True)),
)
SECOND = (
    cabling("cable-out", 3, *map(Wire, RING[:-1])),
    cabling("half-down", 2, Wire(PAIR.plugs, halves_out=((P1_OF_SECOND, 1),)), problems={("half-down", P1_OF_SECOND)}),
    cabling("mtu-mismatch", 2, PAIR, fault="mtu", problems={("mtu-mismatch", (0, 1))}),
    cabling("wrong-subnet", 2, PAIR, fault="subnet", problems={("subnet-mismatch", (0, 1))}),
)
SHAPES = {"ring": "ring", "crossed-ring": "ring", "cable-out": "ring", "switch": "switch"}
"""How the cluster was set up: a pair, else."""
MISSING = {"cable-out": {"spark-3:P0-spark-1:P1": "down"}}
"""Drawn although it is not there: the cluster was set up with it."""


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Patchbay]]:
    """Twelve nodes with nothing plugged in."""
    with Lab(NODES, tmp_path_factory.mktemp("drawing"), marker="drawing", cables=None) as lab:
        bay = Patchbay(lab, wires=NODES)
        yield lab, bay
        bay.close()


async def fresh_samples(desk: Desk) -> dict[str, Sample]:
    """Of each node a sample that was begun after now."""
    since_ms, found = time.time_ns() // 1_000_000 + 1000, dict[str, Sample]()
    deadline_s = time.monotonic() + WAIT_S
    while len(found) < NODES:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.1)
        newest = [desk.telemetry.latest(node.name).value for node in desk.lab.nodes]
        found = {sample.node_id: sample for sample in newest if sample is not None and sample.t_ms > since_ms}
    return found


async def look(desk: Desk, names: list[str]) -> Topology:
    """One look at the cables of these nodes."""
    nodes = tuple(status for status in desk.inventory.nodes.value if status.record.id in names)
    watch = TopologyWatch(
        tasks=desk.tasks,
        nodes=Latest(nodes),
        shells=desk.inventory.shell,
        samples=desk.telemetry.latest,
        store=desk.store,
        program=(REMOTE / "beacon.py").read_bytes(),
        clock=SystemClock(),
    )
    found = await watch.look()
    watch.close()
    return found


def take_picture(scene: Scene, name: str) -> None:
    shown, host = TopologyMap(), QWidget()
    host.setAutoFillBackground(True)
    shown.setParent(host)
    for part in (host, shown):
        part.resize(880, 600)
    shown.set_scene(scene)
    host.show()
    SHOTS.mkdir(parents=True, exist_ok=True)
    for choice in ("dark", "light"):
        theme.set_theme("dark" if choice == "dark" else "light")
        QApplication.processEvents()
        assert host.grab().save(str(SHOTS / f"lab-{name}-{choice}.png"))
    theme.set_theme("dark")
    host.hide()
    host.deleteLater()


@pytest.mark.timeout(300)
async def test_each_shape_and_fault_of_real_cables_is_drawn_as_it_is(
    bay: tuple[Lab, Patchbay], qapp: QApplication
) -> None:
    install_style(qapp, "dark")
    lab, patchbay = bay
    with lab.workstation():
        async with opened_desk(lab, hz=1.0) as desk:
            for cablings in (FIRST, SECOND):
                offsets = [sum(one.count for one in cablings[:number]) for number in range(len(cablings))]
                placed = [place(one, offset, 0) for one, offset in zip(cablings, offsets, strict=True)]
                patchbay.patch([wire for one in placed for wire in one.wires])
                for one in placed:
                    set_ports(one, patchbay)
                names = [
                    [f"spark-{offset + number + 1}" for number in range(one.count)]
                    for one, offset in zip(cablings, offsets, strict=True)
                ]
                found = await asyncio.gather(*(look(desk, nodes) for nodes in names))
                samples = await fresh_samples(desk)
                for one, nodes, topology in zip(placed, names, found, strict=True):
                    statuses = [status for status in desk.inventory.nodes.value if status.record.id in nodes]
                    mine = {node_id: sample for node_id, sample in samples.items() if node_id in nodes}
                    scene = draw(topology, statuses, mine, SHAPES.get(one.name, "pair"))
                    take_picture(scene, one.name)
                    assert drawn(scene) == looks_of(one, truth_of(one, nodes)) | MISSING.get(one.name, {}), one.name
