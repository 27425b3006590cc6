"""Below all addresses: raw frames, with sudo, tell a cable from a silent switch and find what has no address at all."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from sparkdesk.core.cluster.topology import DOUBT, Shape, Topology
from sparkdesk.core.errors import CommandFailed
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.root import Root, SharedPassword
from tests.infra.sshd import require
from tests.lab.lab import CAGE_PORTS, PASSWORD, Lab, LabNode
from tests.lab.looker import Looker
from tests.lab.patchbay import Guest, Patchbay, Wire
from tests.lab.speaker import SWITCH_NAME

pytestmark = pytest.mark.lab

SPEAKER = Path(__file__).with_name("speaker.py")
SWITCH_MAC, STORAGE_MAC = "b8:59:9f:00:00:01", "00:1b:21:00:00:01"
CABLE, SILENT, MUTE, NAMED, STORAGE = (0, 1), (2, 3), (4, 5), (6,), (7,)
"""Nodes: on a cable; on a switch that says nothing; on a cable without IPv6; at a switch that names itself; at a box
that has IPv4 only."""
START_LLDPD = """
mkdir -p /run/lldpd
rm -f /run/lldpd.*
lldpd -I 'en*s0*'
while ! lldpcli configure lldp tx-interval 1; do sleep 0.1; done
lldpcli configure lldp tx-hold 60
"""
"""It speaks every second, and what it said holds for a minute."""
ALL = (CABLE, SILENT, MUTE, NAMED, STORAGE)
WIRES = [
    Wire(((0, 1), (1, 1))),
    Wire(((2, 1), (3, 1)), is_switch=True),
    Wire(((4, 1), (5, 1))),
    Wire(((6, 1),), guests=(0,)),
    Wire(((7, 1),), guests=(1,)),
]


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Patchbay]]:
    """Eight nodes on five wires."""
    with Lab(8, tmp_path_factory.mktemp("deep"), marker="deep", cables=None) as lab:
        bay = Patchbay(
            lab, wires=5, guests=(Guest((SWITCH_MAC,), has_ipv6=False), Guest((STORAGE_MAC,), has_ipv6=False))
        )
        for node in lab.nodes:  # as a Spark's first account is: of the group that may ask lldpd
            node.run("sed", "-i", "s/^adm:.*/&nvidia/", "/etc/group")
        for index in MUTE:
            for port in CAGE_PORTS[1]:
                lab.nodes[index].run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{port}/disable_ipv6")
        bay.patch(WIRES)
        yield lab, bay
        bay.close()


@pytest.fixture
async def looker(bay: tuple[Lab, Patchbay]) -> AsyncIterator[Looker]:
    """In the workstation's network."""
    lab, _ = bay
    with lab.workstation():
        looker = Looker(lab)
        await looker.open()
        yield looker
        await looker.close()


@contextmanager
def speaking(bay: Patchbay, guest: int, kind: str) -> Iterator[None]:
    argv = ["nsenter", "-t", str(bay.guest_pid(guest)), "-n", sys.executable, str(SPEAKER), kind, "eth0"]
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def ids(nodes: tuple[int, ...]) -> list[str]:
    return [f"spark-{index + 1}" for index in nodes]


def kinds(topology: Topology) -> set[str]:
    return {problem.id for problem in topology.problems}


