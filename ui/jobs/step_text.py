"""Steps and actions in the words of a person: what will be done, on which node, with the exact command.

The one rule: what is written here is what runs; nothing is folded away or made prettier.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.playbooks.action_text import NodeName, describe_action
from sparkdesk.core.step import Playbook, Step
from ui import text


@dataclass(frozen=True, slots=True)
class StepText:
    """A step: its title, the node's name, and its actions by part ("check", "do", "verify", "undo")."""

    step_id: str
    title: str
    node: str
    parts: tuple[tuple[str, str], ...]


def describe_step(step: Step, name_of: NodeName) -> StepText:
    """One step with all its parts; empty parts are left out."""
    parts = (("check", step.check), ("do", step.apply), ("verify", step.verify), ("undo", step.undo))
    said = tuple((part, describe_action(action, name_of)) for part, actions in parts for action in actions)
    return StepText(step.id, text.one_line(step.title, 120), name_of(step.node), said)


def describe_playbook(playbook: Playbook, name_of: NodeName) -> tuple[StepText, ...]:
    """Every step in order."""
    return tuple(describe_step(step, name_of) for step in playbook.steps())


def script_of(playbook: Playbook, name_of: NodeName) -> str:
    """A playbook's commands as one text, a heading above each step: for a dialog that asks before it runs."""
    blocks = []
    for step in describe_playbook(playbook, name_of):
        lines = [command for part, command in step.parts if part == "do"]
        blocks.append("\n".join([f"# {step.title} on {step.node}", *lines]))
    return "\n\n".join(blocks)
