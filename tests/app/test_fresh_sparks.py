"""`run --fresh`: pretend Sparks as they come out of their boxes, at every start, and where their password lies."""

from __future__ import annotations

from pathlib import Path

from sparkdesk import paths
from sparkdesk.app.stack import Stack
from sparkdesk.app.window import OUT_OF_THEIR_BOXES
from tests.infra.sshd import require


async def test_every_start_brings_other_boxes_and_says_where_their_password_lies() -> None:
    stack = Stack(folder=paths.data_dir())
    await stack.open()
    try:
        first = await stack.open_simulation([*OUT_OF_THEIR_BOXES, "--nodes", "1"])
        require("only be read" not in first.note, first.note)
        assert stack.simulation is not None
        password = Path(stack.simulation.password_file).read_text("utf-8")
        assert len(password.strip()) > 8
        second = await stack.open_simulation([*OUT_OF_THEIR_BOXES, "--nodes", "1"])
        assert second.nodes[0].host_key != first.nodes[0].host_key
        assert Path(stack.simulation.password_file).read_text("utf-8") != password
    finally:
        await stack.close()
