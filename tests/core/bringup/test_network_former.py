"""What stands before a plan of addresses: a half without a link, our own former file, addresses that no file gives."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import ChapterPlan
from sparkdesk.core.bringup.chapters.network import NO_LINK, plan_network
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.netplan import OUR_FILE, netplan_text
from sparkdesk.core.bringup.proof.measurement import ProofKind
from sparkdesk.core.bringup.reading import Interface, NetplanFile
from sparkdesk.core.bringup.scheme import HalfAddress
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.digest import text_digest
from sparkdesk.core.step import Run
from tests.core.bringup.cases import case_of, make_case, with_node
from tests.core.cluster.cabling import chain, pair, ring, switch

PORT, TWIN = "enp1s0f1np1", "enP2p1s0f1np1"
INSTALLER = NetplanFile("/etc/netplan/00-installer-config.yaml")


def with_ports(case: Case, node_id: str, *netdevs: str, **changes: object) -> Case:
    """The case where these ports of a node are otherwise."""
    ports: dict[str, Interface] = dict(case.reading(node_id).interfaces)
    ports |= {name: replace(ports[name], **changes) for name in netdevs}  # type: ignore[arg-type]
    return with_node(case, node_id, interfaces=ports)


def dark_twins(case: Case) -> Case:
    """The second half of a pair's cable without a link, and so without addresses."""
    for node_id in ("n1", "n2"):
        case = with_ports(case, node_id, TWIN, carrier=False, addresses=(), is_rdma_active=False)
    return case


def tried(plan: ChapterPlan, node_id: str) -> tuple[str, ...]:
    """What `try` is called with on a node: NAME SECONDS WANTED FORMER."""
    step = next(step for stage in plan.stages for step in stage.steps if step.id == f"network-trial-{node_id}")
    run = step.apply[0]
    assert isinstance(run, Run)
    return run.command.argv[7:]


def test_a_half_without_a_link_gets_its_address_in_the_file_and_says_that_it_waits() -> None:
    cabling = pair()
    cabling.down = {("n1", TWIN), ("n2", TWIN)}
    plan = plan_network(case_of(cabling))
    wanted = json.loads(tried(plan, "n1")[2])
    assert [(name, want["carrier"]) for name, want in wanted.items()] == [(PORT, True), (TWIN, False)]
    assert "addresses: [192.168.101.31/24]" in (plan.diffs[0].after or "")
    cell = plan.rows[1].cells["n1"]
    assert (cell.state, cell.text) == (CellState.PLANNED, "no address")
    assert cell.then == ".100.31, .101.31 with its link"
    assert any(f"{TWIN} of spark-1 has no link: 192.168.101.31/24 comes with it" in note for note in plan.notes)


def test_a_half_that_dies_after_a_bring_up_changes_nothing_and_is_warned_of() -> None:
    plan = plan_network(dark_twins(make_case(2, Shape.PAIR, is_ready=True)))
    assert (plan.stages, plan.diffs) == ((), ())
    cell = plan.rows[1].cells["n2"]
    assert (cell.state, cell.text) == (CellState.WARN, ".100.32 · no link; .101.32 set in the file")
    assert cell.remedy == NO_LINK
    assert f"{TWIN}: 192.168.101.32/24 (kept; set when its link comes)" in cell.evidence


def test_a_half_that_died_where_our_file_was_not_read_is_left_as_it_is_and_told() -> None:
    case = dark_twins(make_case(2, Shape.PAIR, is_ready=True))
    for node_id in ("n1", "n2"):
        case = with_node(case, node_id, netplan=(INSTALLER, NetplanFile(OUR_FILE)))
    plan = plan_network(case)
    assert plan.stages == ()
    assert plan.rows[1].cells["n1"].text == ".100.31 · no link at one half"
    assert plan.rows[1].cells["n1"].state is CellState.WARN
    assert f"{TWIN} of spark-1 has no link, and what {OUR_FILE} gives it was not read: it stays as it is." in plan.notes


