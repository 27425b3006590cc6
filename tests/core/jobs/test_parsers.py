"""Parsers are proposed by the model's family, in the words of the engine that is to run it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.parsers import FAMILIES, REASONING_PARSERS, TOOL_PARSERS, suggested_parsers
from sparkdesk.core.models.catalogue import read_catalogue

ROOT = Path(__file__).resolve().parents[3]
ENGINES = ("vllm", "sglang", "trtllm")


@pytest.mark.parametrize(
    ("model", "engine", "found"),
    [
        ("openai/gpt-oss-120b", "vllm", ("openai", "openai_gptoss")),
        ("openai/gpt-oss-120b", "sglang", ("gpt-oss", "gpt-oss")),
        ("openai/gpt-oss-120b", "trtllm", ("", "")),
        ("MiniMaxAI/MiniMax-M2.5", "vllm", ("minimax_m2", "minimax_m2")),
        ("MiniMaxAI/MiniMax-M2.5", "sglang", ("minimax-m2", "minimax")),
        ("nvidia/Nemotron-3-Nano-Omni-30B-A3B-Reasoning-BF16", "vllm", ("qwen3_coder", "nemotron_v3")),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4", "trtllm", ("qwen3_coder", "nano-v3")),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "vllm", ("", "deepseek_r1")),
        ("Qwen/Qwen3-Coder-Next-FP8", "vllm", ("qwen3_coder", "")),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "vllm", ("hermes", "")),
        ("Qwen/Qwen3-8B", "sglang", ("qwen25", "qwen3")),
        ("Qwen/Qwen3-8B", "llamacpp", ("", "")),
        ("someone/unheard-of", "vllm", ("", "")),
    ],
)
def test_a_family_has_its_parsers_in_each_engines_own_words(model: str, engine: str, found: tuple[str, str]) -> None:
    assert suggested_parsers(model, engine) == found


@pytest.mark.parametrize("engine", ENGINES)
def test_no_name_is_proposed_that_the_engine_is_not_known_to_have(engine: str) -> None:
    for family in FAMILIES:
        tool, reasoning = getattr(family, engine)
        assert tool in ("", *TOOL_PARSERS[engine])
        assert reasoning in ("", *REASONING_PARSERS[engine])


def test_the_names_of_sglang_and_llama_cpp_stand_in_their_own_flag_tables() -> None:
    for table, flag, names in (
        ("sglang-0.5.23", "--tool-call-parser", TOOL_PARSERS["sglang"]),
        ("sglang-0.5.23", "--reasoning-parser", REASONING_PARSERS["sglang"]),
        ("llamacpp-b11434", "--reasoning-format", REASONING_PARSERS["llamacpp"]),
    ):
        rows = tomllib.loads((ROOT / f"resources/flags/{table}.toml").read_text())["flag"]
        (choices,) = [row["choices"] for row in rows if row["name"] == flag]
        assert set(names) <= set(choices)


def test_models_of_the_catalogue_that_reason_with_vllm_have_a_parser_or_are_known_to_have_none() -> None:
    catalogue = read_catalogue((ROOT / "resources/catalogue/models.toml").read_bytes())
    without = {
        spec.key for spec in catalogue if "reasoning" in spec.purposes and not suggested_parsers(spec, "vllm")[1]
    }
    assert without == {"minimax-m3", "phi-4-reasoning-plus", "nemotron-3-super-120b-a12b", "deepseek-v3"}


@given(st.text(max_size=400), st.text(max_size=20))
def test_any_name_and_engine_has_an_answer(model: str, engine: str) -> None:
    assert len(suggested_parsers(model, engine)) == 2
