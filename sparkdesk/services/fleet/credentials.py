"""Passwords and passphrases by what they are for: kept in the keyring when a person says so, else until the end.

The one rule: a password belongs to one user of one host key. It is looked up by both, so it can only ever be sent to
the holder of the key that it was given for, whatever address or name that machine has. That a password is the same on
other nodes is for a person to say, each time: nothing here tries one on a node that it was not given for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sparkdesk.core.cluster.host_key import fingerprint_of
from sparkdesk.core.cluster.node import JumpHost, NodeRecord
from sparkdesk.core.ports import Secrets


@dataclass(frozen=True, slots=True)
class Given:
    """What is known for one sign-in; None where nothing is."""

    password: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    jump_password: str | None = field(default=None, repr=False)


class Credentials:
    """Keeps and finds them; the only home of a node's password. Without `secrets` everything is in memory only."""

    def __init__(self, secrets: Secrets | None = None) -> None:
        self._secrets = secrets
        self._held: dict[str, str] = {}

    async def get(self, record: NodeRecord) -> Given:
        """What is known for signing in to this node, and to its jump host."""
        return Given(
            password=await self._find(_password_name(record)),
            passphrase=await self._find(_passphrase_name(record.key_path)),
            jump_password=await self._find(_password_name(record.jump)) if record.jump is not None else None,
        )

    def hold_password(self, owner: NodeRecord | JumpHost, password: str) -> None:
        """Remember a password in memory, until the program ends."""
        self._hold(_password_name(owner), password)

    def hold_passphrase(self, key_path: str, passphrase: str) -> None:
        """Remember a passphrase in memory, until the program ends."""
        self._hold(_passphrase_name(key_path), passphrase)

    async def keep_password(self, owner: NodeRecord | JumpHost, password: str) -> str:
        """Keep a password beyond the end of the program where that is possible; says in words where it is kept."""
        return await self._keep(_password_name(owner), password)

    async def keep_passphrase(self, key_path: str, passphrase: str) -> str:
        """Keep a passphrase likewise."""
        return await self._keep(_passphrase_name(key_path), passphrase)

    async def forget_node(self, record: NodeRecord, others: Iterable[NodeRecord]) -> None:
        """Forget what was given for a node that was removed, but for what the `others` need too."""
        needed: set[str] = set()
        for other in others:
            needed |= _names_of(other)
        for name in _names_of(record) - needed:
            await self._forget(name)

    async def forget_passphrase(self, key_path: str) -> None:
        """Forget the passphrase of this key file."""
        await self._forget(_passphrase_name(key_path))

    def _hold(self, name: str, secret: str) -> None:
        if name:
            self._held[name] = secret

    async def _keep(self, name: str, secret: str) -> str:
        if not name:
            return "not kept: the host key is not confirmed"
        if self._secrets is None:
            self._hold(name, secret)
        else:
            await self._secrets.set(name, secret)
            self._held.pop(name, None)
            if self._secrets.is_durable:
                return "kept in this computer's keyring"
        return "kept until SparkDesk ends: this computer has no keyring that encrypts"

    async def _find(self, name: str) -> str | None:
        if not name:
            return None
        held = self._held.get(name)
        return held if held or self._secrets is None else await self._secrets.get(name)

    async def _forget(self, name: str) -> None:
        self._held.pop(name, None)
        if name and self._secrets is not None:
            await self._secrets.forget(name)


def _names_of(record: NodeRecord) -> set[str]:
    """Everything that a sign-in to this node may ask for."""
    jump = _password_name(record.jump) if record.jump is not None else ""
    return {_password_name(record), _passphrase_name(record.key_path), jump} - {""}


def _password_name(owner: NodeRecord | JumpHost) -> str:
    """ "" without a confirmed host key: such a machine gets no password."""
    fingerprint = fingerprint_of(owner.host_key)
    return f"password:{fingerprint}:{owner.user}" if fingerprint else ""


def _passphrase_name(key_path: str) -> str:
    return f"passphrase:{key_path}" if key_path else ""
