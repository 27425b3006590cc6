"""The user's own list of trusted hosts, read as a hint; fulfils core's KnownHosts.

The one rule: nothing here ever makes a key trusted. What the list says stands beside the fingerprint, for a person.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh

from sparkdesk.infra.ssh.error import FOREIGN
from sparkdesk.infra.ssh.key import read_host_key

MAX_FILE_BYTES = 4 << 20


class UserKnownHosts:
    """~/.ssh/known_hosts, hashed names included."""

    async def has(self, address: str, port: int, host_key: str) -> bool:
        """Whether the list has this key for this address and does not revoke it. Never raises."""
        return await asyncio.to_thread(_has, Path.home() / ".ssh" / "known_hosts", address, port, host_key)


def _has(path: Path, address: str, port: int, host_key: str) -> bool:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return False
        key = read_host_key(host_key)
        found = asyncssh.match_known_hosts(asyncssh.read_known_hosts(str(path)), address, "", port)
        trusted, revoked = found[0], found[2]
        return key in trusted and key not in revoked
    except FOREIGN:
        return False
