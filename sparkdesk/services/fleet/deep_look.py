"""Runs the look below all addresses on nodes, as root: only when a person asks for it, and changing nothing there.

The one rule: sudo is asked at every node before the first one speaks, so that all of them listen at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sparkdesk.core.cluster.frame import FrameView, read_frames
from sparkdesk.core.command import Command, Outcome
from sparkdesk.core.errors import CommandFailed
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.ports import Shell
from sparkdesk.core.program import python_command
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.root import Root, RootRefused

DEEP_S = 31.0
"""A switch that names itself by LLDP does so every 30 s. Source: IEEE 802.1AB, msgTxInterval."""
SLACK_S = 15.0
WHY = "to listen on the cables below all addresses"


async def listen_deep(
    shells: Mapping[str, Shell], program: bytes, root: Root, *, seconds: float = DEEP_S
) -> dict[str, FrameView]:
    """What each node heard. Raises CommandFailed (sudo did not let us: nothing was done) and other NodeErrors."""
    for node_id, shell in shells.items():
        await _run(root, node_id, shell, Command(("true",)))
    token = new_id()

    async def listen(node_id: str, shell: Shell) -> FrameView:
        command = python_command([program], token, node_id, f"{seconds:g}")
        outcome = await _run(root, node_id, shell, command, program, timeout_s=seconds + SLACK_S)
        return await asyncio.to_thread(_read, shell.node, outcome)

    try:
        async with asyncio.TaskGroup() as group:
            views = {node_id: group.create_task(listen(node_id, shell)) for node_id, shell in shells.items()}
    except ExceptionGroup as failed:
        # The others were stopped: half a look tells less than the last whole one.
        raise failed.exceptions[0] from failed
    return {node_id: task.result() for node_id, task in views.items()}


async def _run(
    root: Root, node_id: str, shell: Shell, command: Command, stdin: bytes = b"", *, timeout_s: float = SLACK_S
) -> Outcome:
    try:
        return await root.run(node_id, shell, command, why=WHY, stdin=stdin, timeout_s=timeout_s)
    except RootRefused as error:
        raise CommandFailed(error.message, remedy=error.remedy, node=shell.node) from error


def _read(node: str, outcome: Outcome) -> FrameView:
    answer = last_object(outcome.text) if outcome.is_ok else None
    if answer is None:
        raise CommandFailed(
            f"{node} could not listen on its cables",
            remedy="Read the details, and look again.",
            detail=outcome.explain(),
            node=node,
        )
    return read_frames(answer)
