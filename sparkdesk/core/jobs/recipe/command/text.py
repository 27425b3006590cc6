"""Writes a launch request as the command that a person could type on a node.

The one rule: what is written is read back as the same request (`read_paste`), secrets left out; what no flag can say
stands in one comment.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from sparkdesk.core.jobs.recipe.command.flag_map import (
    ENGINES,
    SECRETS,
    SIZE_FIELDS,
    SWITCH_KINDS,
    EngineFlags,
    Flag,
    spell,
)
from sparkdesk.core.jobs.recipe.command.flag_reader import speculative_settings
from sparkdesk.core.jobs.recipe.command.line import NOTE_FIELDS, NOTE_MARK, read_command
from sparkdesk.core.jobs.recipe.imported import Draft
from sparkdesk.core.jobs.recipe.risk import SECRET_NAME
from sparkdesk.core.jobs.request import LaunchRequest

CACHE_MOUNT = "~/.cache/huggingface:/root/.cache/huggingface"
RPC_PORT = 50052
"""Where llama.cpp's rpc-server listens. Source: its own example."""


def command_of(request: LaunchRequest, *, silent: Collection[str] = ()) -> str:
    """The request as shell text, one flag a line.

    Of several nodes it is what all ranks share: how they meet is not part of it (`export_script` has that). Node ids,
    system prompt and temperature say nothing about the server and are not in it. `silent`: fields that nobody said.
    Raises KeyError for an engine that SparkDesk has no flags of.
    """
    engine = ENGINES[request.engine]
    words = server_words(request, engine, silent=silent)
    if starts_itself(engine, request.image):
        del words[: len(engine.program)]
    groups = _groups(words, words.index(request.model) + 1 if engine.is_model_positional else len(engine.program))
    if request.image:
        lines = [f"docker run {_quoted(('--gpus', 'all', '--ipc', 'host', '--network', 'host'))}"]
        lines.append(f"--volume {CACHE_MOUNT}")  # unquoted: the shell knows what ~ is
        lines += [f"--env {shlex.quote(f'{name}={value}')}" for name, value in plain_environment(request)]
        lines.append(shlex.quote(request.image))
        lines += groups
    else:
        settings = [f"{name}={shlex.quote(value)}" for name, value in plain_environment(request)]
        lines = [" ".join((*settings, groups[0])), *groups[1:]]
    text = " \\\n  ".join(lines)
    note = {name: value for name, value in _note(request, text).items() if name not in silent}
    return f"{NOTE_MARK}{json.dumps(note, sort_keys=True)}\n{text}\n" if note else f"{text}\n"


def server_words(
    request: LaunchRequest, engine: EngineFlags, *, host: str = "127.0.0.1", silent: Collection[str] = ()
) -> list[str]:
    """Program, model and flags, as an argument list. `silent`: fields that nobody said, and so no flag says."""
    words = list(engine.program)
    if engine.is_model_positional:
        words.append(request.model)
    for flag in engine.flags:
        if (flag.field == "model" and engine.is_model_positional) or flag.field in silent:
            continue
        words += _flag_words(request, engine, flag)
    words += ["--host", host, *_purpose_words(request, engine)]
    if engine.engine == "llamacpp":
        words += _llamacpp_words(request)
    return words + plain_flags(request)


def starts_itself(engine: EngineFlags, image: str) -> bool:
    """Whether the image's entry point is the server, which then gets model and flags alone."""
    return engine.engine == "vllm" and image.partition(":")[0].endswith("vllm/vllm-openai")


def plain_flags(request: LaunchRequest) -> list[str]:
    """The extra flags without secrets and their values."""
    kept: list[str] = []
    is_secret = False
    for word in request.extra_flags:
        if word.startswith("-"):
            is_secret = spell(word.partition("=")[0]) in SECRETS
        if not is_secret:
            kept.append(word)
    return kept


