"""Why a server may be slower than its plan: each cause with what was seen, the likeliest first.

The one rule: a cause is named only where something was seen that shows it; what was not read shows nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.findings.judge_power import NOTED_SHARE
from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.verdict import Cause
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes.doctor_gpu import HEALTHY_MHZ

NAN = math.nan
SUSTAINED_MHZ = 2400.0
"""A GB10's clock under load where nothing holds it down: 2.4 to 2.5 GHz."""
LOW_SHARE = 0.8
"""Of that, or of what the GPU calls its highest: below it the clock is felt. Our own choice."""
WAITING_SHARE = 0.05
"""Of the time that programs waited for memory: then pages move. Our own choice."""
SWAPPED_BYTES = 1 * GIB
SWAPPED_WAITING_SHARE = 0.01
EAGER = "eager"
EAGER_FLAGS = ("--enforce-eager", "--disable-cuda-graph")
"""Source: vLLM's and SGLang's own --help."""
FOUR_BIT = ("nvfp4", "mxfp4", "fp4", "int4", "awq", "gptq")
QUICK_EXPERTS = ("marlin", "cutlass")
"""Kernels for experts of 4 bit that are quick on sm_121; what "auto" picks there may be another or none. Source:
NVIDIA's and the community's recipes for DGX Spark, all of which name one of them; unverified on hardware [moe-backend].
"""
SLOW_ATTENTION = ("torch_sdpa", "torch_native", "flash attention disabled")
"""What vLLM and SGLang fall back to where they find no kernel of their own, and how llama.cpp says so."""
_PART = re.compile(r"\b(\d{1,5})\s?/\s?(\d{1,5})\b")
_VERSION = re.compile(r"(?<![\d.])v?(\d{1,3}\.\d{1,3}(?:\.\d{1,4})?)")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen while the fixed request ran. NaN and empty are not known."""

    request: LaunchRequest | None = None
    weights: str = ""
    """The format of the weights, "NVFP4"."""
    words: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the engine's log told, by the keys of `Told`."""
    clock_mhz: float = NAN
    """Of the GPU while it was under load."""
    clock_max_mhz: float = NAN
    power_capped: float = NAN
    """Share of the time."""
    swap_used_bytes: float = NAN
    memory_waiting: float = NAN
    """Share of the time that some program waited for memory."""
    neighbours: tuple[tuple[str, float], ...] = ()
    """Title and tokens a second of those that worked on the same nodes, where the prediction is of a server alone."""
    version_before: str = ""
    """What its engine called its version when the same launch was as fast as expected."""


def find_causes(seen: Evidence) -> tuple[Cause, ...]:
    """All that the evidence shows, in the order in which it usually costs most."""
    return tuple(cause for judge in _JUDGES if (cause := judge(seen)) is not None)


def _eager(seen: Evidence) -> Cause | None:
    request = seen.request
    if request is not None and request.build == EAGER:
        return None  # the plan reckons with it
    flag = next((flag for flag in EAGER_FLAGS if request is not None and flag in request.extra_flags), "")
    if not flag and seen.words.get("eager") != "yes":
        return None
    evidence = f"The launch has the flag {flag}" if flag else "The engine's log says that it runs without CUDA graphs"
    remedy = f"Launch it again without {flag or '--enforce-eager'}."
    return Cause("eager", "It runs without CUDA graphs", evidence, remedy)


def _processor(seen: Evidence) -> Cause | None:
    told = make_line(seen.words.get("offloaded", ""), max_chars=80)
    count = _PART.search(told)
    if "no usable GPU" not in told and (count is None or int(count[1]) >= int(count[2])):
        return None
    remedy = "Take a build with CUDA, and let all layers go to the GPU."
    return Cause("processor", "The processor computes what the GPU should", f"The engine's log: {told}", remedy)


def _moe_backend(seen: Evidence) -> Cause | None:
    told = make_line(seen.words.get("moe_backend", ""), max_chars=80)
    asked = seen.request.moe_backend if seen.request is not None else ""
    if not told:
        return None
    evidence = f"The engine's log names {told} for the experts"
    if asked not in ("", "auto") and not _is_same(asked, told):
        return Cause(
            "moe_backend",
            f"The experts do not run on {asked}",
            evidence,
            f"Find out in the log why {asked} was refused.",
        )
    quantization = seen.request.quantization if seen.request is not None else ""
    is_four_bit = any(word in f"{seen.weights} {quantization}".casefold() for word in FOUR_BIT)
    if asked in ("", "auto") and is_four_bit and not any(word in told.casefold() for word in QUICK_EXPERTS):
        remedy = "Set the MoE backend to marlin or cutlass, and launch it again."
        return Cause("moe_backend", "No quick kernels for the experts", evidence, remedy)
    return None


