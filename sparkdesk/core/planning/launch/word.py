"""Checks of a request's words against what an engine has: names, draft models, purposes, reach, and traps of GB10.

The one rule: each problem stands at the field that mends it and says how. What only may go wrong is a warning; what
the engine refuses is an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sparkdesk.core.jobs.parsers import REASONING_PARSERS, TOOL_PARSERS
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import MODEL_PATTERN, LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.request import NO_SPECULATION, SMALL_PURPOSES, has_format, launched_weights
from sparkdesk.core.planning.setup import EngineProfile

ARCHITECTURE_VARIABLE = "TORCH_CUDA_ARCH_LIST"
ARCHITECTURES = ("12.1", "12.1a", "12.1+PTX", "12.1a+PTX")
"""sm_121, the GPU of a DGX Spark. Source: NVIDIA's device table and reports of its users."""
FAST_LOADERS = ("fastsafetensors", "instanttensor")
FAST_LOADER_SHARE = 0.8
"""Of memory: weights above it are not loaded so. Source: the community's recipes for one Spark."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that one engine has for the fields of a request; an empty collection knows none and checks none."""

    profile: EngineProfile
    quantizations: Collection[str] = ()
    kv_types: Collection[str] = ()
    attention_backends: Collection[str] = ()
    moe_backends: Collection[str] = ()
    load_formats: Collection[str] = ()
    draft_methods: Collection[str] = ()
    """Methods of speculative decoding that need a model of their own."""
    free_methods: Collection[str] = ()
    """Methods that need none at all."""


def word_problems(request: LaunchRequest, spec: ModelSpec | None, words: Vocabulary) -> list[Problem]:
    """Words of the request that this engine does not have."""
    title = words.profile.title
    problems = [*_format_problems(request, spec, words)]
    if words.kv_types and request.kv_dtype not in words.kv_types:
        problems.append(error(f"{title} has no KV type {request.kv_dtype}", "Choose another one.", "kv_dtype"))
    builds = [build.key for build in words.profile.builds]
    if request.build not in ("", *builds):
        remedy = f"Choose one of: {', '.join(builds)}."
        problems.append(error(f"{title} has no build {request.build} here", remedy, "build"))
    for field, kind, known in (
        ("moe_backend", "MoE backend", words.moe_backends),
        ("attention_backend", "attention backend", words.attention_backends),
        ("load_format", "loader", words.load_formats),
    ):
        word = getattr(request, field)
        if word and known and word.casefold() not in {each.casefold() for each in known}:
            # A patched image may have more than the release that the words were read from.
            message = f"{title}'s release has no {kind} {word}"
            remedy = "Check that the image has it, or choose another one."
            problems.append(Problem(Severity.WARNING, message, remedy, field))
    for field, parsers in (("tool_parser", TOOL_PARSERS), ("reasoning_parser", REASONING_PARSERS)):
        word, names = getattr(request, field), parsers.get(words.profile.key, ())
        if word and word not in ("auto", *names):
            message = f"{word} is none of {title}'s {field.replace('_', ' ')}s that are known here"
            remedy = f"Check its spelling, which differs by engine: {', '.join(names)}."
            problems.append(Problem(Severity.WARNING, message, remedy, field))
    return problems + speculative_problems(request, spec, words) + purpose_problems(request, spec)


def speculative_problems(request: LaunchRequest, spec: ModelSpec | None, words: Vocabulary) -> list[Problem]:
    """A method that the engine does not have, or that lacks its draft model or the model's own head."""
    method, field, title = request.speculative, "speculative", words.profile.title
    if method in ("", NO_SPECULATION):
        return []
    free = next(iter(words.free_methods), "")
    remedy = f"Choose {free}, which needs no weights, or none." if free else "Choose none."
    if method not in (*words.profile.speculatives, *words.draft_methods):
        return [error(f"{title} has no speculative decoding by {method} here", remedy, field)]
    if method in words.draft_methods:
        return draft_problems(request, remedy)
    if method in words.free_methods:
        return []
    if spec is None:
        message = f"Whether {request.model} has an {method} head is not known"
        return [
            Problem(
                Severity.WARNING,
                message,
                f"Without one, {title} stops at its start: {remedy[0].lower()}{remedy[1:]}",
                field,
            )
        ]
    if method not in spec.speculatives:
        return [error(f"{spec.title} has no {method} head, as far as is known", remedy, field)]
    return []


