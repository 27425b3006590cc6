"""How many tokens a text has, by the server's own tokenizer where it has one.

The one rule: what was not counted says so. A server that does not count is not asked twice in a row, and none is
waited for longer than a person would wait.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sparkdesk.core.chat.message import ChatRequest, Message
from sparkdesk.core.chat.request.openai_request import to_body
from sparkdesk.core.chat.window.estimate import Estimate
from sparkdesk.core.digest import text_digest
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient
from sparkdesk.services.chat.context.limits import MAX_TOKENS, read_object, whole

COUNT_TIMEOUT_S = 4.0
MAX_KEPT = 4096
MAX_ANSWER_BYTES = 1 << 25
"""llama.cpp answers with every token's number: some ten bytes each."""
COUNTS_TEXT = frozenset(("llamacpp", "vllm", "sglang"))
COUNTS_MESSAGES = frozenset(("llamacpp", "vllm"))
"""Engines that count a whole chat, their template's marks included. SGLang takes messages only in newer releases."""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens, and whether the server counted them."""

    tokens: int
    is_counted: bool


class TokenCounter:
    """Counts for all conversations, and remembers what was counted."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._silent: set[tuple[str, str]] = set()
        """(server, way) that did not count, so that it is not asked before each question."""

    async def count(
        self,
        client: EndpointClient,
        endpoint: Endpoint,
        text: str,
        *,
        engine: str = "",
        estimate: Estimate | None = None,
    ) -> TokenCount:
        """Tokens of a text without any template: counted, else estimated. Never raises. `engine` where it is known."""
        if not text:
            return TokenCount(0, True)
        engine = engine or endpoint.engine
        body: dict[str, object] = {"content": text}
        if engine != "llamacpp":
            body = {"model": endpoint.model, "prompt": text, "add_special_tokens": False}
        found = None
        if engine in COUNTS_TEXT:
            found = await self._ask(client, endpoint, endpoint.own_path("tokenize"), body, text)
        if found is not None:
            return TokenCount(found, True)
        return TokenCount((estimate or Estimate()).tokens(text), False)

    async def count_messages(
        self, client: EndpointClient, endpoint: Endpoint, messages: tuple[Message, ...], *, engine: str = ""
    ) -> int | None:
        """Tokens of a whole prompt with its template's marks; None where the server does not count such. Never raises.

        Sources: llama.cpp's POST /v1/chat/completions/input_tokens (tools/server; seen in build b11434); vLLM's
        TokenizeChatRequest. An image's tokens are counted by none of them.
        """
        engine = engine or endpoint.engine
        has_images = any(message.images for message in messages)
        if engine not in COUNTS_MESSAGES or has_images:
            return None
        asked = to_body(ChatRequest(endpoint.model, messages), engine=engine)
        body: dict[str, object] = {"model": endpoint.model, "messages": asked["messages"]}
        path = endpoint.own_path("tokenize")
        if engine == "llamacpp":
            path = endpoint.api_path("chat/completions/input_tokens")
        return await self._ask(client, endpoint, path, body, repr(body["messages"]))

    async def _ask(
        self, client: EndpointClient, endpoint: Endpoint, path: str, body: dict[str, object], text: str
    ) -> int | None:
        """Sources: llama.cpp tools/server/README.md, POST /tokenize (`tokens`); TokenizeResponse of vLLM and of SGLang
        (`count`); llama.cpp's `input_tokens`."""
        server = f"{endpoint.node_id} {endpoint.host}:{endpoint.port} {endpoint.model}"
        key = (server, path, text_digest(text))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if (server, path) in self._silent:
            return None
        try:
            status, answer = await client.post(path, body, timeout_s=COUNT_TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES)
        except EndpointError:
            return None  # gone or late: the question itself will tell
        if status in (404, 405, 501):
            self._silent.add((server, path))
        found = _read(answer) if status == 200 else None
        if found is not None:
            self._kept[key] = found
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found


def _read(answer: bytes) -> int | None:
    told = read_object(answer)
    tokens = told.get("tokens")
    for name in ("input_tokens", "count"):
        if name in told:
            return whole(told[name], MAX_TOKENS)
    return len(tokens) if isinstance(tokens, list) and len(tokens) > 0 else None
