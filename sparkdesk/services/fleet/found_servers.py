"""Model servers that already run on a node: found when it becomes live, watched while it is, and talked to.

The one rule: reading only. They are listed and asked for models and health; nothing here stops or changes one, and
those that SparkDesk started itself are left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeRecord, NodeStatus
from sparkdesk.core.cluster.server_report import ServerReport, read_server_report, with_models
from sparkdesk.core.command import Command, Exit
from sparkdesk.core.errors import EndpointError, NodeError, SettingsError, SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.ports import EndpointClient, EndpointClients, Secrets, Shell
from sparkdesk.services.clock import Clock
from sparkdesk.services.jobs.endpoint_pool import EndpointPool
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.rhythm import Rhythm

log = logging.getLogger(__name__)

REFRESH_S = 30.0
"""So often the list of listening ports is compared; the servers are asked again only when it has changed,"""
ASK_AGAIN_S = 300.0
"""or after so long, or while one of them is not healthy yet."""
RUN_TIMEOUT_S = 8.0
UNLOCK_TIMEOUT_S = 2.5
KEY_TIMEOUT_S = 8.0
MAX_MISSES = 3
"""A server that does not answer in time is shown for so many rounds as long as its port still listens."""
MAX_KEY_CHARS = 512

_LIST_PORTS = Command(("awk", '$4 == "0A" {print $2, $8}', "/proc/net/tcp", "/proc/net/tcp6"))


class FoundServers:
    """The servers that others started on the cluster's nodes. `watch` belongs into `Inventory.on_live`."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together; every one is a part of it
        self,
        *,
        nodes: Latest[tuple[NodeStatus, ...]],
        shells: Callable[[str], Shell],
        clients: EndpointClients,
        secrets: Secrets,
        program: bytes,
        clock: Clock,
        own_ports: Callable[[str], Collection[int]],
    ) -> None:
        self._nodes = nodes
        self._shells = shells
        self._secrets = secrets
        self._program = program
        self._clock = clock
        self._own_ports = own_ports
        self._pool = EndpointPool(shells, clients)
        self._known: dict[str, tuple[FoundServer, ...]] = {}
        self._misses: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        """Of servers that asked for one and accepted it, by server id."""
        self._asking: dict[str, asyncio.Lock] = {}
        self.servers: Latest[tuple[FoundServer, ...]] = Latest(())
        self.rhythm = Rhythm()
        self._subscription = nodes.subscribe(self._forget_gone)

    # Finding ------------------------------------------------------------------------------------------------------

    async def watch(self, node_id: str, shell: Shell) -> None:
        """Look at once, then for as long as the node is live whenever its listening ports have changed."""
        seen: bytes | None = None
        asked_s = 0.0
        while True:
            ports = await self._list_ports(shell)
            is_due = self._clock.monotonic_s() - asked_s >= ASK_AGAIN_S or self._is_unsettled(node_id)
            if seen is None or ports != seen or is_due:
                asked_s = self._clock.monotonic_s()
                try:
                    await self._ask(node_id, shell)
                    seen = ports
                except NodeError as error:
                    log.info("servers on %s: %s", shell.node, error.sentence())
            await self.rhythm.pause(REFRESH_S)

    async def look(self, node_id: str) -> None:
        """Look now. Raises a NodeError when the node is not live or cannot be asked."""
        await self._ask(node_id, self._shells(node_id))

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: what was found keeps its age."""
        for node_id, servers in self._known.items():
            self._known[node_id] = tuple(replace(server, t_ms=server.t_ms + moved_ms) for server in servers)
        self._publish()

    def refresh_own(self) -> None:
        """Own jobs have come or gone: leave out what is theirs."""
        self._publish()

    async def _list_ports(self, shell: Shell) -> bytes:
        outcome = await shell.run(_LIST_PORTS, timeout_s=RUN_TIMEOUT_S, max_bytes=1 << 18)
        return b"\n".join(sorted(outcome.stdout.splitlines())) if isinstance(outcome.fate, Exit) else b""

    async def _ask(self, node_id: str, shell: Shell) -> None:
        async with self._asking.setdefault(node_id, asyncio.Lock()):
            own = sorted(self._own_ports(node_id))
            answer = await run_program(shell, self._program, [str(port) for port in own], timeout_s=RUN_TIMEOUT_S)
            report = read_server_report(answer, node_id=node_id, t_ms=self._clock.now_ms())
            servers = await asyncio.gather(*(self._reopened(server) for server in report.servers))
            if self._record(node_id) is None:
                return
            self._known[node_id] = self._with_missed(node_id, servers, report)
            self._publish()
        for server in servers:
            await self._open_by_kept(server)

    def _with_missed(self, node_id: str, servers: list[FoundServer], report: ServerReport) -> tuple[FoundServer, ...]:
        """A busy server may answer late: it stays for some rounds as long as its port listens."""
        seen = {server.id for server in servers}
        for server_id in seen:
            self._misses.pop(server_id, None)
        kept = list(servers)
        for server in self._known.get(node_id, ()):
            if server.id in seen:
                continue
            self._misses[server.id] = self._misses.get(server.id, 0) + 1
            is_ours = server.port in self._own_ports(node_id)
            if server.port in report.listening and not is_ours and self._misses[server.id] <= MAX_MISSES:
                kept.append(replace(server, is_healthy=None, note="It did not answer in time"))
            else:
                self._forget(server.id)
        return tuple(sorted(kept, key=lambda server: server.port))

    def _is_unsettled(self, node_id: str) -> bool:
        return any(server.is_healthy is not True and not server.needs_key for server in self._known.get(node_id, ()))

    # Talking ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def client(self, server_id: str) -> AsyncIterator[EndpointClient]:
        """A client for the server, through its node. Raises EndpointError (no such server), a NodeError."""
        endpoint = self.endpoint(server_id, "")
        async with self._pool.client(server_id, endpoint, api_key=self._keys.get(server_id, "")) as client:
            yield client

    def endpoint(self, server_id: str, model: str) -> Endpoint:
        """What chat needs to know of one of the server's models. Raises EndpointError when the server is gone."""
        server = self._find(server_id)
        limits = dict(zip(server.models, server.context_tokens, strict=False))
        return Endpoint(
            node_id=server.node_id,
            host=server.host,
            port=server.port,
            model=model,
            engine=server.engine,
            metrics_path="/metrics" if server.has_metrics else "",
            context_tokens=limits.get(model),
        )

    async def give_key(self, server_id: str, key: str) -> None:
        """Try the key; it is kept when the server accepts it. Raises SettingsError, EndpointError, a NodeError."""
        server = self._find(server_id)
        key = key.strip()
        if not 0 < len(key) <= MAX_KEY_CHARS or not key.isascii() or not key.isprintable() or " " in key:
            raise SettingsError(
                "This is no key", remedy="Paste the key as the server was started with it: one word of plain letters."
            )
        opened = await self._open_with(server, key, timeout_s=KEY_TIMEOUT_S)
        await self._keep_key(server, key)
        self._take(opened, key)
        self._publish()

    async def _keep_key(self, server: FoundServer, key: str) -> None:
        """Keep the key, and the port with the others' of this machine: a keyring cannot be asked what is in it."""
        machine = self._machine_name(self._record(server.node_id), server.node_id)
        ports = set((await self._secrets.get(machine) or "").split())
        await self._secrets.set(machine, " ".join(sorted(ports | {str(server.port)})))
        await self._secrets.set(f"{machine}:{server.port}", key)

    async def forget(self, record: NodeRecord) -> None:
        """Forget every key that was given for a server of a node that was removed."""
        machine = self._machine_name(record, record.id)
        ports = await self._secrets.get(machine) or ""
        for port in ports.split():
            await self._secrets.forget(f"{machine}:{port}")
        if ports:
            await self._secrets.forget(machine)

    async def _reopened(self, server: FoundServer) -> FoundServer:
        """The server with its models, if it wants a key and accepted one in this run."""
        if not server.needs_key:
            self._keys.pop(server.id, None)
            return server
        key = self._keys.get(server.id)
        if key is None:
            return server
        try:
            return await self._open_with(server, key, timeout_s=UNLOCK_TIMEOUT_S)
        except SparkDeskError as error:
            return replace(server, note=error.message)

    async def _open_by_kept(self, server: FoundServer) -> None:
        """Try the key that was kept in an earlier run. The keyring may take its time: the server is shown by then."""
        if not server.needs_key or server.id in self._keys:
            return
        key = await self._secrets.get(self._secret_name(server))
        if not key:
            return
        try:
            opened = await self._open_with(server, key, timeout_s=KEY_TIMEOUT_S)
        except SparkDeskError as error:
            log.info("kept key for %s: %s", server.id, error.sentence())
            return
        self._take(opened, key)
        self._publish()

    async def _open_with(self, server: FoundServer, key: str, *, timeout_s: float) -> FoundServer:
        endpoint = Endpoint(server.node_id, server.host, server.port, "", engine=server.engine)
        async with self._pool.client(f"{server.id} key", endpoint, api_key=key) as client:
            status, body = await client.get("/v1/models", timeout_s=timeout_s)
        opened = with_models(server, body) if status == 200 else None
        if opened is None:
            is_refused = status in (401, 403)
            raise EndpointError(
                "The server does not accept the key" if is_refused else f"The server names no model ({status})",
                remedy="Check the key: it is the one that the server was started with."
                if is_refused
                else "Check that the port belongs to a model server.",
                node=record.name if (record := self._record(server.node_id)) is not None else "",
            )
        return opened

    def _take(self, server: FoundServer, key: str) -> None:
        """The server as it is now that its key is known."""
        self._pool.drop(server.id)
        self._keys[server.id] = key
        rows = self._known.get(server.node_id, ())
        self._known[server.node_id] = tuple(server if row.id == server.id else row for row in rows)

    def _secret_name(self, server: FoundServer) -> str:
        """By the node's host key and the port: a key never goes to another machine at the same address."""
        return f"{self._machine_name(self._record(server.node_id), server.node_id)}:{server.port}"

    @staticmethod
    def _machine_name(record: NodeRecord | None, node_id: str) -> str:
        machine = record.host_key if record is not None and record.host_key else node_id
        return f"model server {hashlib.sha256(machine.encode()).hexdigest()[:32]}"

    # Keeping ------------------------------------------------------------------------------------------------------

    def _record(self, node_id: str) -> NodeRecord | None:
        return next((status.record for status in self._nodes.value if status.record.id == node_id), None)

    def _find(self, server_id: str) -> FoundServer:
        for server in self.servers.value:
            if server.id == server_id:
                return server
        raise EndpointError(
            "This model server is gone", remedy="Choose another; it comes back to the list when it runs again."
        )

    def _forget_gone(self, nodes: tuple[NodeStatus, ...]) -> None:
        here = {status.record.id for status in nodes}
        gone = [node_id for node_id in self._known if node_id not in here]
        for node_id in gone:
            for server in self._known.pop(node_id):
                self._forget(server.id)
        if gone:
            self._publish()

    def _forget(self, server_id: str) -> None:
        self._pool.drop(server_id)
        self._keys.pop(server_id, None)
        self._misses.pop(server_id, None)

    def _publish(self) -> None:
        servers = tuple(
            server
            for node_id, known in self._known.items()
            for own in (set(self._own_ports(node_id)),)
            for server in known
            if server.port not in own
        )
        if servers != self.servers.value:
            self.servers.set(servers)

    def close(self) -> None:
        """Stop listening to the inventory, and let go of every client."""
        self._subscription.close()
        self._pool.close()
