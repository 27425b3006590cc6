"""Reads what remote/servers.py found on a node: which of its listening ports are model servers, and of what kind.

The one rule: total. Every word of it is a stranger's: what does not fit is left out, and nothing ever flies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.plain_text import make_line

MAX_SERVERS = 64
MAX_ITEMS = 1000
MAX_MODELS = 64
MAX_NAME_CHARS = 200
MAX_CONTEXT_TOKENS = 1 << 30
JOB_LABEL = "sparkdesk.job"
LOOPBACKS = ("127.", "::1")

ENGINE_TITLES = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
    "ollama": "Ollama",
    "trtllm": "TensorRT-LLM",
    "lmstudio": "LM Studio",
}
METRIC_PREFIXES = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "trtllm": "trtllm"}
"""What the names of an engine's metrics begin with. Source: captures of vLLM 0.32 and llama.cpp; SGLang's and
TensorRT-LLM's documentation."""
OWNERS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llamacpp",
    "library": "ollama",
    "tensorrt_llm": "trtllm",
    "organization_owner": "lmstudio",
}
"""What /v1/models says in `owned_by`. Source: captures of vLLM 0.32 and llama.cpp; the other engines' own sources."""


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a node was seen to serve. `is_whole`: every port was asked and answered in time."""

    servers: tuple[FoundServer, ...] = ()
    containers_problem: str = ""
    """Why docker could not be asked; "" when it was."""
    listening: frozenset[int] = frozenset()
    is_whole: bool = True


def read_server_report(answer: Mapping[str, Any], *, node_id: str, t_ms: int) -> ServerReport:
    """The report in the program's answer, servers by port. Those in containers of our own jobs are left out."""
    listeners = _rows(answer.get("listeners"))
    containers = _rows(answer.get("containers"))
    own = {port for row in containers if JOB_LABEL in _mapping(row.get("labels")) for port in _ports(row.get("ports"))}
    found: dict[int, FoundServer] = {}
    for row in _rows(answer.get("servers")):
        port = _port(row.get("port"))
        host = _host(row.get("host"))
        if port is None or not host or port in own or port in found or len(found) >= MAX_SERVERS:
            continue
        server = _read_server(FoundServer(f"{node_id}:{port}", node_id, host, port, "openai", t_ms=t_ms), row)
        if server is not None:
            found[port] = _with_holder(server, listeners, containers)
    return ServerReport(
        tuple(found[port] for port in sorted(found)),
        _text(answer.get("containers_problem"), 300),
        frozenset(_ports([row.get("port") for row in listeners])),
        answer.get("is_whole") is True,
    )


def read_models(body: str | bytes) -> tuple[tuple[str, int | None, str], ...]:
    """(id, context in tokens, owner) of each model in an answer of /v1/models. Total."""
    rows = _rows(_mapping(_parse(body)).get("data"))
    models = []
    for row in rows[:MAX_MODELS]:
        name = row.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARS or make_line(name) != name:
            continue  # a name that cannot be shown as it is cannot be asked for either
        tokens = row.get("max_model_len", _mapping(row.get("meta")).get("n_ctx"))
        models.append((name, _whole(tokens, MAX_CONTEXT_TOKENS), _text(row.get("owned_by"), 40)))
    return tuple(models)


def with_models(server: FoundServer, body: str | bytes) -> FoundServer | None:
    """The server with the models of this answer of /v1/models, now that it may be asked; None when it names none."""
    models = read_models(body)
    if not models:
        return None
    engine = server.engine or next((OWNERS[owner] for _, _, owner in models if owner in OWNERS), "")
    return titled(
        replace(
            server,
            engine=engine,
            models=tuple(name for name, _, _ in models),
            context_tokens=tuple(tokens for _, tokens, _ in models),
            needs_key=False,
            note="",
        )
    )


def titled(server: FoundServer) -> FoundServer:
    """With what a person reads: the first model without its publisher, how many more, and the engine."""
    engine = ENGINE_TITLES.get(server.engine, "")
    if not server.models:
        return replace(server, title=f"{engine or 'Model server'} on port {server.port}")
    name = server.models[0].rstrip("/").rpartition("/")[2] or server.models[0]
    more = f" +{len(server.models) - 1}" if len(server.models) > 1 else ""
    return replace(server, title=f"{name}{more}" + (f" · {engine}" if engine else ""))


