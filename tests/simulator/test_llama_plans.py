"""What the llama.cpp adapter writes is what real llama.cpp does: vectors, drafts, keys, and its own truth."""

from __future__ import annotations

import json
import shlex

import pytest

from backends import llamacpp
from sparkdesk.core.jobs.backend import LogFailure, Reading
from sparkdesk.core.jobs.reading import ENGINE_KEYS, GRAPH_BYTES, KV_CAPACITY_TOKENS, START_S, WEIGHTS_BYTES
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import context_with
from tests.simulator.conftest import Simulator, ask, llama

PATH = "/home/nvidia/models/tinytool.gguf"
TINY = LaunchRequest(
    engine="llamacpp",
    model="tinytool",
    weights_path=PATH,
    nodes=("node-1",),
    served_name="tiny",
    context_tokens=1024,
    port=8090,
)


def words_of(request: LaunchRequest) -> str:
    """The plan's own words after the program and its model, for the node's shell."""
    plan = llamacpp.backend.plan(request, context_with(None, weight_files={PATH: 612_000}))
    words = shlex.split(plan.commands[0].text.replace("\\\n", " "))
    return " ".join(word.replace(PATH, "models/tinytool.gguf") for word in words[3:])


def changed(**fields: object) -> LaunchRequest:
    return LaunchRequest.model_validate({**TINY.model_dump(), **fields})


async def test_a_plan_for_vectors_gives_real_vectors(cluster: Simulator) -> None:
    words = words_of(changed(purpose="embed", port=8101, extra_flags=["--pooling", "mean"]))
    async with cluster.connect() as connection, llama(connection, 8101, words):
        status, body = await ask(connection, 8101, "/v1/embeddings", {"input": "ping", "model": "tiny"})
    assert status == 200
    assert len(json.loads(body)["data"][0]["embedding"]) == 96


@pytest.mark.parametrize(
    ("port", "fields"),
    [
        (8102, {"speculative": "ngram", "prefix_caching": False}),
        (8103, {"speculative": "draft", "speculative_model": PATH, "speculative_tokens": 4}),
        (8104, {"prefix_caching": True, "max_batched_tokens": 512, "kv_dtype": "q8_0", "load_format": "none"}),
    ],
)
async def test_a_plan_with_its_choices_answers(cluster: Simulator, port: int, fields: dict[str, object]) -> None:
    question = {"messages": [{"role": "user", "content": "ping"}], "temperature": 0}
    words = words_of(changed(port=port, **fields))
    async with cluster.connect() as connection, llama(connection, port, words):
        status, body = await ask(connection, port, "/v1/chat/completions", question)
    assert status == 200
    assert json.loads(body)["choices"][0]["message"]["content"] == "pong"


async def test_a_key_of_the_environment_is_asked_for(cluster: Simulator) -> None:
    words = words_of(changed(reach="lan", port=8105))
    async with cluster.connect() as connection:
        command = f"LLAMA_API_KEY=s3cret llama-server -m models/tinytool.gguf {words}"
        async with connection.create_process(command) as process:
            line = ""
            while "listening on http" not in line:
                line = await process.stderr.readline()
                assert line, "it ended"
            assert (await ask(connection, 8105, "/v1/models"))[0] == 401
            process.kill()


async def test_the_log_of_a_plan_tells_the_ledgers_parts(cluster: Simulator) -> None:
    reader, found = llamacpp.backend.log_reader(), []
    async with cluster.connect() as connection:
        command = f"llama-server -m models/tinytool.gguf {words_of(changed(port=8106, concurrency=2))}"
        async with connection.create_process(command) as process:
            while not any(isinstance(item, Reading) and item.key == START_S for item in found):
                line = await process.stderr.readline()
                assert line, "it ended"
                found += reader.feed(line)
            process.kill()
    readings = {item.key: item.value for item in found if isinstance(item, Reading)}
    assert readings[KV_CAPACITY_TOKENS] == 2048
    assert readings[WEIGHTS_BYTES] > 500_000
    assert readings[GRAPH_BYTES] > 0
    assert set(readings) <= set(ENGINE_KEYS)
    assert not [item for item in found if isinstance(item, LogFailure)]
