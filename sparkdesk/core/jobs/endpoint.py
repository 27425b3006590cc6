"""An endpoint: all that chat and bench need to know of a model server, whoever started it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers. `host` and `port` are as the node (or, with node_id "", this computer) reaches them."""

    node_id: str
    host: str
    port: int
    model: str
    """The served model id, as requests name it."""
    base_path: str = "/v1"
    engine: str = ""
    """The backend's key where known."""
    metrics_path: str = ""
    context_tokens: int | None = None
    """The limit of one request (llama.cpp: of one slot)."""
    note: str = ""
    """What must stand beside answers on screen, e.g. "simulated vLLM, real llama.cpp"."""
    is_tls: bool = False
    """Whether it speaks HTTPS. What SparkDesk starts never does: it is reached inside SSH."""

    def api_path(self, page: str) -> str:
        """Where a page of its API lies, as "chat/completions"."""
        return f"{self.base_path.rstrip('/')}/{page}"

    def own_path(self, page: str) -> str:
        """Where one of the engine's own pages lies, as "props": beside the /v1, not under it."""
        return f"{self.base_path.rstrip('/').removesuffix('/v1')}/{page}"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Endpoint:
        """From `to_json`. Raises KeyError, TypeError or ValueError."""
        context = data.get("context_tokens")
        return cls(
            node_id=str(data["node_id"]),
            host=str(data["host"]),
            port=int(data["port"]),
            model=str(data["model"]),
            base_path=str(data.get("base_path", "/v1")),
            engine=str(data.get("engine", "")),
            metrics_path=str(data.get("metrics_path", "")),
            context_tokens=None if context is None else int(context),
            note=str(data.get("note", "")),
            is_tls=data.get("is_tls") is True,
        )
