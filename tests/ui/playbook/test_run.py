"""A run folded from a runner's events."""

from __future__ import annotations

from sparkdesk.core.command import Command
from sparkdesk.core.step import (
    Output,
    Playbook,
    Progress,
    PutFile,
    Run,
    RunEnded,
    Stage,
    Step,
    StepEnded,
    StepEvent,
    StepStarted,
)
from ui.playbook.plan_text import MAX_FILE_LINES, plan_text, undo_text
from ui.playbook.run import MAX_OUTPUT_CHARS, RunShown, take_event

UNDO = (Run(Command(("rm", "/etc/x")), as_root=True),)
STEPS = (
    Step("a", "Write the file", "node0", (PutFile("/etc/x", b"one\ntwo\n", 0o644, as_root=True),), undo=UNDO),
    Step("b", "Look at it", "node0", (Run(Command(("cat", "/etc/x"))),), check=(Run(Command(("true",))),)),
)
PLAYBOOK = Playbook("Two steps", tuple(Stage(step.title, (step,)) for step in STEPS))


def fold(*events: StepEvent, run: RunShown | None = None) -> RunShown:
    shown = run or RunShown("r1", PLAYBOOK)
    for event in events:
        shown = take_event(shown, event)
    return shown


DONE = (StepStarted("a", "apply", 1), StepEnded("a", 2, "done"), StepStarted("b", "check", 3))


def test_a_step_runs_and_ends_and_the_next_one_waits() -> None:
    run = fold(StepStarted("a", "apply", 1), Progress("a", 2, "half", 0.5))
    assert (run.step("a").state, run.step("a").fraction, run.step("b").state) == ("running", 0.5, "waiting")
    run = fold(StepEnded("a", 3, "done"), run=run)
    assert run.done_count == 1
    assert not run.is_over


def test_an_unknown_end_is_neither_done_nor_failed() -> None:
    run = fold(*DONE, StepEnded("b", 4, "unknown", "The line was lost"), RunEnded(5, "unknown", "The line was lost"))
    assert run.step("b").state == "unknown"
    assert run.done_count == 1
    assert run.is_over


def test_what_was_done_can_be_taken_back_once() -> None:
    run = fold(*DONE, StepEnded("b", 4, "unchanged"), RunEnded(5, "done"))
    assert run.can_undo
    run = fold(StepStarted("a", "undo", 6), run=run)
    assert run.is_undo
    assert not run.is_over
    run = fold(StepEnded("a", 7, "undone"), RunEnded(8, "done"), run=run)
    assert not run.can_undo


def test_a_run_that_did_nothing_has_nothing_to_undo() -> None:
    assert not fold(StepStarted("a", "check", 1), StepEnded("a", 2, "unchanged"), RunEnded(3, "done")).can_undo
    assert not fold(*DONE).can_undo, "it still runs"


def test_output_stands_under_its_step_and_is_bounded() -> None:
    run = fold(Output("a", 1, "x"), Output("a", 2, "y\n"), Output("b", 3, "z"))
    assert run.output == "# Write the file\nx\ny\n\n# Look at it\nz\n"
    run = fold(Output("a", 1, "w" * 2 * MAX_OUTPUT_CHARS), run=run)
    assert len(run.output) == MAX_OUTPUT_CHARS


def test_the_plan_shows_commands_files_and_where_root_is_used() -> None:
    plan = plan_text(PLAYBOOK, lambda _node: "spark-5c2d")
    assert plan.text == (
        "1. Write the file · spark-5c2d\n# as root, through sudo:\nwrite /etc/x (mode 644, 8 bytes)\n+ one\n+ two\n"
        "\n2. Look at it · spark-5c2d\n# first: is there anything to do?\ntrue\n# if so:\ncat /etc/x"
    )
    assert plan.line_of("b") == 6


def test_the_way_back_is_shown_from_the_last_step_to_the_first() -> None:
    plan = undo_text(PLAYBOOK, str)
    assert plan.text.startswith("1. Look at it · node0\n# nothing to take back\n\n2. Write the file")
    assert plan.text.endswith("# as root, through sudo:\nrm /etc/x")


def test_a_file_that_is_long_or_no_text_says_so() -> None:
    long = PutFile("~/x", b"row\n" * (MAX_FILE_LINES + 2))
    step = Step("f", "Files", "n", (long, PutFile("~/y", b"\xff\xfe")))
    said = plan_text(Playbook("p", (Stage("s", (step,)),)), str).text
    assert "# 2 more lines" in said
    assert said.endswith("write ~/y (mode 600, 2 bytes), which is no text")


def test_hostile_output_and_titles_cannot_break_the_text() -> None:
    step = Step("h", "a\n2. Fake · spark", "n", (Run(Command(("echo", "\x1b[2J"))),))
    said = plan_text(Playbook("p", (Stage("s", (step,)),)), str).text
    assert "\x1b" not in said
    assert "\n2. Fake" not in said
