"""One action of a playbook in words and commands, for whoever reads a plan: a screen or a saved file.

The one rule: what is written here is what runs; nothing is folded away or made prettier, only told beneath it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from sparkdesk.core.command import Command
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.job import show_command
from sparkdesk.core.playbooks.program_words import what_it_does
from sparkdesk.core.step import (
    Action,
    Confirm,
    Follow,
    Keep,
    Push,
    PutFile,
    PutSecrets,
    Reconnect,
    Relay,
    Restore,
    Run,
    Serve,
    SignInAnew,
    Wait,
)

WIDTH_CHARS = 72
_BREAK = " \\\n  "
_PUSHED = {"file": "the file", "folder": "the folder", "image": "the image", "repo": "the model files of"}

NodeName = Callable[[str], str]
"""A node's id -> how a person calls it."""


def describe_action(action: Action, name_of: NodeName = str) -> str:
    """One action in words and commands; of a program of ours, beneath it, what it does there."""
    said = what_it_does(action)
    numbers = [f"{at}. " if len(said) > 1 else "" for at in range(1, len(said) + 1)]
    told = ["\n".join(_comment(number, sentence)) for number, sentence in zip(numbers, said, strict=True)]
    return "\n".join([_describe(action, name_of), *told])


def _comment(number: str, sentence: str) -> list[str]:
    """In lines that need no scrolling beside a list."""
    rest = "#   " + " " * len(number)
    return textwrap.wrap(sentence, WIDTH_CHARS, initial_indent=f"#   {number}", subsequent_indent=rest)


def _describe(action: Action, name_of: NodeName) -> str:
    match action:
        case Run(command=command, stdin=stdin):
            fed = f"  # with {len(stdin):,} bytes on standard input" if stdin else ""
            return _shown(command) + fed
        case PutFile(path=path, content=content, mode=mode):
            return f"write {path} ({len(content):,} bytes, mode {mode:o})"
        case Wait(command=command, every_s=every_s, timeout_s=timeout_s, on_cancel=on_cancel):
            often = f"# every {every_s:g} s, for at most {_time(timeout_s)}, until it is so:"
            asked = f"\n# when that cannot be told, ask: {action.ask}" if action.ask else ""
            end = asked if on_cancel is None else f"\n# when it is cancelled:\n{_shown(on_cancel)}{asked}"
            return f"{often}\n{_shown(command)}{end}"
        case Follow(command=command, timeout_s=timeout_s):
            return f"# follow its output, for at most {_time(timeout_s)}:\n{_shown(command)}"
        case Serve(node=node, server=server, client=client):
            where = make_line(name_of(node), max_chars=64)
            return f"# on {where}:\n{_shown(server)}\n# here, meanwhile:\n{_shown(client)}"
        case Reconnect(timeout_s=timeout_s):
            return f"wait for the node to come back, for at most {_time(timeout_s)}"
        case Confirm(question=question):
            return f"ask: {question}"
        case Keep(path=path):
            return f"keep {path} as it is, for undo"
        case Restore(path=path):
            return f"put {path} back as it was"
        case PutSecrets(path=path, names=names):
            return f"write {path} (mode 600) with the secrets {', '.join(name for name, _ in names) or 'none'}"
        case SignInAnew(timeout_s=timeout_s):
            return f"close the connection and sign in anew, within {_time(timeout_s)}"
        case Relay(node=node, source=source, reader=reader, target=target):
            read = f"# on {make_line(name_of(node), max_chars=64)} (what it prints must pass the reader {reader}):"
            return f"{read}\n{_shown(source)}\n# here, with that on standard input:\n{_shown(target)}"
        case Push(source=source, path=path, kind=kind):
            return f"send {_PUSHED[kind]} {source} from this computer to {path}, going on from what is there"


def _shown(command: Command) -> str:
    """The command, with as many of its options on a line as have room there."""
    whole = show_command(command)
    if any(_BREAK in word for word in (*command.argv, *command.env.values())):
        return whole  # a break may be of a word
    lines: list[str] = []
    for piece in whole.split(_BREAK):
        now, more = (lines[-1] if lines else "").rpartition("\n")[2], piece.partition("\n")[0]
        if lines and len(now) + 1 + len(more) <= WIDTH_CHARS:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return _BREAK.join(lines)


def _time(seconds: float) -> str:
    """A limit as a person reads it: 60 s, 10 min, 2 h."""
    if seconds >= 7200:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if seconds >= 300 else f"{seconds:g} s"
