"""What to mind before a launch: worst first, each once."""

from __future__ import annotations

from sparkdesk.core.jobs.plan import Problem, Severity
from ui.launch.plan.problem_list import problem_lines

NOTE = Problem(Severity.NOTE, "No cable was measured", "Measure it.")
WARNING = Problem(Severity.WARNING, "P1 at 100G", "Look at the cable.")
ERROR = Problem(Severity.ERROR, "Too big", "Take 4 nodes.")


def test_the_worst_comes_first() -> None:
    lines = problem_lines((NOTE, WARNING, ERROR), {}, ("and a note",))
    assert [severity for severity, _, _ in lines] == ["error", "warning", "note", "note"]
    assert lines[0] == ("error", "Too big", "Take 4 nodes.")


def test_what_engine_and_planner_both_found_is_told_once() -> None:
    assert len(problem_lines((WARNING, NOTE, WARNING), {})) == 2


def test_an_error_of_the_whole_form_is_told_where_no_finding_tells_it() -> None:
    assert problem_lines((NOTE,), {"": "The node is gone"})[0] == ("error", "The node is gone", "")
    assert problem_lines((ERROR,), {"": "Too big. Take 4 nodes."})[0] == ("error", "Too big", "Take 4 nodes.")


def test_hostile_words_stay_one_plain_line() -> None:
    line = problem_lines((Problem(Severity.NOTE, "a\n\u202eb" + "x" * 999, ""),), {})[0]
    assert "\n" not in line[1]
    assert "\u202e" not in line[1]
    assert len(line[1]) <= 301
