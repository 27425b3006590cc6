"""Opens connections to nodes; fulfils core's Connector.

The one rule: the host key is judged here, before anything secret is sent. asyncssh raises the same exception for an
unknown and for a changed key, and asks its callback about changed ones too, so the callback only remembers what was
offered and never agrees; the trusted key goes in as the only entry of an explicit known_hosts.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncssh
from asyncssh.public_key import SSHKeyPair

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import AuthFailed, HostKeyChanged, HostKeyUnknown, NodeBusy, NodeError, Unreachable
from sparkdesk.core.ports import Offer
from sparkdesk.infra.ssh import algorithm
from sparkdesk.infra.ssh.error import FOREIGN, KEEPALIVE_COUNT, KEEPALIVE_INTERVAL_S, map_error
from sparkdesk.infra.ssh.key import SignIn, gather_sign_in, read_host_key, write_host_key
from sparkdesk.infra.ssh.session import LostNotice, NodeSession

MAX_CONNECTS_PER_NODE = 4
"""sshd begins to drop logins at ten unfinished ones (Source: sshd_config.5, MaxStartups 10:30:100)."""

MAX_CONNECTS = 8
RESOLVE_TIMEOUT_S = 5.0
TCP_TIMEOUT_S = 3.0
BUSY_TRIES = 3
MAX_ADDRESSES = 4

_BUSY_GREETING = b"Exceeded MaxStartups"
_PENALTY_GREETING = b"Not allowed at this time"
_COMPARE = (
    "At the node's own console run: for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done "
    "and compare the SHA256 line, then trust the key here."
)


class _Client(asyncssh.SSHClient):
    """asyncssh's questions during one attempt, and its notice that the connection is gone."""

    def __init__(self, node: str, sign_in: SignIn) -> None:
        self.node = node
        self.sign_in = sign_in
        self.lost = LostNotice()
        self.offered: asyncssh.SSHKey | None = None
        self._was_password_sent = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked for every key that is not the trusted one, changed ones too: remember it, never agree."""
        self.offered = key
        return False

    def public_key_auth_requested(self) -> SSHKeyPair | None:
        """The next key to offer."""
        self.sign_in.offered.append("publickey")
        return self.sign_in.next_pair()

    def password_auth_requested(self) -> str | None:
        """The password, once."""
        self.sign_in.offered.append("password")
        return self.sign_in.next_password("password")

    def kbdint_auth_requested(self) -> str | None:
        """Whether to answer questions: only where there is a password to answer with."""
        self.sign_in.offered.append("keyboard-interactive")
        return "" if self.sign_in.password is not None else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """The password to one hidden question; anything else is a second factor that we do not have."""
        if not prompts:
            return []
        if len(prompts) == 1 and not prompts[0][1]:
            password = self.sign_in.next_password("keyboard-interactive")
            return None if password is None else [password]
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncssh: the connection is gone."""
        reason = "closed by the node" if exc is None else map_error(exc, node=self.node).message
        self.lost.set(reason)


