"""Addresses of the cables: what stands is adopted and completed, what is chosen is free, and twice is the same."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.netplan import OUR_FILE, netplan_text
from sparkdesk.core.bringup.reading import Interface, NetplanFile
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.bringup.scheme_choice import find_free, make_scheme
from sparkdesk.core.cluster.topology import Shape
from tests.core.bringup.cases import case_of, make_case, with_node
from tests.core.cluster.cabling import Cabling, Wire, two_cables

PORT, TWIN = "enp1s0f1np1", "enP2p1s0f1np1"
Network = ipaddress.IPv4Network


def with_addresses(case: Case, node_id: str, given: Mapping[str, tuple[str, ...]], mtu: int = 1500) -> Case:
    """The case where a node's ports have these addresses, and the routes to them."""
    reading = case.reading(node_id)
    found = {name: replace(reading.interfaces[name], addresses=texts, mtu=mtu) for name, texts in given.items()}
    networks = [str(ipaddress.IPv4Interface(text).network) for texts in given.values() for text in texts]
    routes = None if reading.routes is None else (*reading.routes, *networks)
    return with_node(case, node_id, interfaces={**reading.interfaces, **found}, routes=routes)


def applied(case: Case, scheme: Scheme) -> Case:
    """The case after the scheme stands on all nodes, and our file there."""
    for node_id in case.node_ids:
        interfaces = dict(case.reading(node_id).interfaces)
        routes = list(case.reading(node_id).routes or ())
        for end in scheme.of_node(node_id):
            kept = [text for text in interfaces[end.netdev].addresses if text != end.address]
            interfaces[end.netdev] = replace(interfaces[end.netdev], addresses=(*kept, end.address), mtu=end.mtu)
            routes.append(str(ipaddress.IPv4Interface(end.address).network))
        ours = NetplanFile(OUR_FILE, netplan_text(scheme.of_node(node_id)))
        files = (*(case.reading(node_id).netplan or ()), *([ours] if ours.content else []))
        case = with_node(case, node_id, interfaces=interfaces, routes=tuple(routes), netplan=files)
    return case


def shown(scheme: Scheme) -> list[tuple[str, int, list[str]]]:
    """Cable, half and addresses of each lane."""
    return [(lane.cable, lane.half, [end.address for end in lane.ends]) for lane in scheme.lanes]


def test_a_fresh_pair_gets_two_subnets_and_the_last_number_of_its_management_addresses() -> None:
    scheme = make_scheme(make_case(2, Shape.PAIR))
    assert shown(scheme) == [
        ("n1:P1-n2:P1", 0, ["192.168.100.31/24", "192.168.100.32/24"]),
        ("n1:P1-n2:P1", 1, ["192.168.101.31/24", "192.168.101.32/24"]),
    ]
    assert (scheme.problems, scheme.notes, scheme.is_kept) == ((), (), False)
    assert [end.netdev for end in scheme.of_node("n1")] == [PORT, TWIN]
    assert {(end.origin, end.mtu, end.needs_mtu) for end in scheme.of_node("n2")} == {("chosen", 9000, True)}


def test_two_cables_a_ring_and_a_switch_have_a_subnet_each_lane() -> None:
    assert len({lane.subnet for lane in make_scheme(case_of(two_cables())).lanes}) == 4
    ring = make_scheme(make_case(3, Shape.RING))
    assert len({lane.subnet for lane in ring.lanes}) == 6
    assert {len(ring.of_node(node)) for node in ("n1", "n2", "n3")} == {4}
    switch = make_scheme(make_case(4, Shape.SWITCH))
    assert [(lane.cable, lane.half, len(lane.ends)) for lane in switch.lanes] == [("switch", 0, 4), ("switch", 1, 4)]


