"""What goes wrong, or slowly, on a DGX Spark's GPU (sm_121) with engines on PyTorch: images, kernels, modes, ports.

The one rule: each trap is one that users of the Spark or its vendor reported; it stands at the field that avoids it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sparkdesk.core.jobs.image import ImagePin
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.request import STOCK, launched_weights

EAGER = "eager"
_OLD_CUDA = re.compile(r"(?:cu|cuda-?)1[12](?:[.\d]*)(?![.\d])", re.IGNORECASE)
"""In an image's tag: cu126, cuda12.8."""
_OLD_VLLM = re.compile(r"vllm[^:]{0,80}:v?0\.(\d{1,3})\.")
LAST_WITHOUT_MTP = 17
"""vLLM 0.17.1 failed with MTP on NVFP4 weights there. Source: reports of the Spark's users."""
FIRST_WITH_LOADER = 33
"""vLLM 0.33 is the first that always brings fastsafetensors. Source: its own list of packages."""
USUAL_HOLDERS = {
    2233: "NVIDIA Sync",
    6379: "Ray",
    8080: "Open WebUI and others",
    8265: "Ray's page",
    11000: "the DGX dashboard",
    11434: "Ollama",
    12000: "Open WebUI of NVIDIA Sync",
    13345: "a program of NVIDIA's playbooks",
    25000: "programs over several nodes",
    50052: "llama.cpp's rpc-server",
}
"""Port -> who uses it on a Spark as it comes, or by NVIDIA's playbooks. Source: those playbooks."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """An engine's words for kernels, as far as a Spark cares."""

    title: str
    flash_attention: Collection[str] = ()
    """Attention backends that come as flash-attention's packages."""
    other_attention: str = ""
    moe_flag: str = ""
    """Who writes it among further flags has chosen."""
    nvfp4_moe: str = ""
    """MoE backends that do NVFP4 there, in words; "": nothing was reported."""
    long_context: str = ""
    """The variable without which it refuses a context beyond what the checkpoint says. Source: NVIDIA's playbook
    "nemotron" and the engines' own words."""


def trap_problems(request: LaunchRequest, spec: ModelSpec | None, image: str, kernels: Kernels) -> list[Problem]:
    """All of them that this request meets."""
    found = [*_image_problems(request, spec, image), *_kernel_problems(request, spec, kernels)]
    return [*found, *_context_problems(request, spec, kernels), *_mode_problems(request)]


def _image_problems(request: LaunchRequest, spec: ModelSpec | None, image: str) -> list[Problem]:
    problems, tag = [], image.rpartition("/")[2].partition(":")[2]
    if old := _OLD_CUDA.search(tag):
        words = f"{image} is made for an older CUDA ({old[0]}): a DGX Spark's GPU needs CUDA 13"
        problems.append(Problem(Severity.WARNING, words, "Choose an image with cu130 in its tag.", "image"))
    version, weights = _OLD_VLLM.search(image), launched_weights(request, spec)
    if version and int(version[1]) <= LAST_WITHOUT_MTP and request.speculative == "mtp" and weights.key == "NVFP4":
        words = f"vLLM 0.{version[1]} fails with mtp on NVFP4 weights on a DGX Spark, as its users report"
        problems.append(Problem(Severity.WARNING, words, "Choose a newer image.", "image"))
    if version and int(version[1]) < FIRST_WITH_LOADER and request.load_format == "fastsafetensors":
        words = f"vLLM 0.{version[1]} loads with fastsafetensors only where its image has that package"
        problems.append(Problem(Severity.WARNING, words, "Choose safetensors, or a newer image.", "load_format"))
    return problems


def _context_problems(request: LaunchRequest, spec: ModelSpec | None, kernels: Kernels) -> list[Problem]:
    """A context beyond the model's own. A warning: a checkpoint may say more than what is known here."""
    most, name = (spec.context_tokens if spec is not None else None), kernels.long_context
    if not name or most is None or request.context_tokens <= most or name in dict(request.environment):
        return []
    words = f"{spec.title if spec else request.model} was made for {most:,} tokens: {kernels.title} refuses more"
    remedy = f"Take at most {most:,}; or set {name}=1 in the environment where the model can do more."
    return [Problem(Severity.WARNING, words, remedy, "context_tokens")]


def pinned_problems(request: LaunchRequest, image: str, pins: Iterable[ImagePin]) -> list[Problem]:
    """An image that a source takes for this very model, where another one is launched."""
    mine = [pin for pin in pins if request.model.casefold() in pin.models]
    if not mine or any(pin.reference == image for pin in mine):
        return []
    words = f"For this model {mine[0].source} takes {mine[0].reference}"
    return [Problem(Severity.NOTE, words, "Take that image where this one does not start it.", "image")]


def _kernel_problems(request: LaunchRequest, spec: ModelSpec | None, kernels: Kernels) -> list[Problem]:
    problems = []
    is_open = request.moe_backend in ("", "auto") and request.build in ("", STOCK, EAGER)
    is_said = any(word.partition("=")[0] == kernels.moe_flag for word in request.extra_flags)
    is_mixture = spec is not None and spec.experts and launched_weights(request, spec).key == "NVFP4"
    if kernels.nvfp4_moe and is_mixture and is_open and not is_said:
        message = f"{kernels.title}'s own choice of MoE kernels for NVFP4 can be missing or slow on a DGX Spark"
        problems.append(Problem(Severity.WARNING, message, f"Choose {kernels.nvfp4_moe}.", "moe_backend"))
    if request.attention_backend.casefold() in {word.casefold() for word in kernels.flash_attention}:
        message = "Packages of flash-attention are broken on a DGX Spark's GPU, as its users report"
        remedy = f"Choose {kernels.other_attention}."
        problems.append(Problem(Severity.WARNING, message, remedy, "attention_backend"))
    return problems


def _mode_problems(request: LaunchRequest) -> list[Problem]:
    if request.build != EAGER and not {"--enforce-eager", "--disable-cuda-graph"} & set(request.extra_flags):
        return []
    message = "Without CUDA graphs one user gets about half of the tokens a second (gpt-oss-120b: 26 instead of 57)"
    remedy = "Take it to find a fault or to save memory; else choose another build."
    field = "build" if request.build == EAGER else "extra_flags"
    return [Problem(Severity.NOTE, message, remedy, field)]


def usual_port_problems(request: LaunchRequest) -> list[Problem]:
    """A port that nobody holds now, and that something of a Spark usually takes."""
    holder = USUAL_HOLDERS.get(request.port)
    if holder is None:
        return []
    words = f"Port {request.port} is usually that of {holder} on a DGX Spark"
    return [Problem(Severity.NOTE, words, "Take another port where you use both.", "port")]
