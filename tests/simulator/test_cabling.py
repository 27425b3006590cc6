"""The model of the cables: whoever believes what it says of each port finds the shape that was asked for."""

from __future__ import annotations

import pytest

from sparkdesk.core.cluster.half import Half, LldpName, NodeView
from sparkdesk.core.cluster.neighbour import SeenHost
from sparkdesk.core.cluster.topology import Topology, build_topology
from sparkdesk.simulator.fabric.cabling import SHAPES, choose_shape, make_wires
from sparkdesk.simulator.fabric.port import LinkFault, Port, make_ports, read_fault
from sparkdesk.simulator.machine import gb10

COUNTS = [(name, count) for name, shape in SHAPES.items() for count in sorted({shape.least, min(shape.most, 9)})]


def half_of(port: Port) -> Half:
    """What beacon.py reads at this port."""
    return Half(
        f"n{port.node}",
        port.netdev,
        mac=port.mac,
        link_local=gb10.eui64(port.mac) if port.carrier else "",
        carrier=port.carrier,
        speed_gbps=port.speed_mbps / 1000,
        mtu=port.mtu,
        addresses=(port.address,) if port.address else (),
        is_rdma_active=port.is_rdma_active,
    )


def look(name: str, count: int, faults: tuple[LinkFault, ...] = ()) -> Topology:
    """What is made of it where no packets run: pings and LLDP as the model answers them."""
    ports = make_ports(make_wires(name, count), faults, count)
    views = {}
    for node in range(1, count + 1):
        own = [port for port in ports if port.node == node]
        views[f"n{node}"] = NodeView(
            f"n{node}",
            tuple(map(half_of, own)),
            frozenset(port.mac for port in own),
            seen=tuple(SeenHost(port.netdev, gb10.eui64(mac), mac) for port in own for mac, _address in port.peers),
            lldp=tuple(LldpName(port.netdev, *port.lldp) for port in own if port.lldp is not None),
        )
    return build_topology(views, {})


@pytest.mark.parametrize(("name", "count"), COUNTS)
def test_the_model_of_a_shape_is_recognised_as_that_shape(name: str, count: int) -> None:
    topology = look(name, count)
    assert topology.shape == SHAPES[name].kind
    assert {problem.id for problem in topology.problems} <= {"miscabled", "loop"}
    assert topology.is_crossed is (name == "crossed-ring")
    ends = sum(len(wire.ends) for wire in make_wires(name, count))
    assert sum(1 if cable.via_switch else 2 for cable in topology.cables) == ends


@pytest.mark.parametrize(("name", "count"), COUNTS)
def test_no_address_is_given_twice_and_each_half_of_a_wire_has_its_own_subnet(name: str, count: int) -> None:
    ports = [port for port in make_ports(make_wires(name, count), (), count) if port.address]
    assert len({port.address for port in ports}) == len(ports)
    subnets = {(port.segment, port.half): port.address.rpartition(".")[0] for port in ports}
    assert len(set(subnets.values())) == len(subnets)
    assert all(port.address.startswith("192.168.1") or int(port.address.split(".")[2]) < 250 for port in ports)


def test_sixty_four_nodes_in_a_ring_still_have_addresses() -> None:
    ports = make_ports(make_wires("ring", 64), (), 64)
    assert len({port.address for port in ports}) == 256
    assert max(int(port.address.split(".")[2]) for port in ports) < 250


def test_a_place_is_a_cage_or_a_half_or_where_a_cable_is() -> None:
    wires = make_wires("switch", 4)
    assert read_fault("cable-out", 2, "", wires).end.cage == 1
    assert read_fault("storage", 2, "", wires).end.cage == 0
    fault = read_fault("half-down", 2, "enp1s0f0np0", wires)
    assert (fault.end.cage, fault.half) == (0, 0)
    assert read_fault("mtu", 2, "enp1s0f0np0", wires).half == -1
    with pytest.raises(ValueError, match="no place of a node is called 'P2'"):
        read_fault("mtu", 2, "P2", wires)


def test_pulling_a_cable_takes_the_link_from_both_ends_but_only_from_one_behind_a_switch() -> None:
    for name, lost in (("pair", {1, 2}), ("switch", {1})):
        wires = make_wires(name, 2)
        before = make_ports(wires, (), 2)
        after = make_ports(wires, (read_fault("cable-out", 1, "", wires),), 2)
        gone = {old.node for old, new in zip(before, after, strict=True) if old.carrier and not new.carrier}
        assert gone == lost


def test_the_other_end_of_a_cable_is_dark_while_a_node_has_no_power() -> None:
    ports = make_ports(make_wires("chain", 3), (), 3, dark=(1,))
    lit = {(port.node, port.cage) for port in ports if port.carrier}
    assert lit == {(2, 0), (3, 1)}


@pytest.mark.parametrize(
    ("shape", "count", "wanted"),
    [("", None, ("switch", 4)), ("", 1, ("single", 1)), ("", 7, ("switch", 7)), ("ring", None, ("ring", 3))],
)
def test_what_is_not_said_is_as_usual(shape: str, count: int | None, wanted: tuple[str, int]) -> None:
    found, nodes = choose_shape(shape, count)
    assert (found.name, nodes) == wanted


@pytest.mark.parametrize(("shape", "count"), [("pair", 3), ("ring", 2), ("loop", 2), ("star", 4)])
def test_a_shape_that_cannot_be_is_refused(shape: str, count: int) -> None:
    with pytest.raises(ValueError, match="shape"):
        choose_shape(shape, count)