@pytest.mark.parametrize(
    ("cages", "counts"),
    [("0011", [4, 4]), ("0000", [4, 4]), (("01", "0", "0", "01"), [4, 4, 2, 2]), (("01", "0", "1", "1"), [4, 4])],
)
def test_nodes_on_a_switch_share_a_lane_whatever_cages_they_use(
    cages: tuple[str, ...] | str, counts: list[int]
) -> None:
    ends = [(f"n{i + 1}", f"P{cage}") for i, own in enumerate(cages) for cage in own]
    scheme = make_scheme(case_of(Cabling(4, [Wire(ends, is_switch=True)], shape=Shape.SWITCH)))
    assert [len(lane.ends) for lane in scheme.lanes] == counts
    assert all(len({end.node_id for end in lane.ends}) == len(lane.ends) for lane in scheme.lanes)


def test_what_stands_and_is_valid_is_kept() -> None:
    for count, shape in ((2, Shape.PAIR), (3, Shape.RING), (4, Shape.SWITCH)):
        scheme = make_scheme(make_case(count, shape, is_ready=True))
        assert scheme.is_kept, shape
        assert (scheme.problems, scheme.notes) == ((), ())


def test_a_scheme_with_a_small_mtu_is_kept_and_its_mtu_set() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    case = with_addresses(case, "n2", {PORT: ("192.168.100.32/24",), TWIN: ("192.168.101.32/24",)}, mtu=1500)
    scheme = make_scheme(case)
    assert {end.origin for lane in scheme.lanes for end in lane.ends} == {"kept"}
    assert {end.needs_mtu for end in scheme.of_node("n1")} == {False}
    assert {(end.needs_mtu, end.mtu) for end in scheme.of_node("n2")} == {(True, 9000)}
    assert not scheme.is_kept


def test_the_older_guides_one_subnet_for_both_halves_is_kept_with_a_note() -> None:
    case = make_case(2, Shape.PAIR)
    for number, node in enumerate(("n1", "n2")):
        given = {PORT: (f"192.168.100.{10 + number}/24",), TWIN: (f"192.168.100.{20 + number}/24",)}
        case = with_addresses(case, node, given, mtu=9000)
    scheme = make_scheme(case)
    assert scheme.is_kept
    assert [lane.subnet for lane in scheme.lanes] == ["192.168.100.0/24"] * 2
    assert "older guide" in scheme.notes[0]


def test_a_node_that_lacks_its_address_gets_one_in_the_standing_subnet() -> None:
    case = with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: ("172.30.5.33/28",)}, mtu=9000)
    assert [end.address for end in make_scheme(case).lanes[0].ends] == ["172.30.5.33/28", "172.30.5.34/28"]
    case = with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: ("172.30.5.32/28",)}, mtu=9000)
    assert make_scheme(case).lanes[0].subnet == "192.168.100.0/24", "a network's own number is nobody's address"
    case = with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: ("172.30.5.1/24",)}, mtu=9000)
    first, second = make_scheme(case).lanes
    assert [(end.address, end.origin) for end in first.ends] == [
        ("172.30.5.1/24", "kept"), ("172.30.5.32/24", "chosen"),
    ]  # fmt: skip
    assert second.subnet == "192.168.100.0/24"


def test_a_clash_gets_a_new_subnet_and_names_the_address_to_remove_and_its_file() -> None:
    case = make_case(2, Shape.PAIR)
    for node in ("n1", "n2"):
        case = with_addresses(case, node, {PORT: ("192.168.100.1/24",), TWIN: ()})
    file = f"network:\n  ethernets:\n    {PORT}:\n      addresses: [192.168.100.1/24]\n"
    case = with_node(case, "n2", netplan=(NetplanFile("/etc/netplan/40-cx7.yaml", file),))
    scheme = make_scheme(case)
    assert [lane.subnet for lane in scheme.lanes] == ["192.168.101.0/24", "192.168.102.0/24"]
    assert scheme.lanes[0].ends[0].beside == ("192.168.100.1/24",)
    assert len(scheme.notes) == 1
    assert "both have 192.168.100.1" in scheme.notes[0]
    assert "Remove 192.168.100.1/24 from spark-2: it stands in /etc/netplan/40-cx7.yaml." in scheme.notes[0]
    again = make_scheme(applied(case, scheme))
    assert again.is_kept
    assert again.notes == scheme.notes


