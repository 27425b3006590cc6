"""A figure is graded by its band, a failed one names its causes in order, and what was not measured never passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.proof import band
from sparkdesk.core.bringup.proof.judge import grade_of, judge_all, measure
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofKind, ProofPart
from sparkdesk.core.cluster.topology import Shape
from tests.core.bringup.cases import make_case, with_node
from tests.core.bringup.proof.proofs import (
    BANDWIDTH,
    Proof,
    arping,
    gather,
    iperf3,
    link,
    make_proof,
    ping,
    without_rdma,
)

PAIR = make_proof(2, Shape.PAIR)
RING = make_proof(3, Shape.RING)
SWITCH = make_proof(4, Shape.SWITCH)


def judged(proof: Proof, kind: ProofKind) -> Measurement:
    """The first measurement of a kind."""
    found = judge_all(proof.items, proof.outputs, proof.results, False)
    return next(one for one in found if one.item.kind is kind)


def bandwidths(proof: Proof, *gbps: float) -> Proof:
    """The proof where each half gives so much."""
    return proof.printing(ProofKind.RDMA_BANDWIDTH, lambda part: BANDWIDTH.format(gbps=f"{gbps[part.half]:.2f}"))


def gathered(proof: Proof, busbw: float, **changes: str) -> Proof:
    """The proof where the all_gather gives so much on every rank."""
    (item,) = proof.of(ProofKind.ALL_GATHER)
    world = len(item.node_ids)
    return proof.printing(ProofKind.ALL_GATHER, lambda part: gather(item, part, busbw, world, **changes))


@pytest.mark.parametrize("proof", [PAIR, RING, SWITCH], ids=["pair", "ring", "switch"])
def test_a_sound_cluster_passes_everything_that_was_measured(proof: Proof) -> None:
    for found in judge_all(proof.items, proof.outputs, proof.results, False):
        is_left_out = found.item.kind is ProofKind.NCCL_HOST
        assert found.grade is (Grade.SKIPPED if is_left_out else Grade.PASS), found
        assert found.causes == ()
        assert not found.is_simulated


def test_the_figures_are_those_of_nvidias_playbook() -> None:
    found = judged(PAIR, ProofKind.RDMA_BANDWIDTH)
    assert found.value == pytest.approx(189.85)
    assert found.message == "92.6 + 97.3 to spark-1, 92.6 + 97.3 to spark-2, both halves · passes at 185"
    assert judged(PAIR, ProofKind.ALL_GATHER).message == "bus bandwidth, NET/IB · NVIDIA's pass mark 21.9"


def test_every_way_to_fail_names_a_cause_or_a_remedy() -> None:
    for text in ("", "nonsense", "client: 1: ib_write_bw: not found", '{"kind": "all_gather", "ok": true}'):
        for results in (
            PAIR.results,
            {},
            dict.fromkeys(PAIR.results, "failed"),
            dict.fromkeys(PAIR.results, "unknown"),
        ):
            for found in judge_all(PAIR.items, dict.fromkeys(PAIR.outputs, text), results, False):
                assert found.grade is not Grade.PASS
                assert found.message
                if found.grade is not Grade.SKIPPED:
                    assert found.causes or found.remedy, found


# Links, pings, addresses ---------------------------------------------------------------------------------------------


def test_a_line_of_100_gbps_is_a_warning_that_names_the_switch() -> None:
    proof = PAIR.printing(ProofKind.LINK, lambda part: "".join(link(one, 100000) for one in PAIR.items[0].parts))
    found = judged(proof, ProofKind.LINK)
    assert found.grade is Grade.WARN
    assert found.value == 100.0
    assert "200G-baseCR4" in found.remedy


def test_a_half_without_carrier_fails_and_one_that_is_not_told_is_unread() -> None:
    dark = {key: text.replace("carrier:1", "carrier:0", 1) for key, text in PAIR.outputs.items()}
    found = judged(replace(PAIR, outputs=dark), ProofKind.LINK)
    assert (found.grade, found.value) == (Grade.FAIL, 0.0)
    assert "enp1s0f1np1 of spark-1 has no carrier" in found.message
    blank = {key: text.replace("speed:200000", "speed:-1") for key, text in PAIR.outputs.items()}
    found = judged(replace(PAIR, outputs=blank), ProofKind.LINK)
    assert (found.grade, found.value) == (Grade.UNREAD, None)


def test_long_packets_that_are_lost_name_the_mtu() -> None:
    found = judged(PAIR.printing(ProofKind.PING, lambda part: ping(part, sized=0)), ProofKind.PING)
    assert (found.grade, found.value) == (Grade.FAIL, 100.0)
    assert "an MTU on the way is smaller" in found.causes[0]
    assert "MTU" in found.remedy


def test_an_interface_that_has_not_the_mtu_of_its_file_is_named_itself() -> None:
    small = {key: text.replace("mtu:9000", "mtu:1500", 1) for key, text in PAIR.outputs.items()}
    proof = replace(PAIR, outputs=small).printing(ProofKind.PING, lambda part: ping(part, sized=0))
    found = judged(proof, ProofKind.PING)
    assert found.causes[0] == "enp1s0f1np1 of spark-1 has MTU 1500"


def test_nothing_that_arrives_is_not_blamed_on_the_mtu() -> None:
    found = judged(PAIR.printing(ProofKind.PING, lambda part: ping(part, small=0, sized=0)), ProofKind.PING)
    assert "nothing arrives" in found.causes[0]


def lost(*ways: str) -> Proof:
    """The pair where all is lost on these ways of its second half: "ab", "ba"."""
    steps = {f"proof-ping-0-1-{way}" for way in ways}
    return PAIR.printing(
        ProofKind.PING, lambda part: ping(part, small=0, sized=0) if part.step_id in steps else ping(part)
    )


def test_all_that_is_lost_one_way_names_the_half_that_may_answer_for_the_other() -> None:
    found = judged(lost("ab"), ProofKind.PING)
    assert found.grade is Grade.FAIL
    assert found.causes[0].startswith("Another half of spark-2 may answer for 192.168.101.32 (ARP)")
    assert "nothing arrives" in found.causes[1]
    assert "Look on spark-1: ip neigh show 192.168.101.32 dev enP2p1s0f1np1." in found.remedy
    assert "arp_ignore = 1" in found.remedy


def test_what_is_lost_both_ways_is_first_a_matter_of_address_and_cable() -> None:
    found = judged(lost("ab", "ba"), ProofKind.PING)
    assert "nothing arrives" in found.causes[0]
    assert "may answer for" in found.causes[-1]
    assert found.remedy.startswith("See that both ends have their addresses")


def test_without_carrier_or_with_some_answers_no_other_half_is_blamed() -> None:
    dark = {key: text.replace("carrier:1", "carrier:0") for key, text in PAIR.outputs.items()}
    some = PAIR.printing(ProofKind.PING, lambda part: ping(part, small=0, sized=3))
    for proof in (replace(PAIR, outputs=dict(lost("ab").outputs, **{k: dark[k] for k in dark if "link" in k})), some):
        found = judged(proof, ProofKind.PING)
        assert found.grade is Grade.FAIL
        assert not any("may answer for" in cause for cause in found.causes)


def test_a_nodes_own_twin_that_answers_is_no_duplicate() -> None:
    macs = {one.mac for one in PAIR.case.reading("n1").interfaces.values() if one.name == "enP2p1s0f1np1"}
    proof = PAIR.printing(
        ProofKind.DUPLICATE, lambda part: arping(part, *macs) if part.source.node_id == "n1" else arping(part)
    )
    found = judged(proof, ProofKind.DUPLICATE)
    assert found.grade is Grade.PASS
    assert "only twins of the same node answer" in found.message


@pytest.mark.parametrize("who", ["spark-2", "another device"])
def test_an_address_that_another_device_has_too_is_named_with_that_device(who: str) -> None:
    mac = PAIR.case.reading("n2").interfaces["enP7s7"].mac if who == "spark-2" else "02:00:00:00:00:99"
    proof = PAIR.printing(
        ProofKind.DUPLICATE, lambda part: arping(part, mac) if part.source.node_id == "n1" else arping(part)
    )
    found = judged(proof, ProofKind.DUPLICATE)
    assert found.grade is Grade.FAIL
    assert f"is also at {who} [{mac}]" in found.message


def test_an_address_that_another_node_of_the_same_name_has_is_a_duplicate() -> None:
    case = with_node(PAIR.case, "n2", name="spark-1")
    mac = case.reading("n2").interfaces["enP7s7"].mac
    proof = make_proof(2, Shape.PAIR, case).printing(
        ProofKind.DUPLICATE, lambda part: arping(part, mac) if part.source.node_id == "n1" else arping(part)
    )
    found = judged(proof, ProofKind.DUPLICATE)
    assert found.grade is Grade.FAIL
    assert f"of spark-1 is also at spark-1 [{mac}]" in found.message


def test_an_address_that_nobody_could_ask_for_is_not_called_single() -> None:
    proof = PAIR.printing(ProofKind.DUPLICATE, lambda part: "arping: socket: Operation not permitted")
    assert judged(proof, ProofKind.DUPLICATE).grade is Grade.UNREAD
    proof = PAIR.printing(ProofKind.DUPLICATE, lambda part: "env: 'arping': No such file or directory")
    assert judged(proof, ProofKind.DUPLICATE).grade is Grade.SKIPPED


# RDMA and TCP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("halves", "grade"),
    [((98.0, 98.0), Grade.PASS), ((90.0, 90.0), Grade.WARN), ((46.3, 46.3), Grade.FAIL), ((13.2, 97.28), Grade.FAIL)],
)
def test_both_halves_are_added_and_held_against_one_band(halves: tuple[float, float], grade: Grade) -> None:
    found = judged(bandwidths(PAIR, *halves), ProofKind.RDMA_BANDWIDTH)
    assert found.grade is grade
    assert found.value == pytest.approx(sum(halves))


def test_a_half_at_13_gbps_is_called_degraded_and_its_way_out_is_power() -> None:
    found = judged(bandwidths(PAIR, 97.28, 13.23), ProofKind.RDMA_BANDWIDTH)
    assert "came up degraded" in found.causes[0]
    assert "13.2 Gb/s" in found.causes[0]
    assert "power adapters off" in found.remedy


def test_missing_pcie_lanes_come_before_what_is_only_likely() -> None:
    narrow = {
        key: text.replace("current_link_width:4", "current_link_width:2", 1) for key, text in PAIR.outputs.items()
    }
    found = judged(bandwidths(replace(PAIR, outputs=narrow), 50.0, 97.0), ProofKind.RDMA_BANDWIDTH)
    assert "PCIe lanes missing: enp1s0f1np1 of spark-1 has 2 PCIe lanes instead of 4" in found.causes[0]


def test_what_was_seen_on_another_cable_is_no_cause_of_this_one() -> None:
    slow = RING.printing(ProofKind.LINK, lambda part: RING.outputs[part.step_id])
    ends = RING.of(ProofKind.LINK)[2].parts
    text = slow.outputs[ends[0].step_id].replace(
        f"net/{ends[0].source.netdev}/speed:200000", f"net/{ends[0].source.netdev}/speed:100000"
    )
    slow = bandwidths(replace(slow, outputs={**slow.outputs, ends[0].step_id: text}), 60.0, 61.0)
    found = judge_all(slow.items, slow.outputs, slow.results, False)
    causes = [one.causes for one in found if one.item.kind is ProofKind.RDMA_BANDWIDTH]
    assert ["slow line" in " ".join(each) for each in causes] == [False, False, True]


def test_a_node_that_takes_no_part_is_no_cause_behind_a_switch() -> None:
    slow = SWITCH.outputs["proof-link-n4"].replace("speed:200000", "speed:100000")
    proof = bandwidths(replace(SWITCH, outputs={**SWITCH.outputs, "proof-link-n4": slow}), 60.0, 61.0)
    found = judge_all(proof.items, proof.outputs, proof.results, False)
    told = {one.item.node_ids: one.causes for one in found if one.item.kind is ProofKind.RDMA_BANDWIDTH}
    for nodes, causes in told.items():
        assert ("slow line" in " ".join(causes)) is ("n4" in nodes)


def test_one_half_alone_never_passes_as_a_whole_cable() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    bare = {
        name: replace(one, addresses=()) if name.startswith("enP2") else one
        for name, one in case.reading("n1").interfaces.items()
    }
    case = with_node(case, "n1", interfaces=bare)
    found = judged(make_proof(2, Shape.PAIR, case), ProofKind.RDMA_BANDWIDTH)
    assert found.grade is Grade.WARN
    assert found.value == pytest.approx(92.57)
    assert any("Only one half" in cause for cause in found.causes)


def test_a_half_that_gave_nothing_leaves_the_sum_unknown() -> None:
    proof = PAIR.printing(
        ProofKind.RDMA_BANDWIDTH,
        lambda part: BANDWIDTH.format(gbps="97.28") if part.half else " Couldn't connect to 192.168.100.31:18600",
    )
    found = judged(proof, ProofKind.RDMA_BANDWIDTH)
    assert (found.grade, found.value) == (Grade.FAIL, None)
    assert "97.3 Gb/s on half 2" in found.message
    assert "Couldn't connect" in found.message


def test_a_tool_that_is_not_there_skips_the_measurement_and_names_its_package() -> None:
    proof = PAIR.printing(ProofKind.RDMA_LATENCY, lambda part: "client: 1: ib_write_lat: not found")
    found = judged(proof, ProofKind.RDMA_LATENCY)
    assert found.grade is Grade.SKIPPED
    assert found.message == "ib_write_lat is not on spark-2"
    assert found.remedy.endswith("apt install perftest")


@pytest.mark.parametrize(("each", "grade"), [(48.2e9, Grade.PASS), (20e9, Grade.WARN), (6.5e9, Grade.FAIL)])
def test_tcp_adds_both_halves(each: float, grade: Grade) -> None:
    case = without_rdma(make_case(2, Shape.PAIR, is_ready=True))
    proof = make_proof(2, Shape.PAIR, case, scheme_stays=True)
    found = judged(proof.printing(ProofKind.TCP, lambda part: iperf3(each)), ProofKind.TCP)
    assert found.grade is grade
    assert found.value == pytest.approx(2 * each / 1e9)
    assert ("degraded" in " ".join(found.causes)) is (grade is Grade.FAIL)


# NCCL ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proof", "busbw", "grade"),
    [
        (PAIR, 21.875, Grade.PASS), (PAIR, 21.87, Grade.WARN), (PAIR, 18.94, Grade.WARN), (PAIR, 12.0, Grade.FAIL),
        (SWITCH, 21.9, Grade.PASS), (RING, 10.0, Grade.PASS), (RING, 9.99, Grade.FAIL), (PAIR, 0.0, Grade.FAIL),
    ],
)  # fmt: skip
def test_the_pass_marks_of_nvidia_are_held(proof: Proof, busbw: float, grade: Grade) -> None:
    found = judged(gathered(proof, busbw), ProofKind.ALL_GATHER)
    assert found.grade is grade
    assert found.value == pytest.approx(busbw)


@pytest.mark.parametrize(
    ("busbw", "first"),
    [
        (12.1, "One RDMA device only (about 12 GB/s)"),
        (3.04, "A build of NCCL that does not fit the GB10 (about 3 GB/s)"),
        (18.94, "An MTU of 1500 (about 19 to 21 GB/s)"),
        (1.15, "The data went over the management network (about 1.2 GB/s at most)"),
        (7.0, "One RDMA device only (about 12 GB/s)"),
    ],
)
def test_a_figure_alone_names_the_cause_whose_figure_it_is_and_then_the_others(busbw: float, first: str) -> None:
    (item,) = PAIR.of(ProofKind.ALL_GATHER)
    told = gathered(
        PAIR,
        busbw,
        **{
            '"transports": ["NET/IB"]': '"transports": []',
            '"devices": ["roceP2p1s0f1", "rocep1s0f1"]': '"devices": []',
        },
    )
    found = measure(item, told.outputs, told.results, False)
    assert found.causes[0] == first
    assert len(found.causes) == 4
    assert found.remedy


def test_what_the_other_measurements_ruled_out_is_not_named() -> None:
    """Sized pings passed, both devices were used, NCCL is the good release, and NET/IB was seen: none of the four."""
    found = judged(gathered(PAIR, 19.0), ProofKind.ALL_GATHER)
    assert found.grade is Grade.WARN
    assert not any("MTU" in cause or "One RDMA device" in cause for cause in found.causes)


def test_a_lost_sized_ping_makes_the_mtu_the_first_cause_of_a_slow_all_gather() -> None:
    proof = gathered(PAIR.printing(ProofKind.PING, lambda part: ping(part, sized=0)), 12.0)
    found = judged(proof, ProofKind.ALL_GATHER)
    assert "An MTU below the plan's on the way" in found.causes[0]


def test_sockets_fail_whatever_the_figure_and_are_the_first_cause() -> None:
    for ways in ("NET/Socket", 'NET/IB", "NET/Socket'):
        found = judged(gathered(PAIR, 22.5, **{"NET/IB": ways}), ProofKind.ALL_GATHER)
        assert found.grade is Grade.FAIL
        assert found.causes[0].startswith("NCCL went by NET/Socket")


@pytest.mark.parametrize("ranks", [{"n1", "n2"}, {"n2"}])
def test_a_way_that_nobody_saw_is_a_warning(ranks: set[str]) -> None:
    (item,) = PAIR.of(ProofKind.ALL_GATHER)
    said = {each: '["NET/IB"]' if each not in ranks else "[]" for each in ("n1", "n2")}
    proof = PAIR.printing(
        ProofKind.ALL_GATHER,
        lambda part: gather(item, part, 23.0, 2).replace('["NET/IB"]', said[part.source.node_id]),
    )
    found = judged(proof, ProofKind.ALL_GATHER)
    assert found.grade is Grade.WARN
    assert "its way not seen" in found.message


def test_one_device_that_nccl_names_itself_is_a_cause_that_was_seen() -> None:
    found = judged(gathered(PAIR, 12.0, **{'"roceP2p1s0f1", ': ""}), ProofKind.ALL_GATHER)
    assert found.causes[0].startswith("NCCL used one RDMA device only")


def test_the_average_of_nccl_tests_is_held_against_the_same_mark() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True, choices=Choices(picks_image=False))
    for node in case.node_ids:
        case = with_node(case, node, tools={"all_gather_perf": True})
    proof = make_proof(2, Shape.PAIR, case)
    item = next(item for item in proof.items if item.id == "all-gather-tests")
    text = (Path(__file__).parents[3] / "data" / "proof" / "nccl_tests.txt").read_text()
    found = measure(item, {item.step_ids[0]: text}, proof.results, False)
    assert (found.grade, found.value) == (Grade.WARN, 19.9426)
    assert found.causes[0].startswith("An MTU of 1500")
    found = measure(item, {item.step_ids[0]: "mpirun: not found"}, proof.results, False)
    assert (found.grade, found.value) == (Grade.UNREAD, None)


def test_the_slowest_rank_counts_and_wrong_data_fails() -> None:
    (item,) = PAIR.of(ProofKind.ALL_GATHER)
    slow = PAIR.printing(
        ProofKind.ALL_GATHER, lambda part: gather(item, part, 23.0 if part.source.node_id == "n1" else 11.0, 2)
    )
    assert judged(slow, ProofKind.ALL_GATHER).value == pytest.approx(11.0)
    found = judged(gathered(PAIR, 23.0, **{'"wrong": 0': '"wrong": 7'}), ProofKind.ALL_GATHER)
    assert (found.grade, found.value) == (Grade.FAIL, None)
    assert "Wrong data arrived" in found.message


def test_a_rank_that_names_its_own_trouble_speaks_for_those_that_waited() -> None:
    failed = '{{"kind": "all_gather", "ok": false, "message": "{}", "remedy": "{}"}}'
    said = {
        "n1": failed.format("no end after 90 s", "Look at the cables and at the other nodes."),
        "n2": failed.format("9.0 GiB of memory are available", "Stop what holds it."),
    }
    found = judged(PAIR.printing(ProofKind.ALL_GATHER, lambda part: said[part.source.node_id]), ProofKind.ALL_GATHER)
    assert found.grade is Grade.FAIL
    assert found.message == "9.0 GiB of memory are available"
    assert found.remedy == "Stop what holds it."


def test_a_no_to_the_question_leaves_the_all_gather_out() -> None:
    proof = make_proof(2, Shape.PAIR, busy={"n1": ("a job",)})
    results = {**proof.results, "proof-ask": "failed"}
    found = judge_all(proof.items, {}, results, False)
    (gather_,) = (one for one in found if one.item.kind is ProofKind.ALL_GATHER)
    assert gather_.grade is Grade.SKIPPED
    assert "nobody said yes" in gather_.message


def test_unequal_versions_inside_the_image_fail_and_explain_a_slow_all_gather() -> None:
    proof = gathered(
        PAIR.printing(ProofKind.NCCL_IMAGE, lambda part: "(2, 28, 9)" if part.source.node_id == "n1" else "(2, 27, 3)"),
        3.0,
    )
    found = judged(proof, ProofKind.NCCL_IMAGE)
    assert found.grade is Grade.FAIL
    assert found.message == "2.28.9 on spark-1, 2.27.3 on spark-2"
    assert judged(proof, ProofKind.ALL_GATHER).causes[0] == "Unequal NCCL in the nodes' images: 2.28.9, 2.27.3"


def test_an_image_that_is_not_there_is_told_and_not_called_a_fault() -> None:
    text = "docker: Error response from daemon: No such image: nvcr.io/nvidia/vllm:26.05-py3."
    proof = PAIR.printing(ProofKind.NCCL_IMAGE, lambda part: text)
    assert judged(proof, ProofKind.NCCL_IMAGE).grade is Grade.SKIPPED


@pytest.mark.parametrize(
    ("versions", "grade"), [(("", ""), Grade.SKIPPED), (("2.28.9", "2.28.9"), Grade.PASS), (("2.28.9", ""), Grade.WARN)]
)
def test_the_hosts_nccl_is_compared_over_the_nodes(versions: tuple[str, str], grade: Grade) -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    for node, version in zip(("n1", "n2"), versions, strict=True):
        case = with_node(case, node, nccl=version)
    assert judged(make_proof(2, Shape.PAIR, case), ProofKind.NCCL_HOST).grade is grade


# Simulated, hostile, not a number ------------------------------------------------------------------------------------


def test_what_is_simulated_is_graded_and_marked() -> None:
    proof = PAIR.printing(
        ProofKind.RDMA_BANDWIDTH, lambda part: "# simulated: no data is moved\n" + BANDWIDTH.format(gbps="95.00")
    )
    found = judge_all(proof.items, proof.outputs, proof.results, False)
    assert [one.item.kind for one in found if one.is_simulated] == [ProofKind.RDMA_BANDWIDTH]
    assert all(one.is_simulated for one in judge_all(proof.items, proof.outputs, proof.results, True))
    assert judged(proof, ProofKind.RDMA_BANDWIDTH).grade is Grade.PASS


@pytest.mark.parametrize("against", [band.RDMA_BOTH, band.RDMA_LATENCY, band.PING, band.GATHER, band.GATHER_RING, None])
def test_no_number_is_never_a_grade(against: band.Band | None) -> None:
    assert grade_of(None, against) is Grade.UNREAD
    assert grade_of(math.nan, against) is Grade.UNREAD


def test_a_job_that_runs_beside_is_said_with_the_figure() -> None:
    proof = make_proof(2, Shape.PAIR, busy={"n1": ("gpt-oss-120b",)})
    assert "Measured while gpt-oss-120b on spark-1 ran" in judged(proof, ProofKind.RDMA_BANDWIDTH).message
    low = judged(bandwidths(proof, 60.5, 61.0), ProofKind.RDMA_BANDWIDTH)
    assert any("A job that runs on these nodes" in cause for cause in low.causes)


TEXTS = st.one_of(st.text(max_size=300), st.sampled_from(sorted(set(PAIR.outputs.values()))), st.just(""))
RESULTS = st.sampled_from(["done", "failed", "unknown", "cancelled", "odd", ""])


@given(
    st.fixed_dictionaries(dict.fromkeys(PAIR.outputs, TEXTS)),
    st.fixed_dictionaries(dict.fromkeys(PAIR.results, RESULTS)),
)
def test_judging_is_total_and_what_has_no_figure_does_not_pass(
    outputs: Mapping[str, str], results: Mapping[str, str]
) -> None:
    for found in judge_all(PAIR.items, outputs, results, False):
        assert len(found.detail) <= 4000
        assert "\x1b" not in found.detail + found.message
        assert found.value is None or math.isfinite(found.value)
        has_figure = found.item.band is not None
        if has_figure and found.value is None:
            assert found.grade is not Grade.PASS
        assert measure(found.item, outputs, results, False).grade is found.grade


def test_a_part_of_an_item_that_is_missing_is_never_made_up() -> None:
    part = ProofPart("nowhere", PAIR.items[0].parts[0].source)
    for item in PAIR.items:
        found = measure(replace(item, parts=(part,), step_ids=("nowhere",)), PAIR.outputs, {}, False)
        assert found.grade is not Grade.PASS
        bare = measure(replace(item, parts=(), step_ids=()), {}, {}, False)
        assert bare.grade is not Grade.PASS
