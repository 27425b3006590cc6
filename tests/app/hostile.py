"""A node that signs in like any other and whose probe then sends what no probe sends.

The one rule: it is a real SSH server; only what it answers is bad, and a test says when.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncssh

from tests.infra.ssh_server import new_key, public_line

PERIOD_S = 0.25
MEMORY_KB = {"mt": 128 << 20, "ma": 100 << 20}
_MARKER = re.compile(rb"([0-9a-f]{16}) [0-9.]+$")


@dataclass
class HostileNode:
    """Its port and key; `mood` names what its probe sends: good, huge, garbage, flood."""

    port: int = 0
    host_key: str = ""
    mood: str = "good"
    sent: dict[str, int] = field(default_factory=dict)

    async def answer(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Play the probe; every other program ends with code 1."""
        command = str(process.command or "").encode()
        found = _MARKER.search(command)
        if found is None:
            process.exit(1)
            return
        number = 0
        try:
            while True:
                number += 1
                process.stdout.write(self._line(found[1] + b" ", number))
                await process.stdout.drain()
                self.sent[self.mood] = self.sent.get(self.mood, 0) + 1
                await asyncio.sleep(PERIOD_S)
        except (OSError, asyncssh.Error):
            process.exit(0)

    def _line(self, mark: bytes, number: int) -> bytes:
        match self.mood:
            case "huge":
                return mark + b"9" * 10_000_000 + b"\n"
            case "garbage":
                return mark + b"\xff\xfe\x80 \x1b[2J\x00\n"
            case "flood":
                return b"x\n" * 200_000
        reading = {"q": number, "m": float(number), "w": 1.0 + number, "b": "boot"} | {"mem": MEMORY_KB}
        return mark + json.dumps(reading).encode() + b"\n"


@asynccontextmanager
async def hostile_node() -> AsyncIterator[HostileNode]:
    """Such a node for the length of the block; anybody may sign in."""
    key, node = new_key(), HostileNode()

    class Door(asyncssh.SSHServer):
        """Lets everybody in."""

        def begin_auth(self, username: str) -> bool:
            return False

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[key],
        server_factory=Door,
        process_factory=node.answer,
        encoding=None,
        config=[],
    )
    node.port, node.host_key = server.get_port(), public_line(key)
    try:
        yield node
    finally:
        server.close()
        await server.wait_closed()
