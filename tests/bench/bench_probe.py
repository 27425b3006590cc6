"""What the resident probe costs a node at one reading a second: processor time and memory.

The one rule: it is the probe as it is sent, fed by heartbeats as the service sends them, and the time of its start is
not counted. NVML is left out: its cost is not known where there is no GPU, and the note says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from sparkdesk.core.program import python_command
from tests.bench.figure import Figure
from tests.remote.spark_root import make_spark

NAMES = ("probe.cpu_share_of_a_core", "probe.memory", "probe.bytes_a_second")
SOURCES = [(Path(__file__).parents[2] / "sparkdesk" / "remote" / name).read_bytes() for name in ("gpu.py", "probe.py")]
WARM_UP_S = 3.0
RUN_S = 30.0
CPU_LIMIT_PERCENT = 0.5
MEMORY_LIMIT_MB = 20.0
TRAFFIC_LIMIT_BYTES = 4000.0
NOTE = "no NVML here: unverified on hardware"


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, by the scheduler's own count (ns), not by ticks of 10 ms."""
    tasks = Path("/proc", str(pid), "task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def memory_mb(pid: int) -> float:
    """The most memory (resident) that the process ever had, MB of 10^6 bytes."""
    status = Path("/proc", str(pid), "status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def count_bytes(process: subprocess.Popen[bytes], total: list[int]) -> None:
    """Read what the probe says, so that its pipe never fills."""
    assert process.stdout is not None
    while data := os.read(process.stdout.fileno(), 65536):
        total[0] += len(data)


def measure() -> list[Figure]:
    """Run the probe on the files of a Spark and on those of this machine; the dearer one counts."""
    with tempfile.TemporaryDirectory() as folder:
        make_spark(Path(folder))
        runs = [run_probe({"SPARKDESK_ROOT": folder}), run_probe({})]
    cpu, memory, traffic = (max(column) for column in zip(*runs, strict=True))
    return [
        Figure.at_most(NAMES[0], cpu, "%", CPU_LIMIT_PERCENT, note=NOTE),
        Figure.at_most(NAMES[1], memory, "MB", MEMORY_LIMIT_MB, note=NOTE),
        Figure.at_most(NAMES[2], traffic, "B/s", TRAFFIC_LIMIT_BYTES),
    ]


def run_probe(env: dict[str, str]) -> tuple[float, float, float]:
    """Share of a core in percent, memory in MB, bytes a second, of one probe at 1 Hz."""
    command = python_command(SOURCES, "marker", "1")
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/", "SPARKDESK_NVML": "off"} | env
    process = subprocess.Popen(
        [sys.executable, *command.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    total = [0]
    reading = threading.Thread(target=count_bytes, args=(process, total), daemon=True)
    reading.start()
    try:
        process.stdin.write(b"".join(SOURCES))
        beat(process, WARM_UP_S)
        before_s, before_bytes, begun_s = cpu_s(process.pid), total[0], time.monotonic()
        beat(process, RUN_S)
        lasted_s = time.monotonic() - begun_s
        share = 100.0 * (cpu_s(process.pid) - before_s) / lasted_s
        return share, memory_mb(process.pid), (total[0] - before_bytes) / lasted_s
    finally:
        process.stdin.close()
        process.wait(10)
        reading.join(10)


def beat(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Heartbeats as the service sends them."""
    assert process.stdin is not None
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        process.stdin.write(b"hz 1\n")
        process.stdin.flush()
        time.sleep(min(2.0, left))