def plain_environment(request: LaunchRequest) -> tuple[tuple[str, str], ...]:
    """The variables without those whose name says that they are secrets."""
    return tuple((name, value) for name, value in request.environment if not SECRET_NAME.search(name))


def secret_names(request: LaunchRequest) -> tuple[str, ...]:
    """Names of the variables that `plain_environment` leaves out."""
    return tuple(name for name, _ in request.environment if SECRET_NAME.search(name))


def _flag_words(request: LaunchRequest, engine: EngineFlags, row: Flag) -> list[str]:
    name, flag = row.field, row.names[0]
    value = getattr(request, name)
    if row.kind in SWITCH_KINDS:
        # What is off by itself needs no word.
        return [flag] if value is (row.kind == "on") else []
    if value is None or value == "" or (name in SIZE_FIELDS and value == 1):
        return []
    if name == "quantization" and value != value.lower():
        return []  # a checkpoint's own format needs no flag
    if name in ("speculative_model", "speculative_tokens") and request.speculative in ("", "none"):
        return []
    if name == "tool_parser" and engine.engine == "vllm":
        return ["--enable-auto-tool-choice", flag, str(value)]
    if name == "speculative_tokens":
        return [flag, str(value), "--speculative-eagle-topk", "1", "--speculative-num-draft-tokens", str(value + 1)]
    if name == "speculative":
        return _speculative_words(request, engine, flag)
    if engine.engine == "llamacpp":
        if name == "model":
            quantized = f"{value}:{request.quantization}" if request.quantization else value
            return [] if request.weights_path else [flag, quantized]
        if name == "context_tokens":
            value *= request.concurrency  # shared by the slots
    return [flag, str(value)]


def _speculative_words(request: LaunchRequest, engine: EngineFlags, flag: str) -> list[str]:
    if request.speculative == "none" or flag in request.extra_flags:
        return []
    if engine.engine == "sglang":
        return [flag, "NEXTN" if request.speculative == "mtp" else request.speculative.upper()]
    method = "draft_model" if request.speculative == "draft" else request.speculative
    return [flag, json.dumps(speculative_settings(method, request.speculative_model, request.speculative_tokens))]


def _purpose_words(request: LaunchRequest, engine: EngineFlags) -> list[str]:
    """What makes a server for vectors or scores."""
    words = {"vllm": ["--runner", "pooling"], "sglang": ["--is-embedding"]}.get(engine.engine, [])
    return words if request.purpose in ("embed", "rerank") else []


def _llamacpp_words(request: LaunchRequest) -> list[str]:
    words = ["--n-gpu-layers", "99", "--flash-attn", "on", "--metrics", "--slots", "--jinja"]
    if request.kv_dtype:
        words += ["--cache-type-v", request.kv_dtype]
    workers = request.tensor_parallel_size * request.pipeline_parallel_size - 1
    if workers:
        mode = "row" if request.tensor_parallel_size > 1 else "layer"
        words += ["--split-mode", mode, "--rpc", ",".join(f"RANK_{rank}:{RPC_PORT}" for rank in range(1, workers + 1))]
    return words


def _groups(words: list[str], head: int) -> list[str]:
    """The words as lines: the program first, then each flag with its values."""
    groups: list[list[str]] = [words[:head]]
    for word in words[head:]:
        if word.startswith("-") and len(word) > 1 and not word[1].isdigit():
            groups.append([word])
        else:
            groups[-1].append(word)
    return [_quoted(group) for group in groups if group]


def _quoted(words: list[str] | tuple[str, ...]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _note(request: LaunchRequest, text: str) -> dict[str, Any]:
    """What reading the command back does not give."""
    draft = Draft()
    read_command(draft, text)
    fields = draft.settle("", "").fields
    read: Mapping[str, Any] = {"served_name": fields.get("model")} | dict(fields)
    return {
        name: getattr(request, name)
        for name in NOTE_FIELDS
        if getattr(request, name) != read.get(name, LaunchRequest.model_fields[name].default)
    }
