"""A playbook as a text that a person reads before it runs: every command, every file's lines, and the way back.

The one rule: what is written here is what runs; what is too long is cut and says by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.playbooks.action_text import NodeName, describe_action
from sparkdesk.core.step import Action, Keep, Playbook, PutFile, Run, Step
from ui import text

MAX_FILE_LINES = 600
MAX_LINE_CHARS = 2000
ADDED = "+ "
"""Before each line of a file that will be written."""


LinesOf = Callable[[Step, NodeName], list[str]]


@dataclass(frozen=True, slots=True)
class PlanText:
    """The whole text, and the line on which each step begins."""

    text: str
    lines: tuple[tuple[str, int], ...]

    def line_of(self, step_id: str) -> int:
        """The step's first line, counted from 0; 0 for one that is not there."""
        return dict(self.lines).get(step_id, 0)


def plan_text(playbook: Playbook, name_of: NodeName) -> PlanText:
    """What will run, in order."""
    return _collect(playbook.steps(), name_of, _forward_lines)


def undo_text(playbook: Playbook, name_of: NodeName) -> PlanText:
    """What takes it back: the steps from the last to the first."""
    return _collect(reversed(list(playbook.steps())), name_of, _undo_lines)


def _collect(steps: Iterable[Step], name_of: NodeName, lines_of: LinesOf) -> PlanText:
    lines: list[str] = []
    places = []
    for number, step in enumerate(steps, 1):
        if lines:
            lines.append("")
        places.append((step.id, len(lines)))
        lines.append(f"{number}. {text.one_line(step.title, 120)} · {text.one_line(name_of(step.node), 64)}")
        lines += lines_of(step, name_of)
    return PlanText("\n".join(lines), tuple(places))


def _forward_lines(step: Step, name_of: NodeName) -> list[str]:
    lines: list[str] = []
    if step.check:
        lines += ["# first: is there anything to do?", *_action_lines(step.check, name_of)]
        lines.append("# if so:")
    lines += _action_lines(step.apply, name_of)
    if step.verify:
        lines += ["# then, that it is so:", *_action_lines(step.verify, name_of)]
    return lines


def _undo_lines(step: Step, name_of: NodeName) -> list[str]:
    return _action_lines(step.undo, name_of) or ["# nothing to take back"]


def _action_lines(actions: tuple[Action, ...], name_of: NodeName) -> list[str]:
    lines: list[str] = []
    for action in actions:
        if isinstance(action, Run | PutFile | Keep) and action.as_root:
            lines.append("# as root, through sudo:")
        if isinstance(action, PutFile):
            lines += _file_lines(action)
        else:
            lines += make_plain(describe_action(action, name_of), max_chars=64 * 1024).split("\n")
    return lines


def _file_lines(action: PutFile) -> list[str]:
    head = f"write {text.one_line(action.path, 400)} (mode {action.mode:o}, {text.count(len(action.content))} bytes)"
    try:
        content = action.content.decode("utf-8")
    except UnicodeDecodeError:
        return [f"{head}, which is no text"]
    rows = content.splitlines()
    shown = [ADDED + make_plain(row, max_chars=MAX_LINE_CHARS) for row in rows[:MAX_FILE_LINES]]
    if len(rows) > MAX_FILE_LINES:
        shown.append(f"# {text.count(len(rows) - MAX_FILE_LINES)} more lines")
    return [head, *shown]
