"""Servers that somebody else runs on a node: real engines, no sign of SparkDesk, no port but their own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import asyncssh
import pytest

from tests.simulator.conftest import TINY_MODEL, Simulator, ask, running, until_ready


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A node on which all three run."""
    home = tmp_path_factory.mktemp("busy")
    words = [word for name in ("vllm", "ollama", "llamacpp") for word in ("--running", name)]
    with running(home, home / "state", "--nodes", "1", "--model", str(TINY_MODEL), *words) as simulator:
        if not simulator.line["confined"]:
            pytest.skip(f"namespaces are not allowed here: {simulator.line['reason']}")
        yield simulator


async def ports(connection: asyncssh.SSHClientConnection) -> set[int]:
    """The listening TCP ports of the node."""
    text = str((await connection.run("ss -Hltn", check=True)).stdout)
    return {int(line.split()[3].rpartition(":")[2]) for line in text.splitlines()}


async def test_a_container_without_our_labels_answers_as_vllm(busy: Simulator) -> None:
    async with busy.connect() as connection:
        await until_ready(connection, 8000)
        shown = await connection.run("docker ps --format '{{.Names}}|{{.Labels}}|{{.Ports}}'", check=True)
        assert shown.stdout == "qwen3||127.0.0.1:8000->8000/tcp\n"
        _status, models = await ask(connection, 8000, "/v1/models")
        assert json.loads(models)["data"][0]["owned_by"] == "vllm"


async def test_ollama_answers_its_own_api_and_openais(busy: Simulator) -> None:
    async with busy.connect() as connection:
        await until_up(connection)
        _status, body = await ask(connection, 11434, "/api/version")
        assert set(json.loads(body)) == {"version"}
        _status, body = await ask(connection, 11434, "/api/tags")
        name = json.loads(body)["models"][0]["name"]
        _status, body = await ask(connection, 11434, "/api/ps")
        assert {"size_vram", "context_length", "expires_at"} <= set(json.loads(body)["models"][0])
        question = {"model": name, "messages": [{"role": "user", "content": "ping"}], "stream": False}
        question |= {"options": {"num_predict": 8}, "max_tokens": 8}
        status, body = await ask(connection, 11434, "/api/chat", question)
        answer = json.loads(body)
        assert (status, answer["done"], answer["message"]["role"]) == (200, True, "assistant")
        assert answer["message"]["content"]
        assert answer["eval_count"] > 0
        status, body = await ask(connection, 11434, "/v1/chat/completions", question)
        assert (status, json.loads(body)["model"]) == (200, name)
        status, body = await ask(connection, 11434, "/api/chat", {**question, "model": "nope"})
        assert (status, json.loads(body)) == (404, {"error": "model 'nope' not found"})
        assert (await ask(connection, 11434, "/health"))[0] == 404
        assert (await ask(connection, 11434, "/metrics"))[0] == 404


async def test_ollama_streams_a_line_a_token(busy: Simulator) -> None:
    async with busy.connect() as connection:
        await until_up(connection)
        wish = json.dumps({"model": "smollm2:135m", "prompt": "ping", "options": {"num_predict": 3}})
        found = await connection.run(f"curl -sN http://127.0.0.1:11434/api/generate -d '{wish}'", check=True)
        rows = [json.loads(line) for line in str(found.stdout).splitlines()]
        assert [row["done"] for row in rows] == [False] * (len(rows) - 1) + [True]
        assert rows[-1]["eval_count"] == 3


async def test_only_their_own_ports_listen(busy: Simulator) -> None:
    async with busy.connect() as connection:
        await until_ready(connection, 8000)
        await until_ready(connection, 8080)
        await until_up(connection)
        for_peers = {22}  # SSH in the nodes' own network, where there is one
        assert await ports(connection) - for_peers == {8000, 8080, 11434, 11000, 11002, 11080}


async def until_up(connection: asyncssh.SSHClientConnection) -> None:
    """Wait until Ollama holds its model."""
    wait = "until ollama ps 2>/dev/null | grep -q Forever; do sleep 0.2; done"
    await connection.run(wait, check=True, timeout=90)