async def test_raw_frames_tell_what_no_address_tells(bay: tuple[Lab, Patchbay], looker: Looker) -> None:
    watches = [looker.watch(ids(nodes)) for nodes in ALL]
    before = await asyncio.gather(*(watch.look() for watch in watches))
    assert [one.shape for one in before] == [Shape.PAIR, Shape.PAIR, Shape.SINGLE, Shape.SINGLE, Shape.SINGLE]
    assert (before[0].doubt, before[1].doubt) == (DOUBT, DOUBT)
    assert kinds(before[2]) == {"no-ipv6"}
    assert kinds(before[3]) == kinds(before[4]) == {"no-answer"}
    asked: list[str] = []

    async def ask(node_id: str, why: str) -> SharedPassword:
        asked.append(why)
        return SharedPassword(PASSWORD)

    with speaking(bay[1], 0, "switch"), speaking(bay[1], 1, "storage"):
        roots = [Root(SystemClock(), ask) for _ in watches]
        deep = await asyncio.gather(
            *(watch.look_deep(root, seconds=4.0) for watch, root in zip(watches, roots, strict=True))
        )
    cable, silent, mute, named, storage = deep
    assert (cable.shape, cable.doubt, cable.cables[0].is_direct) == (Shape.PAIR, "", True)
    assert (silent.shape, [one.key for one in silent.cables]) == (
        Shape.SWITCH,
        ["spark-3:P1-switch", "spark-4:P1-switch"],
    )
    assert (mute.shape, [one.key for one in mute.cables], mute.doubt) == (Shape.PAIR, ["spark-5:P1-spark-6:P1"], "")
    assert kinds(mute) == set()
    assert (named.switch_name, [one.key for one in named.cables]) == (SWITCH_NAME, ["spark-7:P1-switch"])
    assert [(one.mac, one.kind) for one in storage.strangers] == [(STORAGE_MAC, "unknown")]
    assert len(asked) == len(ALL), "one password for all nodes of a look"

    bay[1].patch([Wire(((2, 1), (3, 1))), Wire(((4, 1), (5, 1)))])
    silent, mute = await asyncio.gather(watches[1].look(), watches[2].look())
    assert (silent.shape, silent.doubt) == (Shape.PAIR, DOUBT), "what was heard before the plugs moved holds no more"
    assert kinds(mute) == {"no-ipv6"}
    for watch in watches:
        watch.close()


async def test_without_the_password_nothing_is_done_and_nothing_taken_away(looker: Looker) -> None:
    watch = looker.watch(ids(CABLE))
    before = await watch.look()

    async def decline(_node_id: str, _why: str) -> None:
        return None

    with pytest.raises(CommandFailed) as refused:
        await watch.look_deep(Root(SystemClock(), decline), seconds=4.0)
    assert refused.value.remedy
    assert watch.topology.value == before
    watch.close()


@pytest.mark.timeout(240)
async def test_lldpd_on_the_machines_tells_a_cable_for_sure_and_names_a_stranger(
    bay: tuple[Lab, Patchbay], looker: Looker
) -> None:
    require(shutil.which("lldpd") is not None or Path("/usr/sbin/lldpd").exists(), "lldpd is not installed")
    lab, patchbay = bay
    patchbay.patch([Wire(((0, 1), (1, 1))), Wire(((0, 0), (2, 0)))])
    await start_lldpd(lab)
    topology = await looker.look(ids(CABLE))
    assert (topology.shape, topology.doubt) == (Shape.PAIR, "")
    (stranger,) = topology.strangers
    assert (stranger.name, stranger.kind) == ("spark-a3d4", "spark")


async def start_lldpd(lab: Lab) -> None:
    """On the first three nodes, until the first two have heard all their neighbours.

    A daemon that starts in the same moment as its links may stay deaf on one of them: then all are started anew.
    """
    for _ in range(10):
        for node in lab.nodes[:3]:
            for process in node.processes("lldpd"):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            node.run("sh", "-c", START_LLDPD)
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            if count_neighbours(lab.nodes[0]) == 4 and count_neighbours(lab.nodes[1]) == 2:
                return
            await asyncio.sleep(0.2)
    pytest.skip("lldpd itself hears no neighbours on this machine")


def count_neighbours(node: LabNode) -> int:
    """On how many halves another machine names itself; the two halves of one plug hear each other, too."""
    lines = {line for line in node.run("lldpctl", "-f", "keyvalue").splitlines() if ".chassis.name=" in line}
    own = node.run("hostname").strip()
    return len({line for line in lines if not line.endswith(own)})