def draft_problems(request: LaunchRequest, remedy: str) -> list[Problem]:
    """A method that needs a draft model beside the model."""
    method, draft = request.speculative, request.speculative_model
    if not draft:
        message = f"Speculative decoding by {method} needs a draft model beside the model, and none is named"
        return [error(message, f"Write the draft model's hub id. {remedy}", "speculative_model")]
    if not MODEL_PATTERN.match(draft):
        return [error("A draft model is a hub id: owner/name", "Write its id as the hub has it.", "speculative_model")]
    return []


def purpose_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    """What does not go with vectors or pictures."""
    problems = []
    if request.purpose in SMALL_PURPOSES:
        for field in ("speculative", "tool_parser", "reasoning_parser"):
            if getattr(request, field) not in ("", NO_SPECULATION):
                message = f"A server for {request.purpose} generates no text: {field.replace('_', ' ')} has no meaning"
                problems.append(error(message, "Leave it out.", field))
    known = spec.purposes if spec is not None else ()
    if known and request.purpose == "vision" and "vision" not in known:
        message = f"{spec.title if spec else request.model} sees no pictures, as far as is known"
        problems.append(Problem(Severity.WARNING, message, "Choose chat, or a model with vision.", "purpose"))
    if known and request.purpose in SMALL_PURPOSES and not set(known) & set(SMALL_PURPOSES):
        message = f"{spec.title if spec else request.model} is no model for {request.purpose}, as far as is known"
        problems.append(Problem(Severity.WARNING, message, "Choose a model that was trained for it.", "purpose"))
    return problems


def spark_problems(request: LaunchRequest, spec: ModelSpec | None, total_bytes: int | None) -> list[Problem]:
    """Traps of the GB10 (sm_121, unified memory) that every engine on PyTorch meets."""
    problems = []
    for name, text in request.environment:
        if name == ARCHITECTURE_VARIABLE and text not in ARCHITECTURES:
            message = f"{ARCHITECTURE_VARIABLE}={text[:40]} builds kernels for another GPU than a DGX Spark's"
            problems.append(Problem(Severity.WARNING, message, "Write 12.1a, or leave it out.", "environment"))
    weights = launched_weights(request, spec)
    if request.load_format in FAST_LOADERS and total_bytes and weights.weight_bytes > FAST_LOADER_SHARE * total_bytes:
        message = f"{request.load_format} needs room beside the weights, which fill most of this node's memory"
        problems.append(Problem(Severity.WARNING, message, "Choose safetensors.", "load_format"))
    return problems


def lan_refusal(request: LaunchRequest, title: str, reason: str) -> list[Problem]:
    """An engine whose key could be read by everybody on the node is not opened to a network."""
    if request.reach != "lan":
        return []
    remedy = "Keep it on the node: this computer reaches it through SSH, and a URL can be copied."
    return [error(f"{title} cannot be opened to the network: {reason}", remedy, "reach")]


def error(message: str, remedy: str, field: str) -> Problem:
    """A problem that forbids the launch."""
    return Problem(Severity.ERROR, message, remedy, field)


def _format_problems(request: LaunchRequest, spec: ModelSpec | None, words: Vocabulary) -> list[Problem]:
    title, field = words.profile.title, "quantization"
    if has_format(spec, request.quantization):
        if words.profile.can_run(launched_weights(request, spec)):
            return []
        message = f"{title} does not run the {request.quantization} weights of this model"
        return [error(message, "Choose another format, or another engine.", field)]
    if words.quantizations and request.quantization not in words.quantizations:
        remedy = f"Choose one of {title}'s, or none for a checkpoint that is quantized already."
        return [error(f"{title} has no quantization {request.quantization}", remedy, field)]
    return []
