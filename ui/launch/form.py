"""What the launch form says, as text, and how it becomes a LaunchRequest or errors at its fields. Pure.

The one rule: nothing typed is ever lost or corrected in silence; what cannot be read is an error beside its field.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from pydantic import ValidationError

from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec

DEFAULT_CONTEXT_TOKENS = 4096
MAX_PORT_TRIES = 200
FIELDS = (
    "engine", "model", "quantization", "weights_path", "nodes", "context_tokens", "concurrency", "port",
    "served_name", "extra_flags", "environment",
)  # fmt: skip
"""The fields that have a place on the form; an error of another field belongs to the whole."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form as it stands. `touched` are fields that the person changed, which no default overwrites."""

    engine: str = ""
    model: str = ""
    quantization: str = ""
    weights_path: str = ""
    nodes: tuple[str, ...] = ()
    context_tokens: str = str(DEFAULT_CONTEXT_TOKENS)
    concurrency: int = 1
    port: str = "8000"
    served_name: str = ""
    extra_flags: str = ""
    environment: str = ""
    system_prompt: str = ""
    temperature: float | None = None
    base: LaunchRequest | None = None
    """A request that was loaded: its fields without a place on the form are kept."""
    touched: frozenset[str] = frozenset()

    def typed(self, name: str, value: object) -> Form:
        """The form after the person changed a field."""
        return replace(self, **{name: value}, touched=self.touched | {name})  # type: ignore[arg-type]  # by name


def read_form(form: Form) -> tuple[LaunchRequest | None, dict[str, str]]:
    """The request, or None and what is wrong by field ("" is the whole form)."""
    errors: dict[str, str] = {}
    values: dict[str, object] = form.base.model_dump() if form.base else {}
    for name in ("context_tokens", "port"):
        digits = re.sub(r"[\s,_\u202f]", "", getattr(form, name))
        if digits.isascii() and digits.isdigit() and len(digits) <= 9:
            values[name] = int(digits)
        else:
            errors[name] = "A whole number"
    try:
        values["extra_flags"] = tuple(shlex.split(form.extra_flags))
    except ValueError:
        errors["extra_flags"] = "A quote is not closed"
    environment, complaint = _read_environment(form.environment)
    values["environment"] = environment
    if complaint:
        errors["environment"] = complaint
    if not form.model.strip():
        errors["model"] = "Choose a model or write its name"
    if not form.nodes:
        errors["nodes"] = "Choose a node"
    for name in ("engine", "model", "quantization", "weights_path", "served_name"):
        values[name] = getattr(form, name).strip()
    values |= {"nodes": form.nodes, "concurrency": form.concurrency}
    values |= {"system_prompt": form.system_prompt, "temperature": form.temperature}
    # What could not be read is replaced by something harmless, so that the other fields are still judged.
    tried = values | {name: _HARMLESS[name] for name in errors}
    try:
        request = LaunchRequest.model_validate(tried)
    except ValidationError as error:
        return None, _by_field(error) | errors
    return (None, errors) if errors else (request, {})


_HARMLESS: dict[str, object] = {
    "context_tokens": DEFAULT_CONTEXT_TOKENS,
    "port": 8000,
    "extra_flags": (),
    "environment": (),
    "model": "model",
    "nodes": ("node",),
}


def _read_environment(typed: str) -> tuple[tuple[tuple[str, str], ...], str]:
    pairs = []
    for line in typed.splitlines():
        if not line.strip():
            continue
        name, sign, value = line.strip().partition("=")
        if not sign:
            return (), f"NAME=value, one a line: {line.strip()[:40]}"
        pairs.append((name, value))
    return tuple(pairs), ""


def _by_field(error: ValidationError) -> dict[str, str]:
    errors: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        name = str(each["loc"][0]) if each["loc"] else ""
        words = str(each["msg"]).removeprefix("Value error, ")
        if each["type"] == "string_pattern_mismatch":
            words = "Letters, digits, dot, dash, underscore, colon and slash only"
        elif each["type"] in ("greater_than_equal", "less_than_equal"):
            context = each.get("ctx", {})
            words = f"At least {context['ge']:,}" if "ge" in context else f"At most {context['le']:,}"
        errors.setdefault(name if name in FIELDS else "", words[:1].upper() + words[1:200])
    return errors


