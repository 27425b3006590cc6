"""A node that restarts while the program is closed: its containers do not come back, and that is said as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import job_in, record_of, running_sparks
from tests.services.jobs.test_killed_fetch import CONTAINERS, opened, request_on, say


async def test_a_container_job_of_before_the_restart_is_failed_by_it_and_offered_again(tmp_path: Path) -> None:
    with running_sparks(tmp_path, 1, "--boot-seconds", "1") as simulator:
        node_id = record_of(simulator).nodes[0].id
        async with opened(simulator, tmp_path) as stack:
            await wait_for_value(stack.launcher.node_contexts, lambda rows: any(row.home for row in rows), timeout_s=90)
            job_id = await stack.launcher.launch(stack.launcher.plan(request_on(node_id)))
            await job_in(stack, job_id, JobState.READY, timeout_s=90)
        assert simulator.control("on", "reboot", "1").returncode == 0
        await asyncio.sleep(2.0)
        async with opened(simulator, tmp_path) as stack:
            job = await job_in(stack, job_id, JobState.FAILED, JobState.ENDED, timeout_s=90)
            assert (job.state, "the node was restarted" in job.message) == (JobState.FAILED, True), job
            fix = stack.launcher.fix_of(job_id)
            assert fix is not None
            assert "again" in fix.words
            await stack.launcher.remove(job_id)
            assert await say(stack, CONTAINERS) == ""
