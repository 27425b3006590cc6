"""The traps of a DGX Spark's GPU are told of at the field that avoids them, and nowhere else."""

from __future__ import annotations

import pytest

from backends import sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.trap import Kernels, trap_problems, usual_port_problems
from tests.backends.context import context_with, spec_named

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