def choose_node(contexts: Sequence[NodeContext]) -> str:
    """The node with the most free memory, the first when nothing is known; "" when there is none."""
    if not contexts:
        return ""
    return max(contexts, key=lambda node: node.mem_available_bytes or -1).record.id


def choose_path(spec: ModelSpec, quantization: str, node: NodeContext | None) -> str:
    """Where the model's file lies on the node: where it was seen, else where it would be put."""
    name = spec.files.get(quantization, "")
    if not name:
        return ""
    seen = [path for path in node.weight_files if PurePosixPath(path).name == name] if node else []
    return min(seen, key=len) if seen else f"~/models/{name}"


def choose_port(info: BackendInfo | None, node: NodeContext | None) -> int:
    """The engine's own port, or the next one that nobody holds there."""
    first = info.default_port if info else 8000
    used = node.used_ports if node else {}
    return next((port for port in range(first, first + MAX_PORT_TRIES) if port not in used), first)


def name_for(model: str) -> str:
    """A name to serve a model under: the last part of its name in small letters."""
    return re.sub(r"[^a-z0-9._-]+", "-", model.rsplit("/", 1)[-1].lower()).strip("-.")[:64]


def fill_defaults(
    form: Form, spec: ModelSpec | None, contexts: Sequence[NodeContext], backends: Mapping[str, BackendInfo]
) -> Form:
    """The form with every field that the person left alone set to what fits the others."""
    left = [name for name in FIELDS if name not in form.touched]
    values: dict[str, object] = {}
    known = {node.record.id for node in contexts}
    if "nodes" in left and not (form.nodes and set(form.nodes) <= known):
        best = choose_node(contexts)
        values["nodes"] = (best,) if best else ()
    nodes = values.get("nodes", form.nodes)
    node = next((each for each in contexts if isinstance(nodes, tuple) and each.record.id in nodes), None)
    quantization = form.quantization
    offered = spec.weight_bytes if spec is not None else {}
    if "quantization" in left and quantization not in offered:
        quantization = next(iter(offered), "")
        values["quantization"] = quantization
    if spec is not None and "weights_path" in left:
        values["weights_path"] = choose_path(spec, quantization, node)
    if "port" in left:
        values["port"] = str(choose_port(backends.get(form.engine), node))
    if "served_name" in left:
        values["served_name"] = name_for(form.model)
    if spec is not None and "context_tokens" in left:
        values["context_tokens"] = str(min(spec.context_tokens or DEFAULT_CONTEXT_TOKENS, DEFAULT_CONTEXT_TOKENS))
    return replace(form, **values)  # type: ignore[arg-type]  # by name


def pick_model(form: Form, spec: ModelSpec, backends: Mapping[str, BackendInfo]) -> Form:
    """The form after a model was chosen from the catalogue: what belonged to the one before is let go."""
    engine = form.engine
    if spec.engines and engine not in spec.engines:
        engine = next((key for key in spec.engines if key in backends), engine)
    kept = form.touched - {"quantization", "weights_path", "served_name", "context_tokens", "model", "engine", "port"}
    return replace(
        form,
        model=spec.name,
        engine=engine,
        quantization="",
        system_prompt=spec.system_prompt,
        temperature=spec.temperature,
        base=None,
        touched=kept,
    )


def load_request(request: LaunchRequest) -> Form:
    """A form that says what a request says; every field counts as the person's own."""
    return Form(
        engine=request.engine,
        model=request.model,
        quantization=request.quantization,
        weights_path=request.weights_path,
        nodes=request.nodes,
        context_tokens=str(request.context_tokens),
        concurrency=request.concurrency,
        port=str(request.port),
        served_name=request.served_name,
        extra_flags=shlex.join(request.extra_flags),
        environment="\n".join(f"{name}={value}" for name, value in request.environment),
        system_prompt=request.system_prompt,
        temperature=request.temperature,
        base=request,
        touched=frozenset(FIELDS),
    )
