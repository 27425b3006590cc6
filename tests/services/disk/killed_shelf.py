"""A program that is killed -9 during a fetch or a copy: `killed_shelf.py FOLDER HUB_PORT TASK NAME SOURCE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from sparkdesk.core.disk.view import DiskKey, Kind
from tests.servers.hub import Hub
from tests.services.disk.test_shelf import Desk


def size_of(part: Path) -> int:
    """Its bytes; none when it just became whole."""
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


async def main(folder: Path, port: int, task: str, name: str, source: str) -> None:
    """Begin it, and die as soon as some of it came."""
    desk = Desk(folder, Hub({}, port=port))
    await desk.store.open()
    key = DiskKey(Kind.FILE if task == "copy" else Kind.MODEL, name)

    desk.shelf.start(task, key, "n1", desk.shelf.plan(task, key, "n1", source=source))
    pattern = "**/w.gguf.incomplete" if task == "copy" else "**/*.incomplete"
    while not any(size_of(part) for part in (folder / "n1").glob(pattern)):
        await asyncio.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
