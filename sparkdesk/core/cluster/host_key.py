"""A host key as a person compares it: its kind, its SHA256 fingerprint and OpenSSH's picture of it (randomart).

The one rule: what is shown is computed from the key's own bytes, as `ssh-keygen -lv` on the node's console does it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

MAX_LINE_CHARS = 16384

# Source: openssh-portable sshkey.c, fingerprint_randomart ("the drunken bishop").
_WIDTH, _HEIGHT = 17, 9
_SIGNS = " .o+=*BOX@%&#/^SE"

_KINDS = {
    "ssh-ed25519": ("ED25519", 256),
    "ecdsa-sha2-nistp256": ("ECDSA", 256),
    "ecdsa-sha2-nistp384": ("ECDSA", 384),
    "ecdsa-sha2-nistp521": ("ECDSA", 521),
}


@dataclass(frozen=True, slots=True)
class HostKeyLook:
    """What `ssh-keygen -lv` prints of a key. `bits` is its length; `art` has eleven lines."""

    kind: str
    bits: int
    fingerprint: str
    art: str


def describe_host_key(line: str) -> HostKeyLook:
    """What a person compares, from one public-key line ("ssh-ed25519 AAAA..."). Raises ValueError for anything else."""
    words = line[:MAX_LINE_CHARS].split()
    if len(words) < 2:
        raise ValueError("not a public-key line")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError as error:
        raise ValueError("not a public key") from error
    fields = _read_fields(blob)
    if not fields or fields[0] != words[0].encode():
        raise ValueError("the key is not of the kind that it says")
    if words[0] == "ssh-rsa" and len(fields) == 3:
        kind, bits = "RSA", int.from_bytes(fields[2], "big").bit_length()
    elif words[0] in _KINDS:
        kind, bits = _KINDS[words[0]]
    else:
        raise ValueError(f"not a kind of host key that is accepted: {words[0][:60]}")
    digest = hashlib.sha256(blob).digest()
    fingerprint = "SHA256:" + base64.b64encode(digest).rstrip(b"=").decode("ascii")
    return HostKeyLook(kind, bits, fingerprint, draw_art(digest, f"[{kind} {bits}]"))


def fingerprint_of(line: str) -> str:
    """The SHA256 fingerprint of a public-key line; "" when it is not one."""
    try:
        return describe_host_key(line).fingerprint
    except ValueError:
        return ""


def draw_art(digest: bytes, title: str) -> str:
    """OpenSSH's picture of a digest: eleven lines of nineteen characters."""
    field = [[0] * _WIDTH for _ in range(_HEIGHT)]
    x, y = _WIDTH // 2, _HEIGHT // 2
    last = len(_SIGNS) - 1
    for byte in digest:
        for shift in (0, 2, 4, 6):
            step = byte >> shift
            x = min(max(x + (1 if step & 1 else -1), 0), _WIDTH - 1)
            y = min(max(y + (1 if step & 2 else -1), 0), _HEIGHT - 1)
            if field[y][x] < last - 2:
                field[y][x] += 1
    field[_HEIGHT // 2][_WIDTH // 2] = last - 1
    field[y][x] = last
    rows = ["|" + "".join(_SIGNS[value] for value in row) + "|" for row in field]
    return "\n".join([_draw_border(title), *rows, _draw_border("[SHA256]")])


def _draw_border(title: str) -> str:
    left = (_WIDTH - len(title)) // 2
    return "+" + "-" * left + title + "-" * (_WIDTH - len(title) - left) + "+"


def _read_fields(blob: bytes) -> list[bytes]:
    """The length-prefixed parts of an SSH key's bytes; empty when they do not add up."""
    fields = []
    at = 0
    while at < len(blob):
        end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
        if at + 4 > len(blob) or end > len(blob):
            return []
        fields.append(blob[at + 4 : end])
        at = end
    return fields
