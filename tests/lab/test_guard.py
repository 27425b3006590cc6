"""A load that eats a node's memory is ended by the node itself, with nobody connected.

The machine's own memory is never at stake: the loader is limited to a few hundred MiB, and what the node's kernel tells
of its memory is made of what that loader really holds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.ports import Shell
from sparkdesk.infra.ssh import SshConnector
from tests.lab.lab import Lab, LabNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
JOB = "abcdefghijklmnop"
FOLDER = f".local/state/sparkdesk/jobs/{JOB}"
HOME = "/home/nvidia"
MIB = 1 << 20
TOTAL, FLOOR, MOST = 800 * MIB, 300 * MIB, 700 * MIB
STOPPED_WITHIN_S = 2.0
"""The promise: so soon after memory fell below the floor nothing of the load is left."""

# Ignores TERM, has a child that holds half of it, and could never take more than MOST.
LOADER = f"""
import os, resource, signal, time
resource.setrlimit(resource.RLIMIT_AS, (2 * {MOST}, 2 * {MOST}))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
held = []
while sum(map(len, held)) < {MOST} // 2:
    held.append(b"x" * (5 << 20))
    time.sleep(0.05)
time.sleep(600)
"""
# Stands for the node's kernel: its meminfo tells the memory that processes called loader.py really left.
KERNEL = f"""
import glob, os, time
def held():
    size = 0
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            if b"loader.py" in open(path, "rb").read():
                size += int(open(path.replace("cmdline", "statm")).read().split()[1]) * 4096
        except (OSError, IndexError):
            pass
    return size
os.makedirs("{HOME}/root/proc", exist_ok=True)
low_at = 0.0
while True:
    now = held()
    with open("{HOME}/root/proc/new", "w") as file:
        file.write("MemTotal: %d kB\\nMemAvailable: %d kB\\n" % ({TOTAL} // 1024, ({TOTAL} - now) // 1024))
    os.replace("{HOME}/root/proc/new", "{HOME}/root/proc/meminfo")
    if {TOTAL} - now < {FLOOR}:
        low_at = low_at or time.monotonic()
    elif low_at and not now:
        open("{HOME}/relieved", "w").write(str(time.monotonic() - low_at))
        break
    elif now > {TOTAL} // 2:
        open("{HOME}/half", "w").close()
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node."""
    with Lab(1, tmp_path_factory.mktemp("guard"), marker="guard") as lab:
        yield lab


async def put_loader(shell: Shell) -> None:
    """The job's folder as a plan writes it, the loader, and the node's memory."""
    spec = {
        "schema": 1, "job_id": JOB, "owner": "ada@desk", "argv": ["python3", f"{HOME}/loader.py"],
        "memory_floor_bytes": FLOOR, "restart_limit": 3,
    }  # fmt: skip
    assert (await shell.run(Command(("mkdir", "-p", f"{HOME}/{FOLDER}")))).is_ok
    for name in ("job.py", "guard.py", "gauge.py", "proof.py"):
        await shell.put((REMOTE / name).read_bytes(), f"~/{FOLDER}/{name}", mode=0o700)
    await shell.put(json.dumps(spec).encode(), f"~/{FOLDER}/spec.json", mode=0o600)
    await shell.put(LOADER.encode(), "~/loader.py", mode=0o600)
    await shell.put(KERNEL.encode(), "~/kernel.py", mode=0o600)
    begun = await shell.run(
        Command(("sh", "-c", f"setsid python3 {HOME}/kernel.py </dev/null >/dev/null 2>&1 & sleep 0.5"))
    )
    assert begun.is_ok


async def wait_for_file(node: LabNode, name: str) -> str:
    """What stands in a file of the node's home, once it is there; read on the machine itself, not over SSH."""
    path = node.root / f"{HOME}/{name}".lstrip("/")
    async with asyncio.timeout(60):
        while not path.exists():
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    return path.read_text()


async def test_a_loader_that_eats_memory_is_ended_with_the_line_cut(workstation: Lab) -> None:
    node = workstation.nodes[0]
    session = await SshConnector().connect(node.record())
    await put_loader(session)
    start = Command(
        ("python3", f"{HOME}/{FOLDER}/job.py", "start", f"{HOME}/{FOLDER}"), env={"SPARKDESK_ROOT": f"{HOME}/root"}
    )
    started = await session.run(start, timeout_s=30)
    assert json.loads(started.text)["started"] is True
    await wait_for_file(node, "half")
    node.set_link(False)
    low_for_s = float(await wait_for_file(node, "relieved"))
    ended: dict[str, Any] = json.loads(await wait_for_file(node, f"{FOLDER}/exit.json"))
    assert node.processes("loader.py") == []
    node.set_link(True)
    await session.close()
    assert low_for_s <= STOPPED_WITHIN_S
    assert ended["kind"] == "memory"
    assert ended["reason"].startswith("memory floor: ")
    assert ended["memory"]["floor_bytes"] == FLOOR
    log = (node.root / f"{HOME}/{FOLDER}/log-000000000000000".lstrip("/")).read_text()
    assert "[sparkdesk] memory floor: " in log
