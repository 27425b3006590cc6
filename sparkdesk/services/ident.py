"""Ids that are safe as unit, container and file names everywhere."""

from __future__ import annotations

import base64
import secrets


def new_id() -> str:
    """16 lowercase base32 characters: 80 random bits; no digit 0, 1, 8 or 9 in it."""
    return base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()