def test_a_subnet_that_the_management_port_has_too_is_not_adopted() -> None:
    case = make_case(2, Shape.PAIR)
    for number, node in enumerate(("n1", "n2")):
        case = with_addresses(case, node, {PORT: (f"10.0.20.{200 + number}/24",)}, mtu=9000)
    scheme = make_scheme(case)
    assert [lane.subnet for lane in scheme.lanes] == ["192.168.100.0/24", "192.168.101.0/24"]
    assert "overlap" in scheme.notes[0]


def test_link_local_addresses_are_no_scheme_and_nonsense_is_passed_over() -> None:
    case = make_case(2, Shape.PAIR)
    for number, node in enumerate(("n1", "n2")):
        case = with_addresses(case, node, {PORT: (f"169.254.3.{number + 1}/16",)})
        case = with_node(case, node, routes=(*(case.reading(node).routes or ()), "nonsense"))
    scheme = make_scheme(case)
    assert [lane.subnet for lane in scheme.lanes] == ["192.168.100.0/24", "192.168.101.0/24"]
    assert scheme.lanes[0].ends[0].beside == ()


def test_routes_that_nobody_read_choose_nothing_and_say_so() -> None:
    scheme = make_scheme(with_node(make_case(2, Shape.PAIR), "n2", routes=None))
    assert scheme.lanes == ()
    assert "the routes of spark-2 were not read" in scheme.problems[0]
    kept = make_scheme(with_node(make_case(2, Shape.PAIR, is_ready=True), "n2", routes=None))
    assert kept.is_kept
    assert kept.lanes


def test_ports_that_carry_the_default_route_or_our_sign_in_get_nothing() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n1", default_netdevs=(PORT,))
    scheme = make_scheme(case)
    assert [lane.half for lane in scheme.lanes] == [1]
    assert "carries its default route" in scheme.problems[0]
    over = with_node(make_case(2, Shape.PAIR), "n2", management=TWIN, management_address="192.168.7.2")
    assert "signed in over" in make_scheme(over).problems[0]
    jump = with_node(make_case(2, Shape.PAIR), "n2", management=TWIN, management_address="fe80::4ebb:47ff:fe01:230")
    assert len(make_scheme(jump).lanes) == 2, "over IPv6 link-local it stays reachable"


def test_a_half_that_its_node_does_not_show_is_said() -> None:
    case = make_case(2, Shape.PAIR)
    interfaces = {name: one for name, one in case.reading("n2").interfaces.items() if name != TWIN}
    scheme = make_scheme(with_node(case, "n2", interfaces=interfaces))
    assert [lane.half for lane in scheme.lanes] == [0]
    assert "spark-2 gets no address there: it does not show the second half of P1" in scheme.problems[0]


def test_ranks_are_the_hosts_where_management_addresses_are_alike() -> None:
    case = make_case(2, Shape.PAIR)
    case = with_node(case, "n2", management_address="10.9.9.31")
    assert [end.host for end in make_scheme(case).lanes[0].ends] == ["192.168.100.1", "192.168.100.2"]


def test_no_subnet_is_left_when_routes_cover_everything() -> None:
    everything = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    scheme = make_scheme(with_node(make_case(2, Shape.PAIR), "n1", routes=everything))
    assert scheme.lanes == ()
    assert "No private subnet is free" in scheme.problems[0]
    assert find_free([Network("0.0.0.0/1"), Network("128.0.0.0/1")]) == Network("192.168.100.0/24")


