"""Opens connections to nodes; fulfils core's Connector.

The one rule: the host key is judged before anything secret is sent, at each hop by its own confirmed key: a password
for a node never reaches its jump host, and a node that is reached through one is checked as any other.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import defaultdict
from dataclasses import dataclass, field

import asyncssh

from sparkdesk.core.cluster.node import JumpHost, NodeRecord
from sparkdesk.core.errors import AuthFailed, HostKeyUnknown, NodeBusy, NodeError, Unreachable
from sparkdesk.core.ports import Offer
from sparkdesk.infra.ssh.dial import (
    NoFreeLogin,
    Tunnel,
    check_greeting,
    hear_host_key_kinds,
    judge_greeting,
    open_socket,
)
from sparkdesk.infra.ssh.error import FOREIGN, map_error
from sparkdesk.infra.ssh.handshake import Questions, shake_hands
from sparkdesk.infra.ssh.key import SignIn, gather_sign_in
from sparkdesk.infra.ssh.session import NodeSession
from sparkdesk.infra.ssh.verdict import explain_refusal, judge_key, judge_kinds, kinds_in, read_trusted

MAX_CONNECTS_PER_NODE = 4
"""sshd begins to drop logins at ten unfinished ones (Source: sshd_config.5, MaxStartups 10:30:100)."""

MAX_SIGN_INS = 16
"""In all, at once. Only what answers counts: nodes that are away are dialled beside it and hold nobody up."""
BUSY_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Given:
    """What a person or the keyring gave for one attempt."""

    password: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)


class SshConnector:
    """Connects to nodes over SSH; limits how many logins are under way at once."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(MAX_SIGN_INS)
        self._node_gates: defaultdict[tuple[str, int], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(MAX_CONNECTS_PER_NODE)
        )

    async def look(
        self,
        address: str,
        port: int,
        *,
        jump: JumpHost | None = None,
        jump_password: str | None = None,
        timeout_s: float = 8.0,
    ) -> Offer:
        """Fetch the host key that is offered there, without signing in there.

        Raises Unreachable, NodeBusy; of the jump host, as `connect` does.
        """
        record = NodeRecord(id="", name=address, address=address, port=port, user="sparkdesk", jump=jump)
        try:
            session = await self.connect(record, jump_password=jump_password, timeout_s=timeout_s)
        except HostKeyUnknown as unknown:
            if unknown.node != address:
                raise  # the jump host's own
            return Offer(host_key=unknown.host_key, fingerprint=unknown.fingerprint)
        await session.close()  # cannot be reached: without a trusted key every key is refused
        raise Unreachable(f"{address} showed no host key", remedy="Check the SSH server on the node.", node=address)

    async def connect(
        self,
        record: NodeRecord,
        *,
        password: str | None = None,
        passphrase: str | None = None,
        jump_password: str | None = None,
        timeout_s: float = 12.0,
    ) -> NodeSession:
        """Connect to a node whose host key is trusted; through its jump host when it has one.

        Raises HostKeyUnknown, HostKeyChanged (nothing was sent), KeyLocked, AuthFailed, NodeBusy, Unreachable.
        """
        trusted = read_trusted(record)
        given = _Given(password, passphrase)
        try:
            async with asyncio.timeout(timeout_s), self._node_gates[record.address, record.port]:
                if record.jump is None:
                    return await self._connect_patiently(record, trusted, given, None)
                return await self._connect_through(record, trusted, given, jump_password)
        except TimeoutError as error:
            raise Unreachable(
                f"{record.name} did not let us in within {timeout_s:g} s",
                remedy="The machine answers but its SSH server does not: it may be overloaded. SparkDesk tries again.",
                node=record.name,
            ) from error

    async def _connect_through(
        self, record: NodeRecord, trusted: asyncssh.SSHKey | None, given: _Given, jump_password: str | None
    ) -> NodeSession:
        """By a connection to the jump host that is this node's alone and ends with it."""
        assert record.jump is not None
        hop = record_of_jump(record.jump)
        async with self._node_gates[hop.address, hop.port]:
            jump = await self._connect_patiently(hop, read_trusted(hop), _Given(jump_password), None)
        try:
            session = await self._connect_patiently(record, trusted, given, jump)
        except BaseException:
            await jump.close()
            raise
        session.ends_with(jump)
        return session

    async def _connect_patiently(
        self, record: NodeRecord, trusted: asyncssh.SSHKey | None, given: _Given, jump: NodeSession | None
    ) -> NodeSession:
        """A few tries while sshd has no free login slot; every other failure ends it at once, and a mere look too."""
        tries = BUSY_TRIES if trusted is not None else 1
        for attempt in range(1, tries + 1):
            sock: socket.socket | None = None
            session: NodeSession | None = None
            try:
                way: socket.socket | Tunnel
                if jump is None:
                    way = sock = await open_socket(record)
                    await check_greeting(record, sock)
                else:
                    way = Tunnel(jump.connection, record)
                async with self._gate:
                    session = await self._sign_in(record, trusted, await _gather(record, given), way)
                return session
            except NoFreeLogin as busy:
                if attempt == tries:
                    raise NodeBusy(busy.message, remedy=busy.remedy, detail=busy.detail, node=busy.node) from busy
            except _NothingHeard as silent:
                kinds = await hear_host_key_kinds(record, None if jump is None else jump.connection)
                raise judge_kinds(record, trusted, kinds) or silent.error from silent
            finally:
                if session is None and sock is not None:
                    sock.close()  # asyncssh has closed it already if it took it over; twice is no harm
            await asyncio.sleep(0.3 * 2**attempt * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    async def _sign_in(
        self, record: NodeRecord, trusted: asyncssh.SSHKey | None, sign_in: SignIn, way: socket.socket | Tunnel
    ) -> NodeSession:
        questions = Questions(record.name, sign_in)
        try:
            connection = await shake_hands(record, trusted, questions, way)
        except asyncssh.HostKeyNotVerifiable as error:
            raise judge_key(record, trusted, questions.offered) from error
        except FOREIGN as error:
            kinds = judge_kinds(record, trusted, kinds_in(error))
            if kinds is not None:
                raise kinds from error
            if isinstance(way, Tunnel):
                judge_greeting(record, way.first)
            mapped = map_error(error, node=record.name, address=record.address, port=record.port)
            if isinstance(error, asyncssh.ConnectionLost | ConnectionError) and not sign_in.offered:
                raise _NothingHeard(explain_refusal(mapped, record, sign_in)) from error
            raise explain_refusal(mapped, record, sign_in) from error
        finally:
            sign_in.close()
        return NodeSession(connection, record.name, questions.lost)


class _NothingHeard(Exception):
    """The node hung up before it showed a host key; `error` is what is said when nothing tells why."""

    def __init__(self, error: NodeError) -> None:
        self.error = error


def record_of_jump(jump: JumpHost) -> NodeRecord:
    """A jump host as a node of its own."""
    return NodeRecord(
        id="",
        name=jump.title,
        address=jump.address,
        port=jump.port,
        user=jump.user,
        host_key=jump.host_key,
        key_path=jump.key_path,
    )


async def _gather(record: NodeRecord, given: _Given) -> SignIn:
    try:
        return await gather_sign_in(record, given.password, given.passphrase)
    except AuthFailed as error:
        raise type(error)(error.message, remedy=error.remedy, detail=error.detail, node=record.name) from error
