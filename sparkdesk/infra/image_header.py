"""What an image says of itself in its first bytes: kind and size, before anything is decoded.

The one rule: the bytes decide, never the file's name; nothing is read beyond what is given.
Source: PNG (ISO/IEC 15948) IHDR; GIF89a logical screen; JPEG (ITU-T T.81) SOF markers; WebP container (RFC 9649).
"""

from __future__ import annotations

from dataclasses import dataclass

_PNG = b"\x89PNG\r\n\x1a\n"
_SOF = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
"""JPEG markers that begin a frame."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Kind and size of an image. A size of 0 x 0: it says none that can be read."""

    media_type: str
    width_px: int = 0
    height_px: int = 0


def read_image_header(data: bytes) -> ImageHeader | None:
    """Kind and size of a PNG, JPEG, GIF or WebP; None for anything else."""
    if data.startswith(_PNG):
        size = (_big(data, 16, 4), _big(data, 20, 4)) if data[12:16] == b"IHDR" and len(data) >= 24 else (0, 0)
        return ImageHeader("image/png", *size)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return ImageHeader("image/gif", _little(data, 6, 2), _little(data, 8, 2))
    if data.startswith(b"\xff\xd8\xff"):
        return ImageHeader("image/jpeg", *_jpeg_size(data))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ImageHeader("image/webp", *_webp_size(data))
    return None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return 0, 0
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _SOF:
            return _big(data, at + 7, 2), _big(data, at + 5, 2)
        length = _big(data, at + 2, 2)
        if length < 2 or marker == 0xDA:
            return 0, 0
        at += 2 + length
    return 0, 0


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if len(data) < 30:
        return 0, 0
    if kind == b"VP8X":
        return _little(data, 24, 3) + 1, _little(data, 27, 3) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = _little(data, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return 0, 0


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
