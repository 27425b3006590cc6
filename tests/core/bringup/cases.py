"""Cases of bring-ups: nodes as they come out of the box or as a bring-up leaves them, on cables that were recognised.

The one rule: the topology is made by the code that makes the real one, and readings and topology tell one story.
Nodes are "n1", "n2", ... with the names "spark-1", "spark-2", ...; n1 has the management address 10.0.20.31.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.chapter import ChapterPlan
from sparkdesk.core.bringup.matrix import Cell
from sparkdesk.core.bringup.netplan import OUR_FILE, netplan_text
from sparkdesk.core.bringup.reading import Interface, NetplanFile, NodeReading, SshReading
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.cluster.half import Half, NodeView
from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGE_RDMA_DEVICES
from sparkdesk.core.cluster.topology import Shape, build_topology
from tests.core.bringup.mesh_cases import with_mesh
from tests.core.cluster.cabling import Cabling, chain, crossed_ring, pair, ring, switch

IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
HOST_KEYS = tuple(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{letter * 43}" for letter in "ABCDEFGHIJKLMNOP")
TOOLS = ("ib_write_bw", "ib_write_lat", "iperf3", "netplan", "arping", "earlyoom", "all_gather_perf")
REMOTE = Path(__file__).parents[3] / "sparkdesk" / "remote"
PROGRAMS = {path.stem: path.read_bytes() for path in sorted(REMOTE.glob("*.py"))}


def make_reading(index: int, **changes: Any) -> NodeReading:
    """Node number `index` (from 1) as it comes out of the box, with a cable in P1; `changes` are fields of it."""
    node_id = f"n{index}"
    fresh = NodeReading(
        node_id=node_id,
        name=f"spark-{index}",
        hostname=f"spark-{index}",
        host_key=HOST_KEYS[index - 1],
        user="nvidia",
        home="/home/nvidia",
        groups=("nvidia", "adm", "sudo"),
        docker_members=(),
        sudo=SudoMode.PASSWORD,
        dgx_os="DGX OS 7.5.0",
        kernel="6.17.0-1014-nvidia",
        driver="580.142",
        docker_problem="denied",
        toolkit="1.20.0",
        tools={tool: tool in ("netplan", "arping") for tool in TOOLS},
        management="enP7s7",
        management_address=f"10.0.20.{30 + index}",
        default_netdevs=("enP7s7",),
        routes=("10.0.20.0/24", "172.17.0.0/16"),
        interfaces=make_interfaces(pair().views()["n1"].halves, index),
        netplan=(NetplanFile("/etc/netplan/00-installer-config.yaml"),),
        is_clock_synced=True,
        is_clock_kept=True,
        clock_offset_s=0.01,
        is_guard_active=False,
        ssh=SshReading("750", "700", authorized=(), known_hosts=(), config="", port=22),
        problems={"nccl": "none on the host; containers bring their own"},
    )
    return replace(fresh, **changes)


def make_interfaces(halves: tuple[Half, ...], index: int) -> Mapping[str, Interface]:
    """All interfaces of a node whose cages are these halves."""
    mac = f"4c:bb:47:00:{index:02x}:10"
    found = {
        "lo": Interface("lo", "00:00:00:00:00:00", 65536, carrier=True),
        "enP7s7": Interface("enP7s7", mac, 1500, True, 10.0, (f"10.0.20.{30 + index}/24",)),
        "wlP9s9": Interface("wlP9s9", f"4c:bb:47:00:{index:02x}:11", 1500, carrier=False),
    }
    for half in halves:
        found[half.netdev] = Interface(
            half.netdev, half.mac, half.mtu, half.carrier, half.speed_gbps, half.addresses, half.rdma_device,
            half.is_rdma_active,
        )  # fmt: skip
    return found


def make_cabling(count: int, shape: Shape) -> Cabling:
    """The usual cabling of this shape: a pair on P1, a ring from P0 to P1, a switch on P0."""
    if shape is Shape.PAIR:
        return pair()
    if shape is Shape.SINGLE:
        return Cabling(count, [])
    return {Shape.RING: ring, Shape.SWITCH: switch, Shape.CHAIN: chain}[shape](count)


def make_crossed_case(**changes: Any) -> Case:
    """Three nodes in a ring of which one cable joins like cages."""
    return case_of(crossed_ring(), **changes)


def make_case(count: int, shape: Shape, *, is_ready: bool = False, **changes: Any) -> Case:
    """So many nodes in this shape, out of the box; with `is_ready` as a whole bring-up has left them.

    `changes` are fields of Case; what one node has otherwise goes in by `with_node`.
    """
    return case_of(make_cabling(count, shape), is_ready=is_ready, **changes)


def case_of(cabling: Cabling, *, is_ready: bool = False, **changes: Any) -> Case:
    """The case of any cabling (tests/core/cluster/cabling.py makes them)."""
    views = {node: _as_left(view, cabling, is_ready) for node, view in cabling.views().items()}
    readings = {}
    for index, (node_id, view) in enumerate(views.items(), start=1):
        fresh = make_reading(index, interfaces=make_interfaces(view.halves, index))
        readings[node_id] = make_ready(fresh, index) if is_ready else fresh
    topology = replace(build_topology(views, {}), seen_ms=1_780_000_000_000)
    case = Case(tuple(views), readings, topology, Choices(image=IMAGE), programs=PROGRAMS, mark="a1b2c3")
    return replace(with_mesh(case, standing_scheme(case)) if is_ready else case, **changes)


def make_ready(reading: NodeReading, index: int) -> NodeReading:
    """The node as a whole bring-up leaves it; its interfaces are already so."""
    halves = [one for one in reading.interfaces.values() if one.rdma_device and one.addresses]
    networks = tuple(sorted(f"{one.addresses[0].rpartition('.')[0]}.0/24" for one in halves))
    ours = netplan_text([HalfAddress(reading.node_id, "", one.name, one.addresses[0]) for one in halves])
    files = (NetplanFile("/etc/netplan/00-installer-config.yaml"), NetplanFile(OUR_FILE, ours))
    return replace(
        reading,
        groups=("nvidia", "adm", "sudo", "docker"),
        docker_members=("nvidia",),
        docker="29.2.1",
        docker_problem="",
        tools=dict.fromkeys(TOOLS, True) | {"earlyoom": False, "all_gather_perf": False},
        routes=("10.0.20.0/24", "172.17.0.0/16", *networks),
        images=(IMAGE,),
        netplan=files if halves else files[:1],
    )


def standing_scheme(case: Case) -> Scheme:
    """The addresses that the cables of a ready case have."""
    ends = [
        HalfAddress(one, "", port.name, port.addresses[0], "kept")
        for one in case.node_ids
        for port in case.reading(one).interfaces.values()
        if port.rdma_device and port.addresses
    ]
    return Scheme((Lane("all", 0, "", tuple(ends)),))


def with_node(case: Case, node_id: str, **changes: Any) -> Case:
    """The case where the reading of one node has these fields otherwise."""
    return replace(case, readings={**case.readings, node_id: replace(case.reading(node_id), **changes)})


def cell(plan: ChapterPlan, row_id: str, node_id: str) -> Cell:
    """One cell of a chapter."""
    return next(row.cells[node_id] for row in plan.rows if row.id == row_id)


def _as_left(view: NodeView, cabling: Cabling, is_ready: bool) -> NodeView:
    """The view with MTU and addresses of its halves: none out of the box, two subnets a wire when it is ready."""
    halves = []
    for half in view.halves:
        mtu = cabling.mtus.get((half.node_id, half.netdev), 9000 if is_ready else 1500)
        subnet = _subnet_of(half, cabling)
        addresses = (f"{subnet}.{30 + int(half.node_id[1:])}/24",) if is_ready and subnet else ()
        halves.append(replace(half, mtu=mtu, addresses=addresses))
    return replace(view, halves=tuple(halves))


def _subnet_of(half: Half, cabling: Cabling) -> str:
    """192.168.100 and 192.168.101 for the first wire, and so on; "" for a cage without a wire."""
    end = (half.node_id, half.cage)
    number = next((number for number, wire in enumerate(cabling.wires) if end in wire.ends), None)
    if number is None:
        return ""
    index = CAGE_NETDEVS[half.cage].index(half.netdev)
    assert half.rdma_device == CAGE_RDMA_DEVICES[half.cage][index]
    return f"192.168.{100 + 2 * number + index}"
