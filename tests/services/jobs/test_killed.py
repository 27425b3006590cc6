"""The program is killed -9 in every phase of a launch: no server is left that nobody knows, and no job is lost."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.jobs.record import JobState
from tests.services.job_rig import Rig, end_jobs, free_port, is_running, until

PROGRAM = Path(__file__).with_name("killed_desk.py")
SETTLED = (JobState.READY, JobState.STOPPED, JobState.FAILED, JobState.ENDED)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path
    await asyncio.to_thread(end_jobs, tmp_path)


def engines_on(ports: list[int]) -> dict[int, list[int]]:
    """The engines that run, by port: what the system itself says."""
    found: dict[int, list[int]] = {port: [] for port in ports}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        for port in ports:
            if str(port).encode() in words and any(word.endswith(b"echo_engine.py") for word in words):
                found[port].append(int(path.parent.name))
    return found


async def kill_at(folder: Path, phase: str, ports: list[int]) -> None:
    """Run the program until it has killed itself."""
    command = [sys.executable, str(PROGRAM), str(folder), phase, *map(str, ports)]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -9, ended.stderr.decode()[-2000:]


@pytest.mark.parametrize(
    ("phase", "count"), [("intent", 1), ("put", 1), ("start", 1), ("load", 4), ("token", 1), ("stopping", 1)]
)
async def test_a_program_that_is_killed_leaves_no_orphan_and_loses_no_job(folder: Path, phase: str, count: int) -> None:
    ports = [free_port() for _ in range(count)]
    (folder / "engine.now").touch()
    await kill_at(folder, phase, ports)
    (folder / "engine.now").unlink()
    rig = Rig(folder)
    await rig.start()
    try:
        jobs = {job.endpoint.port: job.job_id for job in rig.launcher.jobs.value if job.endpoint is not None}
        assert set(jobs) == set(ports), "each of them is on the list"
        await until(lambda: all(rig.status(job_id).state in SETTLED for job_id in jobs.values()))
        running = engines_on(ports)
        for port, job_id in jobs.items():
            status = rig.status(job_id)
            is_ready = status.state is JobState.READY
            assert len(running[port]) == (1 if is_ready else 0), (phase, status)
            assert status.remedy or is_ready or status.state is JobState.STOPPED
            if is_ready:
                assert running[port] == [rig.pid(job_id)]
                await rig.launcher.stop(job_id)
                assert rig.status(job_id).state is JobState.STOPPED
        assert not any(is_running(pid) for pids in engines_on(ports).values() for pid in pids)
    finally:
        await rig.close()
