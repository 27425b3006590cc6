"""What is read out of the order in which a channel's last messages come."""

from __future__ import annotations

import asyncio
import time

import pytest

from sparkdesk.core.command import Command, Exit
from sparkdesk.infra.ssh.process import ChannelSession
from sparkdesk.infra.ssh.session import NodeSession


@pytest.mark.parametrize(
    ("has_eof", "code", "error", "is_cut"),
    [
        (True, 0, None, False),
        (False, 0, None, False),
        (True, None, None, False),
        (False, None, None, True),
        (True, 0, OSError("gone"), True),
    ],
)
async def test_output_is_cut_when_neither_its_end_nor_a_fate_came(
    has_eof: bool, code: int | None, error: Exception | None, is_cut: bool
) -> None:
    session = ChannelSession()
    if has_eof:
        session.eof_received()
    if code is not None:
        session.exit_status_received(code)
    session.connection_lost(error)
    assert session.was_cut is is_cut
    assert session.has_ended


async def test_a_command_that_ends_before_a_busy_program_looks_is_whole(node: NodeSession) -> None:
    for delay_ms in (0.2, 0.5, 1.0, 2.0):
        asyncio.get_running_loop().call_later(delay_ms / 1000, time.sleep, 0.1)
        outcome = await node.run(Command(("echo", "hi")))
        assert (outcome.fate, outcome.stdout, outcome.truncated) == (Exit(0), b"hi\n", False)
        outcome = await node.run(Command(("true",)))
        assert (outcome.fate, outcome.stdout, outcome.truncated) == (Exit(0), b"", False)
