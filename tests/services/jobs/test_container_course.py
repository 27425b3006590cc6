"""Containers that somebody else renames, stops or removes, that the kernel ends, and that die behind their API.

The whole of it on a simulated node: its docker, its vLLM, our guard there, and what the person is told here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.app.stack import Stack
from sparkdesk.core.command import Command
from sparkdesk.core.jobs import pulse
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.preflight import has_errors
from sparkdesk.services.jobs import heartbeat
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import job_in, record_of, running_sparks
from tests.app.test_job_outlives import is_all_live
from tests.services.job_rig import free_port
from tests.simulator.conftest import Simulator

MODEL = "openai/gpt-oss-20b"
OVER = (JobState.FAILED, JobState.STOPPED, JobState.ENDED)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running_sparks(tmp_path_factory.mktemp("sparks"), 1) as found:
        yield found


class Desk:
    """The program without its window, on one simulated node."""

    def __init__(self, stack: Stack, node_id: str) -> None:
        self.stack = stack
        self.node_id = node_id

    async def say(self, *words: str) -> str:
        """A command of somebody at the node."""
        outcome = await self.stack.inventory.shell(self.node_id).run(Command(words), timeout_s=60)
        assert outcome.is_ok, outcome.explain()
        return outcome.text.strip()

    async def containers(self) -> str:
        """Names of our containers there, by their label."""
        return await self.say("docker", "ps", "--all", "--filter", "label=sparkdesk.job", "--format", "{{.Names}}")

    async def secrets(self) -> str:
        """Files of secrets that lie there."""
        return await self.say("find", "/home", "-name", "secrets.json")

    async def launch(self, *states: JobState, reach: str = "node") -> JobStatus:
        """A vLLM server, once it has come to one of these states. It is begun as soon as nothing speaks against it.

        Memory that a server gave back is known with the next sample of its node, a second later at most.
        """
        request = LaunchRequest(
            engine="vllm",
            model=MODEL,
            served_name="tiny",
            nodes=(self.node_id,),
            port=free_port(),
            context_tokens=4096,
            concurrency=2,
        ).model_copy(update={"reach": reach})
        async with asyncio.timeout(30):
            while has_errors(self.stack.launcher.problems(request)):
                await asyncio.sleep(0.1)
        plan = self.stack.launcher.plan(request)
        job_id = await self.stack.launcher.launch(plan)
        return await self.until(job_id, *states)

    async def until(self, job_id: str, *states: JobState) -> JobStatus:
        """The job, once it stands so."""
        return await job_in(self.stack, job_id, *states, timeout_s=90)


@pytest.fixture
async def desk(tmp_path: Path, simulator: Simulator) -> AsyncIterator[Desk]:
    cluster = record_of(simulator)
    stack = Stack(folder=tmp_path)
    await stack.open()
    await stack.inventory.open(cluster)
    await wait_for_value(stack.inventory.nodes, is_all_live, timeout_s=90)
    await wait_for_value(stack.launcher.node_contexts, lambda found: any(row.home for row in found), timeout_s=90)
    yield Desk(stack, cluster.nodes[0].id)
    await stack.close()


async def test_what_others_do_to_a_container_is_said_and_nothing_of_it_is_left_over(desk: Desk) -> None:
    job = await desk.launch(JobState.READY, *OVER, reach="lan")
    assert job.state is JobState.READY, job
    name = await desk.containers()
    await desk.say("docker", "rename", name, "somebody-else")
    await desk.say("docker", "stop", "somebody-else")
    job = await desk.until(job.job_id, *OVER)
    assert (job.state, bool(job.remedy)) == (JobState.ENDED, True)
    assert "did not ask for that: somebody stopped it" in job.message
    assert any("called somebody-else now" in line.text for line in desk.stack.launcher.log(job.job_id).past)
    assert await desk.secrets() == ""
    async with asyncio.timeout(30):  # once its end and its log are kept, a step of ours removes it
        while await desk.containers():
            await asyncio.sleep(0.2)
        while not any("Its container is removed" in line.text for line in desk.stack.launcher.log(job.job_id).past):
            await asyncio.sleep(0.05)

    job = await desk.launch(JobState.READY, *OVER)
    await desk.say("docker", "rm", "--force", await desk.containers())
    job = await desk.until(job.job_id, *OVER)
    assert "removed by someone else" in job.message
    assert any("Starting to load" in line.text for line in desk.stack.launcher.log(job.job_id).past)


async def test_a_container_that_the_kernel_ends_is_said_to_lack_memory_and_tidied(
    desk: Desk, simulator: Simulator
) -> None:
    assert simulator.control("on", "engine-oom", "1").returncode == 0
    try:
        job = await desk.launch(JobState.READY, *OVER)
    finally:
        simulator.control("off", "engine-oom", "1")
    assert job.state is JobState.FAILED
    assert "out of memory within its container's limit" in job.message
    assert desk.stack.launcher.fixes_of(job.job_id)
    assert await desk.containers() == ""


def test_with_its_real_pauses_a_dead_engine_is_seen_within_a_minute() -> None:
    beats_s = 2 * heartbeat.BEAT_S
    assert pulse.PROBE_AFTER_S + pulse.PROBE_LIMIT_S + beats_s < 60, "no token, behind an API that answers"
    assert pulse.SILENT_AFTER_S + heartbeat.ASK_TIMEOUT_S + beats_s < 60, "no answer at all"


async def test_an_engine_that_is_dead_behind_its_api_is_degraded_and_a_stop_leaves_nothing(
    desk: Desk, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("PROBE_AFTER_S", 3.0), ("LEAST_PAUSE_S", 1.0), ("SILENT_AFTER_S", 2.0)):
        monkeypatch.setattr(pulse, name, seconds)
    job = await desk.launch(JobState.READY, *OVER, reach="lan")
    key = await desk.stack.launcher.api_key(job.job_id)
    assert simulator.control("on", "engine-dead", "1").returncode == 0
    try:
        job = await desk.until(job.job_id, JobState.DEGRADED, *OVER)
        assert (job.state, bool(job.remedy)) == (JobState.DEGRADED, True)
        assert "Its log says:" in job.message
        assert "AsyncLLM output_handler failed" in job.message
        assert "launch it again" in job.remedy, "nothing restarts what still answers: that is said"
    finally:
        simulator.control("off", "engine-dead", "1")
    async with asyncio.timeout(60):
        await desk.stack.launcher.stop(job.job_id)
    assert desk.stack.launcher.status(job.job_id).state is JobState.STOPPED  # type: ignore[union-attr]
    assert await desk.containers() == ""
    assert await desk.secrets() == ""
    assert key
    assert await desk.say("sh", "-c", f"grep -rl {key} /home || true") == ""
