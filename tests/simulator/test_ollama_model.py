"""A simulated Ollama's models: pulled with progress, cut and gone on with, loaded for a lease and let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from tests.simulator.conftest import PROJECT, Simulator, ask

KEEPER = (PROJECT / "sparkdesk" / "remote" / "ollama.py").read_bytes()
NAME = "llama3.2:3b"


@asynccontextmanager
async def serving(connection: asyncssh.SSHClientConnection) -> AsyncIterator[None]:
    """`ollama serve` while the block runs."""
    process = await connection.create_process("exec ollama serve")
    try:
        async with asyncio.timeout(90):
            while (await connection.run("ollama ps | grep -q Forever")).exit_status:
                await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        await process.wait_closed()


async def pull(connection: asyncssh.SSHClientConnection, name: str) -> list[dict[str, Any]]:
    """The rows of a pull."""
    wish = json.dumps({"model": name})
    text = str((await connection.run(f"curl -sN http://127.0.0.1:11434/api/pull -d '{wish}'")).stdout)
    return [json.loads(line) for line in text.splitlines()]


async def loaded(connection: asyncssh.SSHClientConnection) -> dict[str, dict[str, Any]]:
    """What /api/ps tells, by name."""
    rows = json.loads((await ask(connection, 11434, "/api/ps"))[1])["models"]
    return {row["name"]: row for row in rows}


async def test_a_model_is_pulled_where_it_was_cut_then_loaded_leased_and_let_go(cluster: Simulator) -> None:
    async with cluster.connect() as connection, serving(connection):
        assert (await pull(connection, "nobody/nothing"))[-1] == {"error": "pull model manifest: file does not exist"}
        assert (await pull(connection, "hf.co/example/small-GGUF:Q8_0"))[-1] == {"status": "success"}
        cluster.control("on", "pull-cut", "1")
        try:
            cut = await pull(connection, NAME)
        finally:
            cluster.control("off", "pull-cut", "1")
        assert 0.85 < cut[-1]["completed"] / cut[-1]["total"] < 0.95
        assert (await ask(connection, 11434, "/api/generate", {"model": NAME}))[0] == 404
        rows = await pull(connection, NAME)
        assert rows[-1] == {"status": "success"}
        assert len(rows) < 10
        memory = "awk '/MemAvailable/ {print $2}' /proc/meminfo"
        wish = {"model": NAME, "keep_alive": 60, "stream": False, "options": {"num_ctx": 2048}}
        _status, body = await ask(connection, 11434, "/api/generate", wish)
        assert json.loads(body)["done_reason"] == "load"
        row = (await loaded(connection))[NAME]
        assert (row["context_length"], row["size_vram"], row["expires_at"][:2]) == (2048, 2_000_000_000, "20")
        assert not row["expires_at"].startswith("2318")
        async with asyncio.timeout(90):
            held = int(str((await connection.run(memory, check=True)).stdout))
            await ask(connection, 11434, "/api/generate", {"model": NAME, "keep_alive": 0})
            assert NAME not in await loaded(connection)
            while int(str((await connection.run(memory, check=True)).stdout)) < held:
                await asyncio.sleep(0.1)
        await connection.run(f"curl -s -X DELETE http://127.0.0.1:11434/api/delete -d '{json.dumps(wish)}'", check=True)
        assert NAME not in str((await connection.run("ollama list", check=True)).stdout)


async def test_a_lease_that_runs_out_unloads_and_vectors_are_real(cluster: Simulator) -> None:
    async with cluster.connect() as connection, serving(connection):
        await pull(connection, "nomic-embed-text")
        wish = {"model": "nomic-embed-text", "input": ["one", "two"], "keep_alive": 1}
        _status, body = await ask(connection, 11434, "/api/embed", wish)
        one, two = json.loads(body)["embeddings"]
        assert (len(one) == len(two), one != two) == (True, True)
        async with asyncio.timeout(90):
            while "nomic-embed-text:latest" in await loaded(connection):
                await asyncio.sleep(0.1)


async def test_our_keeper_holds_a_model_and_lets_it_go(cluster: Simulator) -> None:
    async with cluster.connect() as connection, serving(connection):
        await connection.run("cat > ~/keeper.py", input=KEEPER, encoding=None, check=True)
        process = await connection.create_process(
            "SPARKDESK_OLLAMA_PACE=0.1 exec python3 -I ~/keeper.py gpt-oss:20b --context 2048"
        )
        lines: list[str] = []
        async with asyncio.timeout(90):
            while "holding" not in (line := str(await process.stdout.readline())):
                lines.append(line)
                assert line, lines
        assert (await loaded(connection))["gpt-oss:20b"]["context_length"] == 2048
        process.terminate()
        assert "unloaded" in str((await process.wait()).stdout)
        assert "gpt-oss:20b" not in await loaded(connection)