_ROUTES = st.lists(
    st.builds(
        lambda base, host, prefix: str(Network((int(ipaddress.IPv4Address(base)) + host, prefix), strict=False)),
        st.sampled_from(["192.168.0.0", "192.168.100.0", "172.16.0.0", "10.0.0.0"]),
        st.integers(0, 1 << 12),
        st.integers(9, 32),
    ),
    max_size=6,
)
_SHAPES = st.sampled_from([(2, Shape.PAIR), (3, Shape.RING), (4, Shape.SWITCH), (3, Shape.CHAIN)])
_STANDING = st.dictionaries(
    st.tuples(st.integers(1, 4), st.sampled_from([PORT, TWIN, "enp1s0f0np0", "enP2p1s0f0np0"])),
    st.builds(
        lambda third, host, prefix: f"192.168.{third}.{host}/{prefix}",
        st.integers(99, 102), st.integers(1, 5), st.sampled_from([24, 24, 24, 30, 16]),
    ),
    max_size=6,
)  # fmt: skip


def check(case: Case, scheme: Scheme) -> None:
    """What every scheme keeps to."""
    for lane in scheme.lanes:
        hosts = [end.host for end in lane.ends]
        assert len(set(hosts)) == len(hosts)
        assert all(ipaddress.IPv4Interface(end.address).network == Network(lane.subnet) for end in lane.ends)
        if all(end.origin == "chosen" for end in lane.ends):
            check_free(case, lane)
            others = [other for other in scheme.lanes if other is not lane]
            assert not any(Network(other.subnet).overlaps(Network(lane.subnet)) for other in others)
    for node_id in case.node_ids:
        given = [end.host for end in scheme.of_node(node_id)]
        assert len(set(given)) == len(given)


def check_free(case: Case, lane: Lane) -> None:
    """No node routes to it or has an address in it."""
    for node_id in case.node_ids:
        reading = case.reading(node_id)
        texts = [*(reading.routes or ()), *(text for one in reading.interfaces.values() for text in one.addresses)]
        assert not any(ipaddress.IPv4Interface(text).network.overlaps(Network(lane.subnet)) for text in texts), lane


@settings(max_examples=150, deadline=None)
@given(_SHAPES, st.lists(_ROUTES, min_size=4, max_size=4), _STANDING)
def test_whatever_stands_nothing_overlaps_and_the_second_run_keeps_everything(
    shape: tuple[int, Shape], routes: list[list[str]], standing: dict[tuple[int, str], str]
) -> None:
    case = make_case(*shape)
    for number, node_id in enumerate(case.node_ids):
        given_here = {netdev: (text,) for (at, netdev), text in standing.items() if at == number + 1}
        case = with_addresses(case, node_id, given_here)
        known = case.reading(node_id).routes or ()
        case = with_node(case, node_id, routes=(*known, *routes[number]))
    scheme = make_scheme(case)
    assert scheme == make_scheme(case)
    check(case, scheme)
    again = make_scheme(applied(case, scheme))
    check(case, again)
    assert again.is_kept
    assert shown(again) == shown(scheme)


def test_a_stranger_interface_changes_nothing() -> None:
    case = make_case(2, Shape.PAIR)
    names = {**case.reading("n1").interfaces, "docker0": Interface("docker0", addresses=("172.17.0.1/16",))}
    assert make_scheme(with_node(case, "n1", interfaces=names)) == make_scheme(case)


