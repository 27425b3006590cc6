"""Steps and actions in the words of a person: what will be done, on which node, with the exact command.

The one rule: what is written here is what runs; nothing is folded away or made prettier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.playbooks.job import show_command
from sparkdesk.core.step import (
    Action,
    Confirm,
    Follow,
    Playbook,
    Push,
    PutFile,
    PutSecrets,
    Reconnect,
    Relay,
    Restore,
    Run,
    Serve,
    SignInAnew,
    Step,
    Wait,
)
from ui import text

_PUSHED = {"file": "the file", "folder": "the folder", "image": "the image", "repo": "the model files of"}

NodeName = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class StepText:
    """A step: its title, the node's name, and its actions by part ("check", "do", "verify", "undo")."""

    step_id: str
    title: str
    node: str
    parts: tuple[tuple[str, str], ...]


def describe_action(action: Action, name_of: NodeName = str) -> str:
    """One action in words and commands."""
    match action:
        case Run(command=command, stdin=stdin):
            fed = f"  # with {text.count(len(stdin))} bytes on standard input" if stdin else ""
            return show_command(command) + fed
        case PutFile(path=path, content=content, mode=mode):
            return f"write {path} ({text.count(len(content))} bytes, mode {mode:o})"
        case Wait(command=command, every_s=every_s, timeout_s=timeout_s, on_cancel=on_cancel):
            often = f"# every {every_s:g} s, for at most {text.duration(timeout_s)}, until it is so:"
            asked = f"\n# when that cannot be told, ask: {action.ask}" if action.ask else ""
            end = asked if on_cancel is None else f"\n# when it is cancelled:\n{show_command(on_cancel)}{asked}"
            return f"{often}\n{show_command(command)}{end}"
        case Follow(command=command, timeout_s=timeout_s):
            return f"# follow its output, for at most {text.duration(timeout_s)}:\n{show_command(command)}"
        case Serve(node=node, server=server, client=client):
            where = text.one_line(name_of(node), 64)
            return f"# on {where}:\n{show_command(server)}\n# here, meanwhile:\n{show_command(client)}"
        case Reconnect(timeout_s=timeout_s):
            return f"wait for the node to come back, for at most {text.duration(timeout_s)}"
        case Confirm(question=question):
            return f"ask: {question}"
        case Restore(path=path):
            return f"put {path} back as it was"
        case PutSecrets(path=path, names=names):
            return f"write {path} (mode 600) with the secrets {', '.join(name for name, _ in names) or 'none'}"
        case SignInAnew(timeout_s=timeout_s):
            return f"close the connection and sign in anew, within {text.duration(timeout_s)}"
        case Relay(node=node, source=source, reader=reader, target=target):
            read = f"# on {text.one_line(name_of(node), 64)} (what it prints must pass the reader {reader}):"
            return f"{read}\n{show_command(source)}\n# here, with that on standard input:\n{show_command(target)}"
        case Push(source=source, path=path, kind=kind):
            return f"send {_PUSHED[kind]} {source} from this computer to {path}, going on from what is there"


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
