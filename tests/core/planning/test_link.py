"""The cable between chosen nodes: what a collective gets of it, by its halves, its MTU, its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sparkdesk.core.cluster.half import NodeView
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import Topology, build_topology
from sparkdesk.core.planning.link import NO_MEASUREMENTS, OFFICE, link_between, links_within
from sparkdesk.core.planning.place import Link, NodeRoom, Place
from sparkdesk.core.planning.search.combination import choose_nodes
from tests.core.cluster.cabling import Cabling, chain, pair, ring, switch, two_cables


def seen(cabling: Cabling | Mapping[str, NodeView]) -> Topology:
    views = cabling.views() if isinstance(cabling, Cabling) else cabling
    return replace(build_topology(views, {}), seen_ms=1)


def link(
    cabling: Cabling | Mapping[str, NodeView], *nodes: str, measured: Mapping[str, float] = NO_MEASUREMENTS
) -> Link:
    found = link_between(seen(cabling), nodes or ("n1", "n2"), measured)
    assert found is not None
    return found


def changed(cabling: Cabling, **half: object) -> dict[str, NodeView]:
    """All halves that are up, changed so."""
    return {
        name: replace(
            view,
            halves=tuple(replace(one, **half) if one.carrier else one for one in view.halves),  # type: ignore[arg-type]
        )
        for name, view in cabling.views().items()
    }


def test_a_whole_cable_gives_what_was_measured_of_one() -> None:
    found = link(pair())
    assert found.gb_per_s == pytest.approx(23.7)  # Source: 23.74 GB/s at MTU 9000 with both RDMA devices
    assert (found.title, found.is_measured) == ("200G cable", False)
    assert 18.9 <= link(changed(pair(), mtu=1500)).gb_per_s <= 21.0  # Source: 18.9 to 21 GB/s at MTU 1500


def test_half_a_cable_and_a_slow_line_give_half() -> None:
    half = pair()
    half.down.add(("n2", CAGE_NETDEVS["P1"][1]))
    assert link(half).gb_per_s == pytest.approx(link(pair()).gb_per_s / 2)
    assert link(half).title == "100G cable"
    slow = link(changed(pair(), speed_gbps=100.0))
    assert slow.gb_per_s == pytest.approx(link(pair()).gb_per_s / 2)
    assert slow.title == "100G cable"


def test_a_half_without_an_address_carries_nothing_where_the_other_has_one() -> None:
    views = changed(pair(), addresses=("192.168.1.1/24",))
    bare = {
        name: replace(
            view, halves=tuple(replace(one, addresses=()) if "P2p1" in one.netdev else one for one in view.halves)
        )
        for name, view in views.items()
    }
    assert link(views).title == "200G cable"
    assert link(bare).title == "100G cable"


def test_a_ring_gives_each_node_half_and_a_switch_gives_all() -> None:
    assert link(ring(), "n1", "n2", "n3").gb_per_s == pytest.approx(link(pair()).gb_per_s / 2)
    assert link(ring(), "n1", "n2", "n3").gb_per_s >= 10.0  # Source: NVIDIA's threshold for a ring
    assert link(ring(), "n1", "n2").gb_per_s == pytest.approx(link(pair()).gb_per_s)
    four = link(switch(4, ("P0",)), "n1", "n2", "n3", "n4")
    assert four.gb_per_s == pytest.approx(link(pair()).gb_per_s)
    assert "switch" in four.title


def test_the_slowest_cable_of_a_switch_decides_for_those_who_use_it() -> None:
    cabling = switch(4, ("P0",))
    cabling.down.add(("n3", CAGE_NETDEVS["P0"][1]))
    assert link(cabling, "n1", "n2", "n3").title.startswith("100G")
    assert link(cabling, "n1", "n2", "n4").title.startswith("200G")


def test_a_part_of_the_nodes_may_be_joined_better_than_all() -> None:
    nodes = ("n1", "n2", "n3")
    of_ring, of_chain = links_within(seen(ring()), nodes), links_within(seen(chain()), nodes)
    assert {one.gb_per_s for one in of_ring.values()} == {link(pair()).gb_per_s}
    assert len(of_ring) == 3
    assert frozenset(("n1", "n3")) not in of_chain  # as all together: no cable
    assert of_chain[frozenset(("n1", "n2"))].title == "200G cable"
    assert links_within(seen(switch(4, ("P0",))), ("n1", "n2", "n3", "n4")) == {}
    assert links_within(seen(pair()), ("n1", "n2")) == {}


def test_two_cables_give_no_more_than_one() -> None:
    assert link(two_cables()).gb_per_s == link(pair()).gb_per_s


def test_nodes_without_a_cable_between_them_have_the_office_network() -> None:
    assert link(chain(), "n1", "n3") == OFFICE
    assert link(chain(), "n1", "n2", "n3") == OFFICE
    assert OFFICE.gb_per_s <= 1.2  # Source: the 10 GbE port, arithmetic


def test_a_measured_cable_stands_before_its_line() -> None:
    (cable,) = seen(pair()).cables
    found = link(pair(), measured={cable.key: 12.2})
    assert (found.gb_per_s, found.is_measured) == (12.2, True)
    assert not link(pair(), measured={cable.key: float("nan")}).is_measured


def test_what_was_not_seen_is_not_known() -> None:
    looked = seen(pair())
    assert link_between(looked, ("n1",)) is None
    assert link_between(replace(looked, seen_ms=0), ("n1", "n2")) is None
    assert link_between(replace(looked, away=("n2",)), ("n1", "n2")) is None
    assert link_between(seen(changed(pair(), speed_gbps=float("nan"))), ("n1", "n2")) is None
    assert link_between(Topology(), ("n1", "n2")) is None


def chosen(cabling: Cabling, count: int, *room_gib: int, **lent: bool) -> tuple[list[str], Link | None]:
    """The nodes that are taken of all, and what joins them."""
    topology = seen(cabling)
    names = [f"n{number}" for number in range(1, len(room_gib) + 1)]
    rooms = tuple(
        NodeRoom(name, name, 121 << 30, gib << 30, is_owned=not lent.get(name))
        for name, gib in zip(names, room_gib, strict=True)
    )
    place = Place(rooms, link_between(topology, names), links=links_within(topology, names))
    found = choose_nodes(place, count)
    return [node.node_id for node in found.nodes], found.link


def test_of_a_chain_nodes_are_taken_that_are_cabled_with_each_other() -> None:
    nodes, found = chosen(chain(), 2, 110, 90, 105)
    assert nodes == ["n1", "n2"]  # n1 and n3 have most room, and no cable between them
    assert found == link(chain(), "n1", "n2")
    assert chosen(chain(), 2, 90, 100, 110)[0] == ["n2", "n3"]
    assert chosen(chain(), 1, 90, 100, 110)[0] == ["n3"]
    assert chosen(chain(), 2, 110, 30, 105)[0] == ["n1", "n3"]  # a crowded node is no help, whatever its cable
    assert chosen(chain(), 2, 110, 100, 105, n2=True)[0] == ["n1", "n3"]  # nor one that the person does not have


def test_of_a_ring_the_pair_whose_cable_has_both_halves_up_is_taken() -> None:
    assert chosen(ring(3), 2, 100, 105, 110)[0] == ["n2", "n3"]
    half = ring(3)
    half.down.add(("n3", CAGE_NETDEVS["P1"][1]))
    slow = {pair for pair in (("n1", "n2"), ("n2", "n3"), ("n1", "n3")) if link(half, *pair).title == "100G cable"}
    assert len(slow) == 1
    for room_gib in ((100, 105, 110), (110, 105, 100), (105, 110, 100)):
        nodes, found = chosen(half, 2, *room_gib)
        assert tuple(nodes) not in slow
        assert found is not None
        assert found.title == "200G cable"
    four, found = chosen(ring(4), 2, 110, 80, 105, 90)
    assert found == link(ring(4), "n1", "n2")
    assert four == ["n1", "n4"]  # n1 and n3 are across
