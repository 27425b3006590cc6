"""A real llama.cpp server: who can reach it, and what is said of it when it accepts connections and gives no token."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

import pytest

from sparkdesk.app.stack import Stack
from sparkdesk.core.command import Command
from sparkdesk.core.jobs import pulse
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.ports import Shell
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import job_in, plan_of, record_of, running_sparks
from tests.app.test_job_outlives import is_all_live
from tests.services.job_rig import free_port

LISTENING = "0A"
"""Source: the kernel's include/net/tcp_states.h, TCP_LISTEN."""


def listeners(tables: str) -> set[tuple[str, int]]:
    """What listens, address and port, out of the kernel's tables of sockets."""
    rows = [line.split() for line in tables.splitlines()]
    ends = [row[1].rpartition(":") for row in rows if len(row) > 3 and row[3] == LISTENING]
    return {(_address(address), int(number, 16)) for address, _, number in ends}


def _address(text: str) -> str:
    """An address of /proc/net/tcp: IPv4 bytes backwards in hexadecimal; IPv6 is left as it is."""
    return ".".join(str(byte) for byte in bytes.fromhex(text)[::-1]) if len(text) == 8 else text


def ask_models(url: str) -> object:
    """What the server's list of models says."""
    with urllib.request.urlopen(f"{url}/models", timeout=20) as answer:
        return json.loads(answer.read())["data"][0]["id"]


async def read_listeners(shell: Shell) -> set[tuple[str, int]]:
    """What listens on the node, as its own kernel says."""
    return listeners((await shell.run(Command(("cat", "/proc/net/tcp", "/proc/net/tcp6")), timeout_s=10)).text)


def own_listeners(port: int) -> set[str]:
    """The addresses of this computer that listen on a port."""
    tables = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return {address for address, number in listeners(tables) if number == port}


async def test_only_what_was_asked_for_listens_and_a_frozen_server_is_degraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("PROBE_AFTER_S", 3.0), ("LEAST_PAUSE_S", 1.0), ("SILENT_AFTER_S", 2.0)):
        monkeypatch.setattr(pulse, name, seconds)
    with running_sparks(tmp_path, 1) as simulator:
        cluster = record_of(simulator)
        stack = Stack(folder=tmp_path)
        await stack.open()
        await stack.inventory.open(cluster)
        await wait_for_value(stack.inventory.nodes, is_all_live, timeout_s=30)
        shell = stack.inventory.shell(cluster.nodes[0].id)
        before = await read_listeners(shell)
        request = (await plan_of(stack, cluster.nodes[0].id)).request.model_copy(update={"port": free_port()})
        job_id = await stack.launcher.launch(stack.launcher.plan(request))
        job = await job_in(stack, job_id, JobState.READY, timeout_s=60)
        endpoint = job.endpoint
        assert endpoint is not None
        assert await read_listeners(shell) - before == {("127.0.0.1", endpoint.port)}
        url = await stack.launcher.open_door(job.job_id)
        door = stack.launcher.doors.value[job.job_id]
        assert own_listeners(door.port) == {"127.0.0.1"}
        assert await asyncio.to_thread(ask_models, url) == "tinytool"

        stop = await shell.run(Command(("pkill", "-STOP", "-f", "llama[-_]server")), timeout_s=10)
        assert stop.is_ok, stop.explain()
        assert await shell.answers(endpoint.host, endpoint.port), "its kernel still accepts"
        frozen = await job_in(stack, job.job_id, JobState.DEGRADED, timeout_s=60)
        assert frozen.remedy
        await shell.run(Command(("pkill", "-CONT", "-f", "llama[-_]server")), timeout_s=10)
        await job_in(stack, job.job_id, JobState.READY, timeout_s=60)
        async with asyncio.timeout(60):
            await stack.launcher.stop(job.job_id)
        assert own_listeners(door.port) == set()
        assert await read_listeners(shell) - before == set()
        await stack.close()
