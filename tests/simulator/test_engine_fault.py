"""Faults of simulated engines: each in its engine's own words, which its adapter's reader knows, and over when it is
off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import pytest

from backends import sglang, trtllm
from sparkdesk.core.jobs.backend import LogFailure
from tests.simulator.conftest import Simulator, ask, until_ready

RUN = "docker run --gpus all --ipc host --network host"
MODEL = "Qwen/Qwen3-8B"
ENGINES = (
    (sglang.backend, f"lmsysorg/sglang:latest-cu130 python3 -m sglang.launch_server --model-path {MODEL}"),
    (trtllm.backend, f"nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13 trtllm-serve {MODEL}"),
)
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 24, "temperature": 0}
SMALL = "--port {port} --max-model-len 4096 --gpu-memory-utilization 0.3 --served-model-name m"


@asynccontextmanager
async def broken(cluster: Simulator, fault: str, node: int = 0) -> AsyncIterator[None]:
    """A fault of a node, for as long as the block."""
    cluster.control("on", fault, str(node + 1))
    try:
        yield
    finally:
        cluster.control("off", fault, str(node + 1))


async def failed_start(cluster: Simulator, words: str, fault: str, node: int) -> str:
    """The log of a start that ends of itself, and badly."""
    async with cluster.connect(node) as connection, broken(cluster, fault, node):
        result = await connection.run(f"{RUN} --rm {words} --port 8230 2>&1", timeout=90)
    assert result.exit_status not in (0, None), result.stdout
    return str(result.stdout)


@pytest.mark.parametrize(
    ("fault", "of_sglang", "of_trtllm"),
    [
        ("engine-gated", "Cannot access gated repo for url", "Cannot access gated repo for url"),
        ("engine-unsupported", "are not supported for now", "Unknown architecture for AutoModelForCausalLM"),
        ("engine-no-kv", "Please try to increase --mem-fraction-static", "Insufficient GPU memory for the KV cache"),
        ("engine-ptxas", "ptxas fatal", "ptxas fatal"),
        ("engine-crash", "illegal memory access", "illegal memory access"),
    ],
)
async def test_each_engine_fails_in_its_own_words_and_its_reader_names_the_cause(
    cluster: Simulator, fault: str, of_sglang: str, of_trtllm: str
) -> None:
    starts = (failed_start(cluster, words, fault, node) for node, (_backend, words) in enumerate(ENGINES))
    logs = await asyncio.gather(*starts)
    for (backend, _words), wanted, log in zip(ENGINES, (of_sglang, of_trtllm), logs, strict=True):
        assert wanted in log, log
        reader = backend.log_reader()
        told = [event for line in log.splitlines() for event in reader.feed(line)]
        assert any(isinstance(event, LogFailure) for event in told), log


async def test_a_load_that_hangs_goes_on_and_a_stalled_engine_answers_again(cluster: Simulator) -> None:
    start = f"docker rm -f faulty; {RUN} -d --name faulty nvcr.io/nvidia/vllm:26.05-py3 vllm serve {MODEL}"
    async with cluster.connect() as connection:
        try:
            async with broken(cluster, "engine-hang"):
                await connection.run(f"{start} {SMALL.format(port=8231)}", check=True)
                await until_logged(connection, "faulty", "Completed | 1/")
                await asyncio.sleep(1.0)
                assert "Loading weights took" not in await log_of(connection, "faulty")
            await until_ready(connection, 8231)
            async with broken(cluster, "engine-stall"):
                assert (await ask(connection, 8231, "/v1/models"))[0] == 200, "its API answers"
                waiting = asyncio.ensure_future(ask(connection, 8231, "/v1/chat/completions", QUESTION))
                await asyncio.sleep(1.0)
                assert not waiting.done(), "and no token comes"
            async with asyncio.timeout(90):
                assert (await waiting)[0] == 200
        finally:
            await connection.run("docker rm -f faulty")


async def test_a_slow_engine_takes_twice_the_time(cluster: Simulator) -> None:
    program = "import sys; sys.path.insert(0, '/opt/sparkdesk-sim/program'); import pace"
    read = f'python3 -c "{program}; print(pace.factor_of(is_eager=False))"'
    async with cluster.connect() as connection:
        async with broken(cluster, "engine-slow"):
            assert str((await connection.run(read, check=True)).stdout).strip() == "2.0"
        assert str((await connection.run(read, check=True)).stdout).strip() == "1.0"


async def until_logged(connection: asyncssh.SSHClientConnection, name: str, words: str) -> None:
    """Wait until a container's log has these words."""
    async with asyncio.timeout(90):
        while words not in await log_of(connection, name):
            await asyncio.sleep(0.1)


async def log_of(connection: asyncssh.SSHClientConnection, name: str) -> str:
    """Both streams of a container."""
    return str((await connection.run(f"docker logs {name} 2>&1")).stdout)


async def test_an_engine_that_crashes_twice_comes_up_the_third_time(cluster: Simulator) -> None:
    words = f"nvcr.io/nvidia/vllm:26.05-py3 vllm serve some/Model {SMALL.format(port=8232)}"
    async with cluster.connect(1) as connection, broken(cluster, "engine-crash-twice", 1):
        for _time in range(2):
            ended = await connection.run(f"{RUN} --rm {words} 2>&1", timeout=90)
            assert (ended.exit_status, "illegal memory access" in str(ended.stdout)) == (1, True)
        try:
            await connection.run(f"{RUN} -d --name third {words}", check=True)
            await until_ready(connection, 8232)
        finally:
            await connection.run("docker rm -f third")
