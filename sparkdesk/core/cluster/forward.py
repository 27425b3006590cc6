"""Forwards: ports of a node that this computer can open, through the SSH connection, on a random loopback port.

The one rule: a forward listens on 127.0.0.1 only, and only while its node's line stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class ForwardState(StrEnum):
    """How a forward stands."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    WAITING = "waiting"
    """Wanted, and its node is away: it opens again by itself."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ForwardSpec:
    """A forward as it is kept. `kind` is dashboard, jupyter, open-webui, comfyui, tensorboard or own."""

    id: str
    node_id: str
    kind: str
    title: str
    port: int
    """On the node; 0 means it is read there each time (JupyterLab's per-user port file)."""
    host: str = "127.0.0.1"
    """As seen from the node."""
    scheme: str = "http"
    path: str = "/"
    is_wanted: bool = False
    """Open whenever the node is live; remembered."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForwardSpec:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError or ValueError."""
        return cls(
            id=str(data["id"]),
            node_id=str(data["node_id"]),
            kind=str(data["kind"]),
            title=str(data["title"]),
            port=int(data["port"]),
            host=str(data.get("host", "127.0.0.1")),
            scheme=str(data.get("scheme", "http")),
            path=str(data.get("path", "/")),
            is_wanted=bool(data.get("is_wanted", False)),
        )


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward as it stands. `url` is "" unless open."""

    spec: ForwardSpec
    state: ForwardState = ForwardState.CLOSED
    local_port: int = 0
    url: str = ""
    answers: bool | None = None
    """Whether something answered on the node's port when it was last tried; None is not known."""
    message: str = ""
    remedy: str = ""
