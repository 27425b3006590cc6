"""Tuned builds: what makes one model fast on a DGX Spark with one engine, beside the stock words.

The one rule: a tuned build is what a source names for that very model; what a request says itself goes before it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """What makes a model's tuned build: words after the stock ones, variables, an image of its own ("": the stock)."""

    flags: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    image: str = ""
    note: str = ""


VLLM_TUNINGS = {
    "openai/gpt-oss-120b": Tuning(
        ("--quantization", "mxfp4", "--mxfp4-backend", "CUTLASS", "--mxfp4-layers", "moe,qkv,o,lm_head",
         "--attention-backend", "FLASHINFER"),
        (("VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8", "1"),),
        "sparkarena/spark-vllm-docker:mxfp4",
        "The tuned build is a container image of the community, not of NVIDIA or vLLM",
    ),
    "nvidia/qwen3.6-35b-a3b-nvfp4": Tuning(
        ("--attention-backend", "flashinfer", "--moe-backend", "marlin", "--max-num-batched-tokens", "8192",
         "--enable-chunked-prefill", "--async-scheduling", "--enable-prefix-caching", "--load-format",
         "fastsafetensors"),
    ),
    "qwen/qwen3-coder-next-fp8": Tuning(("--attention-backend", "flashinfer")),
    "nvidia/nvidia-nemotron-3-super-120b-a12b-nvfp4": Tuning(
        ("--moe-backend", "marlin", "--mamba-ssm-cache-dtype", "float32"),
    ),
}  # fmt: skip
"""By hub id in lower case. Source: NVIDIA's playbooks "vllm" and "nemotron", the community's recipes for one Spark."""


def without_said(flags: tuple[str, ...], said: list[str]) -> tuple[str, ...]:
    """A build's flags, without those that the request says itself."""
    kept: list[str] = []
    is_left_out = False
    for word in flags:
        if word.startswith("--"):
            is_left_out = word in said or f"--no-{word[2:]}" in said
        if not is_left_out:
            kept.append(word)
    return tuple(kept)
