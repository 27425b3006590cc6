"""Runs a program of ours on a node without leaving a file there: its source goes in by standard input, by length.

The one rule: what comes back is a stranger's text. One JSON object is read from the last line that is one (the user's
start-up files may print before it), within bounds; anything else is CommandFailed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn

from sparkdesk.core.command import Exit, Outcome, Refused
from sparkdesk.core.errors import NO_CHANNEL_REMEDY, CommandFailed, NodeBusy, Unreachable
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.ports import Shell
from sparkdesk.core.program import python_command

MAX_ANSWER_BYTES = 1 << 20
LARGE_ANSWER_BYTES = 16_384
"""Longer ones are read in a thread: 64 nodes that answer in the same moment took 160 ms of the window's time."""
_NOT_FOUND = 127
"""The exit code of a shell that finds no such program. Source: POSIX, Shell Command Language 2.8.2."""


async def run_program(
    shell: Shell, source: bytes, args: Sequence[str] = (), *, stdin: bytes = b"", timeout_s: float = 30.0
) -> dict[str, Any]:
    """Run `source` to its end; gives the JSON object that it printed.

    Raises CommandFailed (it failed, or printed no object), Unreachable (its fate is not known), NodeBusy.
    """
    command = python_command([source], *args)
    outcome = await shell.run(command, stdin=source + stdin, timeout_s=timeout_s, max_bytes=MAX_ANSWER_BYTES)
    if not outcome.is_ok:
        raise_failure(shell.node, outcome, args)
    is_large = len(outcome.stdout) > LARGE_ANSWER_BYTES
    answer = await asyncio.to_thread(_read, outcome) if is_large else _read(outcome)
    if answer is None:
        raise unreadable(shell.node, outcome.text)
    return answer


def unreadable(node: str, text: str) -> CommandFailed:
    """What to raise for a program that ended well and said nothing that can be read."""
    return CommandFailed(
        f"{node} gave an answer that cannot be read",
        remedy="Look at what the node's shell start-up files print, then repeat.",
        detail=text[-2000:],
        node=node,
    )


def _read(outcome: Outcome) -> dict[str, Any] | None:
    return last_object(outcome.text)


def raise_failure(node: str, outcome: Outcome, args: Sequence[str]) -> NoReturn:
    """Say why a program with these words did not end well. Raises CommandFailed, Unreachable, NodeBusy."""
    fate = outcome.fate
    if isinstance(fate, Refused):
        remedy = fate.remedy or NO_CHANNEL_REMEDY
        raise NodeBusy(f"{node} did not begin a command: {fate.reason}", remedy=remedy, node=node)
    what = args[0] if args else "a program"
    if fate == Exit(_NOT_FOUND):
        raise CommandFailed(
            f"{node} has no python3", remedy="Install it on the node: sudo apt install python3", node=node
        )
    if isinstance(fate, Exit):
        raise CommandFailed(
            f"{what} failed on {node}",
            remedy="Read the details, mend it on the node, and repeat.",
            detail=outcome.explain(),
            node=node,
        )
    raise Unreachable(
        f"It is not known how {what} ended on {node}",
        remedy="Look at the node's state before you repeat it.",
        detail=outcome.explain(),
        node=node,
    )
