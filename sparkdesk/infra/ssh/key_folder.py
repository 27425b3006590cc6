"""The key pairs that SparkDesk makes, one a node, and the user's own; fulfils core's KeyFolder.

The one rule: a private key never leaves this computer, and each node gets the public half of a pair of its own, so that
a node that was taken over opens no other.
"""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import LocalKey, OwnKey
from sparkdesk.infra.ssh.error import FOREIGN
from sparkdesk.infra.ssh.key import DEFAULT_KEYS, ensure_key, name_pair

_ID = re.compile(r"[a-z0-9_-]{1,64}")
MAX_KEY_BYTES = 64 * 1024


class NodeKeyFolder:
    """Pairs lie in `folder` (0700) as node_ID_ed25519, 0600 from the start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # One thread: a removal waits for the making that was given up half way, whose file would else appear after it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="keys")

    async def make(self, node_id: str, *, comment: str) -> OwnKey:
        """The pair for this node, made when there is none. Raises AuthFailed, SettingsError."""
        path = self._path(node_id)
        loop = asyncio.get_running_loop()
        line = await loop.run_in_executor(self._thread, lambda: ensure_key(path, comment=comment))
        return OwnKey(str(path), line)

    async def has(self, node_id: str) -> bool:
        """Whether the pair's file is there, as far as this user can see."""
        path = self._path(node_id)
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: os.path.lexists(path))

    async def remove(self, node_id: str) -> None:
        """Remove the pair; no error when there is none. Raises SettingsError."""
        path = self._path(node_id)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, lambda: path.unlink(missing_ok=True))
        except OSError as error:
            raise SettingsError(
                f"The key {path} cannot be removed", remedy="Remove the file yourself.", detail=str(error)
            ) from error

    async def local_keys(self) -> tuple[LocalKey, ...]:
        """The user's usual keys (~/.ssh), the locked ones too."""
        return await asyncio.to_thread(_list_local_keys, Path.home() / ".ssh")

    def _path(self, node_id: str) -> Path:
        if not _ID.fullmatch(node_id):
            raise ValueError(f"not an id: {node_id!r}")
        return self._folder / f"node_{node_id}_ed25519"


def _list_local_keys(folder: Path) -> tuple[LocalKey, ...]:
    found = []
    for name in DEFAULT_KEYS:
        path = folder / name
        try:
            if not path.is_file() or path.stat().st_size > MAX_KEY_BYTES:
                continue
            found.append(_describe(path))
        except FOREIGN:
            continue
    return tuple(found)


def _describe(path: Path) -> LocalKey:
    """The key by its public half, which a locked one shows too when it lies beside it."""
    try:
        (pair, *_) = asyncssh.load_keypairs(str(path))
    except asyncssh.KeyImportError as error:
        if not str(error).startswith("Passphrase must be specified"):
            raise
        return LocalKey(str(path), f"{path.name}, locked", is_locked=True)
    return LocalKey(str(path), make_line(name_pair(pair), max_chars=200))
