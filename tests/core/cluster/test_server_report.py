"""What a node serves is read from a stranger's words: captures of real servers, and anything at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.server_report import read_models, read_server_report, with_models

CAPTURES = Path(__file__).parents[2] / "data" / "captures"


def capture(name: str) -> str:
    return (CAPTURES / name).read_text("utf-8")


def answered(body: str = "", status: int = 200, **more: Any) -> dict[str, Any]:
    return {"status": status, "server": "", "body": body, "cut": False, **more}


def one(answers: dict[str, Any], *, port: int = 8000, **more: Any) -> FoundServer | None:
    """The one server in a report about it."""
    answer = {"servers": [{"port": port, "host": "127.0.0.1", "answers": answers}], "is_whole": True, **more}
    servers = read_server_report(answer, node_id="n1", t_ms=7).servers
    return servers[0] if servers else None


def models(*names: str, owner: str = "") -> str:
    return json.dumps({"object": "list", "data": [{"id": name, "owned_by": owner} for name in names]})


def test_a_vllm_is_known_by_its_metrics() -> None:
    server = one(
        {
            "/v1/models": answered(capture("vllm_cpu/models.json")),
            "/health": answered(),
            "/metrics": {"status": 200, "server": "uvicorn", "prefixes": ["vllm"]},
        },
        listeners=[{"address": "0.0.0.0", "port": 8000, "uid": 0, "owner": "root"}],
        containers=[{"name": "vllm-main", "ports": [8000], "labels": {}}],
    )
    assert server == FoundServer(
        id="n1:8000",
        node_id="n1",
        host="127.0.0.1",
        port=8000,
        api="openai",
        engine="vllm",
        title="smollm2-135m · vLLM",
        models=("smollm2-135m",),
        context_tokens=(2048,),
        container="vllm-main",
        owner="root",
        is_healthy=True,
        has_metrics=True,
        is_exposed=True,
        t_ms=7,
    )


def test_a_llama_cpp_without_metrics_is_known_by_its_models() -> None:
    server = one({"/v1/models": answered(capture("llamacpp_smollm2/models.json")), "/health": answered("{}")})
    assert server is not None
    assert (server.engine, server.models, server.context_tokens) == ("llamacpp", ("smollm2-135m",), (2048,))
    assert server.has_metrics is False
    assert server.is_exposed is None


@pytest.mark.parametrize("name", ["router_models", "router_models_loaded"])
def test_a_llama_server_of_several_models_is_known_before_and_after_it_loads_one(name: str) -> None:
    server = one(
        {"/v1/models": answered(capture(f"llamacpp_router/{name}.json")), "/health": answered('{"status":"ok"}')}
    )
    assert server is not None
    assert (server.engine, server.models[:1]) == ("llamacpp", ("SmolLM2-135M-Instruct.Q4_1",))
    assert server.is_healthy is True


def test_a_server_that_wants_a_key_is_shown() -> None:
    refusal = capture("llamacpp_auth/err_401_no_key.json")
    server = one({"/v1/models": answered(refusal, 401, server="llama.cpp"), "/health": answered()})
    assert server is not None
    assert (server.needs_key, server.engine, server.models) == (True, "llamacpp", ())
    assert server.title == "llama.cpp on port 8000"


def test_a_server_that_loads_is_not_healthy_yet() -> None:
    loading = '{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
    server = one({"/v1/models": answered(loading, 503, server="llama.cpp"), "/health": answered(loading, 503)})
    assert server is not None
    assert (server.is_healthy, server.note, server.needs_key) == (False, "Loading model", False)


def test_ollama_lists_what_is_in_memory_first() -> None:
    server = one(
        {
            "/v1/models": answered(models("llama3.2:1b", "qwen3.6:latest", owner="library")),
            "/health": answered("", 404),
            "/api/ps": answered('{"models":[{"name":"qwen3.6:latest","size_vram":1}]}'),
            "/api/version": answered('{"version":"0.15.2"}'),
        },
        port=11434,
        listeners=[{"address": "127.0.0.1", "port": 11434, "uid": 997, "owner": "ollama", "program": "ollama"}],
    )
    assert server is not None
    assert (server.api, server.engine, server.title) == ("ollama", "ollama", "qwen3.6:latest +1 · Ollama")
    assert (server.note, server.is_healthy, server.is_exposed) == ("In memory: qwen3.6:latest", True, False)
    assert (server.process, server.owner) == ("ollama", "ollama")


@pytest.mark.parametrize(
    ("owner", "engine", "title"),
    [
        ("tensorrt_llm", "trtllm", "gpt-oss-120b · TensorRT-LLM"),
        ("sglang", "sglang", "gpt-oss-120b · SGLang"),
        ("somebody", "", "gpt-oss-120b"),
    ],
)
def test_an_engine_is_guessed_from_who_owns_the_model(owner: str, engine: str, title: str) -> None:
    server = one({"/v1/models": answered(models("openai/gpt-oss-120b", owner=owner))})
    assert server is not None
    assert (server.engine, server.title) == (engine, title)


@pytest.mark.parametrize(
    "answers",
    [
        {"/v1/models": answered("<!doctype html><title>Notebook</title>")},
        {"/v1/models": answered("{}")},
        {"/v1/models": answered('{"data": []}')},
        {"/v1/models": answered("no key", 401)},
        {"/v1/models": answered("", 404), "/api/ps": answered("<html>")},
        {},
    ],
)
def test_what_is_no_model_server_is_left_out(answers: dict[str, Any]) -> None:
    assert one(answers) is None


def test_servers_in_containers_of_our_own_jobs_are_left_out() -> None:
    own = [{"name": "sparkdesk-abc", "ports": [8000], "labels": {"sparkdesk.job": "abc"}}]
    assert one({"/v1/models": answered(models("m"))}, containers=own) is None


def test_a_hostile_name_is_shown_plainly_or_not_at_all() -> None:
    server = one(
        {"/v1/models": answered(models("evil\x1b[31m\nname", "good"))},
        containers=[{"name": "a\x1b[2J\u202eb", "ports": [8000]}],
        listeners=[{"address": "::", "port": 8000, "owner": "x\ny"}],
    )
    assert server is not None
    assert server.models == ("good",)
    assert not set(server.container + server.owner) & set("\x1b\n\u202e")


def test_a_host_that_is_no_address_is_refused() -> None:
    row = {"port": 8000, "host": "evil.example", "answers": {"/v1/models": answered(models("m"))}}
    assert read_server_report({"servers": [row]}, node_id="n", t_ms=0).servers == ()


def test_a_key_opens_the_list_of_models() -> None:
    locked = FoundServer("n:1", "n", "127.0.0.1", 1, "openai", needs_key=True, note="It answers only with a key")
    opened = with_models(locked, capture("vllm_cpu/models.json"))
    assert opened is not None
    assert (opened.needs_key, opened.note, opened.models) == (False, "", ("smollm2-135m",))
    assert with_models(locked, "{}") is None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_answers = st.dictionaries(
    st.sampled_from(["/v1/models", "/health", "/metrics", "/api/ps", "/api/version"]),
    _json | st.fixed_dictionaries({"status": _json | st.just(200), "body": _json | st.just('{"data":[{"id":3}]}')}),
    max_size=5,
)
_row = st.fixed_dictionaries({"port": _json | st.just(8000), "host": _json | st.just("127.0.0.1"), "answers": _answers})


@given(
    st.fixed_dictionaries(
        {
            "servers": _json | st.lists(_row, max_size=3),
            "listeners": _json | st.lists(_json, max_size=3),
            "containers": _json | st.lists(st.fixed_dictionaries({"ports": _json, "labels": _json}), max_size=2),
            "left": _json,
        }
    )
)
def test_any_answer_is_read_without_a_fall(answer: dict[str, Any]) -> None:
    for server in read_server_report(answer, node_id="n", t_ms=0).servers:
        assert 0 < server.port < 65536
        assert len(server.context_tokens) == len(server.models)


@given(st.text() | st.binary())
def test_any_list_of_models_is_read_without_a_fall(body: str | bytes) -> None:
    read_models(body)
