"""The SSH server of a node: listens, signs clients in, and opens sessions and forwards.

The one rule: nothing a client asks for runs or connects outside the node. Limits are those of a stock sshd, so that
what works here has a chance there.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
from collections.abc import Coroutine
from typing import Any, Protocol

import asyncssh

from sparkdesk.simulator.identity import USER
from sparkdesk.simulator.node.node import Node
from sparkdesk.simulator.ssh.forward import Forward, open_forward, open_peer
from sparkdesk.simulator.ssh.session import Session
from sparkdesk.simulator.ssh.sign_in import SignIn, read_authorized_keys

MAX_SESSIONS = 10  # a channel more is refused, as by sshd. Source: sshd_config MaxSessions
MAX_TRIES = 6  # Source: sshd_config MaxAuthTries
_WRONG_DELAY_S = 1.5  # as measured with a stock sshd and pam_faildelay: 1.4 to 2.2 s
_SLOW_SIGN_IN_S = 3.0
_SLOW_COMMAND_S = 1.5
_LOGIN_TIMEOUT_S = 120.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SSH_PORT = 22


class Peers(Protocol):
    """The other nodes as this one can reach them."""

    def find_peer(self, node: Node, host: str) -> tuple[str, int] | None:
        """Where the SSH server of the node behind this name or address really listens; None for a stranger."""


class NodeServer:
    """Listens for one node. The set of its open connections is what a frozen node holds still."""

    def __init__(self, node: Node, host_key: asyncssh.SSHKey, sign_in: SignIn, peers: Peers) -> None:
        self.node = node
        self.host_key = host_key
        self.sign_in = sign_in
        self.peers = peers
        self.is_slow = False
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.is_frozen = False
        self.kept_port = 0
        self.lines = itertools.count(1)
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._inner: asyncssh.SSHAcceptor | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 when it does not."""
        return self._acceptor.get_port() if self._acceptor else 0

    async def listen(self, port: int) -> int:
        """Listen on the node's address; returns the port (`port` if it was free, or 0 for any). Raises OSError.

        Inside the node's own network it listens as well, on port 22, for its peers.
        """
        setting: dict[str, Any] = {
            "server_factory": lambda: Connection(self),
            "server_host_keys": [self.host_key],
            "encoding": None,
            "line_editor": False,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "allow_scp": False,
            "login_timeout": _LOGIN_TIMEOUT_S,
            "config": [],
        }
        self._acceptor = await asyncssh.listen(self.node.identity.address, port, **setting)
        door = self.node.door()
        if door is not None:
            self._inner = await asyncssh.listen(sock=door, **setting)
        return self._acceptor.get_port()

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        self.cut()

    async def change_host_key(self, key: asyncssh.SSHKey) -> None:
        """Answer with another key from now on, as a machine set up anew; who is connected is cut off."""
        self.host_key = key
        if self._acceptor is not None:
            self.cut()
            await self.listen(self.kept_port)

    def cut(self) -> None:
        """Cut every connection and listen no more, as a machine that goes down; the port is kept for `listen`."""
        if self._acceptor is not None:
            self.kept_port = self.port
            self._acceptor.close()
            self._acceptor = None
        if self._inner is not None:
            self._inner.close()
            self._inner = None
        for connection in list(self.connections):
            connection.abort()

    def freeze(self, is_on: bool) -> None:
        """Say nothing more on any connection, old or new, as a machine without power; or go on."""
        self.is_frozen = is_on
        self.node.freeze(is_on)
        for connection in self.connections:
            hold(connection, is_on)


def hold(connection: asyncssh.SSHServerConnection, is_on: bool) -> None:
    """Stop or go on reading from the network. asyncssh has no public name for its transport."""
    transport = getattr(connection, "_transport", None)
    if isinstance(transport, asyncio.Transport) and not transport.is_closing():
        if is_on and transport.is_reading():
            transport.pause_reading()
        elif not is_on and not transport.is_reading():
            transport.resume_reading()


class Connection(asyncssh.SSHServer):
    """One client's connection."""

    def __init__(self, server: NodeServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None
        self._wrong = 0
        self.number = next(server.lines)
        self.sessions: set[Session] = set()
        self.delay_s = _SLOW_COMMAND_S if server.is_slow else 0.0
        self.client = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A client connected; a frozen node does not hear it."""
        self._connection = conn
        self._server.connections.add(conn)
        own, peer = conn.get_extra_info("sockname"), conn.get_extra_info("peername")
        if own and peer and own[0] != self._server.node.identity.address:  # a peer, by the node's own network
            self.client = f"{peer[0]} {peer[1]} {own[0]} {own[1]}"
        if self._server.is_frozen:
            asyncio.get_running_loop().call_soon(hold, conn, True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Every session of it hangs up by itself; here only the books are kept."""
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    async def begin_auth(self, username: str) -> bool:
        """Everyone must sign in. The user's own keys are read anew each time, as sshd does."""
        if self._server.is_slow:
            await asyncio.sleep(_SLOW_SIGN_IN_S)
        if username == USER and self._connection is not None:
            keys = read_authorized_keys(self._server.node.root)
            if keys is not None:
                self._connection.set_authorized_keys(keys)
        return True

    def auth_completed(self) -> None:
        """Somebody is in."""
        self._server.node.sign_in(self.number)

    def password_auth_supported(self) -> bool:
        """Only where it was asked for: other people on this computer could try passwords."""
        return bool(self._server.sign_in.password)

    async def validate_password(self, username: str, password: str) -> bool:
        """The node's own password, slowly when it is wrong; too many and the line is cut."""
        right = self._server.sign_in.password
        if right and hmac.compare_digest(password.encode(), right.encode()) and username == USER:
            return True
        self._wrong += 1
        await asyncio.sleep(_WRONG_DELAY_S)
        if self._wrong >= MAX_TRIES and self._connection is not None:
            self._connection.disconnect(asyncssh.DISC_PROTOCOL_ERROR, "Too many authentication failures")
        return False

    def public_key_auth_supported(self) -> bool:
        """Always."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Only `nvidia`, with a key that the simulator was started with; the user's own were looked at before."""
        return username == USER and key.public_data in self._server.sign_in.keys

    def session_requested(self) -> Session:
        """A command, a shell or file transfer."""
        if len(self.sessions) >= MAX_SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "open failed")
        session = Session(self._server.node, self)
        self.sessions.add(session)
        return session

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Coroutine[Any, Any, Forward]:
        """A forward: the node's own loopback, or the SSH server of a peer that the node can reach."""
        node = self._server.node
        peer = self._server.peers.find_peer(node, dest_host) if dest_port == _SSH_PORT else None
        if peer is not None:
            return open_peer(node, *peer)
        if dest_host not in (*_LOOPBACK, node.identity.name, f"{node.identity.name}.local"):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
                f"a simulated node reaches only itself and its peers' SSH, not {dest_host}",
            )
        return open_forward(node, dest_port)
