"""A password as a node may know it: salt and hash.

The one rule: nothing here keeps, prints or sends a password.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

MAX_CHARS = 200
_ROUNDS = 20_000  # few: it keeps an honest password from being read, and a node's processor is ours


def make_hash(password: str) -> str:
    """What a node may know: salt and hash."""
    salt = secrets.token_hex(16)
    return f"{salt}${_derive(password, salt)}"


def is_right(password: str, known: str) -> bool:
    """Whether `known` was made from this password."""
    salt, _dollar, wanted = known.partition("$")
    return hmac.compare_digest(_derive(password[:MAX_CHARS], salt), wanted)


def _derive(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "surrogateescape"), salt.encode(), _ROUNDS).hex()
