"""The program is killed -9 while a node fetches weights, and during a switch: each is carried on, nothing is lost.

On simulated Sparks: their hub, their docker, and the transfers that go on there without us.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkdesk.app.stack import Stack
from sparkdesk.core.command import Command
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import job_in, record_of, running_sparks, switch_fault
from tests.app.test_job_outlives import is_all_live
from tests.services.job_rig import free_port
from tests.services.jobs.killed_desk import is_at
from tests.simulator.conftest import Simulator

PROGRAM = Path(__file__).with_name("killed_fetch.py")
TO_FETCH = "Qwen/Qwen3-Embedding-0.6B"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with running_sparks(tmp_path, 1) as found:
        yield found


def request_on(node_id: str, model: str = "openai/gpt-oss-20b", purpose: str = "chat") -> LaunchRequest:
    """A vLLM server on the node."""
    return LaunchRequest.model_validate({
        "engine": "vllm", "model": model, "purpose": purpose, "served_name": "tiny", "nodes": (node_id,),
        "port": free_port(), "context_tokens": 4096, "concurrency": 2,
    })  # fmt: skip


async def kill_at(simulator: Simulator, folder: Path, phase: str, *requests: LaunchRequest) -> None:
    """Run the program until it has killed itself."""
    words = [sys.executable, str(PROGRAM), str(folder), phase, *(request.model_dump_json() for request in requests)]
    line = json.dumps(simulator.line).encode()
    ended = await asyncio.to_thread(subprocess.run, words, input=line, capture_output=True, timeout=100, check=False)
    assert ended.returncode == -9, ended.stderr.decode()[-2000:]


@asynccontextmanager
async def opened(simulator: Simulator, folder: Path) -> AsyncIterator[Stack]:
    """The program again, over the same folder."""
    stack = Stack(folder=folder)
    await stack.open()
    await stack.inventory.open(record_of(simulator))
    await wait_for_value(stack.inventory.nodes, is_all_live, timeout_s=90)
    yield stack
    await stack.close()


async def say(stack: Stack, words: str) -> str:
    """A command at the node."""
    node = stack.inventory.nodes.value[0].record.id
    outcome = await stack.inventory.shell(node).run(Command(("sh", "-c", words)), timeout_s=30)
    return outcome.text.strip()


CONTAINERS = "docker ps --all --filter label=sparkdesk.job --format '{{.Names}}'"
FETCHES = "ps -eo args | grep -c '[/]transfers/.*fetch.py' || true"
PARTS = "find ~/.cache/huggingface -name '*.incomplete' -type f -size +0"


def carries_weights_on(jobs: tuple[JobStatus, ...]) -> bool:
    """Whether a launch goes on with its weights; before its node was looked at, what became of it is not known."""
    return any(job.state is JobState.STARTING and is_at(job, "weights") for job in jobs)


async def test_a_launch_that_fetches_is_carried_on_and_a_stop_ends_the_fetch_and_keeps_what_came(
    simulator: Simulator, tmp_path: Path
) -> None:
    node = record_of(simulator).nodes[0]
    await switch_fault(simulator, "on", "hub-slow", "1")  # so long does no machine wait, however slow it is
    await kill_at(simulator, tmp_path, "weights", request_on(node.id, TO_FETCH, "embed"))
    async with opened(simulator, tmp_path) as stack:
        (job,) = await wait_for_value(stack.launcher.jobs, carries_weights_on, timeout_s=90)
        async with asyncio.timeout(60):
            while await say(stack, FETCHES) == "0" or await say(stack, PARTS) == "":  # it may be begun again there
                await asyncio.sleep(0.1)
        assert carries_weights_on(stack.launcher.jobs.value), "it is stopped in the middle of its fetch"
        async with asyncio.timeout(90):
            await stack.launcher.stop(job.job_id)
        status = stack.launcher.status(job.job_id)
        assert status is not None
        assert (status.state, status.stop_error) == (JobState.STOPPED, "")
        assert await say(stack, FETCHES) == "0"
        assert await say(stack, "find ~/.local/state/sparkdesk -name secrets.json") == ""
        assert await say(stack, PARTS) != "", "what came stays for the next try"


async def test_a_switch_that_was_cut_off_is_carried_on_and_leaves_one_server(
    simulator: Simulator, tmp_path: Path
) -> None:
    node_id = record_of(simulator).nodes[0].id
    first, second = request_on(node_id), request_on(node_id)
    await kill_at(simulator, tmp_path, "switch", first, second)
    async with opened(simulator, tmp_path) as stack:
        jobs = {job.endpoint.port: job for job in stack.launcher.jobs.value if job.endpoint is not None}
        assert set(jobs) == {first.port, second.port}, "none is lost"
        new = await job_in(
            stack, jobs[second.port].job_id, JobState.READY, JobState.FAILED, JobState.ENDED, timeout_s=60
        )
        old = stack.launcher.status(jobs[first.port].job_id)
        assert old is not None
        assert len((await say(stack, CONTAINERS)).split()) == (new.state is JobState.READY) + (not old.state.is_over)
        assert (new.state, old.state) == (JobState.READY, JobState.STOPPED)
