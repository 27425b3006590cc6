"""Write the files of the machine and keep the moving ones moving, twice a second.

The one rule: a file is written over in place and never gets shorter, so a reader that keeps it open sees whole values.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from sparkdesk.simulator.machine import census, live_files, machine_files
from sparkdesk.simulator.machine.physics import Readings, Usage, step

TICK_S = 0.5


class LiveFile:
    """One open file that is written over in place when its text changes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._text = ""
        self._size = os.fstat(self._number).st_size

    def write(self, text: str) -> None:
        """Show this text; a shorter one is filled with blanks before its last line end."""
        if text == self._text:
            return
        self._text = text
        data = (text[:-1].ljust(self._size - 1) + "\n").encode("utf-8") if text.endswith("\n") else text.encode("utf-8")
        os.pwrite(self._number, data.ljust(self._size), 0)
        self._size = max(self._size, len(data))


def install(base: Path, files: dict[str, str], *, is_kept: bool = False) -> None:
    """Write these files below `base`; with `is_kept`, those that are there stay as they are."""
    for name, text in files.items():
        path = base / name
        if is_kept and path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


class Machine:
    """The moving machine of one node: counts, steps the physical model, writes. Call `tick` every TICK_S seconds."""

    def __init__(self, *, index: int, gpu_uuid: str, boot_id: str, proc: Path, sys: Path, live: Path) -> None:
        self._gpu_uuid = gpu_uuid
        self._boot_time_s = _boot_time_s()
        self.loads_dir = live / "loads"
        self._now = Readings()
        self._cpu_s: dict[int, float] = {}
        self._last_s = time.monotonic()
        self._received_bytes = 0
        self._sent_bytes = 0
        install(proc, machine_files.proc_files(boot_id))
        install(sys, machine_files.sys_files(index))
        self._proc = {name: LiveFile(proc / name) for name in live_files.proc_files(self._now)}
        self._sys = {name: LiveFile(sys / name) for name in live_files.sys_files(self._now)}
        self._gpu = LiveFile(live / "gpu.json")
        for folder in (self.loads_dir, live / "docker"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o1777)
        self._write()

    def add_traffic(self, received_bytes: int, sent_bytes: int) -> None:
        """Real bytes that came and went over SSH, for the management port's counters."""
        self._received_bytes += received_bytes
        self._sent_bytes += sent_bytes

    def tick(self, below: int | None = None) -> None:
        """One step of the model; `below` limits the processes that count to descendants of that one."""
        now_s = time.monotonic()
        dt_s, self._last_s = now_s - self._last_s, now_s
        if dt_s > 0:
            self._now = step(self._now, self._usage(dt_s, now_s, below), dt_s)
            self._write()

    def _usage(self, dt_s: float, now_s: float, below: int | None) -> Usage:
        alive = census.tasks(Path("/proc"), below)
        share = {}
        for pid, task in alive.items():
            before = self._cpu_s.get(pid, 0.0 if pid in self._cpu_s else task.cpu_s)
            share[pid] = max(0.0, task.cpu_s - before) / dt_s
        self._cpu_s = {pid: task.cpu_s for pid, task in alive.items()}
        declared = census.loads(self.loads_dir, alive)
        engines = census.engines(declared, alive, share, now_s)
        engine_pids = {load.pid for load in declared}
        engine_pids |= {pid for pid, task in alive.items() if task.parent in engine_pids}
        received, sent = self._received_bytes, self._sent_bytes
        self._received_bytes = self._sent_bytes = 0
        return Usage(
            engines=tuple(engines),
            other_bytes=sum(task.private_bytes for pid, task in alive.items() if pid not in engine_pids),
            busy_cores=sum(share.values()),
            received_bytes=received,
            sent_bytes=sent,
            cached_bytes=sum(load.cached_bytes for load in declared),
        )

    def _write(self) -> None:
        for name, text in live_files.proc_files(self._now, self._boot_time_s).items():
            self._proc[name].write(text)
        for name, text in live_files.sys_files(self._now).items():
            self._sys[name].write(text)
        self._gpu.write(live_files.gpu_json(self._now, self._gpu_uuid) + "\n")


def _boot_time_s() -> int:
    """When the kernel under all this started: processes of a node count their start from it."""
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