class SshConnector:
    """Connects to nodes over SSH; limits how many logins are under way at once."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(MAX_CONNECTS)
        self._node_gates: defaultdict[tuple[str, int], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MAX_CONNECTS_PER_NODE)
        )

    async def look(self, address: str, port: int, *, timeout_s: float = 8.0) -> Offer:
        """Fetch the host key that is offered there, without signing in. Raises Unreachable, NodeBusy."""
        record = NodeRecord(id="", name=address, address=address, port=port, user="sparkdesk")
        try:
            session = await self.connect(record, timeout_s=timeout_s)
        except HostKeyUnknown as unknown:
            return Offer(host_key=unknown.host_key, fingerprint=unknown.fingerprint)
        await session.close()  # cannot be reached: without a trusted key every key is refused
        raise Unreachable(f"{address} showed no host key", remedy="Check the SSH server on the node.", node=address)

    async def connect(self, record: NodeRecord, *, password: str | None = None, timeout_s: float = 12.0) -> NodeSession:
        """Connect to a node whose host key is trusted.

        Raises HostKeyUnknown, HostKeyChanged (nothing was sent), AuthFailed, NodeBusy, Unreachable.
        """
        trusted = _read_trusted(record)
        try:
            async with asyncio.timeout(timeout_s), self._gated(record):
                return await self._connect_patiently(record, trusted, password)
        except TimeoutError as error:
            raise Unreachable(
                f"{record.name} did not let us in within {timeout_s:g} s",
                remedy="The machine answers but its SSH server does not: it may be overloaded. SparkDesk tries again.",
                node=record.name,
            ) from error

    @asynccontextmanager
    async def _gated(self, record: NodeRecord) -> AsyncIterator[None]:
        async with self._node_gates[record.address, record.port], self._gate:
            yield

    async def _connect_patiently(
        self, record: NodeRecord, trusted: asyncssh.SSHKey | None, password: str | None
    ) -> NodeSession:
        """A few tries while sshd has no free login slot; every other failure ends it at once."""
        for attempt in range(1, BUSY_TRIES + 1):
            sock = await _open_socket(record)
            session: NodeSession | None = None
            try:
                await _check_greeting(record, sock)
                sign_in = await gather_sign_in(record.key_path, password)
                session = await self._sign_in(record, trusted, sign_in, sock)
                return session
            except _NoFreeLogin as busy:
                if attempt == BUSY_TRIES:
                    raise NodeBusy(busy.message, remedy=busy.remedy, detail=busy.detail, node=busy.node) from busy
            finally:
                if session is None:
                    sock.close()  # asyncssh has closed it already if it took it over; twice is no harm
            await asyncio.sleep(0.3 * 2**attempt * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    async def _sign_in(
        self, record: NodeRecord, trusted: asyncssh.SSHKey | None, sign_in: SignIn, sock: socket.socket
    ) -> NodeSession:
        client = _Client(record.name, sign_in)
        try:
            connection = await _handshake(record, trusted, client, sock)
        except asyncssh.HostKeyNotVerifiable as error:
            raise _judge_key(record, trusted, client.offered) from error
        except FOREIGN as error:
            if trusted is not None and isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in str(error):
                raise _judge_key(record, trusted, None) from error
            mapped = map_error(error, node=record.name, address=record.address, port=record.port)
            raise _explain_refusal(mapped, record, sign_in) from error
        finally:
            sign_in.close()
        return NodeSession(connection, record.name, client.lost)


class _NoFreeLogin(NodeBusy):
    """sshd has no free login slot now: worth another try in a moment."""


def _read_trusted(record: NodeRecord) -> asyncssh.SSHKey | None:
    if not record.host_key:
        return None
    try:
        key = read_host_key(record.host_key)
    except ValueError as error:
        raise HostKeyChanged(
            f"The host key that is kept for {record.name} cannot be read",
            remedy="Remove the node here and add it again.",
            trusted=record.host_key[:100],
            offered="not asked",
            node=record.name,
        ) from error
    if not algorithm.is_strong(key):
        raise _too_weak(record, key)
    return key


def _too_weak(record: NodeRecord, key: asyncssh.SSHKey) -> Unreachable:
    return Unreachable(
        f"{record.name} proves itself with a host key that is too weak ({key.get_algorithm()})",
        remedy="On the node run: sudo ssh-keygen -A && sudo systemctl restart ssh",
        detail=key.get_fingerprint(),
        node=record.name,
    )


def _judge_key(record: NodeRecord, trusted: asyncssh.SSHKey | None, offered: asyncssh.SSHKey | None) -> NodeError:
    """What a key that is not the trusted one means. A changed key is never offered for trust."""
    if trusted is not None:
        return HostKeyChanged(
            f"{record.name} shows another host key than the one you trusted",
            remedy=(
                "Nothing was sent. If you know that the node was installed anew, remove it here, add it again and "
                "compare the fingerprint at its own console; else somebody may be in between."
            ),
            trusted=trusted.get_fingerprint(),
            offered=offered.get_fingerprint() if offered is not None else "no key of an accepted kind",
            node=record.name,
        )
    if offered is None:
        return Unreachable(
            f"{record.name} showed no host key", remedy="Check the SSH server on the node.", node=record.name
        )
    if not algorithm.is_strong(offered):
        return _too_weak(record, offered)
    return HostKeyUnknown(
        f"Nobody has confirmed the host key of {record.name} yet",
        remedy=_COMPARE,
        host_key=write_host_key(offered),
        fingerprint=offered.get_fingerprint(),
        node=record.name,
    )


def _explain_refusal(error: NodeError, record: NodeRecord, sign_in: SignIn) -> NodeError:
    """A refused sign-in with what was tried, what the node offers and the step that fits; others as they are."""
    if not isinstance(error, AuthFailed):
        return error
    has_tried_password = any(not words.startswith("key ") for words in sign_in.tried)
    if has_tried_password:
        remedy = "Check the password and the user name, then enter the password again."
    elif not sign_in.tried and "password" not in sign_in.offered:
        remedy = "SparkDesk found no SSH key on this computer. Make one and add its public line on the node."
    else:
        remedy = "Enter the password once, or add your public key to ~/.ssh/authorized_keys on the node."
    return AuthFailed(
        f"{record.name} refused the sign-in as {record.user}",
        remedy=remedy,
        detail=f"{sign_in.explain()}\n{error.detail}",
        node=record.name,
    )


async def _open_socket(record: NodeRecord) -> socket.socket:
    """A connected TCP socket, by the first of the name's addresses that answers. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    last: Exception = OSError("the name has no address")
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(record.address, record.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, TimeoutError):
            error = socket.gaierror(socket.EAI_AGAIN, "no answer from the name server")
        raise _unreachable(record, error) from error
    for family, kind, protocol, _, where in found[:MAX_ADDRESSES]:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(TCP_TIMEOUT_S):
                await loop.sock_connect(sock, where)
            return sock
        except OSError as error:
            sock.close()
            last = error
        except asyncio.CancelledError:
            sock.close()
            raise
    raise _unreachable(record, last) from last


