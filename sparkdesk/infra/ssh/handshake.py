"""asyncssh's part of signing in: key exchange and login, with every default that reads the user's files switched off.

The one rule: asyncssh raises the same exception for an unknown and for a changed host key, and asks its callback about
changed ones too; so the callback only remembers what was offered and never agrees, and the trusted key goes in as the
only entry of an explicit known_hosts. Certificates are never trusted: nobody has told us an authority.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import asyncssh
from asyncssh.public_key import SSHKeyPair

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.infra.ssh import algorithm
from sparkdesk.infra.ssh.dial import Tunnel
from sparkdesk.infra.ssh.error import KEEPALIVE_COUNT, KEEPALIVE_INTERVAL_S, map_error
from sparkdesk.infra.ssh.key import SignIn
from sparkdesk.infra.ssh.session import LostNotice


class Questions(asyncssh.SSHClient):
    """asyncssh's questions during one attempt, and its notice that the connection is gone."""

    def __init__(self, node: str, sign_in: SignIn) -> None:
        self.node = node
        self.sign_in = sign_in
        self.lost = LostNotice()
        self.offered: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked for every key that is not the trusted one, changed ones too: remember it, never agree."""
        self.offered = key
        return False

    async def public_key_auth_requested(self) -> SSHKeyPair | None:
        """The next key to offer."""
        self.sign_in.offered.append("publickey")
        return await self.sign_in.next_pair()

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


async def shake_hands(
    record: NodeRecord, trusted: asyncssh.SSHKey | None, questions: Questions, way: socket.socket | Tunnel
) -> asyncssh.SSHClientConnection:
    """Key exchange and login over this way. Raises asyncssh's own errors, and Unreachable from a tunnel."""
    where: dict[str, Any] = {"sock": way}
    if isinstance(way, Tunnel):
        where = {"host": record.address, "port": record.port, "tunnel": way}
    return await asyncssh.connect(
        **where,
        config=[],
        known_hosts=([trusted] if trusted is not None else [], [], []),
        client_factory=lambda: questions,
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
