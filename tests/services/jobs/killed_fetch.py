"""A program that launches on simulated Sparks and is killed -9 in a phase: `killed_fetch.py FOLDER PHASE REQUEST...`.

The simulator's line comes on standard input; each REQUEST is a launch request as JSON. All but the last are let come
to be ready; the last takes the place of the one before it, where there is one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from sparkdesk.app.stack import Stack
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.infra.simulation import read_cluster
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import job_in
from tests.services.jobs.killed_desk import is_at


async def main(folder: Path, phase: str, requests: list[LaunchRequest]) -> None:
    """Launch, and die."""
    cluster = read_cluster(sys.stdin.buffer.read(), key_path=str(folder / "sparks" / "client_ed25519"))
    stack = Stack(folder=folder)
    await stack.open()
    await stack.inventory.open(cluster)
    await wait_for_value(stack.launcher.node_contexts, lambda rows: any(row.home for row in rows), timeout_s=90)
    launcher, before = stack.launcher, ""
    for request in requests[:-1]:
        before = await launcher.launch(launcher.plan(request))
        await job_in(stack, before, JobState.READY, timeout_s=90)
    plan = launcher.switch_plan(before, requests[-1]) if before else launcher.plan(requests[-1])

    def die(jobs: tuple[JobStatus, ...]) -> None:
        if any(job.job_id == plan.job_id and is_at(job, phase) for job in jobs):
            asyncio.get_running_loop().call_later(1.0, os.kill, os.getpid(), signal.SIGKILL)

    launcher.jobs.subscribe(die)
    await launcher.launch(plan)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asked = [LaunchRequest.model_validate_json(word) for word in sys.argv[3:]]
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], asked))
