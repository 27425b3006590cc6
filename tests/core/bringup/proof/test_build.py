"""A proof measures each pair once and nothing against itself, changes nothing, and asks before it loads busy GPUs."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from sparkdesk.core.bringup.case import GIB, Case, Choices
from sparkdesk.core.bringup.proof.build import build_proof
from sparkdesk.core.bringup.proof.measurement import ProofKind
from sparkdesk.core.bringup.proof.wire import find_wires, make_rounds
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.command import Command
from sparkdesk.core.step import Confirm, PutFile, Restore, Run, Serve, Step
from sparkdesk.core.step_json import from_json, to_json
from tests.core.bringup.cases import IMAGE, make_case, with_node
from tests.core.bringup.proof.proofs import make_proof, scheme_of

SHAPES = [(2, Shape.PAIR), (3, Shape.RING), (4, Shape.SWITCH), (4, Shape.CHAIN)]


def commands(step: Step) -> list[Command]:
    """Every command of a step."""
    found = []
    for action in (*step.apply, *step.undo):
        if isinstance(action, Run):
            found.append(action.command)
        if isinstance(action, Serve):
            found += [action.server, action.client]
    return found


def words_of(count: int, shape: Shape, kind: str, case: Case | None = None) -> list[tuple[str, ...]]:
    """The commands of all steps whose id begins so."""
    proof = make_proof(count, shape, case)
    return [command.argv for step in proof.playbook.steps() if step.id.startswith(kind) for command in commands(step)]


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_the_same_case_gives_the_same_proof_and_it_survives_being_stored(count: int, shape: Shape) -> None:
    proof = make_proof(count, shape)
    assert build_proof(proof.case, proof.scheme) == (proof.playbook, proof.items)
    assert from_json(to_json(proof.playbook)) == proof.playbook
    ids = [step.id for step in proof.playbook.steps()]
    assert len(set(ids)) == len(ids)
    assert {step_id for item in proof.items for step_id in item.step_ids} == set(ids)
    assert len({item.id for item in proof.items}) == len(proof.items)


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_nothing_needs_root_and_only_our_programs_are_written_where_nobody_elses_lie_and_go_again(
    count: int, shape: Shape
) -> None:
    proof = make_proof(count, shape)
    assert (proof.playbook.needs_lock, proof.playbook.only_measures) == (True, True)
    written = set()
    for step in proof.playbook.steps():
        assert step.phase == "proof"
        for action in step.apply:
            assert isinstance(action, Run | Serve | PutFile | Restore)
            assert not getattr(action, "as_root", False)
            if isinstance(action, PutFile):
                written.add(action.path)
                assert Restore(action.path) in step.apply[1:]
                assert Restore(action.path) in step.undo
    folder = "~/.local/state/sparkdesk/bringup/a1b2c3"
    assert written == {f"{folder}/all_gather.py", f"{folder}/gpu_load.py"}


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_any_end_of_a_tool_is_accepted_so_that_one_bad_cable_does_not_end_the_proof(count: int, shape: Shape) -> None:
    for step in make_proof(count, shape).playbook.steps():
        for action in step.apply:
            if isinstance(action, Run | Serve):
                assert {0, 1, 2, 124, 127, 137} <= set(action.expect.exit_codes)
                assert not action.expect.reader


def test_four_nodes_on_a_switch_are_six_pairs_in_three_rounds() -> None:
    case = make_case(4, Shape.SWITCH, is_ready=True)
    rounds = make_rounds(find_wires(case, scheme_of(case)))
    assert len(rounds) == 3
    pairs = [wire.nodes for each in rounds for wire in each]
    assert sorted(pairs) == list(combinations(case.node_ids, 2))
    for each in rounds:
        nodes = [node for wire in each for node in wire.nodes]
        assert len(set(nodes)) == len(nodes) == 4


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_both_halves_are_written_at_once_and_no_node_measures_two_cables(count: int, shape: Shape) -> None:
    proof = make_proof(count, shape)
    for stage in proof.playbook.stages:
        measured = [step for step in stage.steps if step.id.startswith(("proof-bandwidth", "proof-latency"))]
        if not measured:
            continue
        assert len(measured) == len(stage.steps) == stage.max_parallel
        wires: dict[str, set[str]] = {}
        for step in measured:
            (serve,) = step.apply
            assert isinstance(serve, Serve)
            wires.setdefault(step.id.split("-")[2], set()).update((step.node, serve.node))
        busy = [node for nodes in wires.values() for node in nodes]
        assert len(set(busy)) == len(busy)
        assert len(measured) == 2 * len(wires)


@pytest.mark.parametrize(("count", "shape"), SHAPES)
def test_no_two_servers_listen_on_one_port_of_a_node(count: int, shape: Shape) -> None:
    proof = make_proof(count, shape)
    ports = [
        (action.node, action.server.argv[action.server.argv.index("-p") + 1])
        for step in proof.playbook.steps()
        for action in step.apply
        if isinstance(action, Serve)
    ]
    assert ports
    assert len(set(ports)) == len(ports)
    for step in proof.playbook.steps():
        for action in step.apply:
            if isinstance(action, Serve):
                assert action.server.argv[0] == action.client.argv[0] == "timeout"
                assert action.server.argv[action.server.argv.index("-p") + 1] in action.client.argv


def test_a_pair_is_pinged_both_ways_by_each_halfs_own_interface() -> None:
    sized = [argv for argv in words_of(2, Shape.PAIR, "proof-ping") if "-M" in argv]
    assert [(argv[argv.index("-I") + 1], argv[-1]) for argv in sized] == [
        ("enp1s0f1np1", "192.168.100.32"), ("enp1s0f1np1", "192.168.100.31"),
        ("enP2p1s0f1np1", "192.168.101.32"), ("enP2p1s0f1np1", "192.168.101.31"),
    ]  # fmt: skip
    small = [argv for argv in words_of(2, Shape.PAIR, "proof-ping") if "-M" not in argv]
    assert len(small) == len(sized)
    assert all(argv[5:9] == ("-c", "1", "-w", "8") for argv in small), "a neighbour's entry of before is waited out"
    assert all(argv[argv.index("-M") : argv.index("-M") + 4] == ("-M", "do", "-s", "8972") for argv in sized)


def test_rdma_is_measured_as_nvidias_playbook_does_it() -> None:
    for way, port, address in (("ba", "18600", "192.168.100.31"), ("ab", "18606", "192.168.100.32")):
        server, client = words_of(2, Shape.PAIR, f"proof-bandwidth-0-0-{way}")
        expected = ("ib_write_bw", "-d", "rocep1s0f1", "-i", "1", "-p", port, "-F", "--report_gbits", "-D", "4")
        assert server[2:] == expected
        assert client[-len(expected) - 1 :] == (*expected, address)


def test_a_node_without_rdma_is_measured_by_tcp() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    plain = {name: replace(one, rdma_device="") for name, one in case.reading("n2").interfaces.items()}
    scheme = scheme_of(case)
    _, items = build_proof(with_node(case, "n2", interfaces=plain), scheme)
    kinds = {item.kind for item in items}
    assert ProofKind.TCP in kinds
    assert not kinds & {ProofKind.RDMA_BANDWIDTH, ProofKind.RDMA_LATENCY}


def test_a_tool_that_this_bring_up_installs_is_counted_on_and_else_tcp_stands_in() -> None:
    case = with_node(make_case(2, Shape.PAIR, is_ready=True), "n1", tools={"ib_write_bw": False})
    kinds = {item.kind for item in make_proof(2, Shape.PAIR, case).items}
    assert ProofKind.RDMA_BANDWIDTH in kinds
    assert ProofKind.TCP not in kinds
    alone = replace(case, choices=Choices(chapters=frozenset({"network"})))
    kinds = {item.kind for item in make_proof(2, Shape.PAIR, alone).items}
    assert {ProofKind.RDMA_BANDWIDTH, ProofKind.TCP} <= kinds


def test_names_that_are_none_never_reach_a_command() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    scheme = scheme_of(case)
    lanes = tuple(
        replace(lane, ends=tuple(replace(end, netdev="-x;reboot") for end in lane.ends)) for lane in scheme.lanes
    )
    hostile = {
        name: replace(one, rdma_device="$(reboot)", mac="\n") for name, one in case.reading("n1").interfaces.items()
    }
    for node in case.node_ids:
        case = with_node(case, node, interfaces=hostile, home="/home/a b;reboot", management="; reboot")
    for each in (Scheme(lanes), scheme):
        playbook, items = build_proof(case, each)
        assert b"reboot" not in to_json(playbook)
        (gather,) = (item for item in items if item.kind is ProofKind.ALL_GATHER)
        assert gather.skipped


# NCCL ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "is_measured"), [(GIB, True), (4 * GIB, True), (4 * GIB + 1, False), (16 * GIB, False), (0, False)]
)
def test_an_all_gather_is_of_one_to_four_gib(size: int, is_measured: bool) -> None:
    case = make_case(2, Shape.PAIR, is_ready=True, choices=Choices(image=IMAGE, all_gather_bytes=size))
    (item,) = make_proof(2, Shape.PAIR, case).of(ProofKind.ALL_GATHER)
    assert bool(item.skipped) is not is_measured
    assert ("16 GB have frozen nodes" in item.skipped) is not is_measured


def test_every_rank_starts_at_once_in_the_image_and_nothing_is_pulled() -> None:
    proof = make_proof(4, Shape.SWITCH)
    stage = proof.playbook.stages[-2]
    assert [step.node for step in stage.steps] == ["n1", "n2", "n3", "n4"]
    assert stage.max_parallel == 4
    for rank, step in enumerate(stage.steps):
        argv = commands(step)[0].argv
        text = " ".join(argv)
        assert "docker run --rm --pull never --name sparkdesk-proof-a1b2c3-" in text
        assert f"--node-rank {rank} --master-addr 192.168.100.31 " in text
        assert "--network host --ipc host --gpus all" in text
        assert "--device /dev/infiniband:/dev/infiniband" in text
        assert ":/sparkdesk/all_gather.py:ro" in text
        assert f"--entrypoint timeout {IMAGE} -k 10 " in text
        assert "NCCL_IB_HCA=rocep1s0f0,roceP2p1s0f0" in text
        assert "NCCL_IB_GID_INDEX" not in text
        assert "NCCL_SOCKET_IFNAME=enp1s0f0np0" in text
        assert commands(step)[2].argv == ("docker", "rm", "--force", f"sparkdesk-proof-a1b2c3-{rank}")


def test_a_ring_meets_over_the_management_network_and_lists_all_four_devices() -> None:
    for rank, argv in enumerate(words_of(3, Shape.RING, "proof-all-gather")[::4]):
        text = " ".join(argv)
        assert "--master-addr 10.0.20.31 " in text
        assert "NCCL_SOCKET_IFNAME=enP7s7" in text
        assert "NCCL_IB_MERGE_NICS=0" in text
        assert "NCCL_NET_PLUGIN=none" in text
        devices = next(word for word in argv if word.startswith("NCCL_IB_HCA=")).partition("=")[2].split(",")
        assert sorted(devices) == ["roceP2p1s0f0", "roceP2p1s0f1", "rocep1s0f0", "rocep1s0f1"], rank


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"choices": Choices(picks_image=False)}, "No image was chosen."),
        ({"choices": Choices(image="-v/:/x")}, "none that docker takes"),
    ],
)
def test_what_cannot_be_asked_of_an_image_is_left_out_and_says_so(changes: dict[str, Choices], why: str) -> None:
    proof = make_proof(2, Shape.PAIR, **changes)
    for kind in (ProofKind.NCCL_IMAGE, ProofKind.ALL_GATHER):
        item = proof.of(kind)[0]
        assert why in item.skipped
        assert item.step_ids == ()


def test_a_node_that_is_known_not_to_have_the_image_leaves_the_all_gather_out() -> None:
    case = with_node(make_case(2, Shape.PAIR, is_ready=True), "n2", images=("other:1",))
    (item,) = make_proof(2, Shape.PAIR, case).of(ProofKind.ALL_GATHER)
    assert item.skipped == f"{IMAGE} is not on spark-2."


def test_running_jobs_are_asked_about_before_gpus_are_loaded_and_noted_beside_figures() -> None:
    proof = make_proof(2, Shape.PAIR, busy={"n2": ("gpt-oss-120b",)})
    ask, gather, _clock = proof.playbook.stages[-3:]
    (step,) = ask.steps
    (confirm,) = step.apply
    assert isinstance(confirm, Confirm)
    assert "gpt-oss-120b on spark-2" in confirm.question
    assert gather.steps[0].id.startswith("proof-all-gather")
    (bandwidth,) = proof.of(ProofKind.RDMA_BANDWIDTH)
    assert "gpt-oss-120b on spark-2" in bandwidth.note
    assert not any(
        isinstance(action, Confirm) for step in make_proof(2, Shape.PAIR).playbook.steps() for action in step.apply
    )


def test_one_node_alone_is_not_measured_against_anything() -> None:
    proof = make_proof(1, Shape.SINGLE)
    assert {item.kind for item in proof.items} == {
        ProofKind.NCCL_HOST, ProofKind.NCCL_IMAGE, ProofKind.ALL_GATHER, ProofKind.GPU_CLOCK
    }  # fmt: skip
    (item,) = proof.of(ProofKind.ALL_GATHER)
    assert item.skipped


def test_nccl_tests_run_only_where_no_image_was_chosen_and_every_node_has_them() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True, choices=Choices(picks_image=False))
    assert not words_of(2, Shape.PAIR, "proof-all-gather-tests", case)
    case = with_node(case, "n1", tools={"all_gather_perf": True})
    assert not words_of(2, Shape.PAIR, "proof-all-gather-tests", case)
    case = with_node(case, "n2", tools={"all_gather_perf": True})
    (argv,) = words_of(2, Shape.PAIR, "proof-all-gather-tests", case)
    text = " ".join(argv)
    assert "mpirun -np 2 -H 192.168.100.31:1,192.168.100.32:1 " in text
    assert "/home/nvidia/nccl-tests/build/all_gather_perf -b 1073741824 -e 1073741824 -f 2" in text
    assert "NCCL_IB_SUBNET_AWARE_ROUTING=1" in text
    assert not words_of(2, Shape.PAIR, "proof-all-gather-tests", replace(case, choices=Choices(image=IMAGE)))
    large = replace(case, choices=Choices(picks_image=False, all_gather_bytes=16 * GIB))
    assert not words_of(2, Shape.PAIR, "proof-all-gather-tests", large)
