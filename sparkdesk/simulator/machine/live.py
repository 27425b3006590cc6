"""Write the files of the machine and keep the moving ones moving, twice a second.

The one rule: a file is written over in place and never gets shorter, so a reader that keeps it open sees whole values.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkdesk.simulator.machine import census, live_files, machine_files, traffic
from sparkdesk.simulator.machine.install import install
from sparkdesk.simulator.machine.physics import Readings, Usage, step
from sparkdesk.simulator.machine.vendor import VENDORS

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


@dataclass(frozen=True, slots=True)
class Maker:
    """Who the machine is, as far as its files show it."""

    index: int
    gpu_uuid: str
    boot_id: str
    serial: str
    vendor: str
    ports: tuple[Mapping[str, Any], ...] = ()
    """Its fast ports at the start, as fabric/port.py gives them for a message."""


class Machine:
    """The moving machine of one node: counts, steps the physical model, writes. Call `tick` every TICK_S seconds.

    `conditions` are the names of the faults that are on; `folder` is where the node's programs read what is.
    """

    def __init__(self, maker: Maker, conditions: Iterable[str], *, proc: Path, sys: Path, live: Path) -> None:
        self.conditions = set(conditions)
        self._gpu_uuid = maker.gpu_uuid
        self._boot_time_s = _boot_time_s()
        self.folder = live
        self._now = Readings()
        self._cpu_s: dict[int, float] = {}
        self._last_s = time.monotonic()
        self._received_bytes = 0
        self._sent_bytes = 0
        self._kept_cache_bytes: int | None = None
        self._ports = maker.ports
        self._counts = traffic.start_counts()
        self._packets: Path | None = None
        vendor = VENDORS[maker.vendor]
        for folder in (proc, sys):
            folder.mkdir(parents=True, exist_ok=True)
        install(proc, machine_files.proc_files(maker.boot_id))
        install(sys, machine_files.sys_files(maker.index, vendor))
        install(sys, machine_files.secret_sys_files(maker.serial), mode=0o400 if os.geteuid() == 0 else 0)
        self._proc = {name: LiveFile(proc / name) for name in live_files.proc_files(self._now)}
        self._sys = {name: LiveFile(sys / name) for name in live_files.sys_files(self._now)}
        self._drop = os.open(proc / "sys/vm/drop_caches", os.O_RDWR | os.O_CLOEXEC)
        self._gpu = LiveFile(live / "gpu.json")
        self._count = LiveFile(live / "count.json")
        self._count.write(json.dumps({"at_s": 0.0}) + "\n")
        for name in ("loads", "docker", "rdma"):
            (live / name).mkdir(parents=True, exist_ok=True)
            (live / name).chmod(0o1777)
        self.set_conditions(self.conditions)
        self.set_ports(maker.ports, is_real=False)

    def move(self, live: Path) -> None:
        """The folder has another name from now on: the node has taken its root."""
        self.folder = live

    def driver_files(self) -> dict[str, str]:
        """What is below /proc/driver now."""
        return machine_files.driver_files(live_files.driver(self.conditions), self._gpu_uuid)

    def set_conditions(self, names: Iterable[str]) -> None:
        """These faults are on, and no other; the node's programs read them here."""
        wanted = set(names)
        self.conditions.clear()
        self.conditions |= wanted
        self._tell("conditions", sorted(wanted))
        self._write()

    def set_ports(self, ports: Iterable[Mapping[str, Any]], *, is_real: bool) -> None:
        """The fast ports are like this from now on; `is_real` says that packets run through them."""
        before = {port["netdev"]: port["carrier"] for port in self._ports}
        self._ports = tuple(ports)
        for port in self._ports:
            name = str(port["netdev"])
            self._counts[name] = traffic.count_change(
                self._counts[name], has_changed=port["carrier"] is not before[name]
            )
        self._packets = Path("/proc/net/dev") if is_real else None
        self._tell("ports", {"is_real": is_real, "ports": self._ports})
        self._write()

    def _tell(self, name: str, value: object) -> None:
        """Let the node's programs read this, whole."""
        file = self.folder / f"{name}.json"
        file.with_suffix(".part").write_text(json.dumps(value), "ascii")
        file.with_suffix(".part").replace(file)

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
            self._count.write(json.dumps({"at_s": now_s}) + "\n")

    def _usage(self, dt_s: float, now_s: float, below: int | None) -> Usage:
        alive = census.tasks(Path("/proc"), below)
        self._counts = traffic.count(self._counts, dt_s, self._packets, self.folder / "rdma", alive)
        share = {}
        for pid, task in alive.items():
            before = self._cpu_s.get(pid, 0.0 if pid in self._cpu_s else task.cpu_s)
            share[pid] = max(0.0, task.cpu_s - before) / dt_s
        self._cpu_s = {pid: task.cpu_s for pid, task in alive.items()}
        declared = census.loads(self.folder / "loads", alive)
        engines = census.engines(declared, alive, share, now_s)
        engine_pids = {load.pid for load in declared}
        engine_pids |= {pid for pid, task in alive.items() if task.parent in engine_pids}
        received, sent = self._received_bytes, self._sent_bytes
        self._received_bytes = self._sent_bytes = 0
        cached = sum(load.cached_bytes for load in declared)
        return Usage(
            engines=tuple(engines),
            other_bytes=sum(task.private_bytes for pid, task in alive.items() if pid not in engine_pids),
            busy_cores=sum(share.values()),
            received_bytes=received,
            sent_bytes=sent,
            cached_bytes=cached,
            is_slow="slow-state" in self.conditions,
            is_capped="power-capped" in self.conditions,
            has_dropped_caches=self._has_dropped_caches(cached),
        )

    def _has_dropped_caches(self, cached_bytes: int) -> bool:
        """Whether root wrote to drop_caches, and nothing more was read since."""
        if os.pread(self._drop, 16, 0).strip() in (b"1", b"2", b"3"):
            os.pwrite(self._drop, b"0\n", 0)
            self._kept_cache_bytes = cached_bytes
        if self._kept_cache_bytes is not None and cached_bytes > self._kept_cache_bytes:
            self._kept_cache_bytes = None
        return self._kept_cache_bytes is not None

    def _write(self) -> None:
        for name, text in live_files.proc_files(self._now, self._boot_time_s, self.conditions).items():
            self._proc[name].write(text)
        for name, text in live_files.sys_files(self._now, self.conditions, self._ports, self._counts).items():
            self._sys[name].write(text)
        self._gpu.write(live_files.gpu_json(self._now, self._gpu_uuid, self.conditions) + "\n")


def _boot_time_s() -> int:
    """When the kernel under all this started: processes of a node count their start from it."""
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
