"""Sentences put one after another.

The one rule: each ends before the next begins, whoever wrote it.
"""

from __future__ import annotations


def join_sentences(*parts: str) -> str:
    """The parts that say something, each with its full stop: "Lower it to 83%. Fix and relaunch sets it."."""
    said = [part.strip() for part in parts if part.strip()]
    return " ".join(part if part[-1] in ".!?…" else f"{part}." for part in said)