def _read_server(server: FoundServer, row: Mapping[str, Any]) -> FoundServer | None:
    """The server from its answers; None when it is no model server after all."""
    answers = _mapping(row.get("answers"))
    first, metrics = _mapping(answers.get("/v1/models")), _mapping(answers.get("/metrics"))
    status = _whole(first.get("status"), 999)
    prefixes = [prefix for prefix in _list(metrics.get("prefixes")) if isinstance(prefix, str)]
    engine = next((METRIC_PREFIXES[prefix] for prefix in prefixes if prefix in METRIC_PREFIXES), "")
    is_ollama = _is_ollama(answers)
    if not engine:
        engine = "ollama" if is_ollama else "llamacpp" if first.get("server") == "llama.cpp" else ""
    server = replace(
        server,
        api="ollama" if engine == "ollama" else "openai",
        engine=engine,
        has_metrics=metrics.get("status") == 200 and bool(engine),
        is_healthy=_is_healthy(answers, status, is_ollama=is_ollama),
    )
    if status == 200:
        known = with_models(server, _body(first))
        if known is not None:
            return _loaded_first(known, answers)
        return titled(replace(server, note="It names no model yet")) if engine else None
    return titled(_explain(server, status, _parse(_body(first)), engine)) if _is_api(first, status, engine) else None


def _is_api(first: Mapping[str, Any], status: int | None, engine: str) -> bool:
    """Whether something that gave no list of models is a model server all the same."""
    says = _mapping(_parse(_body(first)))
    return bool(engine) or (status in (401, 403) and bool({"error", "detail"} & set(says)))


def _explain(server: FoundServer, status: int | None, says: object, engine: str) -> FoundServer:
    if status in (401, 403):
        return replace(server, needs_key=True, note="It answers only with a key")
    error = _mapping(says).get("error")
    words = _text(_mapping(error).get("message") if isinstance(error, Mapping) else error, 120)
    return replace(server, note=words or f"It answered {status}", is_healthy=False if engine else None)


def _is_healthy(answers: Mapping[str, Any], status: int | None, *, is_ollama: bool) -> bool | None:
    """By /health where there is one; Ollama has none."""
    health = _whole(_mapping(answers.get("/health")).get("status"), 999)
    if health == 200:
        return True
    if health in (404, 405, None):
        return True if status == 200 or is_ollama else None
    return False


def _is_ollama(answers: Mapping[str, Any]) -> bool:
    running, version = _mapping(answers.get("/api/ps")), _mapping(answers.get("/api/version"))
    has_list = isinstance(_mapping(_parse(_body(running))).get("models"), list) or running.get("cut") is True
    return has_list and "version" in _mapping(_parse(_body(version)))


def _loaded_first(server: FoundServer, answers: Mapping[str, Any]) -> FoundServer:
    """Ollama lists what it has; what is in memory comes first."""
    if server.api != "ollama":
        return server
    rows = _rows(_mapping(_parse(_body(_mapping(answers.get("/api/ps"))))).get("models"))
    loaded = {name for row in rows if isinstance(name := row.get("name"), str)}
    order = sorted(range(len(server.models)), key=lambda at: server.models[at] not in loaded)
    in_memory = [name for name in server.models if name in loaded]
    return titled(
        replace(
            server,
            models=tuple(server.models[at] for at in order),
            context_tokens=tuple(server.context_tokens[at] for at in order),
            note=f"In memory: {make_line(', '.join(in_memory), max_chars=200)}" if in_memory else "Nothing in memory",
        )
    )


def _with_holder(server: FoundServer, listeners: list[Any], containers: list[Any]) -> FoundServer:
    """With who holds the port, and whether others on the network reach it."""
    mine = [row for row in listeners if row.get("port") == server.port]
    addresses = [address for row in mine if isinstance(address := row.get("address"), str)]
    names = (_text(row.get("name"), 100) for row in containers if server.port in _ports(row.get("ports")))
    return replace(
        server,
        container=next(names, ""),
        process=next((words for row in mine if (words := _text(row.get("program"), 64))), ""),
        owner=next((words for row in mine if (words := _text(row.get("owner"), 64))), ""),
        is_exposed=any(not address.startswith(LOOPBACKS) for address in addresses) if addresses else None,
    )


def _parse(body: str | bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _body(answer: Mapping[str, Any]) -> str:
    body = answer.get("body")
    return body if isinstance(body, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value[:MAX_ITEMS] if isinstance(value, list) else []


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in _list(value) if isinstance(row, Mapping)]


def _whole(value: object, high: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= high else None


def _port(value: object) -> int | None:
    return _whole(value, 65535)


def _ports(value: object) -> list[int]:
    return [port for item in _list(value) if (port := _port(item)) is not None]


def _host(value: object) -> str:
    """An address of digits and colons, as the node reaches itself; anything else is refused."""
    is_plain = isinstance(value, str) and 2 < len(value) <= 45 and set(value) <= set("0123456789abcdefABCDEF.:")
    return str(value) if is_plain else ""


def _text(value: object, max_chars: int) -> str:
    return make_line(value, max_chars=max_chars) if isinstance(value, str) else ""
