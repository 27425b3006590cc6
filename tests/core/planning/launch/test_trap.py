"""The traps of a DGX Spark's GPU are told of at the field that avoids them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends import sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.image import read_images
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.trap import Kernels, trap_problems, usual_port_problems
from tests.backends.context import ROOT, context_with, spec_named

QWEN = LaunchRequest(
    engine="vllm",
    model="nvidia/Qwen3.6-35B-A3B-NVFP4",
    nodes=("node-1",),
    served_name="q",
    context_tokens=8192,
    quantization="NVFP4",
)
SPEC = spec_named(QWEN.model)
KERNELS = Kernels("vLLM", ("FLASH_ATTN",), "FLASHINFER", "--moe-backend", "marlin")
CUDA_13 = "vllm/vllm-openai:cu130-nightly"


def traps(image: str = CUDA_13, spec: ModelSpec | None = SPEC, **changes: object) -> list[Problem]:
    request = QWEN.model_copy(update={"moe_backend": "marlin", **changes})
    return trap_problems(request, spec, image, KERNELS)


@pytest.mark.parametrize("tag", ["v0.20.0-cu126", "cu128", "cuda12.8-dev", "nightly-cu124", "cuda-12.9.1"])
def test_an_image_for_an_older_cuda_is_warned_of(tag: str) -> None:
    (problem,) = traps(f"vllm/vllm-openai:{tag}")
    assert (problem.field, problem.severity) == ("image", Severity.WARNING)


@pytest.mark.parametrize(
    "image",
    [CUDA_13, vllm.DEFAULT_IMAGE, sglang.DEFAULT_IMAGE, trtllm.DEFAULT_IMAGE, "vllm/vllm-openai:v0.33.0", "x/cu12:a"],
)
def test_images_for_a_spark_are_not_warned_of(image: str) -> None:
    assert traps(image) == []


def test_mtp_on_nvfp4_wants_a_newer_image_than_the_one_that_failed() -> None:
    assert [one.field for one in traps("vllm/vllm-openai:v0.17.1", speculative="mtp")] == ["image"]
    assert traps("vllm/vllm-openai:v0.18.0", speculative="mtp") == traps("vllm/vllm-openai:v0.17.1") == []


ENGINES = [(vllm.backend, "marlin"), (sglang.backend, "flashinfer_cutlass"), (trtllm.backend, "CUTLASS")]


@pytest.mark.parametrize(("backend", "remedy"), ENGINES, ids=["vllm", "sglang", "trtllm"])
def test_experts_in_nvfp4_want_a_chosen_kernel_on_every_engine(backend: Backend, remedy: str) -> None:
    spec = spec_named("Qwen/Qwen3-30B-A3B")
    request = QWEN.model_copy(update={"engine": backend.info.key, "model": "nvidia/Qwen3-30B-A3B-NVFP4"})
    found = [one for one in backend.problems(request, context_with(spec)) if one.field == "moe_backend"]
    assert [one.severity for one in found] == [Severity.WARNING]
    assert remedy in found[0].remedy
    chosen = request.model_copy(update={"moe_backend": remedy})
    assert not [one for one in backend.problems(chosen, context_with(spec)) if one.field == "moe_backend"]


def test_a_kernel_that_stands_among_the_further_flags_is_chosen_too() -> None:
    assert traps(moe_backend="", extra_flags=("--moe-backend=triton",)) == []
    assert [one.field for one in traps(moe_backend="")] == ["moe_backend"]


def test_what_launching_without_graphs_costs_is_said_where_it_was_chosen() -> None:
    assert [(one.field, one.severity) for one in traps(build="eager")] == [("build", Severity.NOTE)]
    assert [one.field for one in traps(extra_flags=("--enforce-eager",))] == ["extra_flags"]


def test_a_port_that_something_of_a_spark_usually_takes_is_named() -> None:
    (note,) = usual_port_problems(QWEN.model_copy(update={"port": 11000}))
    assert "dashboard" in note.message
    assert note.severity is Severity.NOTE
    assert usual_port_problems(QWEN) == []
    held = context_with(SPEC, used_ports={11000: "nginx"})
    found = vllm.backend.problems(QWEN.model_copy(update={"port": 11000}), held)
    assert [one.severity for one in found if one.field == "port"] == [Severity.ERROR], "who holds it says enough"


@pytest.mark.parametrize(
    ("backend", "variable"),
    [
        (vllm.backend, "VLLM_ALLOW_LONG_MAX_MODEL_LEN"),
        (sglang.backend, "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"),
        (trtllm.backend, "TLLM_ALLOW_LONG_MAX_MODEL_LEN"),
    ],
    ids=["vllm", "sglang", "trtllm"],
)
def test_a_context_beyond_the_models_own_is_warned_of_with_what_lifts_it(backend: Backend, variable: str) -> None:
    spec = spec_named("nvidia/Llama-3.3-70B-Instruct-NVFP4")
    most = spec.context_tokens or 0

    def warned(**changes: object) -> list[str]:
        request = QWEN.model_copy(update={"engine": backend.info.key, "model": spec.name, **changes})
        found = backend.problems(request, context_with(spec))
        return [one.remedy for one in found if one.field == "context_tokens" and "was made for" in one.message]

    (remedy,) = warned(context_tokens=most + 1)
    assert variable in remedy
    assert warned(context_tokens=most) == []
    assert warned(context_tokens=most + 1, environment=((variable, "1"),)) == []


def test_a_loader_that_older_images_may_lack_is_warned_of() -> None:
    assert [one.field for one in traps("vllm/vllm-openai:v0.20.0", load_format="fastsafetensors")] == ["load_format"]
    assert traps("vllm/vllm-openai:v0.33.0", load_format="fastsafetensors") == []
    assert traps("vllm/vllm-openai:v0.20.0", load_format="safetensors") == []


def test_an_image_that_a_playbook_takes_for_this_very_model_is_named() -> None:
    name = "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4"
    images = read_images((ROOT / "resources/images.toml").read_bytes())

    def named(**changes: object) -> list[str]:
        request = QWEN.model_copy(update={"model": name, "quantization": "", "moe_backend": "marlin", **changes})
        context = replace(context_with(spec_named(name)), images=images)
        found = vllm.backend.problems(request, context)
        return [one.message for one in found if one.field == "image" and "For this model" in one.message]

    (words,) = named()
    assert "vllm/vllm-openai:cu130-nightly" in words
    assert named(image="vllm/vllm-openai:cu130-nightly") == []
    assert named(model="nvidia/Qwen3.6-35B-A3B-NVFP4") == []


def test_tensorrt_llm_warns_of_a_load_that_takes_more_than_what_is_loaded() -> None:
    spec = spec_named("nvidia/Llama-3.3-70B-Instruct-NVFP4")
    request = QWEN.model_copy(update={"engine": "trtllm", "model": spec.name})

    def warned(gib: int, **changes: object) -> list[str]:
        context = context_with(spec, mem_available_bytes=gib << 30)
        return [
            one.remedy
            for one in trtllm.backend.problems(request.model_copy(update=changes), context)
            if "at once" in one.message
        ]

    assert warned(118) == []
    (remedy,) = warned(60)
    assert remedy == "Set TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL=1 in the environment."
    assert warned(60, environment=(("TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL", "1"),)) == []


@pytest.mark.parametrize(
    ("backend", "field", "word"),
    [
        (vllm.backend, "kv_dtype", "int8_per_token_head"),
        (vllm.backend, "quantization", "nvfp4_per_token"),
        (sglang.backend, "kv_dtype", "fp4_mx_block16"),
        (sglang.backend, "quantization", "gguf"),
    ],
)
def test_each_word_that_an_engine_has_is_one_that_a_launch_takes(backend: Backend, field: str, word: str) -> None:
    asked = {**QWEN.model_dump(), "engine": backend.info.key, field: word}
    found = backend.problems(LaunchRequest.model_validate(asked), context_with(SPEC))
    assert [one.message for one in found if one.field == field] == []
