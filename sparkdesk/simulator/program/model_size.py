"""How large the asked model would be: its weights and what its KV cache takes, as far as the node can know.

The one rule: a size is declared somewhere or it is said to stand in. First the index of a download in the node's hub
cache, then SparkDesk's own table of models; a model of neither gets the small real model's size, and the log says so.
"""

from __future__ import annotations

import glob
import json
import os
import tomllib
from dataclasses import dataclass
from typing import Any

from spark_state import FOLDER, ROOT

_MAX_CONFIG_BYTES = 1 << 20
_KV_TOKEN_BYTES = 22_500  # of the small model, two bytes a value: 30 layers, 3 heads of 64 values, keys and values


@dataclass(frozen=True, slots=True)
class ModelSize:
    """`kv_values` are values a token that the cache grows by; `fixed_kv_values` what one sequence takes at once."""

    weights_bytes: int
    kv_values: float
    fixed_kv_values: float = 0.0
    is_mixture: bool = False
    format: str = ""
    architecture: str = "LlamaForCausalLM"
    stands_in: bool = False

    def kv_bytes(self, tokens: float, value_bytes: float) -> float:
        """What one sequence of this length keeps."""
        return (self.kv_values * tokens + self.fixed_kv_values) * value_bytes

    def tokens_in(self, room_bytes: float, value_bytes: float) -> int:
        """The longest sequence for which this is room."""
        return max(0, int((room_bytes / value_bytes - self.fixed_kv_values) / max(self.kv_values, 1e-9)))


def find_size(model: str, hub_cache: str, small_file: str) -> ModelSize:
    """The size of a hub id or of a path. `hub_cache` is a folder of the node, "" where the container has none."""
    entry, form = _find_entry(model)
    weights = _weights_on_node(model, hub_cache) or (int(form["weight_bytes"]) if form else 0)
    if entry is None:
        size = weights or os.path.getsize(small_file)
        return ModelSize(size, _KV_TOKEN_BYTES / 2, stands_in=not weights, architecture=_architecture(model, hub_cache))
    layers = entry.get("layers", [])
    growing = sum(group["count"] * _values(group) for group in layers if group["kind"] in ("full", "latent"))
    fixed = sum(_fixed(group) for group in layers)
    return ModelSize(
        weights_bytes=weights or os.path.getsize(small_file),
        kv_values=float(growing or _KV_TOKEN_BYTES / 2),
        fixed_kv_values=float(fixed),
        is_mixture="experts" in entry,
        format=str(form["key"]) if form else "",
        architecture=_architecture(model, hub_cache),
        stands_in=not weights,
    )


def _values(group: dict[str, Any]) -> int:
    """Values a token in one layer."""
    if group["kind"] == "latent":
        return int(group["latent_dim"])
    sides = 1 if group.get("has_shared_kv") else 2
    return sides * int(group.get("kv_heads", 0)) * int(group.get("head_dim", 0)) + int(group.get("latent_dim", 0))


def _fixed(group: dict[str, Any]) -> float:
    """Values that a sequence of any length takes in these layers: full windows, and states in two-byte values."""
    if group["kind"] == "sliding":
        return float(group["count"] * _values(group) * int(group["window_tokens"]))
    return group["count"] * int(group.get("state_bytes", 0)) / 2 if group["kind"] == "linear" else 0.0


def _find_entry(model: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The model and the format of the table that this repository is, or (None, None)."""
    for entry in _table():
        for form in entry.get("formats", []):
            if str(form.get("repo", "")).casefold() == model.casefold():
                return entry, form
        if str(entry["name"]).casefold() == model.casefold() and entry.get("formats"):
            return entry, entry["formats"][0]
    return None, None


def _table() -> list[dict[str, Any]]:
    try:
        with open(f"{FOLDER}/flags/models.toml", "rb") as stream:
            return list(tomllib.load(stream).get("model", []))
    except (OSError, ValueError):
        return []


def snapshot_of(model: str, hub_cache: str) -> str:
    """The folder of a whole download, "" where there is none."""
    if not hub_cache or model.count("/") != 1:
        return ""
    pattern = f"{ROOT}{hub_cache}/hub/models--{model.replace('/', '--')}/snapshots/*/config.json"
    found = sorted(glob.glob(pattern))
    return os.path.dirname(found[-1]) if found else ""


def _weights_on_node(model: str, hub_cache: str) -> int:
    """What the index of the download declares, else what its files really take; 0 where there is none."""
    folder = snapshot_of(model, hub_cache)
    if not folder:
        return 0
    total = _read(f"{folder}/model.safetensors.index.json").get("metadata", {}).get("total_size", 0)
    real = sum(os.path.getsize(path) for path in glob.glob(f"{folder}/*.safetensors"))
    return max(int(total), real)


def _architecture(model: str, hub_cache: str) -> str:
    folder = snapshot_of(model, hub_cache)
    names = _read(f"{folder}/config.json").get("architectures") if folder else None
    return str(names[0])[:80] if isinstance(names, list) and names else "LlamaForCausalLM"


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.loads(stream.read(_MAX_CONFIG_BYTES))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
