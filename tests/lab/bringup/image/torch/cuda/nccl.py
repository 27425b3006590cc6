"""The image's own NCCL; a test may set its version in /var/lib/lab/image_nccl."""

from __future__ import annotations


def version() -> tuple[int, ...]:
    try:
        with open("/var/lib/lab/image_nccl", encoding="ascii") as stream:
            text = stream.read().strip()
    except FileNotFoundError:
        text = "2.28.9"
    return tuple(int(part) for part in text.split("."))