def test_a_dead_half_at_a_switch_keeps_the_number_that_its_file_gives() -> None:
    case = make_case(4, Shape.SWITCH, is_ready=True)
    dead = "enP2p1s0f0np0"
    case = with_ports(case, "n3", dead, carrier=False, addresses=())
    assert plan_network(case).stages == ()
    other = switch(4)
    other.down = {("n3", dead)}
    plan = plan_network(case_of(other))
    assert len([step for stage in plan.stages for step in stage.steps if "trial" in step.id]) == 4


def test_the_proof_reads_a_half_without_a_link_and_loads_only_the_others() -> None:
    plan = make_plan(dark_twins(make_case(2, Shape.PAIR, is_ready=True)), 1)
    assert plan.change_count == 0
    kinds = {item.kind: item for item in plan.proof_items}
    assert {part.half for part in kinds[ProofKind.LINK].parts} == {0, 1}
    for kind in (ProofKind.PING, ProofKind.DUPLICATE, ProofKind.RDMA_BANDWIDTH, ProofKind.RDMA_LATENCY):
        assert {part.half for part in kinds[kind].parts} == {0}, kind


def third_at_the_chain(*, first_answers: bool = True) -> Case:
    """n1 and n2 stand by our file; the cable from n2 to n3 is new."""
    case = case_of(chain(3), is_ready=True)
    ports = ("enp1s0f0np0", "enP2p1s0f0np0")
    standing = case.reading("n2").interfaces
    first = [HalfAddress("n2", "P1", name, standing[name].addresses[0]) for name in (PORT, TWIN)]
    former = NetplanFile(OUR_FILE, netplan_text(first))
    case = with_node(with_ports(case, "n2", *ports, addresses=(), mtu=1500), "n2", netplan=(INSTALLER, former))
    case = with_ports(case, "n3", *(port.replace("0np0", "1np1") for port in ports), addresses=(), mtu=1500)
    case = with_node(case, "n3", netplan=(INSTALLER,))
    return case if first_answers else with_node(case, "n1", did_answer=False, message="off")


@pytest.mark.parametrize("nodes", [("n1", "n2", "n3"), ("n2", "n3")])
def test_what_our_file_gives_to_a_cable_that_was_not_picked_stays_in_it(nodes: tuple[str, ...]) -> None:
    case = third_at_the_chain()
    former = next(file.content for file in case.reading("n2").netplan or () if file.path == OUR_FILE) or ""
    plan = plan_network(replace(case, node_ids=nodes))
    diff = next(diff for diff in plan.diffs if diff.node_id == "n2")
    assert (diff.before, diff.is_before_known) == (former, True)
    assert [line for line in former.splitlines() if line not in (diff.after or "").splitlines()] == []
    assert "enp1s0f0np0:" in (diff.after or "")
    assert "enp1s0f0np0:" not in former
    assert tried(plan, "n2")[3] == text_digest(former)
    assert tried(plan, "n3")[3] == "absent"
    if nodes == ("n2", "n3"):
        assert "What it gives to enp1s0f1np1, enP2p1s0f1np1 stays in it." in diff.note


def test_a_silent_neighbour_loses_nothing_either() -> None:
    case = third_at_the_chain(first_answers=False)
    plan = make_plan(case, 1)
    after = next(diff.after for diff in plan.diffs if diff.node_id == "n2" and diff.path == OUR_FILE) or ""
    assert "192.168.100.32/24" in after
    assert "enp1s0f0np0:" in after


def test_what_an_unread_file_of_ours_may_lose_is_said_and_the_trial_takes_any() -> None:
    case = with_node(third_at_the_chain(), "n2", netplan=(INSTALLER, NetplanFile(OUR_FILE)))
    plan = plan_network(replace(case, node_ids=("n2", "n3")))
    assert tried(plan, "n2")[3] == "unknown"
    assert any(f"{OUR_FILE} of spark-2 says so far is root's and was not read" in note for note in plan.notes)
    assert any(
        "of ports that are not in this plan is added to the new one while that is tried" in n for n in plan.notes
    )
    case = with_node(case, "n2", netplan=(INSTALLER, NetplanFile(OUR_FILE, "network: {version: 2}\n")))
    plan = plan_network(replace(case, node_ids=("n2", "n3")))
    assert tried(plan, "n2")[3] == "unknown"
    assert any(f"{OUR_FILE} of spark-2 was changed by hand" in note for note in plan.notes)
    plan = plan_network(with_node(make_case(2, Shape.PAIR), "n2", netplan=None))
    assert (tried(plan, "n2")[3], plan.rows[0].cells["n2"].text) == ("unknown", "not read")


