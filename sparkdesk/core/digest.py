"""Names for contents: the same bytes have the same name, and no others have it.

The one rule: SHA-256 and nothing else. What is stored under such a name is found by it again in every later release.
"""

from __future__ import annotations

import hashlib


def digest(data: bytes) -> str:
    """The name of these bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def text_digest(text: str) -> str:
    """The name of a text by its UTF-8 bytes; half characters count as what stands for them."""
    return digest(text.encode("utf-8", "replace"))
