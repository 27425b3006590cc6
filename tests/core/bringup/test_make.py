"""The plan: one value, the same for the same case, empty where nothing is to be done, and honest about what hinders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Run
from sparkdesk.core.step_json import from_json, to_json
from tests.core.bringup.cases import make_case, make_crossed_case, with_node

CASES = {
    "pair": make_case(2, Shape.PAIR),
    "ring": make_case(3, Shape.RING),
    "crossed ring": make_crossed_case(),
    "switch": make_case(4, Shape.SWITCH),
    "chain": make_case(3, Shape.CHAIN),
    "one node": make_case(1, Shape.SINGLE),
    "ready pair": make_case(2, Shape.PAIR, is_ready=True),
    "ready ring": make_case(3, Shape.RING, is_ready=True),
    "ready switch": make_case(4, Shape.SWITCH, is_ready=True),
}
NOW_MS = 1_780_000_000_000


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_case_gives_the_same_bytes_which_can_be_read_back(case: Case) -> None:
    one, other = make_plan(case, NOW_MS), make_plan(replace(case, readings=dict(case.readings)), NOW_MS)
    assert one == other
    assert to_json(one.playbook) == to_json(other.playbook)
    assert to_json(one.proof) == to_json(other.proof)
    assert from_json(to_json(one.playbook)) == one.playbook
    assert from_json(to_json(one.proof)) == one.proof


def test_each_file_says_which_chapter_writes_it() -> None:
    plan = make_plan(make_case(2, Shape.PAIR, choices=Choices(wants_guard=True)), NOW_MS)
    found = {chapter: {diff.path for diff in plan.diffs if diff.chapter is chapter} for chapter in Chapter}
    assert all(path.startswith("/etc/netplan/") for path in found[Chapter.NETWORK])
    assert any(path.endswith("/.ssh/known_hosts") for path in found[Chapter.KEYS])
    assert {chapter for chapter in Chapter if found[chapter]} == {Chapter.KEYS, Chapter.NETWORK, Chapter.GUARD}
    steps = {(step.phase, step.node) for step in plan.playbook.steps()}
    assert all((diff.chapter.value, diff.node_id) in steps for diff in plan.diffs if diff.before != diff.after)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_matrix_is_whole_and_names_only_steps_of_the_plan(case: Case) -> None:
    plan = make_plan(case, NOW_MS)
    steps = {step.id: step for step in plan.playbook.steps()}
    proving = {step.id for step in steps.values() if step.phase == Chapter.TRUST.value}
    assert len(steps) == plan.change_count + len(proving)
    assert len({row.id for row in plan.matrix.rows}) == len(plan.matrix.rows)
    named = set()
    for row in plan.matrix.rows:
        assert row.id.startswith(f"{Chapter(row.chapter).value}-")
        assert tuple(row.cells) == plan.matrix.node_ids == case.node_ids
        for node_id, cell in row.cells.items():
            assert (cell.state is CellState.PLANNED) == bool(set(cell.step_ids) - proving), (row.id, node_id)
            assert set(cell.step_ids) <= set(steps), (row.id, node_id)
            named |= set(cell.step_ids)
            if cell.state in (CellState.WARN, CellState.FAIL, CellState.UNREAD):
                assert cell.remedy, (row.id, node_id)
    order = [Chapter(row.chapter) for row in plan.matrix.rows]
    assert order == sorted(order, key=list(Chapter).index)
    for step in steps.values():
        assert step.node in case.node_ids
        assert step.id.startswith(f"{Chapter(step.phase).value}-")
        assert step.apply or step.verify


def test_the_chapters_of_the_steps_come_in_their_order_and_the_measuring_tools_last() -> None:
    steps = list(make_plan(CASES["switch"], NOW_MS).playbook.steps())
    late = [step.id for step in steps if step.id.startswith("hardware-tools-")]
    assert [step.id for step in steps[-4:]] == late
    phases = [Chapter(step.phase) for step in steps[:-4]]
    assert phases == sorted(phases, key=list(Chapter).index)
    assert {Chapter.KEYS, Chapter.DOCKER, Chapter.NETWORK} <= set(phases)


def test_only_the_chosen_chapters_are_planned() -> None:
    plan = make_plan(replace(CASES["pair"], choices=Choices(chapters=frozenset({"trust"}))), NOW_MS)
    assert {row.chapter for row in plan.matrix.rows} == {"trust"}
    assert (plan.change_count, plan.proof_items) == (0, ())


def test_a_node_that_did_not_answer_is_in_the_matrix_and_in_no_step() -> None:
    case = with_node(CASES["switch"], "n3", did_answer=False, message="It is asleep", remedy="Wake it.")
    plan = make_plan(case, NOW_MS)
    assert plan.matrix.node_ids == ("n1", "n2", "n3", "n4")
    assert {row.cells["n3"].state for row in plan.matrix.rows} == {CellState.UNREAD}
    assert "n3" not in {step.node for step in plan.playbook.steps()}
    assert "n3" not in {end.node_id for lane in plan.scheme.lanes for end in lane.ends}
    assert "n3" not in {node_id for item in plan.proof_items for node_id in item.node_ids}
    assert plan.playbook.title == "Bring up 3 nodes"
    assert any("spark-3" in note for note in plan.notes["trust"])
    assert plan.obstacles == ()


def test_what_stands_against_it_is_told() -> None:
    pair = CASES["pair"]
    silent = with_node(with_node(pair, "n1", did_answer=False), "n2", did_answer=False)
    assert "No node answered" in make_plan(silent, NOW_MS).obstacles[0]
    assert "No node was chosen" in make_plan(replace(pair, node_ids=()), NOW_MS).obstacles[0]
    twins = with_node(pair, "n2", interfaces=pair.reading("n1").interfaces)
    assert "one machine" in make_plan(twins, NOW_MS).obstacles[0]
    told = replace(pair, obstacles=("Simulated nodes can only be read here.",))
    assert make_plan(told, NOW_MS).obstacles == ("Simulated nodes can only be read here.",)
    assert make_plan(pair, NOW_MS).obstacles == ()


def test_a_node_of_which_nobody_heard_is_one_that_did_not_answer() -> None:
    plan = make_plan(replace(CASES["pair"], node_ids=("n1", "n2", "gone")), NOW_MS)
    assert {row.cells["gone"].state for row in plan.matrix.rows} == {CellState.UNREAD}


def test_an_account_without_rights_hinders_only_where_root_is_needed() -> None:
    plan = make_plan(with_node(CASES["pair"], "n2", sudo=SudoMode.NOT_ALLOWED), NOW_MS)
    assert ["spark-2" in one and "not allowed" in one for one in plan.obstacles] == [True]
    assert make_plan(with_node(CASES["ready pair"], "n2", sudo=SudoMode.NOT_ALLOWED), NOW_MS).obstacles == ()


def test_a_password_is_spoken_of_only_where_a_step_needs_root() -> None:
    assert "spark-1, spark-2: it is asked once" in make_plan(CASES["pair"], NOW_MS).notes["trust"][0]
    free = with_node(CASES["pair"], "n1", sudo=SudoMode.NO_PASSWORD)
    assert "password on spark-2:" in make_plan(free, NOW_MS).notes["trust"][0]
    assert "trust" not in make_plan(CASES["ready pair"], NOW_MS).notes


def test_root_is_proved_first_on_one_node_then_on_the_others_that_need_it() -> None:
    switch = CASES["switch"]
    plan = make_plan(with_node(switch, "n1", sudo=SudoMode.NO_PASSWORD), NOW_MS)
    first, second, third = plan.playbook.stages[:3]
    assert [step.node for step in first.steps] == ["n2"]
    assert [step.node for step in second.steps] == ["n3", "n4"]
    assert third.steps[0].phase != Chapter.TRUST
    for step in (*first.steps, *second.steps):
        assert all(isinstance(action, Run) and action.as_root for action in step.check)
        assert (step.apply, step.verify, step.undo) == ((), step.check, ())
    row = next(row for row in plan.matrix.rows if row.id == "trust-sudo")
    assert [(cell.state, len(cell.step_ids)) for cell in row.cells.values()] == [
        (CellState.PASS, number) for number in (0, 1, 1, 1)
    ]
    assert {step.phase for step in make_plan(CASES["ready switch"], NOW_MS).playbook.steps()} == set()


def test_where_no_step_needs_root_none_is_proved() -> None:
    choices = replace(CASES["pair"].choices, chapters=frozenset({"trust", "keys"}))
    plan = make_plan(replace(CASES["pair"], choices=choices), NOW_MS)
    assert {step.phase for step in plan.playbook.steps()} == {"keys"}


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("ready")])
def test_where_all_is_as_it_should_be_nothing_is_done(name: str) -> None:
    plan = make_plan(CASES[name], NOW_MS)
    assert plan.playbook.stages == ()
    assert plan.diffs == ()
    assert plan.scheme.is_kept
    assert plan.matrix.count(CellState.PLANNED, CellState.FAIL) == 0
    assert plan.proof_items


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("chapter", list(Chapter))
def test_each_chapter_is_usable_alone(name: str, chapter: Chapter) -> None:
    case = replace(CASES[name], choices=replace(CASES[name].choices, chapters=frozenset({chapter.value})))
    plan, whole = make_plan(case, NOW_MS), make_plan(CASES[name], NOW_MS)
    assert {row.chapter for row in plan.matrix.rows} <= {chapter.value}
    assert {step.phase for step in plan.playbook.steps()} <= {chapter.value}
    assert {step.id for step in plan.playbook.steps()} <= {step.id for step in whole.playbook.steps()}
    if name.startswith("ready"):
        assert plan.playbook.stages == ()


def test_without_the_networks_chapter_only_standing_addresses_are_used() -> None:
    choices = replace(CASES["pair"].choices, chapters=frozenset({"keys", "proof"}))
    assert make_plan(replace(CASES["pair"], choices=choices), NOW_MS).scheme.lanes == ()
    ready = make_plan(replace(CASES["ready pair"], choices=choices), NOW_MS)
    assert len(ready.scheme.lanes) == 2


def test_jobs_whose_cables_change_are_named() -> None:
    case = replace(CASES["pair"], busy={"n2": ("vllm gpt-oss",)})
    assert "vllm gpt-oss runs on spark-2" in make_plan(case, NOW_MS).notes["network"][-1]
    ready = replace(CASES["ready pair"], busy={"n2": ("vllm gpt-oss",)})
    assert not any("vllm" in note for note in make_plan(ready, NOW_MS).notes.get("network", ()))
