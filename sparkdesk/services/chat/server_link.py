"""Model servers that somebody else runs, reached by their address.

The one rule: a server is offered only after it told its models; what it says is untrusted text.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from sparkdesk.core.chat.server_url import read_server_url
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient, EndpointClients
from sparkdesk.services.chat.endpoint import ChatEndpoint

MAX_MODELS = 64
MAX_NAME_CHARS = 200
ASK_TIMEOUT_S = 8.0


class ServerLinks:
    """The servers that were connected to by address, for as long as this program runs."""

    def __init__(self, clients: EndpointClients) -> None:
        self._clients = clients
        self.endpoints: Latest[tuple[ChatEndpoint, ...]] = Latest(())

    async def connect(self, url: str) -> ChatEndpoint:
        """Ask the server for its models and offer each; gives the first. Raises SettingsError, EndpointError."""
        base = read_server_url(url)
        async with self._open(base) as client:
            status, body = await client.get(f"{base.base_path}/models", timeout_s=ASK_TIMEOUT_S)
        names = _read_models(body) if status == 200 else []
        if not names:
            raise EndpointError(
                f"{base.host}:{base.port} names no model (it answered {status})",
                remedy="Check the address: it ends in /v1 for most servers.",
                detail=body[:500].decode("utf-8", "replace"),
            )
        found = tuple(self._offer(replace(base, model=name)) for name in names)
        ids = {endpoint.id for endpoint in found}
        self.endpoints.set((*found, *(known for known in self.endpoints.value if known.id not in ids)))
        return found[0]

    def _offer(self, endpoint: Endpoint) -> ChatEndpoint:
        where = f"{endpoint.host}:{endpoint.port}"
        return ChatEndpoint(
            id=f"{where}{endpoint.base_path} {endpoint.model}",
            endpoint=endpoint,
            source=lambda: self._open(endpoint),
            node=where,
        )

    @asynccontextmanager
    async def _open(self, endpoint: Endpoint) -> AsyncIterator[EndpointClient]:
        client = self._clients.open(endpoint, None)
        try:
            yield client
        finally:
            await client.close()


def _read_models(body: bytes) -> list[str]:
    """The ids in an answer of /models. Total: any bytes are fine."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return []
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return []
    names = [row.get("id") for row in rows[:MAX_MODELS] if isinstance(row, dict)]
    return [name for name in names if isinstance(name, str) and 0 < len(name) <= MAX_NAME_CHARS]
