"""What is drawn is the cabling that was seen: every cable of the topology, its state in a word, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import DOUBT, LookState, Switch, Topology, build_topology
from sparkdesk.core.findings.concern import Concern, Severity
from tests.core.cluster.cabling import Cabling, Wire, pair, switch
from tests.ui.cluster.cabled import CASES, MACS, Cabled, placed, wire_to
from ui.cluster.cable import Cable
from ui.cluster.scene import SceneBuilder, build_scene


def only(scene_cables: tuple[Cable, ...], *looks: str) -> list[Cable]:
    return [cable for cable in scene_cables if cable.look in looks]


@pytest.mark.parametrize("name", CASES)
def test_the_drawn_cables_are_those_of_the_topology_and_end_at_its_cages(name: str) -> None:
    case = CASES[name]()
    topology, scene = case.topology(), case.scene()
    drawn = {cable.key: cable for cable in scene.cables if cable.to != "none" and cable.word != "No cable"}
    assert set(drawn) == {cable.key for cable in topology.cables}
    layout = placed(scene)
    for cable in topology.cables:
        line = layout.cables[cable.key].line
        assert line[0] == layout.ports[cable.a][0]
        if cable.b is not None:
            assert line[-1] == layout.ports[cable.b][0]
        elif cable.via_switch:
            bar = next(each for each in layout.switches if each.number == cable.switch_number)
            assert any(rect.adjusted(0, -1, 0, 1).contains(line[-1]) for rect in bar.rects)
        else:
            box = layout.cables[cable.key].box
            assert box is not None
            assert box.adjusted(0, -1, 0, 1).contains(line[-1])


@pytest.mark.parametrize("name", CASES)
def test_every_cage_is_drawn_once(name: str) -> None:
    case = CASES[name]()
    ends = [end for cable in case.scene().cables for end in cable.ends]
    assert sorted(ends) == [(node, cage) for node in sorted(case.cabling.nodes) for cage in ("P0", "P1")]


@pytest.mark.parametrize(
    ("name", "look", "word"),
    [
        ("pair", "up", "200G"),
        ("half-down", "degraded", "100G, 1 of 2 halves"),
        ("slow", "degraded", "100G, expected 200G"),
        ("mtu", "wrong", "MTU mismatch"),
        ("subnet", "wrong", "Wrong subnet"),
        ("one-way", "one_way", "One way only"),
        ("loop", "wrong", "Loop"),
        ("pair-crossed", "up", "200G, crossed"),
        ("cable-out", "down", "No cable"),
        ("switch-cable-out", "down", "No cable"),
    ],
)
def test_a_cables_word_says_what_is_the_matter(name: str, look: str, word: str) -> None:
    scene = CASES[name]().scene()
    assert word in {cable.word for cable in only(scene.cables, look)}


def test_two_nodes_whose_missing_cable_was_accepted_miss_no_other() -> None:
    known = CASES["pair-cable-out"]().known()
    known = replace(known, topology=replace(known.topology, seen_ms=1))
    assert build_scene(known).sentence.kind == "cable"
    accepted = Concern("missing-cable", "n1", Severity.WARN, "t", "e", "r", subject="P0", is_accepted=True)
    assert build_scene(replace(known, concerns=(accepted,))).sentence.kind != "cable"


def test_the_whole_message_and_its_remedy_are_in_the_tooltip() -> None:
    case = CASES["mtu"]()
    problems = case.topology().problems
    cable = only(case.scene().cables, "wrong")[0]
    assert len(problems) == 2, "one of each half"
    assert all(problem.message in cable.hint and problem.remedy in cable.hint for problem in problems)
    assert "rocep1s0f1 200G MTU 9000" in cable.hint
    assert "roceP2p1s0f1 200G MTU 1500" in cable.hint
    assert cable.problems == problems


def test_a_cable_that_may_be_a_silent_switch_is_not_called_direct() -> None:
    case = CASES["pair"]()
    topology = case.topology()
    assert DOUBT in next(cable for cable in case.scene(topology).cables if cable.to == "node").hint
    assert "direct" not in case.scene(topology).subtitle
    sure = replace(topology, cables=tuple(replace(cable, is_direct=True) for cable in topology.cables))
    assert all(DOUBT not in cable.hint for cable in case.scene(sure).cables)
    assert "direct cable" in case.scene(sure).subtitle


def test_one_way_points_at_the_end_that_still_receives() -> None:
    cable = only(CASES["one-way"]().scene().cables, "one_way")[0]
    assert (cable.ends, cable.arrow) == ((("n1", "P1"), ("n2", "P1")), "last")


def test_a_cable_that_was_pulled_is_down_at_once_though_no_look_was_taken_since() -> None:
    case = CASES["pair"]()
    topology = case.topology()
    case.values = {"n1": {"cage_up.P1": 0.0}}
    cable = next(cable for cable in case.scene(topology).cables if cable.to == "node")
    assert (cable.look, cable.word, cable.tx) == ("down", "Down", "")


def test_rates_are_the_first_ends_and_where_it_is_silent_those_of_the_other_end_turned() -> None:
    case = CASES["pair"]()
    cable = next(cable for cable in case.scene().cables if cable.to == "node")
    assert (cable.tx, cable.rx) == ("11.8", "9.6")
    case.values = {"n1": {"cage_tx_gbps.P1": math.nan, "cage_rx_gbps.P1": math.nan}}
    cable = next(cable for cable in case.scene().cables if cable.to == "node")
    assert (cable.tx, cable.rx) == ("9.1", "12.8")


def test_another_device_has_its_label_or_name_or_address_and_a_silent_one_says_so() -> None:
    stored = next(cable for cable in CASES["other-device"]().scene().cables if cable.to == "stranger")
    assert (stored.far, stored.detail) == ("Storage", MACS[0])
    first, second = (cable for cable in CASES["strangers"]().scene().cables if cable.to == "stranger")
    assert (first.far, first.detail) == ("other device", MACS[0])
    assert (second.far, second.detail) == ("other device", "nobody answers")
    spark = Cabling(1, [wire_to(("n1", "P0"), "4c:bb:47:99:00:01")])
    assert Cabled(spark).scene().cables[0].far == "another Spark?"


def test_devices_on_a_switch_are_told_on_the_switch() -> None:
    case = CASES["switch-guests"]()
    scene = case.scene()
    assert [words.split(" (")[0] for words in scene.guests] == ["other device", "other device"]
    assert placed(scene).guests is not None
    case.labels = {MACS[1]: "NAS"}
    assert f"NAS ({MACS[1]})" in case.scene().guests


def test_a_link_that_came_after_the_look_is_not_called_no_link() -> None:
    case = Cabled(pair(), "pair", values={"n1": {"cage_up.P0": 2.0, "cage_speed_gbps.P0": 200.0}})
    cable = next(cable for cable in case.scene().cables if cable.key == "n1:P0")
    assert (cable.look, cable.word) == ("unknown", "link, not looked at yet")


@pytest.mark.parametrize(("state", "age_s"), [(NodeState.STALE, 14.2), (NodeState.LIVE, 14.2)])
def test_cables_of_a_node_that_is_silent_are_grey_with_the_age_and_without_rates(
    state: NodeState, age_s: float
) -> None:
    case = Cabled(switch(3), "switch", states={"n2": state}, ages_s={"n2": age_s})
    found = {cable.key: cable for cable in case.scene().cables}
    assert (found["n2:P0-switch"].look, found["n2:P0-switch"].word) == ("stale", "14 s old")
    assert found["n2:P0-switch"].tx == ""
    assert found["n1:P0-switch"].look == "up"


def test_an_empty_cage_of_a_silent_node_says_how_old_that_is() -> None:
    case = Cabled(switch(3), "switch", states={"n2": NodeState.STALE}, ages_s={"n2": 14.2})
    found = {cable.key: cable for cable in case.scene().cables}
    assert (found["n2:P1"].look, found["n2:P1"].word) == ("unused", "no link 14 s ago")
    assert (found["n1:P1"].look, found["n1:P1"].word) == ("unused", "no link")


def test_a_missing_cable_is_told_as_of_now_only_while_one_of_its_ends_is_heard() -> None:
    case = CASES["cable-out"]()
    whole = next(cable for cable in case.scene().cables if cable.word == "No cable")
    case.ages_s = {whole.ends[0][0]: 14.2}
    assert "No cable" in {cable.word for cable in case.scene().cables}
    case.ages_s = {end[0]: 14.2 for end in whole.ends}
    silent = next(cable for cable in case.scene().cables if cable.ends == whole.ends)
    assert (silent.look, silent.word) == ("unknown", "No cable 14 s ago")


def test_a_node_that_could_not_be_asked_has_cages_that_are_not_known() -> None:
    case = Cabled(Cabling(2, [Wire([("n1", "P1"), ("n2", "P1")])]), "", states={"n2": NodeState.UNREACHABLE})
    case.change = lambda views: views.update(n2=views["n2"].as_absent())
    found = {cable.key: cable for cable in case.scene().cables}
    assert found["n2:P0"].word == "not known"
    assert found["n1:P0"].word == "no link"


# When it was looked -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [LookState.NONE, LookState.LOOKING])
def test_before_the_first_look_carriers_tell_and_no_cable_claims_another_end(state: LookState) -> None:
    scene = CASES["switch"]().scene(Topology(state=state))
    assert all(cable.is_detecting and cable.to == "none" for cable in scene.cables)
    assert {cable.word for cable in scene.cables if cable.ends[0][1] == "P1"} == {"200G"}
    assert scene.look_words
    assert not scene.wiring.is_seen


def test_while_the_first_look_goes_on_what_no_carrier_tells_is_being_detected() -> None:
    case = CASES["pair"]()
    case.values = {"n1": {"cage_up.P1": math.nan, "cage_up.P0": math.nan}}
    scene = case.scene(Topology(state=LookState.LOOKING))
    assert {cable.word for cable in scene.cables} == {"detecting"}
    assert scene.look_words == "Detecting the cables"


def test_while_it_looks_again_the_cables_stay_as_they_were() -> None:
    case = CASES["ring"]()
    before = case.topology()
    scene = case.scene(replace(before, state=LookState.LOOKING, seen_ms=5))
    assert scene.cables == case.scene().cables
    assert scene.look_words == ""


def test_after_a_look_that_failed_the_old_cables_stand_with_their_age_and_the_reason() -> None:
    case = CASES["ring"]()
    failed = replace(case.topology(), state=LookState.FAILED, seen_ms=1_000, message="spark-5c2d gave no answer")
    case.now_ms = 181_000
    scene = build_scene(case.known(failed))
    assert scene.cables == case.scene().cables
    assert scene.look_words == "Cables as seen 3 min ago: spark-5c2d gave no answer"
    never = case.scene(Topology(state=LookState.FAILED, message="No node is connected"))
    assert never.look_words == "Where the cables lead is not known: No node is connected"


def test_the_switch_is_called_as_the_user_calls_it_else_as_it_names_itself_else_switch() -> None:
    case = CASES["switch"]()
    topology = case.topology()
    named = replace(topology, switches=(Switch("sn3700"),))
    assert case.scene(named).switch_titles == ("sn3700",)
    assert case.scene(replace(named, switches=(Switch("sn3700", "Rack 4"),))).switch_titles == ("Rack 4",)
    assert case.scene(topology).switch_titles == ("MikroTik CRS804",), "as the cluster was set up"
    known = case.known(topology)
    assert known.cluster is not None
    plain = replace(known, cluster=replace(known.cluster, switch_name=""))
    assert build_scene(plain).switch_titles == ("Switch",)


def test_several_switches_have_a_number_where_their_names_do_not_tell_them_apart() -> None:
    case = CASES["two-rails"]()
    topology = case.topology()
    assert case.scene().switch_titles == ("Switch 1", "Switch 2"), "the one set up with could be either"
    for switches, titles in (
        ((Switch("sn3700"), Switch()), ("sn3700", "Switch 2")),
        ((Switch("sn3700"), Switch("sn3700")), ("sn3700 1", "sn3700 2")),
        ((Switch("sn3700"), Switch("sn3700", "Rail B")), ("sn3700", "Rail B")),
    ):
        scene = case.scene(replace(topology, switches=switches))
        assert scene.switch_titles == titles
        for cable in scene.cables:
            assert (cable.far, titles[cable.switch] in cable.hint) == (titles[cable.switch], True)


def test_a_cable_of_which_nothing_new_is_known_stays_the_same() -> None:
    case = CASES["ring"]()
    builder, topology = SceneBuilder(), case.topology()
    before = builder.build(case.known(topology))
    case.values = {"n1": {"cage_tx_gbps.P0": 40.0}}
    after = builder.build(case.known(replace(topology, state=LookState.LOOKING, seen_ms=1)))
    kept = {old.key: old is new for old, new in zip(before.cables, after.cables, strict=True)}
    assert kept == {"n1:P0-n2:P1": False, "n1:P1-n3:P0": True, "n2:P0-n3:P1": True}


def test_pulling_a_cable_of_a_ring_moves_no_card() -> None:
    whole = CASES["ring-of-six"]().scene()
    cabling = CASES["ring-of-six"]().cabling
    del cabling.wires[2]
    assert Cabled(cabling).scene().wiring.node_ids == whole.wiring.node_ids


def test_the_bar_of_a_switch_counts_its_own_cables_and_their_traffic_and_a_wrong_one_is_up() -> None:
    case = Cabled(Cabling(3, [*switch(3, ("P1",)).wires, Wire([("n1", "P0"), ("n2", "P0")])]))
    case.cabling.mtus = {("n3", netdev): 1500 for netdev in CAGE_NETDEVS["P1"]}
    scene = case.scene()
    assert "wrong" in {cable.look for cable in scene.cables if cable.to == "switch"}
    # 11.8, 12.8 and 13.8 Gb/s by P1; what runs over the direct cable is not the switch's.
    assert scene.switch_detail == "3 cables up · 38.4 Gb/s now"


def test_a_node_that_is_away_and_one_off_the_switch_leave_the_words_of_the_shape() -> None:
    whole = Cabled(switch(4, ("P0",)))
    before = whole.cabling.views()
    now = {**before, "n4": before["n4"].as_absent()}
    topology = build_topology(now, {}, before)
    assert "4 nodes · switch, 1 node away · " in whole.scene(topology).subtitle
    out = switch(4, ("P0",))
    out.wires[0].ends.remove(("n4", "P0"))
    assert "4 nodes · switch, 1 node not on it · " in Cabled(out).scene().subtitle


def test_what_the_look_saw_is_not_said_of_a_link_that_has_gone_since() -> None:
    case = Cabled(pair(), values={"n1": {"cage_up.P1": 0.0, "cage_speed_gbps.P1": float("nan")}})
    (cable,) = only(case.scene().cables, "down")
    first = next(line for line in cable.hint.splitlines() if line.startswith("spark-5c2d P1 ("))
    assert "200G" not in first
    assert "MTU" not in first


def test_what_a_switch_carries_is_at_least_so_much_where_an_end_does_not_tell() -> None:
    cabling = switch(3)
    assert Cabled(cabling).scene().switch_detail.startswith("3 cables up · ")
    untold = Cabled(cabling, values={"n2": {"cage_tx_gbps.P0": float("nan")}})
    assert untold.scene().switch_detail == "3 cables up · at least 25.6 Gb/s now"
