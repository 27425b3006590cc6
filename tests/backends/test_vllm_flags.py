"""Every flag of a vLLM plan is one that the engine's own source declares, with as many words as it takes."""

from __future__ import annotations

import tomllib

import pytest

from backends import vllm
from sparkdesk.core.jobs.flag_table import check_flags
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import FLAG_TABLES, ROOT, context_with, spec_named
from tests.backends.test_golden_plans import GPT_OSS, LLAMA, ON_LINE, QWEN, UPSTREAM

TABLE = tomllib.loads((ROOT / "resources/flags/vllm-0.33.0.toml").read_text())
FLAGS = FLAG_TABLES["vllm"]


def engine_words(request: LaunchRequest) -> list[str]:
    """The engine's own words of a plan: what follows the image, without `vllm serve` and the model."""
    plan = vllm.backend.plan(request, context_with(spec_named(request.model)))
    words = plan.commands[0].text.replace("\\\n", " ").split()
    return words[words.index(request.model) + 1 :]


@pytest.mark.parametrize(
    "request_", [LLAMA, UPSTREAM, QWEN, ON_LINE], ids=["nvidia", "upstream", "tuned-mtp", "eager-ngram"]
)
def test_every_flag_of_a_plan_is_in_the_engines_own_table(request_: LaunchRequest) -> None:
    assert check_flags(engine_words(request_), FLAGS) == []


def test_only_the_patched_image_gets_the_flags_that_only_it_has() -> None:
    unknown = check_flags(engine_words(GPT_OSS), FLAGS)
    assert unknown == ["--mxfp4-backend is not known", "--mxfp4-layers is not known"]
    words = vllm.backend.plan(GPT_OSS, context_with(spec_named(GPT_OSS.model))).commands[0].text
    assert "sparkarena/spark-vllm-docker:mxfp4" in words


@pytest.mark.parametrize("hub_id", sorted(vllm.TUNINGS))
def test_every_tuned_build_of_the_stock_image_has_flags_that_vllm_knows(hub_id: str) -> None:
    tuning = vllm.TUNINGS[hub_id]
    assert tuning.image or check_flags(tuning.flags, FLAGS) == []


def test_a_flag_that_vllm_does_not_know_is_found() -> None:
    words = engine_words(LLAMA.model_copy(update={"extra_flags": ("--max-modle-len", "5")}))
    assert "--max-modle-len is not known" in check_flags(words, FLAGS)


def test_a_flag_with_a_missing_or_foreign_value_is_found() -> None:
    assert check_flags(["--max-model-len"], FLAGS)
    assert check_flags(["--uvicorn-log-level", "loud"], FLAGS)


def test_the_table_names_its_release_and_holds_the_flags_that_playbooks_use() -> None:
    names = {flag["name"] for flag in TABLE["flag"]}
    assert TABLE["version"] == "0.33.0"
    assert TABLE["count"] == len(names) > 250
    assert {"--max-model-len", "--kv-cache-dtype", "--enable-auto-tool-choice", "--speculative-config"} <= names


def test_a_quantization_of_another_engine_is_refused_at_its_field() -> None:
    request = LLAMA.model_copy(update={"quantization": "Q4_1"})
    problems = vllm.backend.problems(request, context_with(spec_named(request.model)))
    assert [problem.field for problem in problems if problem.severity == "error"] == ["quantization"]


def test_the_words_for_kernels_and_loaders_are_vllms_own() -> None:
    flags = {flag["name"]: flag for flag in TABLE["flag"]}
    assert set(vllm.MOE_BACKENDS) <= set(flags["--moe-backend"]["choices"])
    assert {"pooling", "generate"} <= set(flags["--runner"]["choices"])
