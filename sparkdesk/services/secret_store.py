"""Secrets that steps put on nodes, by reference: the hub's token, which the person gave, and keys that we make.

The one rule: a secret lies in the system's keyring, or in memory until the program ends, and nowhere else of ours.
"""

from __future__ import annotations

import re
from secrets import token_urlsafe

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.ports import Secrets

HUB_TOKEN = "hub_token"
API_KEY = "api_key:"
KEY_BYTES = 32
MAX_TOKEN_CHARS = 4096
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def key_reference(job_id: str) -> str:
    """The reference of a server's key."""
    return f"{API_KEY}{job_id}"


class SecretStore:
    """Gives secrets by reference: "hub_token", "api_key:JOB ID"."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    @property
    def is_durable(self) -> bool:
        """Whether what is kept survives the end of the program (a keyring); known after the first use."""
        return self._secrets.is_durable

    async def get(self, reference: str) -> str | None:
        """The secret, or None. A server's key is made where there is none yet."""
        if reference == HUB_TOKEN:
            return await self._secrets.get(HUB_TOKEN)
        if not reference.startswith(API_KEY) or not _JOB_ID.fullmatch(reference.removeprefix(API_KEY)):
            return None
        kept = await self._secrets.get(reference)
        if kept:
            return kept
        made = token_urlsafe(KEY_BYTES)
        await self._secrets.set(reference, made)
        return made

    async def find(self, reference: str) -> str | None:
        """As `get`, but makes nothing."""
        return await self._secrets.get(reference)

    async def set_hub_token(self, token: str) -> None:
        """Keep the hub's token; "" forgets it. Raises SettingsError for what is no token."""
        token = token.strip()
        if not token:
            await self._secrets.forget(HUB_TOKEN)
            return
        if len(token) > MAX_TOKEN_CHARS or not token.isascii() or not token.isprintable() or " " in token:
            raise SettingsError("That is no token of the hub", remedy="Copy the token from the hub's settings again.")
        await self._secrets.set(HUB_TOKEN, token)

    async def has_hub_token(self) -> bool:
        """Whether there is a token of the hub."""
        return bool(await self._secrets.get(HUB_TOKEN))

    async def forget_key(self, job_id: str) -> None:
        """Forget a server's key; no error when there is none."""
        await self._secrets.forget(key_reference(job_id))
