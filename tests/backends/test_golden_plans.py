"""Every plan that a shipped backend makes is compared to text that a person reviewed.

After a wanted change: SPARKDESK_WRITE_GOLDEN=1 pytest tests/backends, then read the difference before it is committed.
"""

from __future__ import annotations

import os

import pytest

from backends import llamacpp, vllm
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.request import LaunchRequest
from tests.backends.context import GGUF, MTP_GGUF, ROOT, context_with, show_plan, spec_named

SMOL = LaunchRequest(
    engine="llamacpp",
    model="SmolLM2-135M-Instruct",
    weights_path=GGUF,
    nodes=("node-1",),
    served_name="smollm2-135m",
    port=8080,
    context_tokens=4096,
    quantization="Q4_1",
    system_prompt="You are a helpful assistant.",
    temperature=0.2,
)
LLAMA = LaunchRequest(
    engine="vllm",
    model="nvidia/Llama-3.3-70B-Instruct-NVFP4",
    nodes=("node-1",),
    served_name="llama-3.3-70b",
    port=8000,
    context_tokens=32_768,
    concurrency=4,
    kv_dtype="fp8",
    extra_flags=("--enable-prefix-caching", "--load-format", "safetensors"),
    environment=(("VLLM_LOGGING_LEVEL", "INFO"),),
)
UPSTREAM = LLAMA.model_copy(update={"image": "vllm/vllm-openai:v0.33.0", "memory_fraction": 0.6})
QWEN = LaunchRequest(
    engine="vllm",
    model="nvidia/Qwen3.6-35B-A3B-NVFP4",
    nodes=("node-1",),
    served_name="qwen3.6-35b",
    context_tokens=262_144,
    concurrency=4,
    quantization="NVFP4",
    kv_dtype="fp8",
    speculative="mtp",
    build="tuned",
    memory_fraction=0.4,
)
GPT_OSS = LaunchRequest(
    engine="vllm",
    model="openai/gpt-oss-120b",
    nodes=("node-1",),
    served_name="gpt-oss-120b",
    context_tokens=131_072,
    quantization="MXFP4",
    build="tuned",
)
ON_LINE = LaunchRequest(
    engine="vllm",
    model="meta-llama/Llama-3.1-8B-Instruct",
    nodes=("node-1",),
    served_name="llama-3.1-8b",
    context_tokens=8192,
    quantization="fp8",
    speculative="ngram",
    build="eager",
)
MTP = LaunchRequest(
    engine="llamacpp",
    model="nvidia/Qwen3.6-35B-A3B-NVFP4",
    weights_path=MTP_GGUF,
    nodes=("node-1",),
    served_name="qwen3.6-35b",
    port=8080,
    context_tokens=32_768,
    concurrency=2,
    quantization="Q4_K_M",
    kv_dtype="q8_0",
    speculative="mtp",
    build="stock",
)

CASES: list[tuple[str, Backend, LaunchRequest]] = [
    ("llamacpp_smollm2", llamacpp.backend, SMOL),
    ("vllm_llama_70b", vllm.backend, LLAMA),
    ("vllm_upstream_image", vllm.backend, UPSTREAM),
    ("vllm_qwen_tuned_mtp", vllm.backend, QWEN),
    ("vllm_gpt_oss_tuned", vllm.backend, GPT_OSS),
    ("vllm_eager_ngram", vllm.backend, ON_LINE),
    ("llamacpp_mtp", llamacpp.backend, MTP),
]


@pytest.mark.parametrize(("name", "backend", "request_"), CASES, ids=[case[0] for case in CASES])
def test_a_plan_is_the_reviewed_text(name: str, backend: Backend, request_: LaunchRequest) -> None:
    plan = backend.plan(request_, context_with(spec_named(request_.model)))
    path = ROOT / "tests/golden" / f"{name}.txt"
    text = show_plan(plan)
    if os.environ.get("SPARKDESK_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(("name", "backend", "request_"), CASES, ids=[case[0] for case in CASES])
def test_the_same_request_gives_the_same_plan(name: str, backend: Backend, request_: LaunchRequest) -> None:
    context = context_with(spec_named(request_.model))
    assert backend.plan(request_, context) == backend.plan(request_, context)


def test_a_path_below_the_home_becomes_the_whole_path() -> None:
    short = SMOL.model_copy(update={"weights_path": GGUF.replace("/home/nvidia", "~")})
    context = context_with(spec_named(SMOL.model))
    assert llamacpp.backend.problems(short, context) == llamacpp.backend.problems(SMOL, context)
    assert f"--model {GGUF}" in llamacpp.backend.plan(short, context).commands[0].text
    (problem,) = llamacpp.backend.problems(short, context_with(spec_named(SMOL.model), home=""))
    assert (problem.severity, problem.field) == (Severity.ERROR, "weights_path")
