"""What one look at real cables takes for proof, and what it leaves behind. All shapes and faults: test_cabling."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.cluster.beacon import read_view
from sparkdesk.core.cluster.half import NodeView
from sparkdesk.core.cluster.topology import Shape, Topology, build_topology
from sparkdesk.core.program import python_command
from tests.lab.lab import CAGE_PORTS, Cable, Lab, LabNode

pytestmark = pytest.mark.lab

PROGRAM = (Path(__file__).resolve().parents[2] / "sparkdesk" / "remote" / "beacon.py").read_bytes()
PAIR = (Cable(0, 1, 1, 1),)
CROSSED = (Cable(0, 0, 1, 0), Cable(1, 1, 2, 0), Cable(2, 1, 0, 1))
CHAIN = (Cable(0, 0, 1, 1), Cable(1, 0, 2, 1))


def ask(nodes: Sequence[LabNode], tokens: Sequence[str] = ("token",)) -> dict[str, dict[str, Any]]:
    """What the nodes print, all asked at the same time, each as the user and as SparkDesk runs it."""
    wait_for_addresses(nodes)
    running = {}
    for node in nodes:
        argv = python_command([PROGRAM], tokens[node.index % len(tokens)], node.name).argv
        enter = ["nsenter", "-t", str(node.holder.pid), "-a", "-S", "1001", "-G", "1001", *argv]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
        running[node.name] = subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    for process in running.values():
        assert process.stdin is not None
        process.stdin.write(PROGRAM)
        process.stdin.flush()
    found = {}
    for name, process in running.items():
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        found[name] = json.loads(out)
    return found


def wait_for_addresses(nodes: Sequence[LabNode]) -> None:
    """Until the kernels have made sure that nobody else has their link-local addresses."""
    deadline_s = time.monotonic() + 20
    while any("tentative" in node.run("ip", "-6", "addr") for node in nodes):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def views_of(nodes: Sequence[LabNode]) -> dict[str, NodeView]:
    return {name: read_view(name, name, answer) for name, answer in ask(nodes).items()}


def look(nodes: Sequence[LabNode]) -> Topology:
    return build_topology(views_of(nodes), {})


def problems(topology: Topology) -> set[tuple[str, str, str]]:
    return {(problem.id, problem.node_id, problem.cage) for problem in topology.problems}


def keys(topology: Topology) -> list[str]:
    return [cable.key for cable in topology.cables]


def use_stable_addresses(lab: Lab) -> None:
    """Give every port a link-local address that does not hold its hardware address, as some systems do."""
    for node in lab.nodes:
        for port in (port for ports in CAGE_PORTS.values() for port in ports):
            node.run("ip", "link", "set", port, "down")
            node.run("ip", "link", "set", port, "addrgenmode", "random")
            node.run("ip", "link", "set", port, "up")


def make(tmp_path: Path, count: int, cables: Sequence[Cable]) -> AbstractContextManager[Lab]:
    return Lab(count, tmp_path, marker="topology", cables=cables)


def test_a_crossed_ring_whose_addresses_do_not_tell_the_hardware_address(tmp_path: Path) -> None:
    with make(tmp_path, 3, CROSSED) as lab:
        use_stable_addresses(lab)
        topology = look(lab.nodes)
    assert topology.shape is Shape.RING
    assert topology.is_crossed
    assert {problem.severity for problem in topology.problems} == {"note"}


def test_a_chain_whose_last_node_is_a_stranger(tmp_path: Path) -> None:
    with make(tmp_path, 3, CHAIN) as lab:
        whole = look(lab.nodes)
        part = look(lab.nodes[:2])
    assert whole.shape is Shape.CHAIN
    assert whole.rank_order == ("spark-1", "spark-2", "spark-3")
    assert part.shape is Shape.PAIR
    (stranger,) = part.strangers
    assert stranger.mac == "4c:bb:47:01:02:20"
    assert stranger.kind == "spark"
    assert part.cable_at(("spark-2", "P0")) is not None


def test_a_port_without_ipv6_says_so(tmp_path: Path) -> None:
    with make(tmp_path, 2, PAIR) as lab:
        for port in CAGE_PORTS[1]:
            lab.nodes[1].run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{port}/disable_ipv6")
        topology = look(lab.nodes)
    assert ("no-ipv6", "spark-2", "P1") in problems(topology)
    assert topology.cable_at(("spark-1", "P1")) is not None


def test_ports_with_ipv4_only_find_each_other_and_tell_what_the_wire_swallows(tmp_path: Path) -> None:
    with make(tmp_path, 2, PAIR) as lab:
        for node in lab.nodes:
            for number, port in enumerate(CAGE_PORTS[1]):
                node.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{port}/disable_ipv6")
                node.run("ip", "addr", "add", f"192.168.{100 + number}.{10 + node.index}/24", "dev", port)
        topology = look(lab.nodes)
        assert (topology.shape, problems(topology)) == (Shape.PAIR, set())
        for node in lab.nodes:
            for port in CAGE_PORTS[1]:
                node.run("ip", "link", "set", port, "mtu", "9000")
        assert problems(look(lab.nodes)) == {("mtu-mismatch", "spark-1", "P1")}


def test_an_entry_of_the_neighbour_table_that_does_not_answer_any_more_is_no_proof(tmp_path: Path) -> None:
    with make(tmp_path, 2, PAIR) as lab:
        assert ask(lab.nodes)["spark-1"]["seen"]
        lab.nodes[1].run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/icmp/echo_ignore_all")
        second = {"4c:bb:47:01:01:20", "4c:bb:47:01:01:30"}
        assert second & set(lab.nodes[0].run("ip", "-6", "neigh").split())
        answer = ask(lab.nodes)["spark-1"]
    assert not second & {row["mac"] for row in answer["seen"]}
    assert "spark-2" in {row[1] for row in answer["heard"]}


def test_what_another_desk_asks_at_the_same_moment_is_not_taken_for_ours(tmp_path: Path) -> None:
    with make(tmp_path, 2, PAIR) as lab:
        found = ask(lab.nodes, ("ours", "theirs"))
    for name, answer in found.items():
        assert {row[1] for row in answer["heard"]} <= {name}
        assert answer["seen"]


def test_the_program_leaves_nothing_on_the_node(tmp_path: Path) -> None:
    look_around = ("sh", "-c", "ls -lR /home /tmp; cat /proc/net/udp6; ip addr | grep -v lft; ip maddr")
    with make(tmp_path, 2, PAIR) as lab:
        wait_for_addresses(lab.nodes)
        before = lab.nodes[0].run(*look_around)
        answer = ask(lab.nodes)[lab.nodes[0].name]
        assert lab.nodes[0].run(*look_around) == before
    assert answer["errors"] == {}
    assert {(row[1], row[2]) for row in answer["heard"] if row[1] != "spark-1"} == {
        ("spark-2", "enp1s0f1np1"),
        ("spark-2", "enP2p1s0f1np1"),
    }
    assert {row["mac"] for row in answer["seen"]} >= {"4c:bb:47:01:01:20", "4c:bb:47:01:01:30"}
