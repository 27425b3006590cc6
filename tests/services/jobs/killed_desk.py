"""A program that launches servers and is killed -9 in the middle of it: `killed_desk.py FOLDER PHASE PORT...`.

The servers before the last are let come to where their flags hold them; at the last one's PHASE the program kills
itself, at once, so that nothing of it can tidy up.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from sparkdesk.core.jobs.record import JobState, JobStatus, PhaseState
from tests.services.job_rig import Rig, until

HELD = {
    "ready": ((), JobState.READY),
    "token": (("--hang",), JobState.LOADING),
    "warmup": (("--warm-up", "--load", "9"), JobState.LOADING),
}
"""Flags that hold a server in a phase for long enough, and its state there."""


def is_at(job: JobStatus, phase: str) -> bool:
    """Whether the job's timeline stands there."""
    return any(point.key == phase and point.state is PhaseState.CURRENT for point in job.phases) or (
        phase == "ready" and job.state is JobState.READY
    )


async def main(folder: Path, phase: str, ports: list[int]) -> None:
    """Launch, and die."""
    rig = Rig(folder)
    await rig.start()
    held = list(HELD.items())[: len(ports) - 1]
    for (key, (flags, _)), port in zip(held, ports, strict=False):
        more = (str(folder / "engine"),) if key == "token" else ()
        job_id = await rig.launch(*flags, *more, port=port)
        await until(lambda job_id=job_id, key=key: is_at(rig.status(job_id), key))  # type: ignore[misc]

    def die(jobs: tuple[JobStatus, ...]) -> None:
        newest = next((job for job in jobs if job.endpoint is not None and job.endpoint.port == ports[-1]), None)
        if newest is not None and (is_at(newest, phase) or phase == "intent"):
            os.kill(os.getpid(), signal.SIGKILL)

    rig.launcher.jobs.subscribe(die)
    stopped = phase == "stopping"
    job_id = await rig.launch(*(() if stopped else ("--load", "1")), port=ports[-1])
    if stopped:
        await rig.until_state(job_id, JobState.READY)
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGKILL)
        await rig.launcher.stop(job_id)
    await asyncio.sleep(30)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], [int(word) for word in sys.argv[3:]]))
