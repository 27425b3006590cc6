"""Passwords and tokens in the system's keyring; fulfils core's Secrets.

The one rule: nothing is kept in plain text. A keyring that we do not know to be encrypted (none, null, a plain file)
is not used: what is kept then lives in memory until the program ends, and `is_durable` says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError, PasswordDeleteError

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)

SERVICE = "SparkDesk"
ANSWER_TIMEOUT_S = 60.0
"""A person may have to unlock the keyring first."""

ENCRYPTED = frozenset(
    f"keyring.backends.{name}" for name in ("SecretService", "libsecret", "kwallet", "macOS", "Windows")
)
"""The modules whose keyrings are encrypted by the system. Source: keyring's own backends."""

_FAILURES: tuple[type[Exception], ...] = (KeyringError, OSError, RuntimeError, ValueError)


class KeyringSecrets:
    """Secrets by name. `is_durable` is known after the first call; until then it is False."""

    def __init__(self, *, encrypted: Collection[str] = ENCRYPTED) -> None:
        self.is_durable = False
        self._encrypted = encrypted
        self._memory: dict[str, str] = {}
        self._backend: KeyringBackend | None = None
        self._was_asked = False

    async def get(self, name: str) -> str | None:
        """The secret, or None; also None when the keyring stays locked."""
        if name in self._memory:
            return self._memory[name]
        backend = await self._find()
        if backend is None:
            return None
        try:
            return await _in_thread(backend.get_password, SERVICE, name)
        except _FAILURES as error:
            self._give_up(error)
            return None

    async def set(self, name: str, secret: str) -> None:
        """Keep the secret: in the keyring, else in memory until the program ends."""
        backend = await self._find()
        if backend is not None:
            try:
                await _in_thread(backend.set_password, SERVICE, name, secret)
            except _FAILURES as error:
                self._give_up(error)
            else:
                self._memory.pop(name, None)
                return
        self._memory[name] = secret

    async def forget(self, name: str) -> None:
        """Remove the secret, if there."""
        self._memory.pop(name, None)
        backend = await self._find()
        if backend is None:
            return
        try:
            await _in_thread(backend.delete_password, SERVICE, name)
        except PasswordDeleteError:
            return  # there was none
        except _FAILURES as error:
            self._give_up(error)

    async def _find(self) -> KeyringBackend | None:
        if not self._was_asked:
            self._was_asked = True
            try:
                backend = await _in_thread(keyring.get_keyring)
            except _FAILURES as error:
                self._give_up(error)
                return None
            if self._is_encrypted(backend):
                self._backend = backend
                self.is_durable = True
            else:
                log.info("no encrypted keyring (%s): secrets are kept until the end", type(backend).__module__)
        return self._backend

    def _is_encrypted(self, backend: KeyringBackend) -> bool:
        if type(backend).__module__ == "keyring.backends.chainer":
            chained = list(getattr(backend, "backends", ()))
            return bool(chained) and all(self._is_encrypted(each) for each in chained)
        return type(backend).__module__ in self._encrypted

    def _give_up(self, error: Exception) -> None:
        """From here on memory only: a keyring that is locked or gone would ask again and again."""
        log.warning("the keyring does not answer (%s): secrets are kept until the end", type(error).__name__)
        self._backend = None
        self.is_durable = False


async def _in_thread(call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        return await asyncio.to_thread(call, *args, **kwargs)
