"""A server for vectors or scores beside a chat model: its plan, its small share, and no speed of text in the tables."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from backends import llamacpp, sglang, vllm
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.flag_table import check_flags
from sparkdesk.core.jobs.plan import GIB, Fit, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.planning.search.table import Verdict, models_table
from tests.backends.context import FLAG_TABLES, context_with, spec_named
from tests.backends.golden import check_golden
from tests.core.planning.planner import reference

EMBED, RERANK = "Qwen/Qwen3-Embedding-0.6B", "Qwen/Qwen3-Reranker-0.6B"
HUB = "/home/nvidia/.cache/huggingface/hub"
EMBED_FILE = "/home/nvidia/models/Qwen3-Embedding-0.6B-Q8_0.gguf"
RERANK_FILE = "/home/nvidia/models/qwen3-reranker-0.6b-q8_0.gguf"
ENGINES: dict[str, Backend] = {each.info.key: each for each in (vllm.backend, sglang.backend, llamacpp.backend)}


def ask(engine: str, model: str, **more: Any) -> LaunchRequest:
    purpose = "embed" if model == EMBED else "rerank"
    fields: dict[str, Any] = {
        "engine": engine, "model": model, "nodes": ("node-1",), "served_name": purpose, "purpose": purpose,
        "port": 8001, "context_tokens": 8192, "concurrency": 4,
    }  # fmt: skip
    if engine == "llamacpp":
        fields |= {"weights_path": EMBED_FILE if model == EMBED else RERANK_FILE, "quantization": "Q8_0"}
    return LaunchRequest.model_validate({**fields, **more})


CASES = {
    "vllm_embed_catalogue": ask("vllm", EMBED),
    "vllm_rerank_catalogue": ask("vllm", RERANK),
    "sglang_embed_catalogue": ask("sglang", EMBED),
    "llamacpp_embed_catalogue": ask("llamacpp", EMBED),
    "llamacpp_rerank_catalogue": ask("llamacpp", RERANK),
}


def context_of(request: LaunchRequest, **node: object) -> Any:
    files = {EMBED_FILE: 639_150_592, RERANK_FILE: 639_153_184}
    return context_with(spec_named(request.model), **{"weight_files": files, **node})


def words_of(request: LaunchRequest) -> list[str]:
    spec = next(
        action.content
        for step in ENGINES[request.engine].plan(request, context_of(request)).playbook.steps()
        for action in step.apply
        if getattr(action, "path", "").endswith("/spec.json")
    )
    return list(json.loads(spec)["argv"])


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_plan_of_a_small_server_is_the_reviewed_text(name: str) -> None:
    check_golden(name, ENGINES[CASES[name].engine].plan(CASES[name], context_of(CASES[name])))


def test_each_engine_is_told_its_purpose_in_its_own_words() -> None:
    embed, rerank = words_of(ask("vllm", EMBED)), words_of(ask("vllm", RERANK))
    assert embed[embed.index("--runner") + 1] == rerank[rerank.index("--runner") + 1] == "pooling"
    assert "--hf-overrides" not in embed
    assert json.loads(rerank[rerank.index("--hf-overrides") + 1])["classifier_from_token"] == ["no", "yes"]
    for flag in ("--hf-overrides", "--hf_overrides", "--hf_overrides.x"):
        told = words_of(ask("vllm", RERANK, extra_flags=(flag, "{}")))
        assert [word for word in told if word.replace("_", "-").startswith("--hf-overrides")] == [flag]
    assert check_flags(rerank[rerank.index(RERANK) + 1 :], FLAG_TABLES["vllm"]) == []
    assert "--is-embedding" in words_of(ask("sglang", EMBED))
    embed = words_of(ask("llamacpp", EMBED))
    assert embed[embed.index("--embedding") :][:3] == ["--embedding", "--pooling", "last"]
    assert "--reranking" in words_of(ask("llamacpp", RERANK))
    told = words_of(ask("llamacpp", EMBED, extra_flags=("--pooling", "mean")))
    assert told.count("--pooling") == 1


def test_a_ranker_that_lacks_its_form_of_a_prompt_in_vllm_is_warned_of() -> None:
    def warned(request: LaunchRequest) -> list[str]:
        problems = ENGINES[request.engine].problems(request, context_of(request))
        assert not [one for one in problems if one.severity is Severity.ERROR]
        return [one.remedy for one in problems if "form of a prompt" in one.message]

    (remedy,) = warned(ask("vllm", RERANK))
    assert "llama.cpp" in remedy
    for flag in ("--chat-template", "--chat_template"):
        assert warned(ask("vllm", RERANK, extra_flags=(flag, "/t.jinja"))) == []
    assert warned(ask("llamacpp", RERANK)) == []
    assert warned(ask("vllm", EMBED)) == []


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_small_model_takes_a_small_share_that_fits_beside_a_chat_model(engine: str) -> None:
    beside = {"mem_available_bytes": 30 * GIB}  # what vLLM's usual share of 0.7 leaves of an idle Spark
    plan = ENGINES[engine].plan(ask(engine, EMBED), context_of(ask(engine, EMBED), **beside))
    if engine == "vllm":
        assert "--gpu-memory-utilization 0.10" in plan.commands[0].text
        assert plan.ledgers[0].fit in (Fit.FITS, Fit.TIGHT)
    assert not [
        one
        for one in ENGINES[engine].problems(ask(engine, EMBED), context_of(ask(engine, EMBED), **beside))
        if one.severity is Severity.ERROR
    ]


def test_what_can_run_promises_no_speed_of_text_for_a_model_that_writes_none() -> None:
    specs = [spec_named(EMBED), spec_named(RERANK), spec_named("meta-llama/Llama-3.1-8B-Instruct")]
    place = Place((NodeRoom("n", "n", 130_595_926_016, 118 * GIB),))
    embed, rerank, chat = models_table(specs, place, reference(), (1,))
    for row in (embed, rerank):
        assert row.cells[0].verdict is Verdict.FITS
        assert math.isnan(row.cells[0].user_tok_s.value)
    assert chat.cells[0].user_tok_s.value > 0
    assert [spec.is_generator for spec in specs] == [False, False, True]
