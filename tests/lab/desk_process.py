"""One SparkDesk without a face, in a process of its own, told what to do by lines of JSON: for tests that kill it.

The services are joined as in the window (sparkdesk.app.stack), and the tests' small engine comes as a plug-in does. The
one rule: nothing is decided here; each verb is what a click does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from sparkdesk import paths
from sparkdesk.app.stack import Stack
from sparkdesk.core import step_json
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.lock import LockHolder
from sparkdesk.services.playbooks.runner import Asks
from sparkdesk.services.wait import wait_for_value

WAIT_S = 40.0
Words = Mapping[str, Any]


class Door:
    """The verbs."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._holders: list[str] = []
        self._breaks = False
        stack.runner.asks = Asks(break_lock=self._ask_break)

    async def _ask_break(self, holder: LockHolder) -> bool:
        self._holders.append(holder.who)
        return self._breaks

    async def answer(self, request: Words) -> Words:
        """What the verb gives, or why it was refused."""
        try:
            return {"answer": await getattr(self, f"do_{request['do']}")(request)}
        except SparkDeskError as error:
            return {"error": error.message, "remedy": error.remedy}
        except TimeoutError:
            return {"error": f"{request} never came", "jobs": await self.do_jobs({})}

    async def do_open(self, words: Words) -> None:
        """Open the cluster that is known, else the one that is told; until its nodes were looked at."""
        known = await self._stack.known_clusters()
        told = ClusterRecord("lab", "Lab", tuple(NodeRecord(**node) for node in words["nodes"]))
        cluster = known[0] if known else told
        await self._stack.inventory.open(cluster)
        await wait_for_value(
            self._stack.launcher.node_contexts,
            lambda contexts: sum(bool(context.home) for context in contexts) == len(cluster.nodes),
            timeout_s=WAIT_S,
        )

    async def do_launch(self, words: Words) -> str:
        """The job's id, as soon as its intent is kept."""
        launcher = self._stack.launcher
        request = LaunchRequest(
            engine="echo", model="tiny", nodes=(words["node"],), served_name="tiny", port=words["port"],
            extra_flags=tuple(words["flags"]),
        )  # fmt: skip
        return await launcher.launch(launcher.plan(request))

    async def do_jobs(self, words: Words) -> list[Words]:
        """Every job on the screen."""
        return [_row(job) for job in self._stack.launcher.jobs.value]

    async def do_until(self, words: Words) -> Words:
        """The job, once it is in one of these states."""
        states = {JobState(state) for state in words["states"]}

        def find(jobs: tuple[JobStatus, ...]) -> JobStatus | None:
            return next((job for job in jobs if job.job_id == words["job"] and job.state in states), None)

        job = find(await wait_for_value(self._stack.launcher.jobs, lambda jobs: bool(find(jobs)), timeout_s=WAIT_S))
        assert job is not None
        return _row(job)

    async def do_log(self, words: Words) -> str:
        """The job's log, once it tells this."""
        stream = self._stack.launcher.log(words["job"])
        async with asyncio.timeout(WAIT_S):
            while True:
                text = "\n".join(line.text for line in stream.past)
                if words["until"] in text:
                    return text
                await asyncio.sleep(0.05)

    async def do_health(self, words: Words) -> int:
        """What the job's server answers through a forward of this desk."""
        async with self._stack.launcher.client(words["job"]) as client:
            return (await client.get("/health"))[0]

    async def do_stop(self, words: Words) -> None:
        """Stop the job."""
        await self._stack.launcher.stop(words["job"])

    async def do_take_over(self, words: Words) -> None:
        """Look after the job from here on."""
        await self._stack.launcher.take_over(words["job"])

    async def do_run(self, words: Words) -> str:
        """Start a playbook; gives the run's id."""
        self._breaks = bool(words["breaks"])
        return self._stack.runs.start(step_json.from_json(words["playbook"].encode()))

    async def do_resume(self, words: Words) -> None:
        """Carry a run on."""
        self._stack.runs.resume(words["run"])

    async def do_end(self, words: Words) -> Words:
        """How a run ended, and who was found to hold the lock meanwhile."""
        ended = await self._stack.runs.wait(words["run"])
        return {"result": ended.result, "message": ended.message, "remedy": ended.remedy, "holders": self._holders}

    async def do_runs(self, words: Words) -> Words:
        """The runs that are known, with their results."""
        return {run_id: view.result for run_id, view in self._stack.runs.runs.value.items()}


def _row(job: JobStatus) -> Words:
    return {
        "job": job.job_id, "state": job.state.value, "message": job.message, "remedy": job.remedy, "owner": job.owner,
        "holder": job.holder, "stop_error": job.stop_error,
    }  # fmt: skip


async def serve() -> None:
    """Until the requests end."""
    stack = Stack(folder=paths.data_dir())
    await stack.open()
    door = Door(stack)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            print(json.dumps(await door.answer(json.loads(line))), flush=True)
    finally:
        await stack.close()


if __name__ == "__main__":
    asyncio.run(serve())
