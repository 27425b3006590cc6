"""The models that a simulated Ollama holds in memory: a llama.cpp each, loaded when asked for and let go in time.

The one rule: what is listed as loaded is a process that answers; a lease that ran out ends it. Source: Ollama's FAQ
(keep_alive: seconds, a span, negative for ever, 0 at once). Where nobody says, for ever: as with OLLAMA_KEEP_ALIVE=-1.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from engine import Engine
from ollama_store import Model

DEFAULT_CONTEXT = 4096
_REAL_CONTEXT = 8192
_LOAD_TIMEOUT_S = 60.0
_FOREVER = "2318-01-01T00:00:00Z"
_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


class LoadError(Exception):
    """Why a model is not in memory."""


def seconds_of(value: object) -> float | None:
    """A keep_alive in seconds; None is for ever, as this service does where nobody says. Raises ValueError."""
    if value is None:
        return None
    match = _SPAN.match(str(value))
    if match is None:
        raise ValueError(f'time: invalid duration "{value}"')
    span_s = float(match[1]) * _UNITS[match[2]]
    return None if span_s < 0 else span_s


@dataclass(slots=True)
class Loaded:
    """One model in memory. `ends_s` is monotonic; None is never."""

    model: Model
    engine: Engine
    context: int
    ends_s: float | None
    users: int = 0

    def expires(self) -> str:
        """As /api/ps shows it."""
        if self.ends_s is None:
            return _FOREVER
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.ends_s - time.monotonic()))


class Runner:
    """All that is loaded."""

    def __init__(self, packages: str) -> None:
        self._packages = packages
        self._lock = threading.Lock()
        self._loaded: dict[str, Loaded] = {}

    def rows(self) -> list[Loaded]:
        """What is in memory."""
        with self._lock:
            return [one for one in self._loaded.values() if one.engine.process.poll() is None]

    def use(self, model: Model, context: int, keep_s: float | None) -> Loaded:
        """Have it in memory with this context, and for so long. Raises LoadError."""
        with self._lock:
            loaded = self._loaded.get(model.name)
            if loaded is not None and (loaded.engine.process.poll() is not None or context not in (0, loaded.context)):
                loaded.engine.stop()
                loaded = None
            if loaded is None:
                loaded = self._loaded[model.name] = self._load(model, context or DEFAULT_CONTEXT)
            loaded.ends_s = None if keep_s is None else time.monotonic() + keep_s
            return loaded

    def _load(self, model: Model, context: int) -> Loaded:
        engine = Engine({"file": model.file, "context": min(context, _REAL_CONTEXT), "slots": 1, "alias": "ollama",
                         "reserved_bytes": model.size_bytes, "ramp_s": 0.0, "packages": self._packages,
                         "is_embedding": model.is_embedding, "name": "/usr/local/bin/ollama"})  # fmt: skip
        end_s = time.monotonic() + _LOAD_TIMEOUT_S
        while not engine.is_ready():
            if engine.process.poll() is not None or time.monotonic() > end_s:
                engine.stop()
                raise LoadError("llama runner process has terminated: exit status 2")
            time.sleep(0.05)
        return Loaded(model, engine, context, None)

    def unload(self, name: str) -> None:
        """Let it go at once."""
        with self._lock:
            loaded = self._loaded.pop(name, None)
        if loaded is not None:
            loaded.engine.stop()

    def tidy(self) -> None:
        """Let go of what nobody uses and whose lease ran out, and of what died."""
        now_s = time.monotonic()
        with self._lock:
            over = [name for name, one in self._loaded.items() if one.engine.process.poll() is not None
                    or (one.users == 0 and one.ends_s is not None and one.ends_s <= now_s)]  # fmt: skip
        for name in over:
            self.unload(name)

    def stop(self) -> None:
        """Let go of all."""
        for loaded in self.rows():
            self.unload(loaded.model.name)


def wishes(asked: dict[str, Any]) -> tuple[int, float | None]:
    """(context, or 0 for what it has; keep_alive) of a request. Raises ValueError."""
    options = asked.get("options")
    context = options.get("num_ctx", 0) if isinstance(options, dict) else 0
    return (int(context) if isinstance(context, int) and context > 0 else 0), seconds_of(asked.get("keep_alive"))
