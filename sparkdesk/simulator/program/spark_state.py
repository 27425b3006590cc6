"""What the programs of a node share: where the machine's files are, and what the physical model says now.

The one rule: reads only, but for `declare_load`, by which a process that would use the GPU says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

ROOT = os.environ.get("SPARKDESK_ROOT", "")
LIVE = f"{ROOT}/run/sparkdesk-sim"
KEPT = f"{ROOT}/var/lib/sparkdesk-sim"  # what stays over a restart of the node
FOLDER = os.path.dirname(os.path.realpath(__file__))


def read_text(path: str, default: str = "") -> str:
    """A file of the node, stripped; `default` when it is not there."""
    try:
        with open(ROOT + path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return default


def read_json(name: str) -> dict[str, Any]:
    """A file of the physical model, for example "gpu" or "node". It is written over in place: try a torn one again."""
    for _attempt in range(20):
        with open(f"{LIVE}/{name}.json", encoding="utf-8") as stream:
            try:
                value: dict[str, Any] = json.load(stream)
                return value
            except ValueError:
                time.sleep(0.005)
    raise SystemExit(f"the simulator's file {name}.json cannot be read")


def conditions() -> set[str]:
    """The names of the faults that are on in this node."""
    try:
        with open(f"{LIVE}/conditions.json", encoding="ascii") as stream:
            return set(json.load(stream))
    except (OSError, ValueError):
        return set()


@contextlib.contextmanager
def declare_load(
    name: str, *, threads: int = 1, memory_bytes: int = 0, ramp_s: float = 0.0, cached_bytes: int = 0, busy: float = 0.0
) -> Iterator[Callable[[int], None]]:
    """Say that this process uses the GPU, as long as the block runs. `memory_bytes` is beyond its real memory,
    `busy` (0..1) what it would give the GPU to do beyond its real work here.

    What it gives changes the declared memory.
    """
    path = f"{LIVE}/loads/{os.getpid()}.json"
    row = {
        "pid": os.getpid(),
        "name": name,
        "threads": threads,
        "memory_bytes": memory_bytes,
        "ramp_s": ramp_s,
        "cached_bytes": cached_bytes,
        "busy": busy,
        "started_s": time.monotonic(),
    }

    def declare(bytes_now: int) -> None:
        row.update({"memory_bytes": bytes_now, "ramp_s": 0.0 if bytes_now != memory_bytes else ramp_s})
        part = f"{path}.part"  # beside it: Landlock lets nothing be moved to another folder; no load is called so
        with open(part, "w", encoding="utf-8") as stream:
            json.dump(row, stream)
        os.replace(part, path)

    declare(memory_bytes)
    try:
        yield declare
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
