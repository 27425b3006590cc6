"""The report: nodes, checks, steps with their ends, figures with their bands, and nothing that it should not say."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import pytest

from sparkdesk.core.bringup.chapter import FileDiff
from sparkdesk.core.bringup.left_behind import left_behind, packages_of
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.markdown import block, bullets, sentence, table
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix, Row
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.band import GPUDIRECT
from sparkdesk.core.bringup.proof.measurement import Band, Grade, Measurement, ProofItem, ProofKind
from sparkdesk.core.bringup.report import plan_json, plan_markdown, report_json, report_markdown
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.packages import remove_packages
from sparkdesk.core.playbooks.run_view import RunView, StepView
from sparkdesk.core.probes.doctor_docker import make_package_fix
from sparkdesk.core.step import Expect, Playbook, PutFile, Run, Stage, Step, Wait
from sparkdesk.core.step_json import playbook_from_data
from sparkdesk.core.untrusted import Fields
from tests.core.bringup.cases import make_case

NOW_MS = 1_780_000_000_000
HOSTILE = "a|b <script>x</script> [x](http://evil) ![i](x) `c` **b** \x1b[31mred\u202e # | www.evil.com"
APT = Run(Command(("apt-get", "install", "-y", "-o", "Dpkg::Use-Pty=0", "perftest", "iperf3")), as_root=True)
STEPS = (
    Step("hardware-tools-n1", "Install perftest on spark-1", "n1", apply=(APT,), phase="hardware"),
    Step(
        "network-keep-n2", "Keep the network of spark-2", "n2", phase="network",
        apply=(PutFile("~/x", b"abc"), Wait(Command(("look",)), Expect())), undo=(Run(Command(("back",))),),
    ),
)  # fmt: skip
BAND = Band("Gb/s", 185.0, 150.0, 200.0)
ITEMS = (
    ProofItem("rdma", ProofKind.RDMA_BANDWIDTH, "RDMA spark-1 to spark-2", ("n1", "n2"), band=BAND),
    ProofItem("image", ProofKind.ALL_GATHER, "all_gather", ("n1", "n2"), skipped="no image was chosen"),
)


def a_plan() -> BringUpPlan:
    plan = make_plan(make_case(2, Shape.PAIR), NOW_MS)
    planned = Cell(CellState.PLANNED, "perftest missing", step_ids=("hardware-tools-n1",), then="there")
    bad = Cell(CellState.WARN, "100G", remedy="Change the cable.")
    row = Row("hardware-tools", "hardware", "Measuring tools", {"n1": planned, "n2": bad})
    return replace(
        plan,
        matrix=Matrix(plan.node_ids, (*plan.matrix.rows, row)),
        playbook=Playbook("Bring up 2 nodes", (Stage("All", STEPS),), needs_lock=True),
        proof_items=ITEMS,
        diffs=(
            FileDiff("n2", "/etc/netplan/90-sparkdesk.yaml", None, "network:\n  version: 2\n", note="Two subnets."),
            FileDiff("n1", "/etc/netplan/90-sparkdesk.yaml", None, "a: 1\n", is_before_known=False),
        ),
        notes={"cabling": ("Found on spark-1 P0: another Spark. Add it?",)},
    )


def a_state(**changes: object) -> BringUpState:
    plan = a_plan()
    views = {
        "hardware-tools-n1": StepView("done"),
        "network-keep-n2": StepView("failed", text="No way", remedy="Retry."),
    }
    state = BringUpState(
        phase=Phase.FAILED,
        node_ids=plan.node_ids,
        matrix=plan.matrix,
        plan=plan,
        run=RunView("r1", plan.playbook, steps=views, result="failed"),
        measurements=(
            Measurement(ITEMS[0], Grade.WARN, 98.0, "Gb/s", "one half only", ("One HCA only", "MTU 1500"), "Look."),
            Measurement(ITEMS[1], Grade.SKIPPED, message="no image was chosen", is_simulated=True),
        ),
        message="spark-2 did not take the network",
        remedy="Continue or undo.",
        started_ms=NOW_MS,
        ended_ms=NOW_MS + 61_000,
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def test_the_report_tells_nodes_checks_steps_files_and_figures() -> None:
    text = report_markdown(a_state(), "rack-4")
    for part in (
        "# Bring-up of rack-4", "Failed. Started 2026-05-28", "spark-2 did not take the network", "Continue or undo.",
        "| spark-1 | 7.5.0 · 580.142 |", "Cabling: pair.", "## Find and trust", "Found on spark-1 P0: another Spark.",
        "| 1 | Install perftest on spark-1 | spark-1 | done |  |",
        "| 2 | Keep the network of spark-2 | spark-2 | FAILED | No way Retry. |",
        "- spark-1: its one step is done.", "- spark-2: stopped at “Keep the network of spark-2”, 0 of 1 step done.",
        "### /etc/netplan/90-sparkdesk.yaml on spark-2", "+  version: 2", "Two subnets.", "may not be read",
        "| RDMA spark-1 to spark-2 | 98 Gb/s | passes from 185 Gb/s, warns from 150",
        "1. One HCA only", "2. MTU 1500", "spark-2, Measuring tools: 100G. Change the cable.",
        "Installed packages stay: iperf3, perftest.", "/etc/group-", GPUDIRECT,
    ):  # fmt: skip
        assert part in text, part


def test_what_was_simulated_is_told() -> None:
    assert "Answered by stand-ins, not by hardware:\n\n- all_gather\n" in report_markdown(a_state(), "x")
    state = a_state(plan=replace(a_plan(), is_simulated=True))
    assert "The nodes are simulated: nothing here was measured on a Spark." in report_markdown(state, "x")
    assert "## Simulated\n\nNothing.\n" in report_markdown(a_state(measurements=()), "x")


def test_a_second_bring_up_says_that_nothing_was_changed() -> None:
    plan = make_plan(make_case(2, Shape.PAIR, is_ready=True), NOW_MS)
    plan = replace(plan, playbook=Playbook("Bring up 2 nodes", (), needs_lock=True))
    state = BringUpState(Phase.DONE, plan.node_ids, plan.matrix, plan)
    text = report_markdown(state, "x")
    assert "No change was needed." in text
    assert "Nothing was measured." in text


def test_before_anything_was_read_there_is_a_report_too() -> None:
    assert GPUDIRECT in report_markdown(BringUpState(), "x")
    assert json.loads(report_json(BringUpState(), "x"))["plan"] is None


def test_the_plan_shows_each_command_with_its_way_back_and_holds_the_playbook_as_it_runs() -> None:
    plan = a_plan()
    text = plan_markdown(plan)
    assert "to be changed: perftest missing → there" in text
    assert "# as root, through sudo:\napt-get install" in text
    assert "perftest iperf3" in text
    assert "## undo\nback" in text
    assert "Nothing was changed." in text
    assert "all_gather" in text
    data = json.loads(plan_json(plan))
    assert playbook_from_data(Fields(data["playbook"], "playbook")) == plan.playbook
    assert "| 192.168.100.0/24 | spark-1 P1 to spark-2 P1 | spark-1 | enp1s0f1np1 | 192.168.100.31 | 9000 |" in text
    assert (data["schema"], data["kind"], data["nodes"][0]) == (1, "bring-up plan", {"id": "n1", "name": "spark-1"})


def test_the_plan_says_in_json_too_what_each_program_of_ours_does_beside_its_bytes() -> None:
    plan = make_plan(make_case(2, Shape.PAIR), 1)
    data = json.loads(plan_json(plan))
    told, text = data["what_programs_do"], plan_markdown(plan)
    trial = told["network-trial-n1"]
    assert len(trial["apply"]) == 4, "one list for each action"
    assert trial["apply"][1] == [], "a sign-in is no program"
    assert any("puts all of it back after 60 s" in words for words in trial["apply"][0])
    assert any("puts both of our netplan files back" in words for words in trial["undo"][0])
    assert all(step_id in {step.id for step in (*plan.playbook.steps(), *plan.proof.steps())} for step_id in told)
    assert "puts both of our netplan files back" in text
    assert "what_programs_do" not in json.loads(report_json(a_state(), "x"))["plan"]


def test_equal_states_give_equal_bytes_and_no_number_that_is_none() -> None:
    assert report_json(a_state(), "x") == report_json(a_state(), "x")
    band = Band("us", float("nan"), float("nan"), 10.0)
    item = replace(ITEMS[0], band=band)
    state = a_state(measurements=(Measurement(item, Grade.UNREAD, float("nan"), remedy="Look."),))
    assert json.loads(report_json(state, "x"))["measurements"][0]["value"] is None
    assert "nan" not in report_markdown(state, "x")


def test_a_step_whose_end_is_not_known_is_never_done() -> None:
    for end in ("unknown", "running", "interrupted"):
        run = RunView("r1", a_plan().playbook, steps={"hardware-tools-n1": StepView(end)}, result="interrupted")
        assert "| 1 | Install perftest on spark-1 | spark-1 | END NOT KNOWN |" in report_markdown(a_state(run=run), "x")


def test_hostile_names_stay_text() -> None:
    names = {"n1": HOSTILE, "n2": "- [x] y"}
    plan = replace(a_plan(), names=names)
    measured = Measurement(replace(ITEMS[0], title=HOSTILE), Grade.FAIL, 1.0, HOSTILE, HOSTILE, (HOSTILE,), HOSTILE)
    state = a_state(plan=plan, measurements=(measured,), message=HOSTILE)
    for text in (report_markdown(state, HOSTILE), plan_markdown(plan)):
        outside = re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text)
        assert not re.search(r"(?<!\\)[<>\[]|(?<!\\)`(?!``)|(?<!\\)://|www\.|\x1b|\u202e", outside)
        rows = [line for line in outside.split("\n") if line.startswith("|")]
        for line, after in itertools.pairwise(rows):
            if re.fullmatch(r"[| -]+", after):
                count = len(re.findall(r"(?<!\\)\|", after))
                assert len(re.findall(r"(?<!\\)\|", line)) == count


def test_no_secret_and_no_serial_is_in_it() -> None:
    spilled = "HF_TOKEN=hf_abcdefgh12345678 password: hunter2x serial: 1234567890"
    run = replace(
        a_state().run or RunView("r", a_plan().playbook), steps={"network-keep-n2": StepView("failed", text=spilled)}
    )
    measured = Measurement(ITEMS[0], Grade.FAIL, message=spilled, remedy=spilled, detail=spilled)
    state = a_state(run=run, message=spilled, measurements=(measured,))
    for text in (report_markdown(state, "x"), report_json(state, "x").decode()):
        assert not re.search(r"hf_abc|hunter2x|1234567890", text)


def test_what_undo_leaves_is_of_what_was_done() -> None:
    plan = a_plan()
    assert packages_of(STEPS[0]) == ("Dpkg::Use-Pty=0", "perftest", "iperf3")[1:]
    assert left_behind(plan.playbook, RunView("r1", plan.playbook)) == ()
    assert "perftest" in left_behind(plan.playbook, None)[0]
    start = Run(Command(("systemctl", "start", "docker")), as_root=True)
    more = (
        replace(STEPS[0], undo=(remove_packages("ib_write_bw", "perftest"),)),
        Step("docker-daemon-n1", "Start docker on spark-1", "n1", apply=(start,)),
    )
    told = left_behind(Playbook("p", (Stage("s", more),)), None)
    assert told[:3] == (
        "Installed packages stay: iperf3.",
        "What was installed along with perftest stays; apt-get autoremove lists it.",
        "Undo does not take back: Start docker on spark-1.",
    )
    told = left_behind(make_package_fix("n1"), None)
    assert told[0].startswith("What was installed along with nvidia-container-toolkit stays"), "it goes itself"
    unchanged = RunView("r1", plan.playbook, steps={"hardware-tools-n1": StepView("unchanged")})
    assert left_behind(plan.playbook, unchanged) == ()


def test_the_report_of_an_undo_after_another_look_agrees_with_itself() -> None:
    back = (Run(Command(("back",))),)
    there = (Run(Command(("there",))),)
    root = Step("trust-root-n1", "Prove root's rights", "n1", check=there, apply=there, phase="trust")
    key = Step("keys-own-n1", "Make a key pair", "n1", check=there, apply=there, undo=back, phase="keys")
    ping = Step("network-ping-n1", "Ping", "n1", apply=(Wait(Command(("ping",)), Expect()),), phase="network")
    tools = replace(STEPS[0], check=there)
    steps = (root, key, ping, tools)
    states = {root.id: "unchanged", key.id: "undone", ping.id: "undone", tools.id: "undone"}
    run = RunView(
        "r1", Playbook("p", (Stage("s", steps),)), NOW_MS, steps={one: StepView(end) for one, end in states.items()},
        result="done", is_undo=True,
    )  # fmt: skip
    text = report_markdown(a_state(phase=Phase.UNDONE, run=run, started_ms=0), "x")
    assert "Taken back. Started 2026-05-28 20:26:40 UTC, ended 2026-05-28 20:27:41 UTC." in text
    assert "| 2 | Make a key pair | spark-1 | taken back |" in text
    assert "| 3 | Ping | spark-1 | done; nothing to take back |" in text
    assert "| 4 | Install perftest on spark-1 | spark-1 | done; stays, by design |" in text
    assert "- spark-1: 1 of 1 step undone, 1 stays by design." in text
    assert "Installed packages stay: iperf3, perftest." in text


def test_a_time_that_is_not_known_is_not_told() -> None:
    assert "1970" not in report_markdown(BringUpState(Phase.PLANNED), "x")
    assert "Taken back. Ended 2026" in report_markdown(a_state(phase=Phase.UNDONE, started_ms=0), "x")
    planned = a_state(phase=Phase.PLANNED, started_ms=0, ended_ms=None, run=None)
    assert "Planned; nothing was changed. Read 2026-05-28" in report_markdown(planned, "x")
    run = RunView("r1", a_plan().playbook, NOW_MS - 3_600_000, result="done")
    again = report_markdown(replace(planned, run=run), "x")
    assert "Read 2026-05-28 20:26:40 UTC, the steps are those of the run before, started 2026-05-28 19:26:40" in again


def test_what_nodes_said_at_the_undo_and_what_was_let_go_of_is_in_both() -> None:
    copy = "spark-1: 90-sparkdesk.yaml was changed since; a copy is <there>"
    run = RunView("r1", a_plan().playbook, left=frozenset({STEPS[0].id}))
    state = a_state(run=run, undo_words=(copy,))
    markdown, data = report_markdown(state, "x"), json.loads(report_json(state, "x"))
    assert "## What nodes said at the undo" in markdown
    assert "a copy is \\<there\\>" in markdown
    assert data["undo_words"] == [copy]
    left = f"spark-1 was let go of, and this stands there: {STEPS[0].title}."
    assert left in data["left_behind"]
    assert left in markdown
    assert "said at the undo" not in report_markdown(a_state(), "x")
    assert "a copy is" in report_markdown(replace(state, plan=None), "x")


@pytest.mark.parametrize("text", ["# x", "1. x", "- x", "+ x", "= x", "12) x"])
def test_no_text_begins_a_heading_or_a_list(text: str) -> None:
    assert re.match(r"\\[#+=-]|\d+\\[.)]", sentence(text))


def test_a_block_cannot_be_closed_from_within() -> None:
    assert block("```\n# out\n```")[0] == "````"
    assert bullets([]) == []
    assert table(("a",), [("x|y",)])[2] == "| x\\|y |"


def test_what_was_left_out_is_counted_and_never_called_proved() -> None:
    state = a_state()
    first = state.measurements[0]
    gather = replace(first.item, id="gather", kind=ProofKind.ALL_GATHER, node_ids=("n1", "n2"))
    left = Measurement(gather, Grade.SKIPPED, message="No image is on all nodes.")
    text = report_markdown(replace(state, measurements=(replace(first, grade=Grade.PASS), left)), "rack")
    assert "1 of 1 measurements pass, 1 were left out." in text
    assert "NCCL not proved" in text
    past = report_markdown(replace(state, past_proof="before the undo"), "rack")
    assert "measured before the undo" in past
