"""What the launch form says, as text, and how it becomes a LaunchRequest or errors at its fields. Pure.

The one rule: nothing typed is ever lost or corrected in silence; what cannot be read is an error beside its field.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.workload import CHAT, CODING, PRESETS, Workload
from ui.launch.serving.fields import (
    NEUTRAL,
    OLLAMA,
    SERVING_FIELDS,
    SERVING_TITLES,
    ServingFields,
    load_serving,
    places_of,
    read_serving,
)
from ui.launch.serving.number import read_whole, wrong_number
from ui.launch.serving.refusal import PLAIN_WORD, refusals
from ui.launch.serving.words import read_environment, read_line, write_environment

DEFAULT_CONTEXT_TOKENS = 4096
MAX_TOKENS = 4_194_304
MAX_USERS = 4096
CUSTOM = "custom"
LOAD_FIELDS = ("prompt_tokens", "answer_tokens", "users", "cached_percent")
FIELDS = (
    *LOAD_FIELDS, "engine", "model", "quantization", "build", "weights_path", "nodes", "parallelism",
    "context_tokens", "concurrency", "kv_dtype", "speculative", "port", "served_name", "extra_flags", "environment",
    *SERVING_FIELDS,
)  # fmt: skip
"""The fields that have a place on the form; an error of another field belongs to the whole."""
TASK_LOADS = (CODING.key, CUSTOM)
"""The loads of which a heap of tasks is planned."""
TITLES = {
    "prompt_tokens": "Prompt, tokens",
    "answer_tokens": "Answer, tokens",
    "users": "Users at once",
    "cached_percent": "Cached, %",
    "engine": "Engine",
    "model": "Model",
    "quantization": "Quantization",
    "build": "Build",
    "weights_path": "Weights on the node",
    "nodes": "Nodes",
    "parallelism": "Parallelism",
    "context_tokens": "Context per request",
    "concurrency": "Concurrent requests",
    "kv_dtype": "KV cache dtype",
    "speculative": "Speculative decoding",
    "port": "Port",
    "served_name": "Served name",
    "extra_flags": "Extra flags",
    "environment": "Environment",
    **SERVING_TITLES,
}
"""One name for a field: over its editor, and in the reason why a launch waits."""
OLLAMA_TITLES = {"served_name": "Ollama model", "port": "Service port"}
"""What is another thing where the engine is a service that has its models under names of its own."""
_SPLITS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
NO_SPECULATION, STOCK = "none", "stock"
"""The planner's words for what a request leaves empty."""
ONE_NODE = Parallelism()


def titles_of(engine: str) -> Mapping[str, str]:
    """What fields are called with this engine."""
    return {**TITLES, **OLLAMA_TITLES} if engine == OLLAMA else TITLES


def place_of(name: str) -> str:
    """Where a request's field stands on the form; "" is the whole."""
    if name == "custom":
        return "custom_command"
    return "parallelism" if name in _SPLITS else name if name in FIELDS else ""


@dataclass(frozen=True, slots=True)
class Form(ServingFields):
    """The form as it stands. `touched` are fields that the person changed, which no default overwrites."""

    workload: str = CHAT.key
    """Key of the preset, or custom."""
    prompt_tokens: str = f"{CHAT.prompt_tokens:,}"
    answer_tokens: str = f"{CHAT.answer_tokens:,}"
    users: int = CHAT.users
    cached_percent: str = "0"
    """Of each prompt, whose KV is there already."""
    tasks: int = 8
    """How many requests there are in all, where agents' tasks are planned; no part of the launch itself."""
    engine: str = ""
    model: str = ""
    quantization: str = ""
    build: str = STOCK
    parallelism: Parallelism = ONE_NODE
    kv_dtype: str = ""
    """"" is the engine's own choice."""
    speculative: str = NO_SPECULATION
    weights_path: str = ""
    nodes: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()
    """The nodes that the table of plans may use; `nodes` are among them."""
    context_tokens: str = f"{DEFAULT_CONTEXT_TOKENS:,}"
    concurrency: int = 1
    port: str = "8000"
    served_name: str = ""
    extra_flags: str = ""
    environment: str = ""
    best: PlanRow | None = None
    """The best plan of the model on these nodes when they were chosen: what the plan's fields follow until touched."""
    touched: frozenset[str] = frozenset()

    def typed(self, name: str, value: object) -> Form:
        """The form after the person changed a field."""
        load = {"workload": CUSTOM} if name in LOAD_FIELDS else {}
        changed = {**load, name: value}
        return replace(self, **changed, touched=self.touched | {name})  # type: ignore[arg-type]  # by name


def read_workload(form: Form) -> tuple[Workload | None, dict[str, str]]:
    """What the server will be asked to do, or None and what is wrong by field."""
    errors: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for name, most in (("prompt_tokens", MAX_TOKENS), ("answer_tokens", MAX_TOKENS), ("cached_percent", 99)):
        least = 0 if name == "cached_percent" else 1
        wrong = wrong_number(getattr(form, name), least, most)
        if wrong:
            errors[name] = wrong
        else:
            numbers[name] = read_whole(getattr(form, name)) or 0
    wrong = wrong_number(str(form.users), 1, MAX_USERS)
    if wrong:
        errors["users"] = wrong
    if errors:
        return None, errors
    titles = {preset.key: preset.title for preset in PRESETS}
    prompt, answer, share = numbers["prompt_tokens"], numbers["answer_tokens"], numbers["cached_percent"] / 100
    return Workload(form.workload, titles.get(form.workload, "Custom"), prompt, answer, form.users, share), {}


