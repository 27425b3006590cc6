"""What was heard below all addresses tells a cable from a switch, for as long as no link has come or gone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.cluster.frame import FrameView, add_frames, read_frames
from sparkdesk.core.cluster.half import HeardFrame, LldpName, NodeView
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import DOUBT, Shape, Topology, build_topology
from tests.core.cluster.cabling import pair, ring

P1 = CAGE_NETDEVS["P1"][0]
ANSWER: dict[str, object] = {
    "frames": [[P1, "n2", P1, 9, 8], [P1, "n2", P1, 9], ["; rm", "n2", P1, 9, 8], [P1, "n2", P1, -1, True], "x"],
    "lldp": [{"port": P1, "name": "sn\x1b[31m3700", "mac": "b8:59:9f:00:00:01", "is_bridge": True}, {"port": 5}],
    "bridges": {P1: "b8:59:9f:00:00:02", CAGE_NETDEVS["P0"][0]: "b8:59:9f:00:00:03", "eth0": "x"},
    "askers": [[P1, "00:1b:21:00:00:01"], [P1, "x"], [], 5],
    "changes": {P1: 3, "; rm": 4, "eth0": "5"},
}


def silent() -> dict[str, NodeView]:
    """A pair whose beacons do not get through: as without IPv6."""
    return {node: replace(view, heard=()) for node, view in with_changes(pair().views()).items()}


def with_changes(views: dict[str, NodeView], changes: int = 3) -> dict[str, NodeView]:
    """Every link has come or gone so often."""
    return {
        node: replace(view, halves=tuple(replace(half, link_changes=changes) for half in view.halves))
        for node, view in views.items()
    }


def heard(nearest: int, everybody: int = 9) -> dict[str, FrameView]:
    """The two nodes of a pair heard each other."""
    return {
        node: FrameView((HeardFrame(P1, other, P1, everybody, nearest),), link_changes={P1: 3})
        for node, other in (("n1", "n2"), ("n2", "n1"))
    }


def look(views: dict[str, NodeView], frames: dict[str, FrameView]) -> Topology:
    return build_topology(add_frames(views, frames), {})


def test_an_answer_is_read_and_what_is_wrong_in_it_left_out() -> None:
    view = read_frames(ANSWER)
    assert view.frames == (HeardFrame(P1, "n2", P1, 9, 8),)
    assert view.lldp == (
        LldpName(P1, "sn3700", "b8:59:9f:00:00:01", True),
        LldpName(CAGE_NETDEVS["P0"][0], "", "b8:59:9f:00:00:03", True),
    )
    assert view.askers == ((P1, "00:1b:21:00:00:01"),)
    assert view.link_changes == {P1: 3}


def test_a_pair_is_a_pair_or_a_silent_switch_until_something_tells() -> None:
    assert build_topology(pair().views(), {}).doubt == DOUBT
    assert build_topology(ring().views(), {}).doubt == ""
    direct = look(with_changes(pair().views()), heard(9))
    assert (direct.shape, direct.doubt, direct.cables[0].is_direct) == (Shape.PAIR, "", True)
    switch = look(with_changes(pair().views()), heard(0))
    assert (switch.shape, [cable.key for cable in switch.cables]) == (Shape.SWITCH, ["n1:P1-switch", "n2:P1-switch"])
    few = look(with_changes(pair().views()), heard(0, everybody=1))
    assert (few.shape, few.doubt) == (Shape.PAIR, DOUBT)


def test_a_neighbour_that_names_itself_by_lldp_is_at_the_other_end_of_a_cable() -> None:
    views = pair().views()
    mac = next(half.mac for half in views["n2"].halves)
    views["n1"] = replace(views["n1"], lldp=(LldpName(P1, "spark-2", mac),))
    assert build_topology(views, {}).doubt == ""


def test_ports_without_any_address_are_joined_by_frames() -> None:
    views = {
        node: replace(view, halves=tuple(replace(half, link_local="") for half in view.halves))
        for node, view in silent().items()
    }
    assert {problem.id for problem in look(views, {}).problems} == {"no-ipv6"}
    found = look(views, heard(9))
    assert ([cable.key for cable in found.cables], found.problems) == (["n1:P1-n2:P1"], ())


def test_what_was_heard_holds_until_a_link_comes_or_goes_at_either_end() -> None:
    views = silent()
    assert look(views, heard(9)).shape is Shape.PAIR
    for node in ("n1", "n2"):
        moved = {**views, node: with_changes(views, 4)[node]}
        assert look(moved, heard(9)).shape is Shape.SINGLE
    untold = with_changes(views)
    untold["n1"] = replace(untold["n1"], halves=tuple(replace(half, link_changes=None) for half in untold["n1"].halves))
    assert look(untold, heard(9)).shape is Shape.PAIR
    assert look({**views, "n2": views["n2"].as_absent()}, heard(9)).shape is Shape.PAIR


def test_who_asks_for_an_address_is_a_stranger_only_where_nobody_else_is() -> None:
    views = silent()
    asker = FrameView(askers=((P1, "00:1b:21:00:00:01"),), link_changes={P1: 3})
    (stranger,) = (one for one in look(views, {"n1": asker}).strangers if one.mac)
    assert stranger.mac == "00:1b:21:00:00:01"
    joined = look(with_changes(pair().views()), {"n1": asker})
    assert (joined.shape, joined.strangers) == (Shape.PAIR, ())


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([P1, "n1", "n2"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6) | st.just(P1), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(ANSWER, _json)))
def test_whatever_a_node_answers_there_is_a_topology(answer: dict[str, object]) -> None:
    views = add_frames(pair().views(), {"n1": read_frames(answer), "n3": read_frames(answer)})
    assert sorted(build_topology(views, {}).rank_order) == ["n1", "n2"]
