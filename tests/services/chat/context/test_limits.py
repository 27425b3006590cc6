"""The real limit of one request, as each engine tells it, and as none does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.services.chat.context.limits import ServerLimit, ServerLimits, learn_limit
from tests.servers.llamacpp import llama_server
from tests.services.chat.context.window_desk import Page, Pages, serving, target

CAPTURES = Path(__file__).resolve().parents[3] / "data" / "captures"


def page(answer: object, status: int = 200) -> Page:
    def give(_body: Mapping[str, Any]) -> tuple[int, object]:
        return status, answer

    return give


async def learned(server: Pages, *, engine: str = "", model: str = "m", known: int | None = None) -> ServerLimit:
    at = target(server.port, engine=engine, model=model, context_tokens=known)
    async with at.source() as client:
        return await learn_limit(client, at.endpoint)


async def test_a_real_llama_server_tells_the_limit_of_one_slot() -> None:
    with llama_server(context_tokens=1024, slots=2) as llama:
        at = target(llama.port, engine="")
        async with at.source() as client:
            assert await learn_limit(client, at.endpoint) == ServerLimit(512, 2, "llamacpp")
        for plan in (256, 4096):
            planned = target(llama.port, context_tokens=plan)
            async with planned.source() as client:
                assert (await learn_limit(client, planned.endpoint)).context_tokens == 512, "whatever a plan said"


async def test_a_recorded_vllm_tells_its_limit_in_its_list_of_models() -> None:
    models = json.loads((CAPTURES / "vllm_cpu" / "models.json").read_bytes())
    async with serving({"/v1/models": page(models)}) as server:
        assert await learned(server, model="smollm2-135m") == ServerLimit(2048, None, "vllm")


async def test_a_recorded_router_of_llamacpp_tells_it_of_the_model_that_is_loaded() -> None:
    props = json.loads((CAPTURES / "llamacpp_router" / "router_props.json").read_bytes())
    models = json.loads((CAPTURES / "llamacpp_router" / "router_models_loaded.json").read_bytes())
    async with serving({"/props": page(props), "/v1/models": page(models)}) as server:
        assert await learned(server, model="SmolLM2-135M-Instruct.Q4_1") == ServerLimit(2048, None, "llamacpp")
        assert (await learned(server, model="gemma-3-270m-q4_k_m")).context_tokens is None


async def test_ollama_tells_it_of_a_loaded_model() -> None:
    loaded = {"models": [{"name": "qwen:latest", "model": "qwen:latest", "context_length": 4096}]}
    models = {"data": [{"id": "qwen", "owned_by": "library"}]}
    async with serving({"/v1/models": page(models), "/api/ps": page(loaded)}) as server:
        assert await learned(server, model="qwen") == ServerLimit(4096, None, "ollama")


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>sign in</html>",
        b"\xff\xfe",
        [],
        {"default_generation_settings": [], "total_slots": -1},
        {"default_generation_settings": {"n_ctx": True}, "total_slots": 1e9},
        {"default_generation_settings": {"n_ctx": "4096"}, "data": [{"id": "m", "max_model_len": "x"}]},
        {"models": [None, {"model": "m", "context_length": -5}]},
    ],
)
async def test_what_is_no_limit_stays_unknown(answer: object) -> None:
    async with serving({"/props": page(answer), "/v1/models": page(answer), "/api/ps": page(answer)}) as server:
        assert (await learned(server)).context_tokens is None


async def test_a_server_that_is_gone_leaves_what_was_known() -> None:
    at = target(1, engine="vllm", context_tokens=8192)
    async with at.source() as client:
        assert (await learn_limit(client, at.endpoint)).context_tokens == 8192


async def test_a_server_is_asked_once_and_not_before_each_question() -> None:
    limits = ServerLimits()
    async with serving({"/v1/models": page({"data": [{"id": "m", "max_model_len": 4096}]})}) as server:
        at = target(server.port, engine="vllm", model="m")
        async with at.source() as client:
            for _ in range(5):
                assert (await limits.learn(at, client)).context_tokens == 4096
            assert server.paths() == ["/v1/models"]
            assert limits.known(at).context_tokens == 4096
            await limits.learn(at, client, is_anew=True)
        assert len(server.asked) == 2


async def test_a_server_that_told_no_limit_is_asked_again_but_not_each_time() -> None:
    limits = ServerLimits()
    async with serving({}) as server:
        at = target(server.port, engine="vllm", model="m")
        async with at.source() as client:
            for _ in range(10):
                assert (await limits.learn(at, client)).context_tokens is None
        assert server.paths() == ["/v1/models"] * 2


async def test_what_a_server_told_holds_while_it_is_silent() -> None:
    limits = ServerLimits()
    pages = {"/v1/models": page({"data": [{"id": "m", "max_model_len": 4096}]})}
    async with serving(pages) as server:
        at = target(server.port, engine="vllm", model="m")
        async with at.source() as client:
            await limits.learn(at, client)
            pages.clear()
            assert (await limits.learn(at, client, is_anew=True)).context_tokens == 4096
            pages["/v1/models"] = page({"data": [{"id": "m", "max_model_len": 8192}]})
            assert (await limits.learn(at, client, is_anew=True)).context_tokens == 8192