def choose_workload(form: Form, key: str) -> Form:
    """The form after a preset was chosen; Custom keeps the numbers."""
    preset = next((each for each in PRESETS if each.key == key), None)
    if preset is None:
        return replace(form, workload=CUSTOM)
    return replace(
        form,
        workload=preset.key,
        prompt_tokens=f"{preset.prompt_tokens:,}",
        answer_tokens=f"{preset.answer_tokens:,}",
        users=preset.users,
        cached_percent=str(round(preset.cached_share * 100)),
        touched=form.touched - set(LOAD_FIELDS),
    )


def read_form(form: Form) -> tuple[LaunchRequest | None, dict[str, str]]:
    """The request, or None and what is wrong by field ("" is the whole form)."""
    values, errors = read_serving(form, form.engine)
    for name, (least, most) in _RANGES.items():
        wrong = wrong_number(getattr(form, name), least, most)
        if wrong:
            errors[name] = wrong
        else:
            values[name] = read_whole(getattr(form, name))
    values["extra_flags"], complaint = read_line(form.extra_flags)
    if complaint:
        errors["extra_flags"] = complaint
    environment, complaint = read_environment(form.environment)
    values["environment"] = environment
    if complaint:
        errors["environment"] = complaint
    if not form.model.strip():
        errors["model"] = _NO_MODEL.get(form.purpose, "Choose a model or write its name")
    if not form.nodes:
        errors["nodes"] = "Choose a node"
    for name in ("engine", "model", "quantization", "weights_path", "served_name", "kv_dtype"):
        values[name] = getattr(form, name).strip()
    values |= {"nodes": form.nodes, "concurrency": form.concurrency}
    values |= {name: getattr(form.parallelism, name) for name in _SPLITS}
    values["speculative"] = "" if form.speculative == NO_SPECULATION else form.speculative
    values["build"] = "" if form.build == STOCK else form.build
    if "model" in errors and not form.served_name.strip():
        values["served_name"] = "model"  # it follows the model, and one thing is missing, not two
    # What could not be read is replaced by something harmless, so that the other fields are still judged.
    tried = values | {name: _HARMLESS[name] for name in errors if name in _HARMLESS}
    try:
        request = LaunchRequest.model_validate(tried)
    except ValidationError as error:
        return None, _by_field(error, form.engine) | errors
    return (None, errors) if errors else (request, {})


_RANGES = {"context_tokens": (128, MAX_TOKENS), "port": (1024, 65_535)}
"""As the request has them."""
_NO_MODEL = {
    "embed": "Write an embedding model's hub id, such as Qwen/Qwen3-Embedding-4B",
    "rerank": "Write a reranking model's hub id",
}
"""The catalogue has few of them. Source of the example: NVIDIA's playbooks for the Spark."""
_HARMLESS: dict[str, object] = {
    "context_tokens": DEFAULT_CONTEXT_TOKENS,
    "port": 8000,
    "extra_flags": (),
    "environment": (),
    "model": "model",
    "nodes": ("node",),
}


def _by_field(error: ValidationError, engine: str) -> dict[str, str]:
    errors: dict[str, str] = {}
    for said, words in refusals(error).items():
        name, _, inner = said.partition(".")
        if name == "served_name" and engine == OLLAMA and words == PLAIN_WORD:
            words = "The model's name in Ollama's library, such as gpt-oss:120b"
        errors.setdefault(place_of(f"custom_{inner}" if name == "custom" and inner else name), words)
    return errors


SILENT: Mapping[str, Any] = MappingProxyType(
    {"kv_dtype": "", "speculative": "", "build": "", "extra_flags": (), "environment": (), **dict.fromkeys(_SPLITS, 1)}
    | dict.fromkeys(("tool_parser", "reasoning_parser", "attention_backend", "moe_backend", "load_format"), "")
    | dict.fromkeys(("prefix_caching", "max_batched_tokens", "speculative_tokens", "memory_fraction", "threads"))
    | {"speculative_model": "", "trust_remote_code": False}
)
"""What a whole command or recipe says by not saying it."""


def take_fields(form: Form, fields: Mapping[str, Any], nodes: tuple[str, ...]) -> Form:
    """The form after what an outside text says was put into it; what the text leaves open stays as it is.

    `fields` are valid values of LaunchRequest.
    """
    filler = {"engine": form.engine or "x", "model": "x", "nodes": nodes or ("x",), "served_name": "x"}
    known = load_request(LaunchRequest.model_validate(filler | dict(fields)))
    names = {place_of(name) for name in fields}.union(*map(places_of, fields)) - {"", "nodes"}
    values = {name: getattr(known, name) for name in names}
    return replace(
        form,
        **values,
        nodes=nodes,
        pool=nodes if not set(nodes) <= set(form.pool) else form.pool,
        touched=form.touched | names | {"nodes"},
    )


def load_request(request: LaunchRequest) -> Form:
    """A form that says what a request says; every field counts as the person's own."""
    serving: dict[str, Any] = {**NEUTRAL, **load_serving(request)}
    return Form(
        **serving,
        engine=request.engine,
        model=request.model,
        quantization=request.quantization,
        weights_path=request.weights_path,
        nodes=request.nodes,
        pool=request.nodes,
        context_tokens=f"{request.context_tokens:,}",
        concurrency=request.concurrency,
        port=str(request.port),
        served_name=request.served_name,
        extra_flags=shlex.join(request.extra_flags),
        environment=write_environment(request.environment),
        parallelism=Parallelism(*(getattr(request, name) for name in _SPLITS)),
        kv_dtype=request.kv_dtype,
        speculative=request.speculative or NO_SPECULATION,
        build=request.build or STOCK,
        touched=frozenset(FIELDS) - set(LOAD_FIELDS),
    )