# What one node alone says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("140.82.112.9/24", "no private range"), ("64.0.0.1/2", "no private range"),
        ("240.0.0.1/4", "no private range"), ("64.0.0.1/1", "no private range"),
        ("100.64.3.1/24", "no private range"), ("10.9.9.9/8", "only /16 to /31"),
        ("172.16.0.9/12", "only /16 to /31"), ("10.9.9.9/16", "wider than /24"), ("10.9.9.9/32", "only /16 to /31"),
    ],
)  # fmt: skip
def test_no_other_node_gets_an_address_in_what_one_strays_into(claim: str, words: str) -> None:
    case = with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: (claim,)}, mtu=9000)
    case = with_node(case, "n1", management_address="192.168.7.31", routes=("192.168.7.0/24",))
    case = with_node(case, "n2", management_address="192.168.7.32", routes=("192.168.7.0/24",))
    scheme = make_scheme(case)
    assert [lane.subnet for lane in scheme.lanes] == ["192.168.100.0/24", "192.168.101.0/24"]
    assert scheme.lanes[0].ends[0].beside == (claim,)
    assert words in scheme.notes[0]
    assert f"{claim} on {PORT} of spark-1 stays" in scheme.notes[0]


def test_a_wide_private_subnet_is_completed_where_two_nodes_stand_in_it() -> None:
    case = make_case(4, Shape.SWITCH)
    for number, node in enumerate(("n1", "n2")):
        case = with_addresses(case, node, {"enp1s0f0np0": (f"10.9.0.{number + 1}/16",)}, mtu=9000)
    scheme = make_scheme(case)
    assert [end.address for end in scheme.lanes[0].ends] == [
        "10.9.0.1/16",
        "10.9.0.2/16",
        "10.9.0.33/16",
        "10.9.0.34/16",
    ]
    assert scheme.notes == (
        "10.9.0.0/16 is kept: spark-1, spark-2 stand in it already. New addresses in it: spark-3, spark-4.",
    )


def test_a_subnet_that_somebody_reaches_otherwise_is_not_completed() -> None:
    case = with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: ("10.9.9.9/24",)}, mtu=9000)
    assert make_scheme(case).lanes[0].subnet == "10.9.9.0/24"
    ways: tuple[tuple[str, dict[str, object], str], ...] = (
        ("n2", {"client_address": "10.9.9.77"}, "SparkDesk reaches spark-2 by an address in it"),
        ("n1", {"client_address": "10.9.9.77"}, "SparkDesk reaches spark-1 by an address in it"),
        ("n1", {"routes": ("10.9.9.0/24", "10.9.9.128/25")}, "spark-1 has another way to a part of it"),
        ("n2", {"routes": ("10.0.0.0/9",)}, "spark-2 has another way to it"),
    )
    for node, changes, words in ways:
        scheme = make_scheme(with_node(case, node, **changes))
        assert scheme.lanes[0].subnet == "192.168.100.0/24"
        assert words in scheme.notes[0]
    vpn = with_node(case, "n2", routes=("10.0.20.0/24", "0.0.0.0/1", "128.0.0.0/1"))
    assert make_scheme(vpn).lanes[0].subnet == "10.9.9.0/24", "the halves of everything are a default route"
    ring = with_addresses(make_case(3, Shape.RING), "n1", {PORT: ("10.9.9.9/24",)}, mtu=9000)
    assert "10.9.9.0/24" in {lane.subnet for lane in make_scheme(ring).lanes}
    ring = with_node(ring, "n1", routes=("10.0.20.0/24", "10.9.9.0/24"))
    other = next(node for node in ("n2", "n3") if node not in {end.node_id for end in make_scheme(ring).lanes[0].ends})
    assert "10.9.9.0/24" not in {
        lane.subnet for lane in make_scheme(with_node(ring, other, routes=("10.9.0.0/16",))).lanes
    }


def test_a_pair_of_two_addresses_is_kept_on_a_cable_and_completed() -> None:
    case = make_case(2, Shape.PAIR)
    for node, number in (("n1", 0), ("n2", 1)):
        given = {PORT: (f"10.77.0.{number}/31",), TWIN: (f"10.77.0.{number + 2}/31",)}
        case = with_addresses(case, node, given, mtu=9000)
    scheme = make_scheme(case)
    assert scheme.is_kept
    assert [lane.subnet for lane in scheme.lanes] == ["10.77.0.0/31", "10.77.0.2/31"]
    half = with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: ("10.77.0.1/31",)}, mtu=9000)
    assert [end.address for end in make_scheme(half).lanes[0].ends] == ["10.77.0.1/31", "10.77.0.0/31"]


