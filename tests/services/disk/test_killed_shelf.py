"""The program is killed -9 during a fetch and during a copy: nothing partial counts as whole, and both go on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sparkdesk.core.disk.view import DiskKey, Holding, Kind
from tests.servers.hub import Hub
from tests.services.disk.test_shelf import MODEL, Desk, hub

__all__ = ["hub"]
PROGRAM = Path(__file__).with_name("killed_shelf.py")
COPY_BYTES = 64 << 20


async def kill_during(folder: Path, hub: Hub, task: str, name: str, source: str = "") -> None:
    """Run the program until it has killed itself."""
    words = [sys.executable, str(PROGRAM), str(folder), str(hub.port), task, name, source]
    ended = await asyncio.to_thread(subprocess.run, words, capture_output=True, timeout=90, check=False)
    assert ended.returncode == -9, ended.stderr.decode()[-2000:]


@asynccontextmanager
async def opened(folder: Path, hub: Hub) -> AsyncIterator[Desk]:
    """The program again, over the same folder."""
    desk = Desk(folder, hub)
    await desk.store.open()
    yield desk
    desk.shelf.close()
    await desk.tasks.close()
    await desk.store.close()


async def test_a_fetch_outlives_a_killed_program_and_is_whole_only_at_its_end(tmp_path: Path, hub: Hub) -> None:
    hub.halt_after["model.safetensors"] = 100_000
    await kill_during(tmp_path, hub, "fetch", MODEL.name)
    async with opened(tmp_path, hub) as desk:
        await desk.shelf.look("n1")
        assert desk.cell(MODEL, "n1").holding is Holding.DOWNLOADING, "the node goes on without us"
        hub.go_on.set()
        assert await desk.run("fetch", MODEL, "n1") == "done"
        await desk.shelf.look("n1")
        assert desk.cell(MODEL, "n1").holding is Holding.WHOLE
    assert len(hub.cdn_asked) == 1, "it came once"


async def test_a_copy_of_a_killed_program_is_no_file_and_goes_on(tmp_path: Path, hub: Hub) -> None:
    source = tmp_path / "w.gguf"
    source.write_bytes(os.urandom(COPY_BYTES))
    await kill_during(tmp_path, hub, "copy", "w.gguf", str(source))
    async with opened(tmp_path, hub) as desk:
        copy = desk.homes["n1"] / "models/w.gguf"
        await desk.shelf.look("n1")
        assert not copy.exists()
        assert all(row.key.kind is not Kind.FILE for row in desk.shelf.rows.value.rows)
        assert 0 < copy.with_name("w.gguf.incomplete").stat().st_size < COPY_BYTES
        assert await desk.run("copy", DiskKey(Kind.FILE, "w.gguf"), "n1", source=str(source)) == "done"
        assert copy.read_bytes() == source.read_bytes()
