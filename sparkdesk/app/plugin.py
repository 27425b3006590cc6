"""Finds the engine adapters: ours, and those that others installed.

The one rule: an adapter that cannot be loaded is listed as broken and stops nothing.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from backends import custom, llamacpp, ollama, sglang, trtllm, vllm
from sparkdesk.core.jobs.backend import API_VERSION, Backend

GROUP = "sparkdesk.backends"
BUILT_IN: tuple[Backend, ...] = (
    llamacpp.backend,
    vllm.backend,
    sglang.backend,
    trtllm.backend,
    ollama.backend,
    custom.backend,
)


@dataclass(frozen=True, slots=True)
class FoundBackends:
    """The adapters by key, and a sentence for each that did not load."""

    backends: dict[str, Backend]
    broken: tuple[str, ...]


def find_backends(entry_points: importlib.metadata.EntryPoints | None = None) -> FoundBackends:
    """Ours first; an installed adapter cannot take the key of one that is there already."""
    backends = {backend.info.key: backend for backend in BUILT_IN}
    broken: list[str] = []
    for entry in importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points:
        try:
            backend: Backend = entry.load()
            info = backend.info
            if info.api != API_VERSION:
                raise ValueError(f"made for version {info.api} of the adapter interface, this is {API_VERSION}")
            if info.key in backends:
                raise ValueError(f"the key {info.key} is taken")
        except Exception as error:  # noqa: BLE001  foreign code: whatever it does, the application starts
            broken.append(f"{entry.name} ({entry.value}): {type(error).__name__}: {error}"[:400])
        else:
            backends[info.key] = backend
    return FoundBackends(backends, tuple(broken))
