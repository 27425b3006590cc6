"""A real SSH server inside the test process (asyncssh), for what OpenSSH on loopback cannot be made to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from sparkdesk.core.cluster.node import NodeRecord


@dataclass
class Seen:
    """What reached the server: to prove that nothing secret did."""

    connections: int = 0
    users: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class _Door(asyncssh.SSHServer):
    def __init__(
        self, seen: Seen, password: str | None, authorized: set[str], guests: list[asyncssh.SSHServerConnection]
    ) -> None:
        self._seen = seen
        self._guests = guests
        self._password = password
        self._authorized = authorized

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._seen.connections += 1
        self._guests.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._seen.users.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return self._password is not None

    def validate_password(self, username: str, password: str) -> bool:
        self._seen.passwords.append(password)
        return password == self._password

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        line = " ".join(key.export_public_key().decode().split()[:2])
        self._seen.keys.append(line)
        return line in self._authorized


@dataclass
class SshServer:
    """A listening server: its port, the key it proves itself with, and what it saw."""

    port: int
    host_key: str
    seen: Seen

    def record(self, **changes: str) -> NodeRecord:
        """The node's record, trusted; `changes` replace fields."""
        fields: dict[str, Any] = {"host_key": self.host_key, **changes}
        return NodeRecord(id="spark-1", name="spark-1", address="127.0.0.1", port=self.port, user="nvidia", **fields)


def new_key(kind: str = "ssh-ed25519", **options: Any) -> asyncssh.SSHKey:
    """A key made in memory."""
    return asyncssh.generate_private_key(kind, **options)


def public_line(key: asyncssh.SSHKey) -> str:
    """Its public line without comment."""
    return " ".join(key.export_public_key().decode().split()[:2])


async def _say_hello(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write(b"hello\n")
    process.exit(0)


@asynccontextmanager
async def running_server(
    *keys: asyncssh.SSHKey,
    password: str | None = None,
    authorized: set[str] | None = None,
    address: str = "127.0.0.1",
    port: int = 0,
    options: dict[str, object] | None = None,
) -> AsyncIterator[SshServer]:
    """A server with these host keys (a new ed25519 one by default) for the length of the block."""
    host_keys = keys or (new_key(),)
    seen = Seen()
    guests: list[asyncssh.SSHServerConnection] = []
    door: Callable[[], _Door] = lambda: _Door(seen, password, authorized or set(), guests)  # noqa: E731
    server = await asyncssh.listen(
        address,
        port,
        server_host_keys=list(host_keys),
        server_factory=door,
        process_factory=_say_hello,
        encoding=None,
        config=[],
        **(options or {}),
    )
    try:
        yield SshServer(server.get_port(), public_line(host_keys[0]), seen)
    finally:
        server.close()
        await server.wait_closed()
        for guest in guests:
            guest.abort()
            await guest.wait_closed()
        await asyncio.sleep(0)
