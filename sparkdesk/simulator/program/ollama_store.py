"""The models of a simulated Ollama: its library, what it holds on this node, and pulls that go on where they were cut.

The one rule: whatever the name, the small model of this computer answers; a name's declared size is what the library
shows and what the node's memory gives up while it is loaded. Sizes recalled from Ollama's library.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spark_state import KEPT, conditions, read_json

_FILE = f"{KEPT}/ollama.json"
_GB = 10**9
_PULL_S = 2.0
_TICK_S = 0.1
_CUT_AT = 0.9
_LIBRARY = {
    "gpt-oss:20b": 14 * _GB,
    "gpt-oss:120b": 65 * _GB,
    "qwen3.6:latest": 24 * _GB,
    "qwen3.6:35b": 24 * _GB,
    "qwen2.5:32b": 20 * _GB,
    "llama3.1:8b": 49 * _GB // 10,
    "llama3.2:3b": 2 * _GB,
    "smollm2:135m": 0,
    "smollm2:360m": 7 * _GB // 10,
    "nomic-embed-text:latest": 274_000_000,
}
_HUB = re.compile(r"hf\.co/[\w.-]+/[\w.-]+:[\w.-]+")
"""A file of the hub by owner, repository and format; whether there is one is not asked. Recalled."""
_EMBEDDING = ("nomic-embed-text", "bge-m3", "embeddinggemma", "qwen3-embedding")


class NoModel(Exception):
    """The library has no such model."""


class PullCut(Exception):
    """The line broke off."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model on the node. `file` is what really answers."""

    name: str
    size_bytes: int
    file: str

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(f"{self.name} {self.size_bytes}".encode()).hexdigest()

    @property
    def is_embedding(self) -> bool:
        """Whether it gives vectors and no text."""
        return self.name.startswith(_EMBEDDING)

    @property
    def details(self) -> dict[str, Any]:
        """As the lists show it."""
        return {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                "parameter_size": "134.52M", "quantization_level": "Q8_0"}  # fmt: skip


def small_file() -> str:
    """The GGUF that really answers, "" where there is none."""
    files = sorted(glob.glob(f"{read_json('node')['models']}/*.gguf"))
    return next((name for name in files if "smollm2" in name.lower()), files[0] if files else "")


def own_name(file: str) -> str:
    """What the small model itself is called."""
    stem = os.path.basename(file).removesuffix(".gguf").lower()
    return "smollm2:135m" if "smollm2" in stem else f"{stem}:latest"


def whole_name(name: str) -> str:
    """With its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def models(file: str) -> list[Model]:
    """What is on the node: the small model, unless it was deleted, and what was pulled."""
    state = _read()
    names = [own_name(file), *state["pulled"]]
    return [_model(name, file) for name in dict.fromkeys(names) if name not in state["deleted"]]


def find(name: str, file: str) -> Model | None:
    """The model of this name."""
    return next((model for model in models(file) if model.name == whole_name(name)), None)


def _model(name: str, file: str) -> Model:
    return Model(name, _LIBRARY.get(name, 0) or os.path.getsize(file), file)


def pull(asked: str, file: str) -> Iterator[dict[str, Any]]:
    """The rows of a pull, from where an earlier one was cut. Raises NoModel, PullCut."""
    name = whole_name(asked)
    yield {"status": "pulling manifest"}
    if name not in _LIBRARY and name != own_name(file) and not _HUB.fullmatch(name):
        raise NoModel("pull model manifest: file does not exist")
    model = _model(name, file)
    layer = hashlib.sha256(model.digest.encode()).hexdigest()
    row = {"status": f"pulling {layer[:12]}", "digest": f"sha256:{layer}", "total": model.size_bytes}
    steps = round(_PULL_S / _TICK_S)
    first = int(_read()["partial"].get(name, 0))
    for step in range(first, steps + 1):
        done = model.size_bytes * step // steps
        yield {**row, "completed": done} if done else row
        if "pull-cut" in conditions() and step >= steps * _CUT_AT:
            raise PullCut
        _change("partial", name, step)
        time.sleep(_TICK_S if step < steps else 0.0)
    for words in ("verifying sha256 digest", "writing manifest"):
        yield {"status": words}
    state = _read()
    state["partial"].pop(name, None)
    state["deleted"] = [other for other in state["deleted"] if other != name]
    state["pulled"] = [*dict.fromkeys([*state["pulled"], name])]
    _write(state)
    yield {"status": "success"}


def delete(name: str) -> None:
    """The model is gone from the node."""
    state = _read()
    state["pulled"] = [other for other in state["pulled"] if other != name]
    state["deleted"] = [*dict.fromkeys([*state["deleted"], name])]
    _write(state)


def _change(key: str, name: str, value: int) -> None:
    state = _read()
    state[key][name] = value
    _write(state)


def _read() -> dict[str, Any]:
    empty: dict[str, Any] = {"pulled": [], "deleted": [], "partial": {}}
    try:
        with open(_FILE, encoding="utf-8") as stream:
            empty.update(json.load(stream))
    except (OSError, ValueError):
        return empty  # nothing was pulled yet
    return empty


def _write(state: dict[str, Any]) -> None:
    with open(f"{_FILE}.{os.getpid()}", "w", encoding="utf-8") as stream:
        json.dump(state, stream)
    os.replace(f"{_FILE}.{os.getpid()}", _FILE)
