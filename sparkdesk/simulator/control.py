"""Faults at run time: a unix socket in the state folder that takes one JSON request a connection.

The one rule: only the owner of the state folder can reach it (the folder is 0700), and it can do nothing but faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from sparkdesk.simulator.identity import StateError

_MAX_LINE_BYTES = 4096
_TIMEOUT_S = 10.0
SetFault = Callable[..., Coroutine[Any, Any, str]]


def _reachable(folder: Path) -> tuple[str, int]:
    """A path of the socket that fits into a socket address (108 bytes), by way of the open folder."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{number}/control", number


@contextlib.asynccontextmanager
async def listen(folder: Path, set_fault: SetFault) -> AsyncIterator[None]:
    """Answer requests while the block runs."""
    path, number = _reachable(folder)
    (folder / "control").unlink(missing_ok=True)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), _TIMEOUT_S)
            request = json.loads(line)
            host_key = await set_fault(str(request["fault"]), str(request["node"]), is_on=bool(request["on"]))
            reply: dict[str, Any] = {"ok": True, "host_key": host_key}
        except (StateError, OSError, ValueError, KeyError, TypeError, TimeoutError) as error:
            reply = {"ok": False, "error": str(error)}
        writer.write(json.dumps(reply).encode() + b"\n")
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, path, limit=_MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        (folder / "control").unlink(missing_ok=True)
        os.close(number)


def request(folder: Path, fault: str, node: str, *, is_on: bool) -> dict[str, Any]:
    """Ask the simulator that runs on this state folder. Raises OSError when none does, ValueError on a bad answer."""
    path, number = _reachable(folder)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.settimeout(_TIMEOUT_S)
            end.connect(path)
            end.sendall(json.dumps({"fault": fault, "node": node, "on": is_on}).encode() + b"\n")
            data = end.makefile("rb").readline(_MAX_LINE_BYTES)
    finally:
        os.close(number)
    reply: dict[str, Any] = json.loads(data)
    return reply
