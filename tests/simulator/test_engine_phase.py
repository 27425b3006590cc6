"""Simulated engines in containers: their phases, what they refuse, their metrics and keys, and failures by name."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import pytest

from tests.simulator.conftest import Simulator, ask, until_ready

RUN = "docker run --gpus all --ipc host --network host"
VLLM = "nvcr.io/nvidia/vllm:26.05-py3 vllm serve"
SGLANG = "lmsysorg/sglang:latest-cu130 python3 -m sglang.launch_server --model-path"
TRTLLM = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13 trtllm-serve"
LARGE = "openai/gpt-oss-120b"
QUESTION = {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 12, "temperature": 0}


@asynccontextmanager
async def running(connection: asyncssh.SSHClientConnection, name: str, words: str, port: int) -> AsyncIterator[Any]:
    """A container that answers, while the block runs; its log is read by `log_of`."""
    await connection.run(f"docker rm -f {name}; {RUN} -d --name {name} {words}", check=True)
    try:
        await until_ready(connection, port, name)
        yield name
    finally:
        await connection.run(f"docker rm -f {name}")


async def log_of(connection: asyncssh.SSHClientConnection, name: str) -> str:
    """Both streams of a container."""
    return str((await connection.run(f"docker logs {name} 2>&1", check=True)).stdout)


async def outcome(connection: asyncssh.SSHClientConnection, words: str) -> tuple[int | None, str]:
    """Exit code and log of a container that ends of itself."""
    result = await connection.run(f"{RUN} --rm {words} 2>&1", timeout=100)
    return result.exit_status, str(result.stdout)


def in_order(text: str, *words: str) -> bool:
    """Whether these stand in the text one after another."""
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return False
    return True


async def test_vllm_goes_through_its_phases_with_the_asked_models_size(cluster: Simulator) -> None:
    flags = "--port 8200 --max-model-len 4096 --gpu-memory-utilization 0.7 --moe-backend marlin --served-model-name big"
    async with (
        cluster.connect() as connection,
        running(connection, "phases", f"{VLLM} {LARGE} {flags} --attention-backend flashinfer", 8200),
    ):
        text = await log_of(connection, "phases")
        assert in_order(
            text, "[simulated]", "Using AttentionBackendEnum.FLASHINFER backend.", "Using 'MARLIN' Mxfp4 MoE backend.",
            "Starting to load model", "100% Completed", "Model loading took 61.00 GiB memory", "torch.compile took",
            "Available KV cache memory", "GPU KV cache size", "Capturing CUDA graphs", "Graph capturing finished in",
            "init engine", "Application startup complete.",
        )  # fmt: skip
        assert "small model's" not in text
        kv = float(re.search(r"Available KV cache memory: ([\d.]+) GiB", text)[1])  # type: ignore[index]
        assert 0.7 * 121.63 - 61.0 - 3 < kv < 0.7 * 121.63 - 61.0
        for _time in range(2):
            status, _body = await ask(connection, 8200, "/v1/chat/completions", QUESTION | {"model": "big"})
            assert status == 200
        await ask(connection, 8200, "/v1/chat/completions", QUESTION | {"model": "big", "stream": True})
        _status, page = await ask(connection, 8200, "/metrics")
        rows = dict(line.rsplit(" ", 1) for line in page.decode().splitlines() if not line.startswith("#"))
        label = 'engine="0",model_name="big"'
        assert float(rows[f"vllm:time_to_first_token_seconds_count{{{label}}}"]) == 3
        assert float(rows[f'vllm:time_to_first_token_seconds_bucket{{{label},le="+Inf"}}']) == 3
        assert float(rows[f"vllm:inter_token_latency_seconds_count{{{label}}}"]) > 0
        assert float(rows[f"vllm:prefix_cache_hits_total{{{label}}}"]) > 0
        assert float(rows[f"vllm:num_preemptions_total{{{label}}}"]) == 0


async def test_an_eager_vllm_has_no_graphs_and_is_slower(cluster: Simulator) -> None:
    flags = "--port 8201 --max-model-len 4096 --gpu-memory-utilization 0.3 --enforce-eager"
    async with cluster.connect() as connection, running(connection, "eager", f"{VLLM} some/Model {flags}", 8201):
        text = await log_of(connection, "eager")
        assert "Enforce eager set, disabling torch.compile, CUDAGraphs" in text
        assert "Capturing CUDA graphs" not in text
        assert "the small model's stands in" in text


async def test_vllm_asks_for_its_key_but_tells_its_health(cluster: Simulator) -> None:
    words = f"--env VLLM_API_KEY {VLLM} some/Model --port 8202 --max-model-len 4096 --gpu-memory-utilization 0.3"
    async with cluster.connect() as connection:
        starting = f"VLLM_API_KEY=k3y {RUN} -d --name keyed {words}"
        await connection.run(f"docker rm -f keyed; {starting}", check=True)
        try:
            await until_ready(connection, 8202, "keyed")
            status, body = await ask(connection, 8202, "/v1/models")
            assert (status, json.loads(body)) == (401, {"error": "Unauthorized"})
            asked = (
                "curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer k3y' http://127.0.0.1:8202/v1/models"
            )
            assert (await connection.run(asked, check=True)).stdout == "200"
            assert "k3y" not in await log_of(connection, "keyed")
        finally:
            await connection.run("docker rm -f keyed")


async def test_vllm_embeds_and_ranks_by_real_vectors_and_does_not_chat_then(cluster: Simulator) -> None:
    flags = "--port 8203 --runner pooling --gpu-memory-utilization 0.2 --served-model-name vec"
    async with cluster.connect() as connection, running(connection, "embed", f"{VLLM} some/Embed {flags}", 8203):
        status, body = await ask(connection, 8203, "/v1/embeddings", {"model": "vec", "input": ["one", "two"]})
        vectors = [row["embedding"] for row in json.loads(body)["data"]]
        assert status == 200
        assert vectors[0] != vectors[1]
        wish = {"model": "vec", "query": "hello", "documents": ["good bye", "hello"]}
        _status, body = await ask(connection, 8203, "/v1/rerank", wish)
        results = json.loads(body)["results"]
        assert [row["index"] for row in results] == [1, 0]
        assert results[0]["relevance_score"] == pytest.approx(1.0, abs=1e-3)
        assert (await ask(connection, 8203, "/v1/chat/completions", QUESTION | {"model": "vec"}))[0] == 404


async def test_sglang_is_ready_only_after_its_warm_up_and_counts_only_when_told(cluster: Simulator) -> None:
    words = f"{SGLANG} {LARGE} --port 30001 --mem-fraction-static 0.7 --context-length 4096 --api-key s3cret"
    async with cluster.connect(1) as connection:
        await connection.run("docker pull -q lmsysorg/sglang:latest-cu130", check=True)
        async with running(connection, "sgl", f"{words} --enable-metrics", 30001):
            assert in_order(
                await log_of(connection, "sgl"), "[simulated]", "Attention backend not specified. Use",
                "Load weight begin. avail mem=", "Load weight end. elapsed=", "mem usage=61.00 GB.",
                "KV Cache is allocated. dtype: torch.bfloat16, #tokens:", "Memory pool end. avail mem=",
                "Capture target decode CUDA graph begin.", "Capture target decode CUDA graph end. elapsed=",
                "max_total_num_tokens=", "The server is fired up and ready to roll!",
            )  # fmt: skip
            assert "s3cret" not in await log_of(connection, "sgl")
            assert (await ask(connection, 30001, "/v1/models"))[0] == 401
            assert (await ask(connection, 30001, "/get_model_info"))[0] == 401
            _status, page = await ask(connection, 30001, "/metrics")
            assert b"sglang:time_to_first_token_seconds_bucket" in page
            assert b"sglang:token_usage" in page
        async with running(connection, "sgl", f"{SGLANG} some/M --port 30001 --mem-fraction-static 0.2", 30001):
            assert (await ask(connection, 30001, "/metrics"))[0] == 404
            status, body = await ask(connection, 30001, "/v1/chat/completions", QUESTION)
            assert (status, json.loads(body)["usage"]["completion_tokens"] > 0) == (200, True)


async def test_trtllm_reads_its_options_and_tells_its_statistics_as_json(cluster: Simulator) -> None:
    options = (
        "mkdir -p ~/trt && printf 'enable_iter_perf_stats: true\\nreturn_perf_metrics: true\\nkv_cache_config:\\n"
        "  free_gpu_memory_fraction: 0.5\\n  dtype: fp8\\n' > ~/trt/o.yml && printf 'nope: 1\\n' > ~/trt/bad.yml"
    )
    image = f"-v /home/nvidia/trt:/trt {TRTLLM} {LARGE} --max_batch_size 8 --port 8355"
    async with cluster.connect(1) as connection:
        await connection.run(options, check=True)
        await connection.run("docker pull -q nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13", check=True)
        code, text = await outcome(connection, f"{image} --extra_llm_api_options /trt/bad.yml")
        assert (code, "nope\n" in text, "  Extra inputs are not permitted" in text) == (1, True, True), text
        async with running(connection, "trt", f"{image} --extra_llm_api_options /trt/o.yml", 8355):
            assert in_order(
                await log_of(connection, "trt"), "TensorRT-LLM version:", "[simulated]",
                "Use 61.00 GB for model weights.", "Loading weights: 100%", "Model init total --",
                "Run generation only CUDA graph warmup",
                "fraction is set 0.5", "for max tokens in paged KV cache (", "Application startup complete.",
                "Uvicorn running on http://localhost:8355",
            )  # fmt: skip
            status, _body = await ask(connection, 8355, "/v1/chat/completions", QUESTION)
            assert status == 200
            _status, body = await ask(connection, 8355, "/metrics")
            assert {"numActiveRequests", "gpuMemUsage", "kvCacheStats"} <= set(json.loads(body)[0])
            assert json.loads((await ask(connection, 8355, "/metrics"))[1]) == []
            _status, page = await ask(connection, 8355, "/prometheus/metrics")
            assert b"trtllm_time_to_first_token_seconds_count" in page
            listening = str((await connection.run("ss -Hltn", check=True)).stdout)
            assert "127.0.0.1:8355" in listening


async def test_trtllm_makes_no_larger_cache_than_its_options_ask_for(cluster: Simulator) -> None:
    """Of max_tokens and the share of free memory the smaller counts, in whole blocks."""
    options = "kv_cache_config:\\n  free_gpu_memory_fraction: 0.5\\n  max_tokens: {}\\n"
    write = f"mkdir -p ~/trt && printf '{options}' > ~/trt/k.yml"
    image = f"-v /home/nvidia/trt:/trt {TRTLLM} {LARGE} --max_batch_size 8 --port 8356"
    async with cluster.connect(1) as connection:
        await connection.run("docker pull -q nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13", check=True)
        told = []
        for asked in (4097, 2_000_000_000):
            await connection.run(write.format(asked), check=True)
            async with running(connection, "trtkv", f"{image} --extra_llm_api_options /trt/k.yml", 8356):
                found = re.search(r"paged KV cache \((\d+)\)", await log_of(connection, "trtkv"))
                told.append(int(found[1]) if found else 0)
        assert told[0] == 4128
        assert 4128 < told[1] < 2_000_000_000


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (f"{SGLANG} x --nope 3", 2, "unrecognized arguments: --nope 3"),
        (f"{SGLANG} x --mem-fraction-static x", 2, "invalid float value: 'x'"),
        ("lmsysorg/sglang:latest-cu130 python3 -m sglang.launch_server", 2, "--model-path"),
        (f"{TRTLLM} x --nope 3", 2, "Error: No such option: --nope"),
        (f"{TRTLLM} x --max_batch_size y", 2, "'y' is not a valid integer"),
        (f"{TRTLLM} x --extra_llm_api_options /nowhere.yml", 1, "No such file or directory: '/nowhere.yml'"),
        (f"{VLLM} {LARGE} --gpu-memory-utilization 0.45", 1, "No available memory for the cache blocks."),
        (f"{VLLM} Qwen/Qwen3-8B --max-model-len 4000000 --gpu-memory-utilization 0.5", 1,
         "estimated maximum model length is "),
    ],
)  # fmt: skip
async def test_an_engine_refuses_what_the_real_one_refuses(
    cluster: Simulator, words: str, code: int, reason: str
) -> None:
    async with cluster.connect(1) as connection:
        found, text = await outcome(connection, words)
        assert (found, reason in text) == (code, True), text


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("engine-gated", 1, "Cannot access gated repo for url"),
        ("engine-unsupported", 1, "are not supported for now"),
        ("engine-no-kv", 1, "larger than the available KV cache memory (0.06 GiB)"),
        ("engine-ptxas", 1, "ptxas fatal"),
        ("engine-crash", 1, "illegal memory access"),
    ],
)
async def test_a_failure_of_a_start_has_its_own_words(cluster: Simulator, fault: str, code: int, reason: str) -> None:
    async with cluster.connect() as connection:
        cluster.control("on", fault, "1")
        try:
            flags = "--port 8205 --gpu-memory-utilization 0.3"
            found, text = await outcome(connection, f"{VLLM} Qwen/Qwen3-8B {flags}")
        finally:
            cluster.control("off", fault, "1")
        assert (found, reason in text) == (code, True), text


async def test_a_container_that_the_kernel_killed_says_so(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        cluster.control("on", "engine-oom", "1")
        try:
            words = f"{RUN} --name oom {VLLM} some/Model --port 8206 --gpu-memory-utilization 0.3"
            result = await connection.run(words, timeout=100)
        finally:
            cluster.control("off", "engine-oom", "1")
        shown = await connection.run("docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom; docker rm oom")
        assert (result.exit_status, str(shown.stdout).splitlines()[0]) == (137, "true 137")


async def test_a_dead_engine_answers_500_behind_a_face_that_goes_on(cluster: Simulator) -> None:
    flags = "--port 8207 --max-model-len 4096 --gpu-memory-utilization 0.3 --served-model-name some"
    async with cluster.connect() as connection, running(connection, "dying", f"{VLLM} some/Model {flags}", 8207):
        cluster.control("on", "engine-dead", "1")
        try:
            async with asyncio.timeout(90):
                while (await ask(connection, 8207, "/health"))[0] != 503:
                    await asyncio.sleep(0.1)
        finally:
            cluster.control("off", "engine-dead", "1")
        assert (await ask(connection, 8207, "/v1/models"))[0] == 200
        status, body = await ask(connection, 8207, "/v1/chat/completions", QUESTION | {"model": "some"})
        assert status == 500
        assert b"EngineCore encountered an issue" in body
        assert "EngineDeadError" in await log_of(connection, "dying")


async def test_a_leaking_engine_eats_memory_until_it_is_killed(cluster: Simulator) -> None:
    read = "awk '/MemAvailable/ {print $2}' /proc/meminfo"
    flags = "--port 8208 --max-model-len 4096 --gpu-memory-utilization 0.2"
    async with cluster.connect() as connection:

        async def available_kb() -> int:
            return int(str((await connection.run(read, check=True)).stdout))

        async with running(connection, "leaking", f"{VLLM} some/Model {flags}", 8208):
            before = await available_kb()
            cluster.control("on", "engine-leak", "1")
            try:
                async with asyncio.timeout(90):
                    while await available_kb() > before - 12_000_000:
                        await asyncio.sleep(0.1)
            finally:
                cluster.control("off", "engine-leak", "1")
        async with asyncio.timeout(90):
            while await available_kb() < before:
                await asyncio.sleep(0.1)
