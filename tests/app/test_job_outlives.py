"""Quit and start again: what runs on a node is found, can be talked to, and can be stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sparkdesk.app.stack import Stack
from sparkdesk.core.chat.event import Finished, TextDelta
from sparkdesk.core.chat.message import ChatRequest, Message, Role, Sampling, TextPart
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.command import Command, Exit
from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import job_in, launch, record_of, running_sparks


def is_all_live(nodes: tuple[NodeStatus, ...]) -> bool:
    return bool(nodes) and all(node.is_live for node in nodes)


async def count_servers(stack: Stack, node_id: str) -> int:
    """How many processes of a server the node itself has."""
    outcome = await stack.inventory.shell(node_id).run(
        Command(("pgrep", "-c", "-f", "llama[-_]server.*--model")), timeout_s=10
    )
    assert isinstance(outcome.fate, Exit)
    return int(outcome.text)


async def test_a_job_is_found_answers_and_stops_after_a_restart(tmp_path: Path) -> None:
    with running_sparks(tmp_path, 1) as simulator:
        cluster = record_of(simulator)
        node_id = cluster.nodes[0].id
        first = Stack(folder=tmp_path)
        await first.open()
        await first.inventory.open(cluster)
        await wait_for_value(first.inventory.nodes, is_all_live, timeout_s=30)
        job = await launch(first, node_id)
        await first.close()
        assert first.tasks.names == ()

        again = Stack(folder=tmp_path)
        await again.open()
        await again.inventory.open(cluster)
        found = await job_in(again, job.job_id, JobState.READY)
        assert found.title == job.title
        assert found.endpoint == job.endpoint
        question = ChatRequest("tinytool", (Message(Role.USER, (TextPart("What is SparkDesk?"),)),), Sampling())
        async with again.launcher.client(job.job_id) as client:
            events = [event async for event in client.chat(question)]
        assert isinstance(events[-1], Finished)
        assert any(isinstance(event, TextDelta) and event.text for event in events)
        assert await count_servers(again, node_id) > 0
        async with asyncio.timeout(30):
            await again.launcher.stop(job.job_id)
        stopped = await job_in(again, job.job_id, JobState.STOPPED)
        assert stopped.stop_error == ""
        assert await count_servers(again, node_id) == 0
        await again.close()


async def test_one_simulated_cluster_is_kept_however_often_it_is_opened(tmp_path: Path) -> None:
    with running_sparks(tmp_path, 1) as simulator:
        for _ in range(3):
            stack = Stack(folder=tmp_path)
            await stack.open()
            await stack.inventory.open(record_of(simulator))
            assert len(await stack.store.clusters()) == 1
            assert await stack.known_clusters() == ()
            await stack.close()
