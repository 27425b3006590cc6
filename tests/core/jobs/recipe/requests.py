"""Launch requests as a form can make them, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.request import LaunchRequest

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
MODELS = st.one_of(NAMES, st.tuples(NAMES, NAMES).map("/".join))
TEXTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="`$", exclude_categories=["Cc"])
)
PATHS = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters=" ._-'\""), min_size=1).map(
    lambda name: f"~/models/{name.replace('..', '-')}x.gguf"
)
FLAGS = {
    "vllm": ("--hf-overrides", "--dtype", "--block-size", "--tokenizer", "--seed"),
    "sglang": ("--dtype", "--page-size", "--sampling-defaults"),
    "trtllm": ("--backend", "--log_level", "--tokenizer"),
    "llamacpp": ("--batch-size", "--chat-template-kwargs", "--reasoning-format", "--temp"),
}
SPECULATIVES = ("", "none", "mtp", "ngram", "eagle3", "draft")
QUANTIZATIONS = ("", "fp8", "modelopt_fp4", "NVFP4", "MXFP4", "Q4_K_M", "UD-Q4_K_XL")


@st.composite
def flags(draw: st.DrawFn, engine: str) -> tuple[str, ...]:
    """Flags with a value, and some without, in any order."""
    valued = st.tuples(st.sampled_from(FLAGS[engine]), st.one_of(NAMES, st.just('{"a": [1, "b c"]}')))
    switch = st.sampled_from((("--enable-x",), ("--no-y",), ("--disable-z",)))
    return tuple(word for each in draw(st.lists(st.one_of(valued, switch), max_size=4)) for word in each)


@st.composite
def requests(draw: st.DrawFn, engines: tuple[str, ...] = tuple(ENGINES)) -> LaunchRequest:
    """Any request of these engines. Its sizes and its nodes fit."""
    engine = draw(st.sampled_from(engines))
    sizes = draw(st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 3), (2, 2, 1), (4, 1, 1), (2, 1, 2)]))
    count = sizes[0] * sizes[1] * sizes[2]
    environment = st.dictionaries(st.from_regex(r"[A-Z]{3}_X[0-9]", fullmatch=True), TEXTS, max_size=3)
    values: dict[str, Any] = {
        "engine": engine,
        "model": draw(MODELS),
        "nodes": tuple(f"node-{number}" for number in range(count)),
        "served_name": draw(MODELS),
        "port": draw(st.integers(1024, 65535)),
        "context_tokens": draw(st.integers(128, 4_194_304)),
        "concurrency": draw(st.integers(1, 4096)),
        "quantization": draw(st.sampled_from(QUANTIZATIONS)),
        "kv_dtype": draw(st.sampled_from(("", "auto", "fp8", "q8_0"))),
        "tensor_parallel_size": sizes[0],
        "pipeline_parallel_size": sizes[1],
        "data_parallel_size": sizes[2],
        "speculative": draw(st.sampled_from(SPECULATIVES)),
        "build": draw(st.sampled_from(("", "tuned", "eager"))),
        "memory_fraction": draw(st.one_of(st.none(), st.floats(0.01, 0.98))),
        "threads": draw(st.one_of(st.none(), st.integers(1, 256))),
        "image": draw(st.sampled_from(("", "vllm/vllm-openai:v1", "registry.example/own@sha256:ab"))),
        "extra_flags": draw(flags(engine)),
        "environment": tuple(draw(environment).items()),
    }
    values |= {
        "purpose": draw(st.sampled_from(("chat", "vision", "embed", "rerank"))),
        "prefix_caching": draw(st.sampled_from((None, True, False))),
        "max_batched_tokens": draw(st.one_of(st.none(), st.integers(16, 1_048_576))),
        "restart_limit": draw(st.integers(0, 10)),
        "stop_after_s": draw(st.one_of(st.none(), st.integers(60, 1000))),
        "weights_from": draw(st.sampled_from(("auto", "hub", "desk"))),
        "speculative_model": draw(st.one_of(st.just(""), MODELS)),
        "speculative_tokens": draw(st.one_of(st.none(), st.integers(1, 64))),
        "trust_remote_code": engine != "llamacpp" and draw(st.booleans()),
    } | {
        name: draw(st.one_of(st.just(""), NAMES))
        for name in ("tool_parser", "reasoning_parser", "attention_backend", "moe_backend", "load_format")
    }
    if engine == "llamacpp":
        values["weights_path"] = draw(st.one_of(st.just(""), PATHS))
    return LaunchRequest.model_validate(values)
