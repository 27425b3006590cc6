"""Faults by name, from the start and at run time."""

from __future__ import annotations

import asyncio
import json

import asyncssh
import pytest

from tests.simulator.conftest import StartSimulator


async def read_on(process: asyncssh.SSHClientProcess[str]) -> None:
    """Read what was under way; raises TimeoutError when nothing comes for a second."""
    while True:
        await asyncio.wait_for(process.stdout.readline(), 1.0)


async def test_a_node_that_is_gone_answers_nothing_and_comes_back(start: StartSimulator) -> None:
    with start("--nodes", "2") as simulator:
        async with simulator.connect(0) as held:
            process = await held.create_process("while :; do echo tick; sleep 0.05; done")
            await process.stdout.readline()
            assert json.loads(simulator.control("on", "node-gone", "spark-5c2d").stdout)["ok"] is True
            with pytest.raises(TimeoutError):
                await read_on(process)
            with pytest.raises((TimeoutError, OSError, asyncssh.Error)):
                await simulator.connect(0, connect_timeout=1.5, login_timeout=1.5)
            async with simulator.connect(1) as other:
                assert (await other.run("hostname", check=True)).stdout == "spark-bd26\n"
            simulator.control("off", "node-gone", "spark-5c2d")
            assert await asyncio.wait_for(process.stdout.readline(), 10) == "tick\n"
            async with simulator.connect(0) as again:
                assert (await again.run("hostname", check=True)).stdout == "spark-5c2d\n"
            process.close()


async def test_keepalive_finds_a_node_that_is_gone(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        connection = await simulator.connect(0, keepalive_interval=0.3, keepalive_count_max=2)
        simulator.control("on", "node-gone", "spark-5c2d")
        await asyncio.wait_for(connection.wait_closed(), 15)


async def test_a_changed_host_key_is_another_key_and_the_old_one_is_kept(start: StartSimulator) -> None:
    with start("--nodes", "2") as simulator:
        first = simulator.node(0)["host_key"]
        reply = json.loads(simulator.control("on", "host-key-changed", "spark-5c2d").stdout)
        assert reply["host_key"] != first
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await simulator.connect(0)
        changed = asyncssh.import_public_key(reply["host_key"])
        async with simulator.connect(0, known_hosts=([changed], [], [])) as connection:
            assert (await connection.run("hostname", check=True)).stdout == "spark-5c2d\n"
        simulator.control("off", "host-key-changed", "spark-5c2d")
        async with simulator.connect(0):
            pass
    with start("--nodes", "2", "--fault", "host-key-changed:spark-bd26") as simulator:
        assert simulator.node(0)["host_key"] == first
        assert simulator.node(1)["host_key"] != reply["host_key"]


def test_a_fault_or_node_of_another_name_is_refused(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        for fault, node in (("node-lost", "spark-5c2d"), ("node-gone", "spark-0000")):
            result = simulator.control("on", fault, node)
            assert result.returncode == 1
            assert json.loads(result.stdout)["ok"] is False
    assert simulator.control("on", "node-gone", "spark-5c2d").returncode == 1
