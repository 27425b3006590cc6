"""Cabling is recognised from what nodes tell: every shape, every fault, and anything at all without an exception."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.half import Half, HeardBeacon, LldpName, NodeView
from sparkdesk.core.cluster.neighbour import SeenHost
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.segment import has_late_starter
from sparkdesk.core.cluster.topology import Shape, Topology, build_topology
from sparkdesk.core.cluster.topology_problem import PortMtu
from tests.core.cluster.cabling import (
    HEARD,
    Cabling,
    Wire,
    chain,
    crossed_ring,
    pair,
    random_cabling,
    ring,
    switch,
    two_cables,
)


def look(cabling: Cabling, **labels: str) -> Topology:
    return build_topology(cabling.views(), labels)


def kinds(topology: Topology) -> set[str]:
    return {problem.id for problem in topology.problems}


@pytest.mark.parametrize("seed", range(200))
def test_a_random_cabling_is_recognised_as_what_it_is(seed: int) -> None:
    rng = random.Random(seed)
    truth = random_cabling(rng)
    topology = build_topology(truth.views(rng if rng.random() < 0.5 else None), {})
    assert {cable.key for cable in topology.cables} == truth.keys()
    assert topology.shape is truth.shape
    assert sorted(topology.rank_order) == sorted(truth.nodes)
    strangers = {wire.strangers[0] if wire.strangers else "" for wire in truth.wires if len(wire.ends) == 1}
    assert {stranger.mac for stranger in topology.strangers} == strangers
    down = {(problem.node_id, problem.cage) for problem in topology.problems if problem.id == "half-down"}
    assert down == {(node, "P0" if "f0" in netdev else "P1") for node, netdev in truth.down}
    assert not kinds(topology) & {"one-way", "mtu-mismatch", "slow-line", "subnet-mismatch", "no-ipv6", "not-asked"}


@pytest.mark.parametrize("cabling", [pair(), two_cables(), ring(), switch(), switch(3, ("P0", "P1"))])
def test_a_cabling_as_in_the_guides_has_no_problem(cabling: Cabling) -> None:
    topology = look(cabling)
    assert topology.problems == ()
    assert not topology.is_crossed


def test_every_cable_has_both_its_halves_at_both_ends() -> None:
    cable = look(pair()).cables[0]
    assert [(half.a.netdev, half.b.netdev) for half in cable.halves if half.a and half.b] == [
        ("enp1s0f1np1", "enp1s0f1np1"),
        ("enP2p1s0f1np1", "enP2p1s0f1np1"),
    ]
    assert all(half.is_up for half in cable.halves)


def test_ranks_go_round_the_ring_and_along_the_chain() -> None:
    assert look(ring(5)).rank_order == ("n1", "n2", "n3", "n4", "n5")
    order = look(crossed_ring()).rank_order
    assert order[0] == "n1"
    assert set(order) == {"n1", "n2", "n3"}
    middle_first = {name: chain().views()[name] for name in ("n2", "n3", "n1")}
    assert build_topology(middle_first, {}).rank_order == ("n3", "n2", "n1")


def test_a_crossed_ring_and_a_crossed_pair_are_notes_not_warnings() -> None:
    for cabling in (crossed_ring(), pair("01")):
        topology = look(cabling)
        assert topology.is_crossed
        assert {problem.severity for problem in topology.problems} == {"note"}


def test_a_cable_that_is_out_makes_a_chain_of_a_ring() -> None:
    cabling = ring()
    del cabling.wires[1]
    topology = look(cabling)
    assert topology.shape is Shape.CHAIN
    assert topology.rank_order == ("n2", "n1", "n3")


def test_a_half_without_a_link_is_named_with_its_node_port_and_remedy() -> None:
    cabling = pair()
    cabling.down.add(("n2", "enP2p1s0f1np1"))
    topology = look(cabling)
    (problem,) = topology.problems
    assert (problem.id, problem.severity, problem.node_id, problem.cage) == ("half-down", "warn", "n2", "P1")
    assert "enP2p1s0f1np1" in problem.message
    assert "enP2p1s0f1np1" in problem.remedy
    assert [half.is_up for half in topology.cables[0].halves] == [True, False]


def test_a_half_that_the_node_does_not_show_is_told() -> None:
    views = pair().views()
    views["n1"] = replace(views["n1"], halves=tuple(h for h in views["n1"].halves if h.netdev != "enP2p1s0f1np1"))
    assert {(p.id, p.node_id) for p in build_topology(views, {}).problems} == {("half-missing", "n1")}


def test_different_mtus_on_one_wire_are_told_at_the_smaller_one() -> None:
    cabling = pair()
    cabling.mtus = {("n2", netdev): 1500 for netdev in CAGE_NETDEVS["P1"]}
    problems = look(cabling).problems
    assert [(one.id, one.node_id, one.cage) for one in problems] == [("mtu-mismatch", "n2", "P1")] * 2
    assert {one.mtu for one in problems} == {PortMtu(netdev, 1500, 9000) for netdev in CAGE_NETDEVS["P1"]}


def test_of_many_on_a_switch_the_one_with_another_mtu_is_told() -> None:
    for wrong, others in ((1500, 9000), (9000, 1500)):
        cabling = switch(4, ("P0",))
        cabling.mtus = {(f"n{i}", netdev): others for i in range(1, 5) for netdev in CAGE_NETDEVS["P0"]}
        cabling.mtus["n3", CAGE_NETDEVS["P0"][1]] = wrong
        (problem,) = look(cabling).problems
        assert (problem.id, problem.node_id) == ("mtu-mismatch", "n3")
        assert problem.mtu == PortMtu(CAGE_NETDEVS["P0"][1], wrong, others)


def test_large_packets_that_a_switch_swallows_are_told_though_both_ends_look_right() -> None:
    views = pair().views()
    views["n1"] = replace(views["n1"], heard=tuple(replace(row, sized=0) for row in views["n1"].heard))
    (problem,) = build_topology(views, {}).problems
    assert (problem.id, problem.node_id) == ("mtu-mismatch", "n2")
    unsent = {name: replace(view, sized_sent=frozenset()) for name, view in views.items()}
    assert build_topology(unsent, {}).problems == ()


def test_a_link_that_works_one_way_is_told_with_its_direction() -> None:
    views = pair().views()
    views["n1"] = replace(views["n1"], heard=())
    topology = build_topology(views, {})
    (problem,) = topology.problems
    assert (problem.id, problem.severity) == ("one-way", "crit")
    assert "What n2 P1 sends does not reach n1 P1" in problem.message
    assert topology.cables[0].is_one_way
    assert topology.shape is Shape.PAIR


def test_a_program_that_began_late_is_not_taken_for_a_one_way_link() -> None:
    views = pair().views()
    late = tuple(replace(row, plain=2, sized=0) for row in views["n2"].heard[:1])
    views["n1"], views["n2"] = replace(views["n1"], heard=()), replace(views["n2"], heard=late)
    topology = build_topology(views, {})
    assert "one-way" not in kinds(topology)
    assert topology.shape is Shape.PAIR


def test_a_firewall_that_swallows_beacons_hides_no_cable_that_answers_a_ping() -> None:
    views = pair().views()
    mac = next(half.mac for half in views["n2"].halves if half.netdev == "enp1s0f1np1")
    views["n1"] = replace(views["n1"], heard=(), seen=(SeenHost("enp1s0f1np1", "fe80::2", mac),))
    views["n2"] = replace(views["n2"], heard=())
    topology = build_topology(views, {})
    assert topology.shape is Shape.PAIR
    assert topology.problems == ()


def test_a_node_that_could_not_be_asked_is_no_stranger_and_its_silence_no_fault() -> None:
    views = pair().views()
    mac = next(half.mac for half in views["n2"].halves if half.netdev == "enp1s0f1np1")
    views["n1"] = replace(views["n1"], heard=(), seen=(SeenHost("enp1s0f1np1", "fe80::2", mac),))
    views["n2"] = views["n2"].as_absent()
    topology = build_topology(views, {})
    assert [cable.key for cable in topology.cables] == ["n1:P1-n2:P1"]
    assert topology.strangers == ()
    assert kinds(topology) == {"not-asked"}


def test_a_node_that_is_heard_but_told_nothing_is_not_blamed_for_a_one_way_link() -> None:
    views = pair().views()
    views["n2"] = views["n2"].as_absent()
    topology = build_topology(views, {})
    assert [cable.key for cable in topology.cables] == ["n1:P1-n2:P1"]
    assert kinds(topology) == {"not-asked"}


def test_a_cable_between_the_two_cages_of_one_node_is_a_loop() -> None:
    topology = look(Cabling(1, [Wire([("n1", "P0"), ("n1", "P1")])]))
    assert topology.shape is Shape.LOOP
    assert [(p.id, p.severity) for p in topology.problems] == [("loop", "warn")]


def test_many_strangers_behind_one_cage_are_behind_a_switch() -> None:
    macs = [f"00:1b:21:00:00:{number:02x}" for number in range(4)]
    topology = look(Cabling(1, [Wire([("n1", "P0")], macs)]))
    assert [cable.key for cable in topology.cables] == ["n1:P0-switch"]
    assert len(topology.strangers) == 4


def test_two_switches_that_one_node_joins_are_no_single_switch() -> None:
    first, second = [("n1", "P0"), ("n2", "P0"), ("n3", "P0")], [("n3", "P1"), ("n4", "P1"), ("n5", "P1")]
    topology = look(Cabling(5, [Wire(first, is_switch=True), Wire(second, is_switch=True)]))
    assert topology.shape is Shape.MIXED
    assert {cable.switch_number for cable in topology.cables} == {0, 1}


def test_one_cable_out_of_a_switch_leaves_a_switch() -> None:
    cabling = switch(4, ("P0",))
    cabling.wires[0].ends.remove(("n4", "P0"))
    topology = look(cabling)
    assert (topology.shape, topology.apart, topology.away) == (Shape.SWITCH, ("n4",), ())


@pytest.mark.parametrize("cabling", [ring(), switch(4, ("P0",)), chain(), pair()])
def test_a_node_that_is_away_counts_for_the_shape_as_it_was(cabling: Cabling) -> None:
    before = cabling.views()
    now = dict(before)
    gone = list(now)[-1]
    now[gone] = now[gone].as_absent()
    for name in list(now)[:-1]:
        now[name] = replace(now[name], heard=tuple(row for row in now[name].heard if row.from_node != gone))
    topology = build_topology(now, {}, before)
    assert (topology.shape, topology.away, topology.apart) == (build_topology(before, {}).shape, (gone,), ())
    assert gone not in {end[0] for cable in topology.cables for end in (cable.a, cable.b) if end}


def test_whether_to_look_once_more_is_told_by_who_was_heard_too_seldom() -> None:
    views = pair().views()
    assert not has_late_starter(views)
    views["n1"] = replace(views["n1"], heard=())
    assert not has_late_starter(views)
    views["n2"] = replace(views["n2"], heard=tuple(replace(row, plain=1, sized=0) for row in views["n2"].heard[:1]))
    assert has_late_starter(views)


def test_a_subnet_that_nobody_else_on_the_wire_has_is_told_once() -> None:
    views = pair().views()
    for number, node in enumerate(("n1", "n2")):
        halves = []
        for half in views[node].halves:
            net = 100 + CAGE_NETDEVS[half.cage].index(half.netdev) + (50 * number if "P2" in half.netdev else 0)
            halves.append(replace(half, addresses=(f"192.168.{net}.{10 + number}/24",)))
        views[node] = replace(views[node], halves=tuple(halves))
    topology = build_topology(views, {})
    assert [(p.id, p.cage) for p in topology.problems] == [("subnet-mismatch", "P1")]
    assert "enP2p1s0f1np1" in topology.problems[0].message


def test_a_half_whose_twin_at_the_other_end_has_no_link_is_in_no_wrong_subnet() -> None:
    cabling = pair()
    views = cabling.views()
    for number, node in enumerate(("n1", "n2")):
        halves = []
        for half in views[node].halves:
            net = 100 + CAGE_NETDEVS[half.cage].index(half.netdev)
            carrier = half.carrier and (node, half.netdev) != ("n2", "enP2p1s0f1np1")
            halves.append(replace(half, carrier=carrier, addresses=(f"192.168.{net}.{10 + number}/24",)))
        views[node] = replace(views[node], halves=tuple(halves))
    assert kinds(build_topology(views, {})) == {"half-down"}


def test_both_halves_in_one_subnet_are_a_note() -> None:
    views = pair().views()
    for node in views:
        halves = tuple(replace(half, addresses=(f"192.168.100.{node[1:]}/24",)) for half in views[node].halves)
        views[node] = replace(views[node], halves=halves)
    topology = build_topology(views, {})
    assert {(p.id, p.severity) for p in topology.problems} == {("subnet-shared", "note")}


def test_a_slow_line_and_an_inactive_rdma_device_are_told() -> None:
    views = pair().views()
    halves = tuple(replace(half, speed_gbps=100.0, is_rdma_active=False) for half in views["n1"].halves)
    views["n1"] = replace(views["n1"], halves=halves)
    found = {(p.id, p.node_id) for p in build_topology(views, {}).problems}
    assert found == {("slow-line", "n1"), ("rdma-inactive", "n1")}


def test_a_port_without_a_link_local_address_says_so_instead_of_nobody_answers() -> None:
    views = pair().views()
    for node in views:
        halves = tuple(replace(half, link_local="") for half in views[node].halves)
        views[node] = replace(views[node], halves=halves, heard=())
    topology = build_topology(views, {})
    assert kinds(topology) == {"no-ipv6"}
    assert {problem.severity for problem in topology.problems} == {"warn"}


def test_a_storage_box_is_another_device_with_the_users_label_and_out_of_the_ranks() -> None:
    cabling = pair()
    cabling.wires.append(Wire([("n1", "P0")], ["00:1b:21:00:00:01", "00:1b:21:00:00:02"]))
    topology = build_topology(cabling.views(), {"00:1b:21:00:00:01": "Storage"})
    cable = next(cable for cable in topology.cables if cable.stranger is not None)
    assert cable.key == "n1:P0-other"
    assert cable.stranger is not None
    assert (cable.stranger.label, cable.stranger.kind) == ("Storage", "device")
    assert topology.shape is Shape.PAIR
    assert topology.rank_order == ("n1", "n2")


def test_a_switch_that_names_itself_is_seen_even_with_two_nodes_on_it() -> None:
    views = pair().views()
    name = LldpName("enp1s0f1np1", "sn3700", "b8:59:9f:00:00:01", is_bridge=True)
    views["n1"] = replace(views["n1"], lldp=(name,))
    topology = build_topology(views, {})
    assert topology.shape is Shape.SWITCH
    assert topology.switch_name == "sn3700"
    known = replace(name, mac=next(half.mac for half in views["n2"].halves))
    views["n1"] = replace(views["n1"], lldp=(known,))
    assert build_topology(views, {}).shape is Shape.PAIR


def test_a_switch_has_the_label_of_any_cage_that_leads_to_it_before_its_own_name() -> None:
    cabling = Cabling(6, [Wire([(f"n{i}", cage) for i in range(1, 7)], is_switch=True) for cage in ("P0", "P1")])
    views = cabling.views()
    name = LldpName("enp1s0f1np1", "sn3700", "b8:59:9f:00:00:01", is_bridge=True)
    views["n1"] = replace(views["n1"], lldp=(name,))
    own = build_topology(views, {})
    numbers = {cable.a: cable.switch_number for cable in own.cables}
    rails = [numbers["n1", "P0"], numbers["n1", "P1"]]
    assert [own.switches[number].title for number in rails] == ["", "sn3700"]
    named = build_topology(views, {"n4:P1": "Rail B", "n9:P0": "gone"})
    assert [named.switches[number].title for number in rails] == ["", "Rail B"]
    assert named.switches[rails[1]].name == "sn3700"
    assert {cable.a[1] for cable in named.cables_of_switch(rails[1])} == {"P1"}
    assert look(pair()).switches == ()


def test_a_beacon_in_the_name_of_a_node_that_is_not_known_makes_no_cable() -> None:
    views = pair().views()
    fake = HeardBeacon("enp1s0f0np0", "n99", "enp1s0f0np0", HEARD, HEARD)
    views["n1"] = replace(views["n1"], heard=(*views["n1"].heard, fake))
    assert [cable.key for cable in build_topology(views, {}).cables] == ["n1:P1-n2:P1"]


def test_nobody_asked_is_not_known_and_no_node_is_fine() -> None:
    views = {name: view.as_absent() for name, view in pair().views().items()}
    assert build_topology(views, {}).shape is Shape.UNKNOWN
    assert build_topology({}, {}).shape is Shape.UNKNOWN


_names = st.sampled_from(["n1", "n2", "n3", "", "x"])
_netdevs = st.sampled_from([*CAGE_NETDEVS["P0"], *CAGE_NETDEVS["P1"], "eth0", "", "f1"])
_macs = st.sampled_from(["4c:bb:47:00:00:01", "4c:bb:47:00:00:02", "00:00:00:00:00:03", ""])
_flags = st.sampled_from([True, False, None])
_words = st.text(max_size=12)
_halves = st.builds(
    Half, _names, _netdevs, _words, _macs, _words, _flags, st.floats(), st.none() | st.integers(),
    st.lists(_words | st.sampled_from(["10.0.0.1/24", "10.0.0.1/99"]), max_size=3).map(tuple), _flags,
)  # fmt: skip
_counts = st.integers(-2, 9)
_views = st.builds(
    NodeView, _words, st.lists(_halves, max_size=5).map(tuple), st.frozensets(_macs, max_size=3),
    st.lists(st.builds(HeardBeacon, _netdevs, _names, _netdevs, _counts, _counts), max_size=6).map(tuple),
    st.lists(st.builds(SeenHost, _netdevs, _words, _macs), max_size=4).map(tuple),
    st.lists(st.builds(LldpName, _netdevs, _words, _macs, st.booleans()), max_size=2).map(tuple),
    st.frozensets(_netdevs, max_size=3), st.booleans(), _words,
)  # fmt: skip


@given(st.dictionaries(_names, _views, max_size=4), st.dictionaries(_macs, _words, max_size=2))
def test_whatever_nodes_tell_the_answer_is_a_topology(views: dict[str, NodeView], labels: dict[str, str]) -> None:
    topology = build_topology(views, labels)
    assert sorted(topology.rank_order) == sorted(views)
    assert len({cable.key for cable in topology.cables}) == len(topology.cables)
    assert all(problem.message and problem.remedy for problem in topology.problems)