def _attention_backend(seen: Evidence) -> Cause | None:
    told = make_line(seen.words.get("attention_backend", ""), max_chars=80)
    asked = seen.request.attention_backend if seen.request is not None else ""
    if not told:
        return None
    evidence = f"The engine's log names {told} for attention"
    if asked not in ("", "auto") and " " not in told and not _is_same(asked, told):
        remedy = f"Find out in the log why {asked} was refused."
        return Cause("attention_backend", f"Attention does not run on {asked}", evidence, remedy)
    if asked != "off" and any(word in told.casefold() for word in SLOW_ATTENTION):
        remedy = "Set the attention backend to flashinfer (llama.cpp: on), and launch it again."
        return Cause("attention_backend", "No quick kernels for attention", evidence, remedy)
    return None


def _clock(seen: Evidence) -> Cause | None:
    clock = seen.clock_mhz
    if not 0.0 < clock < HEALTHY_MHZ:
        usual = min(SUSTAINED_MHZ, seen.clock_max_mhz) if seen.clock_max_mhz > 0 else SUSTAINED_MHZ
        if not 0.0 < clock < LOW_SHARE * usual:
            return None
        evidence = f"{clock:,.0f} MHz under load; {usual:,.0f} MHz is usual"
        return Cause("clock", "The GPU's clock is low", evidence, "Look at its temperature and its power adapter.")
    evidence = f"{clock:,.0f} MHz under load; {HEALTHY_MHZ:,.0f} MHz and more are healthy"
    remedy = "Shut the node down, take its power away for a minute, and start it: a restart does not clear this."
    return Cause("clock", "The GPU is in its slow state", evidence, remedy)


def _power(seen: Evidence) -> Cause | None:
    if not seen.power_capped >= NOTED_SHARE:
        return None
    evidence = f"Held at its power cap for {seen.power_capped * 100:.0f} % of the time"
    return Cause("power", "The GPU is held back by power", evidence, "Use the 240 W adapter that came with the node.")


def _swap(seen: Evidence) -> Cause | None:
    is_paging = seen.memory_waiting >= WAITING_SHARE
    is_swapped = seen.swap_used_bytes >= SWAPPED_BYTES and seen.memory_waiting >= SWAPPED_WAITING_SHARE
    if not (is_paging or is_swapped):
        return None
    waited = f"programs waited for memory {seen.memory_waiting * 100:.0f} % of the time"
    swapped = f"{seen.swap_used_bytes / GIB:.1f} GiB of swap in use; " if seen.swap_used_bytes > 0 else ""
    evidence = f"{swapped}{waited}"
    return Cause(
        "swap",
        "The node has too little memory",
        evidence[:1].upper() + evidence[1:],
        "Stop what else runs there, or plan less memory.",
    )


def _neighbour(seen: Evidence) -> Cause | None:
    busy = [(title, rate) for title, rate in seen.neighbours if rate > 0.0]
    if not busy:
        return None
    told = [f"{make_line(title, max_chars=80)} makes {rate:.0f} tok/s" for title, rate in busy]
    evidence = f"{' and '.join(told)} on the same node"
    return Cause("neighbour", "Another server works beside it", evidence, "Check again while it is idle.")


def _build(seen: Evidence) -> Cause | None:
    version = make_line(seen.words.get("version", ""), max_chars=60)
    before = make_line(seen.version_before, max_chars=60)
    if version and before and before != version:
        evidence = f"Version {version} by its log; it was {before} when it was as fast as expected"
        remedy = "Take the image of then, or measure this one."
        return Cause("build", "It is another version than before", evidence, remedy)
    image = seen.request.image if seen.request is not None else ""
    tag = image.rpartition(":")[2] if ":" in image else ""
    planned, told = _VERSION.search(tag), _VERSION.search(version)
    # NVIDIA's tags ("26.05-py3") name a year and a month, not a version.
    if planned is None or told is None or "py" in tag or _is_same_version(planned[1], told[1]):
        return None
    evidence = f"The image is tagged {make_line(tag, max_chars=60)}; the log says {told[1]}"
    return Cause("build", "It is another version than planned", evidence, "Choose the image whose version you want.")


def _is_same(asked: str, told: str) -> bool:
    """Whether the log names what was asked for; engines write their names in capitals, with other separators."""
    plain = [re.sub(r"[^a-z0-9]", "", word.casefold()) for word in (asked, told)]
    return plain[0] in plain[1]


def _is_same_version(one: str, other: str) -> bool:
    shorter, longer = sorted((one.split("."), other.split(".")), key=len)
    return longer[: len(shorter)] == shorter


_JUDGES: tuple[Callable[[Evidence], Cause | None], ...] = (
    _processor,
    _eager,
    _moe_backend,
    _attention_backend,
    _clock,
    _power,
    _swap,
    _neighbour,
    _build,
)
