"""Model servers that somebody else runs, reached by their address, and remembered for the next start.

The one rule: a server is offered only after it told its models, and its key is known to nobody but the client that
sends it: it is not in an address, a message, a log, an id or the database, only in the system's keyring or in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sparkdesk.core.chat.server.url import is_near, read_server_url, write_server_url
from sparkdesk.core.cluster.server_report import read_models
from sparkdesk.core.digest import text_digest
from sparkdesk.core.errors import EndpointError, SettingsError, StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient, EndpointClients, Secrets, Store
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.tasks import Tasks

KIND = "server_link"
MAX_LINKS = 64
MAX_KEY_CHARS = 512
ASK_TIMEOUT_S = 8.0
UNASKED = "It was not asked yet"
IN_CLEAR = "Its key goes over the network unencrypted: use https where the server has it."
UNTIL_END = "Its key is kept until SparkDesk ends: this computer has no encrypted keyring."


@dataclass(frozen=True, slots=True)
class ServerLink:
    """A server that was connected to by address."""

    id: str
    """Its address, whole."""
    models: tuple[str, ...] = ()
    """As it names them; empty while it cannot be asked."""
    has_key: bool = False
    problem: str = ""
    """Why it offers nothing now, with what to do; "" is nothing."""
    note: str = ""
    """What must be known of it."""


class ServerLinks:
    """The servers that were connected to by address."""

    def __init__(self, clients: EndpointClients, *, secrets: Secrets, store: Store, tasks: Tasks) -> None:
        self._clients = clients
        self._tasks = tasks
        self._secrets = secrets
        self._store = store
        self._keys: dict[str, str] = {}
        """By the link's id: what is kept for one address never goes to another."""
        self._offers: dict[str, tuple[ChatEndpoint, ...]] = {}
        self.links: Latest[tuple[ServerLink, ...]] = Latest(())
        self.endpoints: Latest[tuple[ChatEndpoint, ...]] = Latest(())

    async def restore(self) -> None:
        """Show the servers of earlier runs and ask each for its models. One that does not answer says so."""
        kept = [_from_json(data) for data in (await self._store.documents(KIND)).values()]
        known = {link.id for link in self.links.value}
        links = [link for link in kept if link is not None and link.id not in known][:MAX_LINKS]
        self.links.set((*self.links.value, *sorted(links, key=lambda link: link.id)))
        await asyncio.gather(*(self.ask(link.id) for link in links))

    async def connect(self, url: str, api_key: str = "") -> ChatEndpoint:
        """Ask the server for its models, offer each and remember it; gives the first. An empty key is the known one.

        Raises SettingsError, and EndpointError when the server names no model; then nothing is kept.
        """
        base, key = read_server_url(url), read_key(api_key)
        link = ServerLink(write_server_url(base))
        known = next((other for other in self.links.value if other.id == link.id), None)
        if not key:
            key = await self._known_key(known) if known is not None else ""
        models = await self._models(base, key)
        if key:
            self._keys[link.id] = key
        note = await self._keep(link.id, api_key=key if api_key else "", has_key=bool(key))
        self._show(replace(link, models=models, has_key=bool(key), note=" ".join((*_clear_note(base, key), *note))))
        return self._offers[link.id][0]

    async def ask(self, link_id: str) -> None:
        """Ask a known server again; what is wrong with it is said in its link. Raises EndpointError: no such server."""
        link = self._find(link_id)
        base = read_server_url(link.id)
        try:
            key = await self._known_key(link)
            models = await self._models(base, key)
        except EndpointError as error:
            told = replace(link, models=(), problem=error.sentence())
        else:
            told = replace(link, models=models, problem="", note=" ".join(_clear_note(base, key)))
        if any(known.id == link_id for known in self.links.value):  # It may be forgotten meanwhile.
            self._show(told)

    async def forget(self, link_id: str) -> None:
        """Forget a server and its key. Raises StoreError; the key and the offer are gone even then."""
        self._keys.pop(link_id, None)
        self._offers.pop(link_id, None)
        had_key = any(link.id == link_id and link.has_key for link in self.links.value)
        self.links.set(tuple(link for link in self.links.value if link.id != link_id))
        self._publish()
        if had_key:
            await self._secrets.forget(_secret_name(link_id))
        await self._store.remove_document(KIND, _digest(link_id))

    def _doubt(self, link_id: str) -> None:
        """An answer of this server's failed: ask it again, so that one that is gone is not offered any more."""
        if any(link.id == link_id for link in self.links.value):
            self._tasks.start_exclusive(f"ask {link_id}", self._ask_again, link_id)

    async def _ask_again(self, link_id: str) -> None:
        if any(link.id == link_id for link in self.links.value):
            await self.ask(link_id)

    def _find(self, link_id: str) -> ServerLink:
        for link in self.links.value:
            if link.id == link_id:
                return link
        raise EndpointError("This server is not known any more", remedy="Connect to it by its address.")

    async def _known_key(self, link: ServerLink) -> str:
        """The keyring is asked only where a key was given: it may want to be unlocked by a person."""
        if link.id not in self._keys and link.has_key:
            self._keys[link.id] = await self._secrets.get(_secret_name(link.id)) or ""
        return self._keys.get(link.id, "")

    async def _models(self, base: Endpoint, key: str) -> tuple[str, ...]:
        client = self._clients.open(base, None, api_key=key)
        try:
            status, body = await client.get(base.api_path("models"), timeout_s=ASK_TIMEOUT_S)
        finally:
            await client.close()
        names = tuple(dict.fromkeys(name for name, _, _ in read_models(body))) if status == 200 else ()
        if names:
            return names
        where = write_server_url(base)
        if status in (401, 403):
            said = "does not accept this key" if key else "wants a key"
            raise EndpointError(f"{where} {said} ({status})", remedy="Give the key that the server was started with.")
        if 300 <= status < 400:
            raise EndpointError(
                f"{where} sends us to another address ({status})",
                remedy="SparkDesk does not follow it: a sign-in page may be there. Give the server's own address.",
            )
        detail = body[:500].decode("utf-8", "replace")
        raise EndpointError(
            f"{where} names no model (it answered {status})",
            remedy="Check the address: it ends in /v1 for most servers.",
            detail=detail.replace(key, "(the key)") if key else detail,
        )

    async def _keep(self, link_id: str, *, api_key: str, has_key: bool) -> tuple[str, ...]:
        """Remember it; gives what must be known of that."""
        notes: list[str] = []
        if api_key:
            await self._secrets.set(_secret_name(link_id), api_key)
            notes += [] if self._secrets.is_durable else [UNTIL_END]
        data = json.dumps({"url": link_id, "has_key": has_key}).encode()
        try:
            await self._store.save_document(KIND, _digest(link_id), data)
        except StoreError as error:
            notes.append(f"It is not remembered for the next start: {error.sentence()}")
        return tuple(notes)

    def _show(self, link: ServerLink) -> None:
        base = read_server_url(link.id)
        self._offers[link.id] = tuple(self._offer(link.id, replace(base, model=name)) for name in link.models)
        links = self.links.value
        if any(other.id == link.id for other in links):
            self.links.set(tuple(link if other.id == link.id else other for other in links))
        else:
            self.links.set((link, *links))
        self._publish()

    def _publish(self) -> None:
        self.endpoints.set(tuple(offer for link in self.links.value for offer in self._offers.get(link.id, ())))

    def _offer(self, link_id: str, endpoint: Endpoint) -> ChatEndpoint:
        return ChatEndpoint(
            id=f"{link_id} {endpoint.model}",
            endpoint=endpoint,
            source=lambda: self._open(link_id, endpoint),
            node=f"{endpoint.host}:{endpoint.port}",
            doubt=lambda: self._doubt(link_id),
        )

    @asynccontextmanager
    async def _open(self, link_id: str, endpoint: Endpoint) -> AsyncIterator[EndpointClient]:
        client = self._clients.open(endpoint, None, api_key=self._keys.get(link_id, ""))
        try:
            yield client
        finally:
            await client.close()


def read_key(text: str) -> str:
    """A key as it was pasted, "" none. Raises SettingsError, without a word of it."""
    key = text.strip()
    if len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError("This is no key", remedy="Paste the key as the server knows it: one word of plain letters.")
    return key


def _clear_note(base: Endpoint, key: str) -> tuple[str, ...]:
    return (IN_CLEAR,) if key and not base.is_tls and not is_near(base.host) else ()


def _digest(link_id: str) -> str:
    return text_digest(link_id)[:32]


def _secret_name(link_id: str) -> str:
    return f"model server by address {_digest(link_id)}"


def _from_json(data: bytes) -> ServerLink | None:
    """What was kept; None where it is damaged or from another release. Total."""
    try:
        stored = json.loads(data)
        base = read_server_url(stored["url"])
        return ServerLink(write_server_url(base), has_key=stored.get("has_key") is True, problem=UNASKED)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SettingsError):
        return None
