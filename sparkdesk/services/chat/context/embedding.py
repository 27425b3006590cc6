"""Vectors of pieces of a conversation: made by a served model, kept in the store.

The one rule: a piece is embedded once for each model; what cannot be embedded in time is left out and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from sparkdesk.core.chat.window.nearness import Vector, from_bytes, to_bytes, to_vector
from sparkdesk.core.chat.window.piece import Piece
from sparkdesk.core.errors import EndpointError, StoreError
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import EndpointClient, Store
from sparkdesk.services.chat.context.limits import read_object
from sparkdesk.services.chat.endpoint import ChatEndpoint, open_client

BATCH = 16
BATCH_TIMEOUT_S = 20.0
TOTAL_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 1 << 25
MAX_QUESTION_CHARS = 2000
"""Of the question, from its end: it is what is asked, and servers of vectors take short texts."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The question's vector and those of the pieces that have one, by key. `problem`: why there are none, or fewer."""

    question: Vector | None = None
    vectors: dict[str, Vector] = field(default_factory=dict)
    problem: str = ""


class Embedder:
    """Has texts embedded and keeps the vectors."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def embed(self, session_id: str, server: ChatEndpoint, question: str, pieces: Sequence[Piece]) -> Embedded:
        """Vectors for a question and pieces. Never raises: `problem` says what failed, and what came is there."""
        model = server.endpoint.model
        kept, problem = await self._kept(session_id, model)
        wanted = {piece.key: piece.text for piece in pieces}
        found = {key: vector for key in wanted if (vector := kept.get(key)) is not None}
        missing = [key for key in reversed(wanted) if key not in found]  # the newest first
        asked: Vector | None = None
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S), AsyncExitStack() as stack:
                client = await open_client(stack, server.source)
                asked = (await self._ask(client, server, [question[-MAX_QUESTION_CHARS:]]))[0]
                for at in range(0, len(missing), BATCH):
                    keys = missing[at : at + BATCH]
                    vectors = await self._ask(client, server, [wanted[key] for key in keys])
                    made = dict(zip(keys, vectors, strict=True))
                    found |= made
                    problem = await self._keep(session_id, model, made) or problem
        except EndpointError as error:
            problem = error.message
        except TimeoutError:
            problem = f"not all of it was embedded within {TOTAL_TIMEOUT_S:g} s"
        return Embedded(asked, found, problem)

    async def _kept(self, session_id: str, model: str) -> tuple[dict[str, Vector], str]:
        try:
            stored = await self._store.vectors(session_id, model)
        except StoreError as error:
            return {}, error.message
        return {key: vector for key, data in stored.items() if (vector := from_bytes(data)) is not None}, ""

    async def _keep(self, session_id: str, model: str, made: dict[str, Vector]) -> str:
        try:
            await self._store.save_vectors(session_id, model, {key: to_bytes(vector) for key, vector in made.items()})
        except StoreError as error:
            return error.message
        return ""

    async def _ask(self, client: EndpointClient, server: ChatEndpoint, texts: list[str]) -> list[Vector]:
        """Source: OpenAI's API reference, POST /embeddings; llama.cpp and vLLM take and give the same."""
        path = server.endpoint.api_path("embeddings")
        body: dict[str, object] = {"model": server.endpoint.model, "input": texts, "encoding_format": "float"}
        status, answer = await client.post(path, body, timeout_s=BATCH_TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES)
        vectors = read_vectors(answer, len(texts)) if status == 200 else None
        if vectors is None:
            said = make_line(answer[:300].decode("utf-8", "replace"), max_chars=200)
            raise EndpointError(
                f"{server.label} gave no vectors ({status}): {said}",
                remedy="Choose a model that makes vectors, started for that (llama.cpp: --embeddings).",
            )
        return vectors


def read_vectors(answer: bytes, count: int) -> list[Vector] | None:
    """The vectors of an answer, in the order of what was asked; None when not each has one."""
    rows = read_object(answer).get("data")
    if not isinstance(rows, list) or len(rows) != count:
        return None
    found: dict[int, Vector] = {}
    for at, row in enumerate(rows):
        index = row.get("index", at) if isinstance(row, dict) else None
        vector = to_vector(row.get("embedding")) if isinstance(row, dict) else None
        if isinstance(index, int) and not isinstance(index, bool) and vector is not None:
            found[index] = vector
    return [found[at] for at in range(count)] if set(found) == set(range(count)) else None
