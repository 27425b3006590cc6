"""The chapter of addresses and MTU: what a fresh cluster gets, in what order, and that a valid one is left alone."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.bringup.chapters.network import PROGRAMS as TRIAL_PROGRAMS
from sparkdesk.core.bringup.chapters.network import TRIAL_S, plan_network, trial_id
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.netplan import OUR_FILE
from sparkdesk.core.bringup.reading import NetplanFile
from sparkdesk.core.bringup.scheme_choice import make_scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.step import Playbook, PutFile, Run, SignInAnew, Step, Wait
from sparkdesk.core.step_json import from_json, to_json
from tests.core.bringup.cases import PROGRAMS, case_of, make_case, with_node
from tests.core.cluster.cabling import Cabling

PORT, TWIN = "enp1s0f1np1", "enP2p1s0f1np1"
UNREAD_FILES = (NetplanFile("/etc/netplan/00-installer-config.yaml"),)
TRIAL = b"".join(PROGRAMS[name] for name in TRIAL_PROGRAMS)


def steps_of(count: int, shape: Shape) -> list[list[Step]]:
    """The steps of each stage for fresh nodes."""
    return [list(stage.steps) for stage in plan_network(make_case(count, shape)).stages]


def test_the_first_node_is_tried_alone_then_the_others_then_large_packets_go_over_all_cables() -> None:
    canary, others, pings = plan_network(make_case(4, Shape.SWITCH)).stages
    assert [step.id for step in canary.steps] == ["network-trial-n1"]
    assert [step.id for step in others.steps] == ["network-trial-n2", "network-trial-n3", "network-trial-n4"]
    assert others.max_parallel == 4
    assert [step.id for step in pings.steps] == [f"network-ping-n{i}" for i in range(1, 5)]
    assert {step.phase for stage in (canary, others, pings) for step in stage.steps} == {"network"}


def test_a_trial_is_kept_only_over_a_new_sign_in_and_after_a_look() -> None:
    step = steps_of(2, Shape.PAIR)[0][0]
    tried, anew, look, keep = step.apply
    assert isinstance(tried, Run)
    assert tried.command.argv[6:9] == ("try", "a1b2c3", str(TRIAL_S))
    assert tried.as_root
    assert tried.stdin.removeprefix(TRIAL).decode() == plan_network(make_case(2, Shape.PAIR)).diffs[0].after, (
        "what is shown is what is tried"
    )
    assert isinstance(anew, SignInAnew)
    assert isinstance(look, Wait)
    assert "n1" not in look.ask
    assert "spark-1" in look.ask
    assert isinstance(keep, Run)
    assert keep.command.argv[6:] == ("keep", "a1b2c3")
    assert keep.as_root
    assert step.check == step.verify
    assert json.loads(look.command.argv[8]) == {
        PORT: {"addresses": ["192.168.100.31/24"], "mtu": 9000, "carrier": True},
        TWIN: {"addresses": ["192.168.101.31/24"], "mtu": 9000, "carrier": True},
    }
    assert sum([anew.timeout_s, look.timeout_s]) <= TRIAL_S, "the trial does not end while SparkDesk looks"


def test_root_runs_what_the_plan_brings_and_no_file_of_the_node() -> None:
    step = steps_of(2, Shape.PAIR)[0][0]
    parts = [part for part in (*step.check, *step.apply, *step.verify, *step.undo) if isinstance(part, Run | Wait)]
    assert len(parts) == 6
    for part in parts:
        assert part.stdin.startswith(TRIAL)
        assert not [word for word in part.command.argv if "/home" in word or word.endswith(".py")]
    assert not any(isinstance(part, PutFile) for part in step.apply)


def test_undo_asks_the_program_by_the_mark_of_the_run() -> None:
    (undo,) = steps_of(2, Shape.PAIR)[0][0].undo
    assert isinstance(undo, Run)
    assert undo.as_root
    assert undo.stdin == TRIAL
    assert undo.command.argv[-2:] == ("undo", "a1b2c3")


def test_the_rows_say_what_comes_and_name_its_step() -> None:
    plan = plan_network(make_case(2, Shape.PAIR))
    assert [row.title for row in plan.rows] == ["netplan 90-sparkdesk.yaml", "Addresses, two subnets", "MTU 9000"]
    cells = [row.cells["n2"] for row in plan.rows]
    assert {cell.state for cell in cells} == {CellState.PLANNED}
    assert {cell.step_ids for cell in cells} == {(trial_id("n2"),)}
    assert [cell.text for cell in cells] == ["no file of ours", "no address", "1500"]
    assert [cell.then for cell in cells] == ["tried, then kept", ".100.32 .101.32", "9000"]
    diff = plan.diffs[0]
    assert (diff.node_id, diff.path, diff.before, diff.is_before_known) == ("n1", OUR_FILE, None, True)
    assert diff.note == "Subnets chosen free on all nodes. enP7s7 10.0.20.31 stays untouched."


def test_a_former_file_of_ours_is_the_diffs_before_where_it_can_be_read() -> None:
    case = make_case(2, Shape.PAIR)
    case = with_node(case, "n1", netplan=(NetplanFile(OUR_FILE, "network: {version: 2}\n"),))
    case = with_node(case, "n2", netplan=(NetplanFile(OUR_FILE),))
    first, second = plan_network(case).diffs
    assert (first.before, first.is_before_known) == ("network: {version: 2}\n", True)
    assert (second.before, second.is_before_known) == (None, False)


@pytest.mark.parametrize(("count", "shape"), [(2, Shape.PAIR), (3, Shape.RING), (4, Shape.SWITCH)])
def test_a_cluster_that_is_ready_is_left_as_it_is(count: int, shape: Shape) -> None:
    plan = plan_network(make_case(count, shape, is_ready=True))
    assert (plan.stages, plan.diffs) == ((), ())
    assert plan.notes == ("Kept as is: every cable has valid addresses, and nothing is written.",)
    assert {cell.state for row in plan.rows for cell in row.cells.values()} == {CellState.PASS}
    assert plan.rows[1].cells["n1"].text.startswith(".100.31 .101.31")


def test_a_kept_address_of_an_unread_file_stays_in_ours_when_only_the_mtu_is_wrong() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    reading = case.reading("n1")
    small = {name: replace(one, mtu=1500) if one.addresses else one for name, one in reading.interfaces.items()}
    plan = plan_network(with_node(case, "n1", interfaces=small, netplan=UNREAD_FILES))
    assert [step.id for stage in plan.stages for step in stage.steps] == [
        "network-trial-n1", "network-ping-n1", "network-ping-n2",
    ]  # fmt: skip
    after = plan.diffs[0].after or ""
    assert "addresses: [192.168.100.31/24]" in after
    assert "dhcp4" not in after
    assert (plan.rows[2].cells["n1"].text, plan.rows[2].cells["n1"].then) == ("1500", "9000")
    assert plan.rows[1].cells["n1"].state is CellState.PASS


def test_a_node_without_netplan_is_left_alone_and_said() -> None:
    case = make_case(2, Shape.PAIR)
    plan = plan_network(with_node(case, "n2", tools={"netplan": False}))
    assert [step.node for stage in plan.stages for step in stage.steps] == ["n1"]
    assert {row.cells["n2"].state for row in plan.rows} == {CellState.FAIL}
    assert any("spark-2 is left as it is" in note for note in plan.notes)


def test_network_manager_behind_netplan_is_warned_of_where_something_is_set() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n2", renderer="NetworkManager")
    case = with_node(case, "n1", renderer="networkd")
    plan = plan_network(case)
    row = plan.rows[-1]
    assert (row.title, row.is_unverified) == ("netplan's renderer", True)
    assert (row.cells["n1"].state, row.cells["n1"].text) == (CellState.PASS, "networkd")
    assert (row.cells["n2"].state, row.cells["n2"].text) == (CellState.WARN, "NetworkManager: never tried")
    assert any("stands behind netplan on spark-2" in note for note in plan.notes)
    ready = with_node(make_case(2, Shape.PAIR, is_ready=True), "n2", renderer="NetworkManager")
    cells = plan_network(ready).rows[-1].cells
    assert (cells["n2"].state, cells["n1"].state) == (CellState.SKIPPED, CellState.UNREAD)
    assert len(plan_network(make_case(2, Shape.PAIR)).rows) == 3


def test_a_pattern_of_another_file_over_our_ports_is_named_and_nothing_is_tried() -> None:
    text = 'network:\n  ethernets:\n    all-en:\n      match: {name: "en*"}\n      dhcp4: true\n'
    case = with_node(make_case(2, Shape.PAIR), "n2", netplan=(NetplanFile("/etc/netplan/50-cloud-init.yaml", text),))
    plan = plan_network(case)
    assert [step.node for stage in plan.stages for step in stage.steps] == ["n1"]
    assert plan.rows[0].cells["n2"].state is CellState.FAIL
    assert f"50-cloud-init.yaml takes {PORT} by a pattern (match:, in all-en)" in plan.rows[0].cells["n2"].remedy


def test_addresses_out_of_the_usual_range_are_shown_whole() -> None:
    case = make_case(2, Shape.PAIR)
    ports = case.reading("n1").interfaces
    case = with_node(case, "n1", interfaces={**ports, PORT: replace(ports[PORT], addresses=("10.9.9.9/24",))})
    cell = plan_network(case).rows[1].cells["n2"]
    assert cell.then == "10.9.9.32/24 .100.32"
    assert "192.168.100.32/24 (chosen)" in cell.evidence


def test_a_bonded_port_is_a_failed_cell_without_a_step() -> None:
    case = make_case(2, Shape.PAIR)
    ports = case.reading("n1").interfaces
    both = {name: replace(ports[name], part_of="bond0 (bond)") for name in (PORT, TWIN)}
    plan = plan_network(with_node(case, "n1", interfaces={**ports, **both}))
    assert plan.stages == ()
    assert {row.cells["n1"].state for row in plan.rows} == {CellState.FAIL}
    assert "part of bond0 (bond)" in plan.rows[0].cells["n1"].remedy


@pytest.mark.parametrize("home", ["/home/ana maria", "/home/x/ana@corp", "/home/jörg", "/home/x; reboot", ""])
def test_a_home_of_any_name_stands_in_no_command_and_in_no_way(home: str) -> None:
    plan = plan_network(with_node(make_case(2, Shape.PAIR), "n1", home=home))
    assert plan.stages == plan_network(make_case(2, Shape.PAIR)).stages


def test_nodes_without_cables_have_nothing_to_address() -> None:
    plan = plan_network(case_of(Cabling(2, [])))
    assert plan.stages == ()
    assert {cell.state for row in plan.rows for cell in row.cells.values()} == {CellState.SKIPPED}
    assert plan.notes == ("No cable joins these nodes, so there is nothing to address.",)


def test_what_cannot_be_addressed_is_a_failed_cell_with_its_reason() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n2", routes=None)
    plan = plan_network(case)
    assert plan.stages == ()
    assert {row.cells["n1"].state for row in plan.rows} == {CellState.FAIL}
    assert "routes of spark-2" in plan.rows[0].cells["n2"].remedy


def test_no_node_says_how_large_its_files_are_for_the_plan_to_fail() -> None:
    case = make_case(2, Shape.PAIR)
    reading = case.reading("n1")
    huge = {name: replace(one, mtu=10**9) for name, one in reading.interfaces.items()}
    assert plan_network(with_node(case, "n1", interfaces=huge, name="\x1b[31mx\n" * 99)).stages


def test_the_plan_is_data_and_the_same_twice() -> None:
    case = make_case(3, Shape.RING)
    playbook = Playbook("x", plan_network(case).stages)
    assert from_json(to_json(playbook)) == playbook
    assert plan_network(case, make_scheme(case)) == plan_network(case)


_PING = """#!/bin/sh
case "$*" in *"-s 8972"*) is_large=1 ;; *) is_large= ;; esac
case "$LOST" in all) exit 1 ;; large) [ -z "$is_large" ] ;; *) exit 0 ;; esac
"""


@pytest.mark.parametrize(
    ("lost", "code", "words"),
    [
        ("", 0, ""),
        ("large", 3, "192.168.100.32 (spark-2) answers over enp1s0f1np1, but not packets of 9000 bytes"),
        ("all", 3, "192.168.100.32 (spark-2) does not answer over enp1s0f1np1"),
    ],
)
def test_a_lost_packet_names_peer_port_and_likely_cause(tmp_path: Path, lost: str, code: int, words: str) -> None:
    (tmp_path / "ping").write_text(_PING)
    (tmp_path / "ping").chmod(0o755)
    wait = steps_of(2, Shape.PAIR)[2][0].apply[0]
    assert isinstance(wait, Wait)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOST": lost}
    done = subprocess.run(wait.command.argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    said = last_object(done.stdout) or {}
    assert done.returncode == code, done.stderr
    assert words in str(said.get("message", "")), said
    assert bool(said.get("remedy")) is bool(words)
    assert wait.give_up is not None
    assert wait.give_up.exit_codes == (3,)
