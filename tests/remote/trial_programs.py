"""The programs of a network's trial, read as a node reads them: one after another into one namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparkdesk.core.bringup.chapters.network import PROGRAMS

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"


def load_programs(**places: object) -> dict[str, Any]:
    """What they define; `places` are where they find things instead of where a node has them."""
    names: dict[str, Any] = {"__name__": "sparkdesk"}
    for name in PROGRAMS:
        exec(compile((REMOTE / f"{name}.py").read_text(), name, "exec"), names)
    assert set(places) <= set(names)
    names.update(places)
    return names
