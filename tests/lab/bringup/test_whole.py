"""Sparks out of the box become a proven cluster at one press and one password, and go back to how they were."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparkdesk.core.bringup.proof.measurement import Grade, ProofKind
from sparkdesk.core.cluster.topology import Shape
from tests.lab.bringup.desk import BringUpDesk, opened_bring_up
from tests.lab.bringup.snapshot import differences_of, take_snapshot
from tests.lab.bringup.spark_lab import CROSSED, PAIR, RING, SWITCH, spark_lab
from tests.lab.lab import Lab
from tests.lab.patchbay import Wire

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

INSTALLER = "etc/netplan/00-installer-config.yaml"
OURS = "etc/netplan/90-sparkdesk.yaml"
SHAPES = {
    "pair": (PAIR, Shape.PAIR), "ring": (RING, Shape.RING), "crossed": (CROSSED, Shape.RING),
    "switch": (SWITCH, Shape.SWITCH),
}  # fmt: skip


def host_below() -> tuple[str, str]:
    """The machine that the lab runs on: its files in /etc, and its addresses."""
    digest = hashlib.sha256()
    for path in sorted(Path("/etc").rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest.update(f"{path} {path.stat().st_mode}".encode() + path.read_bytes())
    said = subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, check=True).stdout
    rows = [(row["ifname"], row["mtu"], [(one["local"], one["prefixlen"]) for one in row["addr_info"]])
            for row in json.loads(said)]  # fmt: skip
    return digest.hexdigest(), repr(rows)


def assert_proved(desk: BringUpDesk) -> None:
    """Every measurement passes, and those that were simulated say so, here and in the report."""
    state = desk.state
    bad = [one for one in state.measurements if one.grade not in (Grade.PASS, Grade.SKIPPED)]
    assert bad == [], "\n".join([*map(repr, bad), desk.words()])
    kinds = {one.item.kind for one in state.measurements if one.grade is Grade.PASS}
    assert kinds >= set(ProofKind) - {ProofKind.TCP}
    simulated = {one.item.kind for one in state.measurements if one.is_simulated}
    assert simulated >= {ProofKind.RDMA_BANDWIDTH, ProofKind.RDMA_LATENCY, ProofKind.ALL_GATHER}
    assert not simulated & {ProofKind.LINK, ProofKind.PING, ProofKind.DUPLICATE}
    page, data = (Path(path).read_text() for path in state.report_paths)
    assert "simulated" in page
    assert "GPUDirect RDMA is not supported" in page
    assert json.loads(data)


@pytest.mark.parametrize("name", SHAPES)
async def test_a_whole_bring_up_is_proved_changes_nothing_twice_and_is_taken_back_exactly(
    name: str, tmp_path: Path
) -> None:
    wires, shape = SHAPES[name]
    below = host_below()
    with spark_lab(wires, tmp_path) as (lab, _):
        before = {node.name: take_snapshot(node) for node in lab.nodes}
        async with opened_bring_up(lab) as desk:
            await bring_up_and_back(desk, shape, wires)
        assert {node.name: differences_of(node, before[node.name]) for node in lab.nodes} == {
            node.name: [] for node in lab.nodes
        }
    assert host_below() == below


async def bring_up_and_back(desk: BringUpDesk, shape: Shape, wires: Sequence[Wire]) -> None:
    """Look, apply, prove, look again, undo."""
    installer = [(node.root / INSTALLER).read_bytes() for node in desk.lab.nodes]
    begun_s = time.monotonic()
    plan = await desk.look()
    looked_s = time.monotonic()
    assert plan.shape is shape
    assert plan.change_count > 0
    await desk.apply()
    ended_s = time.monotonic()
    print(f"\n{len(desk.node_ids)} nodes: look {looked_s - begun_s:.1f} s, apply and proof {ended_s - looked_s:.1f} s")
    assert len(desk.asked) == 1, "one password, asked once"
    assert_proved(desk)
    assert_addressed(desk.lab, wires)
    again = await desk.look()
    assert [step.id for step in again.playbook.steps()] == []
    await desk.undo()
    assert [(node.root / INSTALLER).read_bytes() for node in desk.lab.nodes] == installer


def assert_addressed(lab: Lab, wires: Sequence[Wire]) -> None:
    """Our file is on each node, closed to others; both halves of each cage in use have an address and the MTU."""
    for node in lab.nodes:
        assert (node.root / OURS).stat().st_mode & 0o777 == 0o600
        rows = json.loads(node.run("ip", "-j", "-4", "addr"))
        addressed = [row for row in rows if row["addr_info"] and row["ifname"].endswith(("np0", "np1"))]
        cages = sum(index == node.index for wire in wires for index, _ in wire.plugs)
        assert len(addressed) == 2 * cages
        assert {row["mtu"] for row in addressed} == {9000}
        subnets = {row["addr_info"][0]["local"].rpartition(".")[0] for row in addressed}
        assert len(subnets) == len(addressed), "each half has a subnet of its own"
