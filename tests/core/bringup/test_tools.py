"""The clock and the measuring tools: what is switched on, what is installed, and what is only told."""

from __future__ import annotations

from typing import Any

import pytest

from sparkdesk.core.bringup.chapters.tools import plan_clock, plan_packages
from sparkdesk.core.bringup.left_behind import packages_of
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Run
from tests.core.bringup.cases import TOOLS, make_case, with_node

ALL = dict.fromkeys(TOOLS, True)


def clock(**changes: Any) -> tuple[CellState, list[str]]:
    """The state of n1's cell, and the steps."""
    (row,), stages = plan_clock(with_node(make_case(2, Shape.PAIR), "n1", **changes))
    return row.cells["n1"].state, [step.id for stage in stages for step in stage.steps]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"is_clock_kept": True, "is_clock_synced": True}, CellState.PASS),
        ({"is_clock_kept": None, "is_clock_synced": True}, CellState.PASS),
        ({"is_clock_kept": True, "is_clock_synced": False}, CellState.WARN),
        ({"is_clock_kept": True, "is_clock_synced": True, "clock_offset_s": -3.0}, CellState.WARN),
        ({"is_clock_kept": None, "is_clock_synced": None}, CellState.UNREAD),
    ],
)
def test_a_clock_that_cannot_be_switched_on_is_only_told(changes: dict[str, Any], state: CellState) -> None:
    assert clock(**changes) == (state, [])


def test_a_clock_that_is_off_is_switched_on_and_the_way_back_is_off() -> None:
    assert clock(is_clock_kept=False, is_clock_synced=False) == (CellState.PLANNED, ["hardware-clock-n1"])
    _, (stage,) = plan_clock(with_node(make_case(2, Shape.PAIR), "n1", is_clock_kept=False))
    (step,) = stage.steps
    words = [action.command.argv for action in (*step.apply, *step.undo) if isinstance(action, Run)]
    assert words[0] == ("timedatectl", "set-ntp", "true")
    assert words[1][2].endswith("|| exit 0; exec timedatectl set-ntp false")
    assert step.check == step.verify


def test_only_what_is_missing_is_installed_without_a_question_and_stays() -> None:
    tools = {**ALL, "ib_write_bw": False, "ib_write_lat": False}
    (row,), (stage,) = plan_packages(with_node(make_case(2, Shape.PAIR, is_ready=True), "n1", tools=tools))
    (step,) = stage.steps
    assert step.title == "Install perftest on spark-1"
    assert packages_of(step) == ("perftest",)
    assert step.undo == ()
    for action in step.apply:
        assert isinstance(action, Run)
        assert action.as_root
        assert action.command.env["DEBIAN_FRONTEND"] == "noninteractive"
    assert row.cells["n1"].state is CellState.PLANNED
    assert row.cells["n1"].step_ids == (step.id,)
    assert "RDMA" in row.cells["n1"].evidence
    assert row.cells["n2"].state is CellState.PASS


def test_tools_of_which_nothing_is_known_are_not_installed() -> None:
    case = with_node(make_case(2, Shape.PAIR, is_ready=True), "n1", tools=dict.fromkeys(TOOLS))
    (row,), stages = plan_packages(case)
    assert stages == ()
    assert row.cells["n1"].state is CellState.UNREAD
    assert row.cells["n1"].remedy


def test_a_node_that_did_not_answer_gets_no_step() -> None:
    case = with_node(make_case(2, Shape.PAIR), "n1", did_answer=False, is_clock_kept=False)
    assert [step.node for stage in (*plan_clock(case)[1], *plan_packages(case)[1]) for step in stage.steps] == ["n2"]
