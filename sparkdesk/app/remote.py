"""Our programs for nodes, as texts: they are sent, never imported."""

from __future__ import annotations

from pathlib import Path

REMOTE_DIR = Path(__file__).resolve().parents[1] / "remote"


def read_remote(name: str) -> bytes:
    """The source of one of our programs for nodes."""
    return (REMOTE_DIR / f"{name}.py").read_bytes()
