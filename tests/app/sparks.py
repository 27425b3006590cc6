"""Simulated Sparks that outlive the application, and what is launched on them.

The one rule: their own process, started and ended by the test; the application only gets to know their line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.node import ClusterRecord
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.infra.simulation import read_cluster
from sparkdesk.services.wait import wait_for_value
from tests.app.program import TINY_MODEL, require, require_engine
from tests.simulator.conftest import Simulator, running

READY_TIMEOUT_S = 60.0
FILES = {"SmolLM2-135M-Instruct": "SmolLM2-135M-Instruct.Q4_1.gguf"}


@contextmanager
def running_sparks(home: Path, count: int, *words: str) -> Iterator[Simulator]:
    """So many nodes with the tiny model on each; the test is skipped where they cannot run it."""
    require_engine()
    with running(home, home / "sparks", "--nodes", str(count), "--model", str(TINY_MODEL), *words) as simulator:
        require(simulator.line["confined"], f"namespaces are not allowed here: {simulator.line['reason']}")
        yield simulator


def record_of(simulator: Simulator) -> ClusterRecord:
    """The cluster as the application keeps it."""
    return read_cluster(json.dumps(simulator.line).encode(), key_path=str(simulator.state / "client_ed25519"))


async def plan_of(stack: Stack, node_id: str, *, model: str = "tinytool") -> LaunchPlan:
    """The plan of a launch on a live node."""
    await wait_for_value(
        stack.launcher.node_contexts,
        lambda contexts: any(context.record.id == node_id and context.programs for context in contexts),
        timeout_s=20,
    )
    request = LaunchRequest(
        engine="llamacpp",
        model=model,
        weights_path=f"/home/nvidia/models/{FILES.get(model, f'{model}.gguf')}",
        nodes=(node_id,),
        served_name=model.lower(),
        port=8080,
        threads=1,
        temperature=0.2,
    )
    return stack.launcher.plan(request)


async def launch(stack: Stack, node_id: str, *, model: str = "tinytool") -> JobStatus:
    """Launch a model on a live node and wait until it has generated a token."""
    job_id = await stack.launcher.launch(await plan_of(stack, node_id, model=model))
    job = await job_in(stack, job_id, JobState.READY, JobState.FAILED, timeout_s=READY_TIMEOUT_S)
    assert job.state is JobState.READY, f"{job.message} {job.remedy}"
    return job


async def job_in(stack: Stack, job_id: str, *states: JobState, timeout_s: float = 90.0) -> JobStatus:
    """The job, once it is in one of these states."""

    def find(jobs: tuple[JobStatus, ...]) -> list[JobStatus]:
        return [job for job in jobs if job.job_id == job_id and job.state in states]

    try:
        jobs = await wait_for_value(stack.launcher.jobs, lambda jobs: bool(find(jobs)), timeout_s=timeout_s)
    except TimeoutError:
        raise AssertionError(f"never {states}: {stack.launcher.jobs.value}") from None
    return find(jobs)[0]


async def switch_fault(simulator: Simulator, way: str, fault: str, node: str) -> str:
    """Have a node misbehave, or behave again; gives the public line of the host key that it shows from now on."""
    done = await asyncio.to_thread(simulator.control, way, fault, node)
    assert done.returncode == 0, done.stderr.decode()
    return str(json.loads(done.stdout).get("host_key", ""))
