"""Sparks out of the box become a proven cluster at one press and one password, and go back to how they were."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapters import guard
from sparkdesk.core.bringup.proof.measurement import Grade, ProofKind
from sparkdesk.core.cluster.topology import Shape
from tests.lab.bringup.desk import CHOICES, BringUpDesk, opened_bring_up
from tests.lab.bringup.snapshot import differences_of, take_snapshot
from tests.lab.bringup.spark_lab import CROSSED, PAIR, RING, SWITCH, spark_lab, take_more_away
from tests.lab.lab import Lab, LabNode
from tests.lab.patchbay import Wire

pytestmark = [pytest.mark.lab, pytest.mark.timeout(420)]

INSTALLER = "etc/netplan/00-installer-config.yaml"
OURS = "etc/netplan/90-sparkdesk.yaml"
MENDED = ("active\nenabled\n", guard.CONTENT, "yes", "nvidia")
LACKING = ("inactive\ndisabled\n", 'EARLYOOM_ARGS="-r 3600"\n', "no", "")
"""The package of the guard stays, with the options that it brought."""
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
        if shape is Shape.PAIR:
            for node in lab.nodes:
                take_more_away(node)
        before = {node.name: take_snapshot(node) for node in lab.nodes}
        async with opened_bring_up(lab) as desk:
            await bring_up_and_back(desk, shape, wires, replace(CHOICES, wants_guard=shape is Shape.PAIR))
            if shape is Shape.PAIR:
                assert [found_on(node) for node in lab.nodes] == [LACKING] * 2
        assert {node.name: differences_of(node, before[node.name]) for node in lab.nodes} == {
            node.name: [] for node in lab.nodes
        }
    assert host_below() == below


def found_on(node: LabNode) -> tuple[str, str, str, str]:
    """Whether a guard watches and with which options, whether the clock is kept, and whether docker knows the GPU."""
    options = node.root / "etc/default/earlyoom"
    return (
        node.run("systemctl", "show", "-p", "ActiveState,UnitFileState", "--value", "earlyoom"),
        options.read_text() if options.exists() else "",
        node.run("timedatectl", "show", "-p", "NTP", "--value").strip(),
        "nvidia" if "nvidia" in node.run("docker", "info", "--format", "{{json .Runtimes}}") else "",
    )


async def bring_up_and_back(desk: BringUpDesk, shape: Shape, wires: Sequence[Wire], choices: Choices) -> None:
    """Look, apply, prove, look again, undo."""
    installer = [(node.root / INSTALLER).read_bytes() for node in desk.lab.nodes]
    begun_s = time.monotonic()
    plan = await desk.look(choices)
    looked_s = time.monotonic()
    assert plan.shape is shape
    assert plan.change_count > 0
    await desk.apply()
    ended_s = time.monotonic()
    print(f"\n{len(desk.node_ids)} nodes: look {looked_s - begun_s:.1f} s, apply and proof {ended_s - looked_s:.1f} s")
    assert len(desk.asked) == 1, "one password, asked once"
    assert_proved(desk)
    assert_addressed(desk.lab, wires)
    if choices.wants_guard:
        assert [found_on(node) for node in desk.lab.nodes] == [MENDED] * len(desk.node_ids)
    again = await desk.look(choices)
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