def leased(case: Case, node_id: str) -> Case:
    """The case where DHCP gave the node what its ports have."""
    ports = case.reading(node_id).interfaces
    return with_node(
        case, node_id, interfaces={name: replace(one, leased=one.addresses) for name, one in ports.items()}
    )


def test_leases_that_all_ends_have_are_kept_and_never_written_down() -> None:
    case = make_case(2, Shape.PAIR)
    for number, node in enumerate(("n1", "n2")):
        given = {PORT: (f"10.50.1.{number + 5}/24",), TWIN: (f"10.50.2.{number + 5}/24",)}
        case = leased(with_addresses(case, node, given), node)
    scheme = make_scheme(case)
    assert [lane.subnet for lane in scheme.lanes] == ["10.50.1.0/24", "10.50.2.0/24"]
    assert {(end.origin, end.needs_mtu, end.is_leased) for lane in scheme.lanes for end in lane.ends} == {
        ("kept", True, True)
    }  # fmt: skip
    assert (
        scheme.notes[0]
        == "DHCP gives spark-1, spark-2 the addresses in 10.50.1.0/24: they are kept, and not written down."
    )
    text = netplan_text(scheme.of_node("n1"))
    assert "addresses" not in text
    assert text.endswith(f"    {TWIN}:\n      dhcp4: yes\n      optional: true\n      mtu: 9000\n")


def test_where_one_end_lacks_a_lease_a_subnet_of_its_own_is_chosen_and_dhcp_stays_on() -> None:
    case = leased(with_addresses(make_case(2, Shape.PAIR), "n1", {PORT: ("10.50.1.5/24",)}), "n1")
    scheme = make_scheme(case)
    assert scheme.lanes[0].subnet == "192.168.100.0/24"
    assert "DHCP gave what stands in it" in scheme.notes[0]
    assert f"    {PORT}:\n      dhcp4: yes\n" in netplan_text(scheme.of_node("n1"))
    assert "dhcp4: no" in netplan_text(scheme.of_node("n2"))


def test_a_port_that_is_part_of_a_bond_gets_nothing_and_says_of_which() -> None:
    case = make_case(2, Shape.PAIR)
    ports = case.reading("n1").interfaces
    both = {name: replace(ports[name], part_of="bond0 (bond)") for name in (PORT, TWIN)}
    scheme = make_scheme(with_node(case, "n1", interfaces={**ports, **both}))
    assert scheme.lanes == ()
    assert f"spark-1 gets no address there: {PORT} is part of bond0 (bond)" in scheme.problems[0]


def test_why_routes_were_not_read_is_said() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n2", routes=None, problems={"routes": "its tables are longer"})
    assert "the routes of spark-2 were not read (its tables are longer)" in make_scheme(case).problems[0]


def test_no_subnet_is_chosen_that_covers_the_persons_own_computer() -> None:
    for field in ("client_address", "management_address"):
        case = with_node(make_case(2, Shape.PAIR), "n2", **{field: "192.168.100.200"})
        assert [lane.subnet for lane in make_scheme(case).lanes] == ["192.168.101.0/24", "192.168.102.0/24"], field


def test_no_subnet_is_chosen_that_a_file_gives_to_a_port_without_a_link() -> None:
    case = make_case(2, Shape.PAIR)
    spare = NetplanFile(OUR_FILE, netplan_text([HalfAddress("n1", "P0", "enp1s0f0np0", "192.168.100.9/24")]))
    case = with_node(case, "n1", netplan=(spare,))
    assert [lane.subnet for lane in make_scheme(case).lanes] == ["192.168.101.0/24", "192.168.102.0/24"]