@pytest.mark.parametrize("nodes", [("n1", "n2", "n3"), ("n2", "n3")])
def test_of_our_file_that_somebody_changed_the_other_ports_lines_stay_and_what_goes_is_said(
    nodes: tuple[str, ...],
) -> None:
    case = third_at_the_chain()
    former = next(file.content for file in case.reading("n2").netplan or () if file.path == OUR_FILE) or ""
    edited = former.replace("mtu: 9000", "mtu: 9100", 1)
    assert edited != former
    edited = f"# by hand\n{edited}"
    case = with_node(case, "n2", netplan=(INSTALLER, NetplanFile(OUR_FILE, edited)))
    plan = plan_network(replace(case, node_ids=nodes))
    after = next(diff.after for diff in plan.diffs if diff.node_id == "n2") or ""
    assert "enp1s0f0np0:" in after
    assert "192.168.100.32/24" in after
    assert "mtu: 9100" in after
    assert tried(plan, "n2")[3] == text_digest(edited)
    said = f"{OUR_FILE} of spark-2 was changed by hand"
    assert [note.startswith(said) for note in plan.notes].count(True) == 1


def test_addresses_that_no_file_gives_are_written_into_ours() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    case = with_node(case, "n1", netplan=(NetplanFile(INSTALLER.path, "network: {version: 2}\n"),))
    plan = plan_network(case)
    assert [step.id for stage in plan.stages for step in stage.steps if "trial" in step.id] == ["network-trial-n1"]
    assert "addresses: [192.168.100.31/24]" in (plan.diffs[0].after or "")
    cell = plan.rows[1].cells["n1"]
    assert (cell.state, cell.text) == (CellState.PLANNED, ".100.31 .101.31, by hand")
    assert (cell.then, plan.rows[1].cells["n2"].state) == (".100.31 .101.31, in the file", CellState.PASS)
    assert "gone after a restart" in cell.evidence
    assert any("192.168.100.31/24 on enp1s0f1np1 of spark-1 was set by hand" in note for note in plan.notes)


def test_whether_addresses_last_is_not_known_where_files_are_roots() -> None:
    case = with_node(make_case(2, Shape.PAIR, is_ready=True), "n1", netplan=(INSTALLER,))
    plan = plan_network(case)
    assert plan.stages == ()
    cell = plan.rows[0].cells["n1"]
    assert (cell.state, cell.text) == (CellState.UNREAD, "kept; a restart may not")
    assert "netplan's files are root's" in cell.evidence
    assert cell.remedy
    assert plan.rows[0].cells["n2"].state is CellState.PASS
    assert any("Whether they last over a restart of spark-1 is not known" in note for note in plan.notes)
    named = NetplanFile(
        INSTALLER.path,
        "network: {ethernets: {lane: {match: {}, mtu: 9000, addresses: [192.168.100.31/24, 192.168.101.31/24]}}}\n",
    )
    for files, renderer in (((named,), ""), ((), "NetworkManager")):
        cells = plan_network(with_node(case, "n1", netplan=files, renderer=renderer)).rows[0].cells
        assert cells["n1"].state is CellState.UNREAD


def test_a_ring_whose_cable_is_out_is_told_by_its_files() -> None:
    ready = case_of(ring(3), is_ready=True)
    case = ready
    for node_id, port in (("n3", "0"), ("n1", "1")):
        names = (f"enp1s0f{port}np{port}", f"enP2p1s0f{port}np{port}")
        case = with_ports(case, node_id, *names, carrier=False, addresses=())
    assert plan_network(case).stages == ()