def _unreachable(record: NodeRecord, error: BaseException) -> NodeError:
    return map_error(error, node=record.name, address=record.address, port=record.port)


async def _check_greeting(record: NodeRecord, sock: socket.socket) -> None:
    """Looks at sshd's first bytes without taking them: asyncssh would swallow the reason of a refusal.

    Raises NodeBusy, Unreachable.
    """
    try:
        first = await _peek(sock)
    except NotImplementedError:
        return  # an event loop that cannot watch a socket (Windows): asyncssh will say "lost"
    except OSError as error:
        raise _unreachable(record, error) from error
    if first.startswith(_PENALTY_GREETING):
        raise NodeBusy(
            f"{record.name} refuses this computer for a while because of failed sign-ins",
            remedy="Wait: it lets go by itself after at most 10 minutes. SparkDesk tries again, seldom.",
            node=record.name,
        )
    if not first or first.startswith(_BUSY_GREETING):
        raise _NoFreeLogin(
            f"{record.name} is busy with other logins",
            remedy="SparkDesk tries again. If it stays so, look for programs that log in there again and again.",
            detail=first.decode("ascii", "replace").strip(),
            node=record.name,
        )


async def _peek(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(sock, tell)
    try:
        await readable
    finally:
        loop.remove_reader(sock)
    return sock.recv(64, socket.MSG_PEEK)


async def _handshake(
    record: NodeRecord, trusted: asyncssh.SSHKey | None, client: _Client, sock: socket.socket
) -> asyncssh.SSHClientConnection:
    """asyncssh's part, with every default that reads the user's files or offers more than asked for switched off."""
    return await asyncssh.connect(
        sock=sock,
        config=[],
        known_hosts=([trusted] if trusted is not None else [], [], []),
        client_factory=lambda: client,
        username=record.user,
        client_keys=None,
        agent_path=None,
        agent_forwarding=False,
        x11_forwarding=False,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        host_based_auth=False,
        gss_auth=False,
        gss_kex=False,
        preferred_auth=["publickey", "keyboard-interactive", "password"],
        server_host_key_algs=algorithm.order_host_keys(trusted),
        kex_algs=algorithm.KEY_EXCHANGES,
        encryption_algs=algorithm.CIPHERS,
        mac_algs=algorithm.MACS,
        signature_algs=algorithm.SIGNATURES,
        compression_algs=["none"],
        keepalive_interval=KEEPALIVE_INTERVAL_S,
        keepalive_count_max=KEEPALIVE_COUNT,
        login_timeout=0,
        encoding=None,
    )
