"""The user's own list of trusted hosts, read as a hint; fulfils core's KnownHosts.

The one rule: nothing here ever makes a key trusted. What the list says stands beside the fingerprint, for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from sparkdesk.infra.ssh.error import FOREIGN
from sparkdesk.infra.ssh.key import read_host_key

MAX_FILE_BYTES = 4 << 20


class UserKnownHosts:
    """~/.ssh/known_hosts, hashed names included."""

    async def has(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list has this key for this address and does not revoke it. Never raises."""
        return (await asyncio.to_thread(_look_up, _path(), address, port, host_key)) == (True, False)

    async def revokes(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list says that this key must not be trusted there. Never raises."""
        return (await asyncio.to_thread(_look_up, _path(), address, port, host_key))[1]


def _path() -> Path:
    return Path.home() / ".ssh" / "known_hosts"


def _look_up(path: Path, address: str, port: int, host_key: str) -> tuple[bool, bool]:
    """Whether the list trusts the key there, and whether it revokes it."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return False, False
        key = read_host_key(host_key)
        # Line by line: asyncssh gives up on the whole file at the first line that it does not understand.
        found = [_match(line, address, port) for line in path.read_text("utf-8", "replace").splitlines()]
    except FOREIGN:
        return False, False
    return any(key in trusted for trusted, _ in found), any(key in revoked for _, revoked in found)


def _match(line: str, address: str, port: int) -> tuple[Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey]]:
    """The keys that this line trusts, and those that it revokes, for the address."""
    try:
        found = asyncssh.match_known_hosts(asyncssh.import_known_hosts(line), address, "", port)
    except FOREIGN:
        return (), ()
    return found[0], found[2]
