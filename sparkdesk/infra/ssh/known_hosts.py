"""The user's own list of trusted hosts, read as a hint; fulfils core's KnownHosts.

The one rule: nothing here ever makes a key trusted. What the list says stands beside the fingerprint, for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from sparkdesk.infra.ssh.error import FOREIGN
from sparkdesk.infra.ssh.key import read_host_key, write_host_key

MAX_FILE_BYTES = 4 << 20
MAX_OTHERS = 8


class UserKnownHosts:
    """~/.ssh/known_hosts, hashed names included."""

    async def has(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list has this key for this address and does not revoke it. Never raises."""
        found = await asyncio.to_thread(_look_up, _path(), address, port, host_key)
        return found.is_trusted and not found.is_revoked

    async def revokes(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list says that this key must not be trusted there. Never raises."""
        return (await asyncio.to_thread(_look_up, _path(), address, port, host_key)).is_revoked

    async def others(self, address: str, port: int, host_key: str) -> tuple[str, ...]:
        """The keys by which the list knows the address when this one is not among them. Never raises."""
        return (await asyncio.to_thread(_look_up, _path(), address, port, host_key)).others


@dataclass(frozen=True, slots=True)
class _Found:
    """What the list says of one key at one address."""

    is_trusted: bool = False
    is_revoked: bool = False
    others: tuple[str, ...] = ()


def _path() -> Path:
    return Path.home() / ".ssh" / "known_hosts"


def _look_up(path: Path, address: str, port: int, host_key: str) -> _Found:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return _Found()
        key = read_host_key(host_key)
        # Line by line: asyncssh gives up on the whole file at the first line that it does not understand.
        found = [_match(line, address, port) for line in path.read_text("utf-8", "replace").splitlines()]
    except FOREIGN:
        return _Found()
    trusted = [each for keys, _ in found for each in keys]
    revoked = [each for _, keys in found for each in keys]
    kind = key.get_algorithm()
    others = sorted((each for each in trusted if each not in revoked), key=lambda each: each.get_algorithm() != kind)
    lines = () if key in trusted else tuple(dict.fromkeys(write_host_key(each) for each in others[:MAX_OTHERS]))
    return _Found(key in trusted, key in revoked, lines)


def _match(line: str, address: str, port: int) -> tuple[Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey]]:
    """The keys that this line trusts, and those that it revokes, for the address."""
    try:
        found = asyncssh.match_known_hosts(asyncssh.import_known_hosts(line), address, "", port)
    except FOREIGN:
        return (), ()
    return found[0], found[2]
