"""Knocks at an SSH port and reads its first line: is an SSH server there, and of which kind.

The one rule: one knock, no bytes of ours but none at all, and it ends within its time. OpenSSH 9.8 counts such visits,
so callers ask a host at most once a minute.
"""

from __future__ import annotations

import asyncio

MAX_LINE_BYTES = 255
"""Source: RFC 4253, 4.2."""


class SshGreeter:
    """Fulfils core's Greeter."""

    async def greet(self, address: str, port: int, *, timeout_s: float) -> str:
        """The server's first line; "" when nothing answers there, or something else than an SSH server."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(address, port, limit=4096)
                try:
                    line = await reader.readuntil(b"\n")
                finally:
                    writer.close()
        except (OSError, UnicodeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return ""
        text = line[:MAX_LINE_BYTES].decode("ascii", "replace").strip()
        return text if text.startswith("SSH-") else ""
