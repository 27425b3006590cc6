"""Count what really runs on a node: processor time and memory of its processes, and the loads they declare.

The one rule: reads only. A program that would use the GPU says so with a small file in the `loads` folder; the file of
a process that is gone is forgotten. What such a file claims is checked and bounded, for a node's user can write it.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.machine.physics import Engine

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAX_LOAD_BYTES = 4096
_MAX_NAME = 200
_DEAD = (b"Z", b"X")  # it waits to be buried, and holds nothing any more


@dataclass(frozen=True, slots=True)
class Task:
    """A process of the node. `cpu_s` is its processor time so far."""

    pid: int
    parent: int
    cpu_s: float
    resident_bytes: int
    private_bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a process declares: it uses the GPU, with so many threads here, and holds so much memory there.

    `busy` (0..1) is work of the GPU that has no real work here.
    """

    pid: int
    name: str
    threads: int
    memory_bytes: int
    ramp_s: float
    started_s: float
    cached_bytes: int
    busy: float = 0.0


def tasks(proc: Path, below: int | None) -> dict[int, Task]:
    """The processes that /proc shows, but for process 1; with `below`, only descendants of that process."""
    found = {}
    for name in os.listdir(proc):
        if name.isdigit() and name != "1" and (task := _task(proc, int(name))):
            found[task.pid] = task
    if below is None:
        return found
    return {pid: task for pid, task in found.items() if _descends(found, task, below)}


def _descends(found: dict[int, Task], task: Task, ancestor: int) -> bool:
    seen = 0
    parent = task.parent
    while parent != ancestor and parent in found and seen < len(found):
        parent, seen = found[parent].parent, seen + 1
    return parent == ancestor


def _task(proc: Path, pid: int) -> Task | None:
    try:
        with open(proc / str(pid) / "stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        if fields[0] in _DEAD:
            return None
        with open(proc / str(pid) / "statm", "rb") as stream:
            pages = stream.read().split()
        resident, shared = int(pages[1]), int(pages[2])
        return Task(
            pid=pid,
            parent=int(fields[1]),
            cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
            resident_bytes=resident * _PAGE_BYTES,
            private_bytes=max(0, resident - shared) * _PAGE_BYTES,
        )
    except (OSError, ValueError, IndexError):
        return None  # it ended while we looked


def loads(folder: Path, alive: dict[int, Task]) -> list[Load]:
    """The declared loads of processes that are alive; the files of others are removed."""
    found = []
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".json")]
    except OSError:
        return []
    for name in names:
        load = _load(folder / name)
        if load is not None and load.pid in alive:
            found.append(load)
        elif load is None or not os.path.exists(f"/proc/{load.pid}"):  # it may have begun since they were counted
            with contextlib.suppress(OSError):
                os.unlink(folder / name)
    return sorted(found, key=lambda load: load.pid)


def _load(file: Path) -> Load | None:
    try:
        with open(file, "rb") as stream:
            row = json.loads(stream.read(_MAX_LOAD_BYTES))
        return Load(
            pid=int(row["pid"]),
            name=str(row["name"])[:_MAX_NAME],
            threads=min(64, max(1, int(row.get("threads", 1)))),
            memory_bytes=min(gb10.MEM_TOTAL_KB * gb10.KIB, max(0, int(row.get("memory_bytes", 0)))),
            ramp_s=min(3600.0, max(0.0, float(row.get("ramp_s", 0.0)))),
            started_s=float(row.get("started_s", 0.0)),
            cached_bytes=min(gb10.MEM_TOTAL_KB * gb10.KIB, max(0, int(row.get("cached_bytes", 0)))),
            busy=min(1.0, max(0.0, float(row.get("busy", 0.0)))),
        )
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return None


def engines(declared: list[Load], alive: dict[int, Task], cpu_share: dict[int, float], now_s: float) -> list[Engine]:
    """The engines among the processes. `cpu_share` is processor time per second since the last count."""
    found = []
    for load in declared:
        family = [load.pid, *(pid for pid, task in alive.items() if task.parent == load.pid)]
        found.append(
            Engine(
                pid=load.pid,
                name=load.name,
                busy=min(1.0, max(load.busy, sum(cpu_share.get(pid, 0.0) for pid in family) / load.threads)),
                resident_bytes=sum(alive[pid].resident_bytes for pid in family if pid in alive),
                declared_bytes=load.memory_bytes,
                ramp_s=load.ramp_s,
                age_s=max(0.0, now_s - load.started_s),
            )
        )
    return found
