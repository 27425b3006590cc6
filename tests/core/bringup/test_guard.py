"""The memory guard: only where it is asked for and nothing watches, with options that leave SSH alone."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import Any

import pytest

from sparkdesk.core.bringup.chapter import ChapterPlan, FileDiff
from sparkdesk.core.bringup.chapters.guard import AVOIDED, CONTENT, OPTIONS, OPTIONS_FILE, PREFERRED, plan_guard
from sparkdesk.core.bringup.left_behind import packages_of
from sparkdesk.core.bringup.matrix import Cell, CellState
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import PutFile, Restore, Run, Step
from tests.core.bringup.cases import make_case, with_node


def plan(*, is_wanted: bool = True, **changes: Any) -> ChapterPlan:
    """The plan of two nodes; n1 is otherwise so."""
    case = with_node(make_case(2, Shape.PAIR), "n1", **changes)
    return plan_guard(replace(case, choices=replace(case.choices, wants_guard=is_wanted)))


def of_first(found: ChapterPlan) -> list[Step]:
    """The steps of n1."""
    return [step for stage in found.stages for step in stage.steps if step.node == "n1"]


def cell(found: ChapterPlan) -> Cell:
    """What is said of n1."""
    return found.rows[0].cells["n1"]


def test_nothing_is_planned_unless_it_is_asked_for() -> None:
    found = plan(is_wanted=False)
    assert found.stages == ()
    assert (cell(found).state, cell(found).text) == (CellState.SKIPPED, "not asked for")


def test_a_guard_that_watches_already_is_left_as_it_is() -> None:
    found = plan(is_guard_active=True)
    assert of_first(found) == []
    assert cell(found).state is CellState.PASS
    assert cell(plan(is_wanted=False, is_guard_active=True)).state is CellState.PASS


def test_a_guard_of_which_nothing_is_known_is_not_set_up() -> None:
    found = plan(is_guard_active=None)
    assert of_first(found) == []
    assert cell(found).state is CellState.UNREAD


def test_it_is_installed_first_and_its_options_are_put_back_by_the_undo() -> None:
    found = plan()
    install, on = of_first(found)
    assert packages_of(install) == ("earlyoom",)
    (started_by_itself,) = install.undo
    assert on.apply[0] == PutFile(OPTIONS_FILE, CONTENT.encode(), 0o644, as_root=True)
    off, back = on.undo
    assert isinstance(off, Run)
    assert off.command.argv[2].endswith("|| exit 0; exec systemctl disable --now earlyoom")
    assert started_by_itself == off, "the package starts it, even where the next step is never done"
    assert back == Restore(OPTIONS_FILE)
    assert cell(found).step_ids == (install.id, on.id)
    assert found.notes
    assert {diff.path for diff in found.diffs} == {OPTIONS_FILE}


def test_what_stands_in_its_file_is_shown_as_it_was_read() -> None:
    def shown(**changes: Any) -> FileDiff:
        return next(diff for diff in plan(**changes).diffs if diff.node_id == "n1")

    box, installed = shown(guard_file=""), shown(guard_file='EARLYOOM_ARGS="-r 60"\n', tools={"earlyoom": True})
    assert (box.before, box.is_before_known, "package brings" in box.note) == (None, True, True)
    assert (installed.before, installed.is_before_known, installed.note) == ('EARLYOOM_ARGS="-r 60"\n', True, "")
    unread = shown(guard_file=None)
    assert (unread.before, unread.is_before_known) == (None, False)


def test_what_is_installed_already_is_only_set_up() -> None:
    assert [step.id for step in of_first(plan(tools={"earlyoom": True}))] == ["guard-on-n1"]


@pytest.mark.parametrize(("is_enabled", "verb"), [(True, "stop"), (False, "disable --now"), (None, "disable --now")])
def test_undo_leaves_a_guard_that_was_stopped_as_it_started_with_the_node(is_enabled: bool | None, verb: str) -> None:
    (on,) = of_first(plan(tools={"earlyoom": True}, is_guard_enabled=is_enabled))
    off = on.undo[0]
    assert isinstance(off, Run)
    assert off.command.argv[2].endswith(f"exec systemctl {verb} earlyoom")


def test_the_options_are_words_without_blanks_that_spare_what_keeps_the_node_reachable() -> None:
    words = OPTIONS.split()
    assert shlex.split(OPTIONS.replace("(", "\\(").replace(")", "\\)").replace("|", "\\|").replace("$", "\\$"))
    assert words[:4] == ["-m", "2", "-s", "80"]
    prefer, avoid = words[words.index("--prefer") + 1], words[words.index("--avoid") + 1]
    assert all(re.search(prefer, name) for name in PREFERRED)
    assert all(re.search(avoid, name) for name in ("sshd", "systemd", "systemd-logind", "dockerd"))
    assert not any(re.search(prefer, name) for name in AVOIDED)
    assert '"' not in OPTIONS
