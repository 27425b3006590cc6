"""How each engine calls the parsers of tool calls and of reasoning, by the model's family.

The one rule: only names that an engine is known to have; where nobody says which one fits, none is proposed. One family
has another name in every engine, so a name is never carried from one to another.
Source of names: vLLM 0.33.0's and SGLang 0.5.23's own source, TensorRT-LLM's of the 1.3 release candidates; of which
family takes which: NVIDIA's playbooks for the Spark and the engines' documentation, the latter recalled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.spec import ModelSpec

TOOL_PARSERS: Final = {
    "vllm": (
        "hermes", "llama3_json", "llama4_json", "llama4_pythonic", "mistral", "openai", "pythonic", "qwen3_coder",
        "qwen3_xml", "qwen3_json", "deepseek_v3", "deepseek_v31", "deepseek_v32", "deepseek_v4", "glm45", "glm47",
        "minimax_m2", "minimax_m3", "gemma4", "kimi_k2", "phi4_mini_json",
    ),
    "sglang": (
        "qwen", "qwen25", "qwen3_coder", "gpt-oss", "llama3", "mistral", "pythonic", "hermes", "glm45", "glm47",
        "kimi_k2", "minimax-m2", "minimax-m3", "gemma4", "deepseekv3", "deepseekv31", "deepseekv32", "deepseekv4",
        "step3",
    ),
    "trtllm": ("qwen3", "qwen3_coder", "kimi_k2", "deepseekv3", "deepseekv3.1", "deepseek_v32"),
}  # fmt: skip
"""By engine; llama.cpp and Ollama follow the model's own template and have none."""
REASONING_PARSERS: Final = {
    "vllm": (
        "deepseek_r1", "deepseek_v3", "deepseek_v4", "gemma4", "glm45", "openai_gptoss", "minimax_m2",
        "minimax_m2_append_think", "mistral", "nemotron_v3", "qwen3", "kimi_k2",
    ),
    "sglang": (
        "qwen3", "qwen3-thinking", "deepseek-r1", "deepseek-v3", "deepseek-v4", "gpt-oss", "glm45", "minimax",
        "minimax-append-think", "minimax-m3", "nemotron_3", "gemma4", "kimi_k2", "mistral",
    ),
    "trtllm": ("deepseek-r1", "qwen3", "nano-v3"),
    "llamacpp": ("auto", "none", "deepseek", "deepseek-legacy"),
}  # fmt: skip
"""By engine; llama.cpp's are formats of its answer, and it finds the model's by itself."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models whose hub id has this pattern; per engine their parsers: (tools, reasoning), "" where none is known."""

    pattern: str
    vllm: tuple[str, str] = ("", "")
    sglang: tuple[str, str] = ("", "")
    trtllm: tuple[str, str] = ("", "")


FAMILIES: Final = (
    Family(r"gpt-oss", ("openai", "openai_gptoss"), ("gpt-oss", "gpt-oss")),
    Family(r"nemotron-3-super", ("qwen3_coder", ""), ("qwen3_coder", "nemotron_3"), ("qwen3_coder", "nano-v3")),
    Family(r"nemotron-3", ("qwen3_coder", "nemotron_v3"), ("qwen3_coder", "nemotron_3"), ("qwen3_coder", "nano-v3")),
    Family(r"deepseek-r1-distill", ("", "deepseek_r1"), ("", "deepseek-r1"), ("", "deepseek-r1")),
    Family(
        r"deepseek-r1", ("deepseek_v3", "deepseek_r1"), ("deepseekv3", "deepseek-r1"), ("deepseekv3", "deepseek-r1")
    ),
    Family(r"deepseek-v4", ("deepseek_v4", "deepseek_v4"), ("deepseekv4", "deepseek-v4")),
    Family(r"deepseek-v3\.2", ("deepseek_v32", "deepseek_v3"), ("deepseekv32", "deepseek-v3"), ("deepseek_v32", "")),
    Family(r"deepseek-v3\.1", ("deepseek_v31", "deepseek_v3"), ("deepseekv31", "deepseek-v3"), ("deepseekv3.1", "")),
    Family(r"deepseek-v3", ("deepseek_v3", ""), ("deepseekv3", ""), ("deepseekv3", "")),
    Family(r"glm-4\.5", ("glm45", "glm45"), ("glm45", "glm45")),
    Family(r"glm-(?:4\.7|5)", ("glm47", "glm45"), ("glm47", "glm45")),
    Family(r"minimax-m2", ("minimax_m2", "minimax_m2"), ("minimax-m2", "minimax")),
    Family(r"minimax-m3", ("minimax_m3", ""), ("minimax-m3", "minimax-m3")),
    Family(r"gemma-4", ("gemma4", "gemma4"), ("gemma4", "gemma4")),
    Family(r"kimi-k2-instruct", ("kimi_k2", ""), ("kimi_k2", ""), ("kimi_k2", "")),
    Family(r"kimi-k2", ("kimi_k2", "kimi_k2"), ("kimi_k2", "kimi_k2"), ("kimi_k2", "")),
    Family(r"qwen3-coder", ("qwen3_coder", ""), ("qwen3_coder", ""), ("qwen3_coder", "")),
    Family(r"qwen3\.[5-9]", ("qwen3_coder", "qwen3"), ("qwen3_coder", "qwen3"), ("qwen3_coder", "qwen3")),
    Family(r"qwen3-.*instruct", ("hermes", ""), ("qwen25", ""), ("qwen3", "")),
    Family(r"qwen3", ("hermes", "qwen3"), ("qwen25", "qwen3"), ("qwen3", "qwen3")),
    Family(r"qwen2\.5", ("hermes", ""), ("qwen25", "")),
    Family(r"llama-4", ("llama4_pythonic", ""), ("pythonic", "")),
    Family(r"llama-3\.[1-3].*instruct", ("llama3_json", ""), ("llama3", "")),
    Family(r"mistral-small|devstral|ministral", ("mistral", ""), ("mistral", "")),
    Family(r"phi-4-mini", ("phi4_mini_json", "")),
)
"""The first that matches counts."""


def suggested_parsers(model: ModelSpec | str, engine: str) -> tuple[str, str]:
    """(tool parser, reasoning parser) that fit this model with this engine; "" where none is known to.

    `model`: its shape as the catalogue has it, or its hub id as it was written. Total.
    """
    name = (model if isinstance(model, str) else model.name).casefold()[:300]
    family = next((each for each in FAMILIES if re.search(each.pattern, name)), None)
    found: tuple[str, str] = getattr(family, engine, ("", "")) if engine in TOOL_PARSERS else ("", "")
    return found
