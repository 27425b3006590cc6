"""The real limit of one request on a server that somebody else may have started, as the server itself tells it.

The one rule: a limit that no server told is None, never a guess; and learning it is bounded, whatever answers there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkdesk.core.cluster.server_report import OWNERS, read_models
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.services.chat.endpoint import ChatEndpoint

ASK_TIMEOUT_S = 3.0
MAX_BYTES = 1 << 20
MAX_TOKENS = 1 << 30
MAX_SLOTS = 65_536
MAX_LOADED = 64
MAX_SERVERS = 256
ASK_EVERY = 8
"""A server that told no limit is asked again at each so manieth question: it may have been loading."""
TELLS_PROPS = ("", "llamacpp")


@dataclass(frozen=True, slots=True)
class ServerLimit:
    """What one request may have. None is not told."""

    context_tokens: int | None = None
    """Prompt and answer together, of one request."""
    slots: int | None = None
    """How many requests it answers at once."""
    engine: str = ""
    """The backend's key, where the server tells it."""


class ServerLimits:
    """What was learned of each server, so that it is asked once and not before each question."""

    def __init__(self) -> None:
        self._known: dict[str, ServerLimit] = {}
        self._asks_left: dict[str, int] = {}

    def known(self, target: ChatEndpoint) -> ServerLimit:
        """What is known of it without asking."""
        return self._known.get(target.id, ServerLimit(target.endpoint.context_tokens, engine=target.endpoint.engine))

    async def learn(self, target: ChatEndpoint, client: EndpointClient, *, is_anew: bool = False) -> ServerLimit:
        """What the server tells, asked again only where it told no limit, and then not each time. Never raises.

        `is_anew`: ask in any case, since it may have been started again with another.
        """
        found = self._known.get(target.id)
        left = self._asks_left.get(target.id, 0)
        if found is not None and not is_anew and (found.context_tokens is not None or left > 0):
            self._asks_left[target.id] = max(0, left - 1)
            return found
        before, found = found, await learn_limit(client, target.endpoint)
        if before is not None and found.context_tokens is None:
            found = before  # it is silent now: what it told holds until it tells another
        if len(self._known) >= MAX_SERVERS:
            self._known.clear()
        self._known[target.id], self._asks_left[target.id] = found, ASK_EVERY
        return found


async def learn_limit(client: EndpointClient, endpoint: Endpoint) -> ServerLimit:
    """What the server tells of its limit. Never raises for what it answers, or for its silence.

    llama.cpp's /props goes first, since its list of models may tell what the model was made for. Sources: llama.cpp
    tools/server/README.md, GET /props (`default_generation_settings.n_ctx` of one slot, `total_slots`), and recorded
    answers; vLLM's and SGLang's `max_model_len` in GET /v1/models (recorded answer of vLLM 0.32; ModelCard of SGLang's
    entrypoints/openai/protocol.py); Ollama's docs/api.md, GET /api/ps (`context_length` of a loaded model).
    TensorRT-LLM is not known to tell it.
    """
    found = ServerLimit(endpoint.context_tokens, engine=endpoint.engine)
    if endpoint.engine in TELLS_PROPS:
        found = _props(await _ask(client, endpoint.own_path("props")), found)
    if found.context_tokens is None:
        found = _models(await _ask(client, endpoint.api_path("models")), endpoint.model, found)
    if found.context_tokens is None and found.engine in ("", "ollama"):
        found = _loaded(await _ask(client, endpoint.own_path("api/ps")), endpoint.model, found)
    return found


async def _ask(client: EndpointClient, path: str) -> bytes:
    try:
        status, body = await client.get(path, timeout_s=ASK_TIMEOUT_S, max_bytes=MAX_BYTES)
    except EndpointError:
        return b""
    return body if status == 200 else b""


def _props(body: bytes, known: ServerLimit) -> ServerLimit:
    told = read_object(body)
    settings = told.get("default_generation_settings")
    context = whole(settings.get("n_ctx"), MAX_TOKENS) if isinstance(settings, Mapping) else None
    slots = whole(told.get("total_slots"), MAX_SLOTS)
    if context is None and slots is None:
        return known
    # What one slot has now is the limit, whatever a plan said.
    return ServerLimit(context if context is not None else known.context_tokens, slots, "llamacpp")


def _models(body: bytes, model: str, known: ServerLimit) -> ServerLimit:
    rows = read_models(body)
    row = next((row for row in rows if row[0] == model), rows[0] if len(rows) == 1 else None)
    if row is None:
        return known
    return ServerLimit(row[1], known.slots, known.engine or OWNERS.get(row[2], ""))


def _loaded(body: bytes, model: str, known: ServerLimit) -> ServerLimit:
    rows = read_object(body).get("models")
    for row in rows[:MAX_LOADED] if isinstance(rows, list) else ():
        names = (row.get("model"), row.get("name")) if isinstance(row, Mapping) else ()
        if model in names or f"{model}:latest" in names:
            return ServerLimit(whole(row.get("context_length"), MAX_TOKENS), known.slots, "ollama")
    return known


def read_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in a body, or an empty one."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, Mapping) else {}


def whole(value: object, most: int) -> int | None:
    """A count from outside: a whole number of at least 1, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most else None
