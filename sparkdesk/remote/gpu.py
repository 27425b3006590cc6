"""Reads the NVIDIA GPUs of a node: the part of the probe that talks to the driver.

Why a file of its own: it is sent in front of probe.py over the same channel and run in the same interpreter, so that
each can be read by itself. NVML through ctypes costs no process; `nvidia-smi` in a loop is the fallback where the
library cannot be loaded. The one rule: a figure that the driver refuses is absent, never zero (GB10 refuses several).

Environment: SPARKDESK_NVML names the library ("off": do not load one), SPARKDESK_ROOT is put before /proc.
Stdlib only, Python 3.8+. Unverified on hardware [nvml-library].
"""

from __future__ import annotations

import os
import signal
import time

NVML_FILE = os.environ.get("SPARKDESK_NVML", "libnvidia-ml.so.1")
# utilization %, degrees C, W, SM MHz, its maximum, throttle mask, memory bytes total and used, ns spent held back by
# power and by heat
GPU_KEYS = ("u", "t", "p", "c", "cm", "th", "mt", "mu", "vp", "vt")
MAX_PROCESSES = 32

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node, and Python 3.8 has no `|`
    from typing import Any

    Reading = tuple[list[dict[str, object]] | None, list[list[object]] | None, list[str] | None]


def read_process_name(pid: int) -> str:
    """First word of a process's command line (the rest may hold anything), without its folder."""
    try:
        root = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
        with open(f"{root}/proc/{pid}/cmdline", "rb") as file:
            words = file.read(512).split(b"\0")
    except OSError:
        return ""
    return words[0].split(b" ")[0].split(b"/")[-1].decode("utf-8", "replace")[:64]


class Gpus:
    """What the probe asks of a source of GPU figures."""

    source = ""

    def __init__(self, troubles: list[str] | None = None) -> None:
        self.troubles = troubles or []
        self.names: list[str] = []
        self.driver = ""
        self.is_changed = False  # names or driver became known after the start

    def read(self) -> Reading:
        """GPUs (rows of GPU_KEYS), processes on them (pid, name, bytes), troubles in words; None where not known."""
        return None, None, self.troubles or None

    def close(self) -> None:
        """Leave nothing behind."""


class Nvml(Gpus):
    """NVML through ctypes. Each call may be refused (GB10 has no memory figure): then its cell is absent.

    Source: NVIDIA's nvml.h (structures and constants); on GB10 unverified on hardware [nvml-library, nvml-memory].
    """

    source = "nvml"

    def __init__(self) -> None:
        super().__init__()
        import ctypes

        self._c = ctypes
        self._lib = ctypes.CDLL(NVML_FILE)
        code = self._lib.nvmlInit_v2()
        if code != 0:
            raise OSError(f"nvmlInit_v2: error {code}")
        count = ctypes.c_uint(0)
        self._lib.nvmlDeviceGetCount_v2(ctypes.byref(count))
        self._devices = []
        for index in range(min(count.value, 8)):
            device = ctypes.c_void_p()
            if self._lib.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)) == 0:
                self._devices.append(device)
        if not self._devices:
            raise OSError("NVML found no GPU")
        self.names = [self._text("nvmlDeviceGetName", device) for device in self._devices]
        self.driver = self._text("nvmlSystemGetDriverVersion")

    def _call(self, name: str, out: Any, *args: object) -> bool:
        """Call an NVML function that fills `out`; False when it is missing or refuses."""
        function = getattr(self._lib, name, None)
        return function is not None and function(*args, self._c.byref(out)) == 0

    def _text(self, name: str, *args: object) -> str:
        buffer = self._c.create_string_buffer(96)
        function = getattr(self._lib, name, None)
        if function is None or function(*args, buffer, self._c.c_uint(96)) != 0:
            return ""
        return bytes(buffer.value).decode("utf-8", "replace")

    def _number(self, name: str, *args: object) -> int | None:
        out = self._c.c_uint(0)
        return out.value if self._call(name, out, *args) else None

    def _pair(self, name: str, *args: object) -> list[int] | None:
        """A structure of two 32-bit numbers (utilization)."""
        out = (self._c.c_uint * 2)()
        return list(out) if self._call(name, out, *args) else None

    def _longs(self, name: str, count: int, *args: object) -> list[int] | None:
        """A structure of 64-bit numbers (memory, time spent held back, mask)."""
        out = (self._c.c_ulonglong * count)()
        return list(out) if self._call(name, out, *args) else None

    def _read_gpu(self, device: object) -> dict[str, object]:
        c_uint = self._c.c_uint
        used = self._pair("nvmlDeviceGetUtilizationRates", device)
        power = self._number("nvmlDeviceGetPowerUsage", device)  # mW
        mask = self._longs("nvmlDeviceGetCurrentClocksThrottleReasons", 1, device)
        memory = self._longs("nvmlDeviceGetMemoryInfo", 3, device)  # total, free, used
        by_power = self._longs("nvmlDeviceGetViolationStatus", 2, device, c_uint(0))  # reference time, ns held back
        by_heat = self._longs("nvmlDeviceGetViolationStatus", 2, device, c_uint(1))
        found: dict[str, object] = {
            "u": used and used[0],
            "t": self._number("nvmlDeviceGetTemperature", device, c_uint(0)),
            "p": None if power is None else power / 1000.0,
            "c": self._number("nvmlDeviceGetClockInfo", device, c_uint(1)),  # 1 = SM
            "cm": self._number("nvmlDeviceGetMaxClockInfo", device, c_uint(1)),
            "th": mask and mask[0],
            "mt": memory and memory[0],
            "mu": memory and memory[2],
            "vp": by_power and by_power[1],
            "vt": by_heat and by_heat[1],
        }
        return {key: value for key, value in found.items() if value is not None}

    def _read_processes(self, device: object) -> list[list[object]] | None:
        """pid, name, bytes or None, over compute and graphics processes of one GPU."""
        c = self._c
        fields = [("pid", c.c_uint), ("used", c.c_ulonglong), ("gpu_instance", c.c_uint), ("instance", c.c_uint)]
        info_type: Any = type("Info", (c.Structure,), {"_fields_": fields})
        found: dict[int, list[object]] = {}
        is_known = False
        for kind in ("Compute", "Graphics"):
            name = f"nvmlDeviceGet{kind}RunningProcesses_v3"
            count, infos = c.c_uint(MAX_PROCESSES), (info_type * MAX_PROCESSES)()
            function = getattr(self._lib, name, None)
            if function is None or function(device, c.byref(count), infos) != 0:
                continue
            is_known = True
            for info in infos[: min(count.value, MAX_PROCESSES)]:
                used = None if info.used >= 2**64 - 1 else info.used
                found[info.pid] = [info.pid, read_process_name(info.pid), used]
        return list(found.values()) if is_known else None

    def read(self) -> Reading:
        """GPUs, processes on them, troubles."""
        gpus = [self._read_gpu(device) for device in self._devices]
        known = [rows for rows in map(self._read_processes, self._devices) if rows is not None]
        troubles = None if any(gpus) else ["NVML answers no question about the GPU"]
        return gpus, [row for rows in known for row in rows][:MAX_PROCESSES] if known else None, troubles


class Loop:
    """A child that prints lines for ever, in its own process group; started again when it ends, ever more rarely."""

    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        self._pid = 0
        self._fd = -1
        self._rest = b""
        self._failures = 0
        self._start_at = 0.0
        self.is_missing = False

    @property
    def is_running(self) -> bool:
        """Whether there is a child now."""
        return self._fd >= 0

    def lines(self) -> list[str]:
        """The whole lines printed since the last call."""
        now = time.monotonic()
        if self._fd < 0:
            if self.is_missing or now < self._start_at:
                return []
            self._start()
        data, is_over = b"", self._fd < 0
        while self._fd >= 0 and len(data) < 65536:
            try:
                piece = os.read(self._fd, 16384)
            except BlockingIOError:
                break
            except OSError:
                piece = b""
            is_over = not piece
            if is_over:
                break
            data += piece
        if data:
            self._failures = 0
        if is_over:
            self.close()
            self._failures += 1
            self._start_at = now + min(2.0**self._failures, 60.0)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4096:]
        return [line.decode("utf-8", "replace").strip() for line in whole[-256:]]

    def _start(self) -> None:
        fd, child_fd = os.pipe()
        os.set_blocking(fd, False)
        actions = [(os.POSIX_SPAWN_DUP2, child_fd, 1), (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]  # fmt: skip
        try:
            # SIGPIPE set back to its default: the child ends by itself if we are killed and cannot end it.
            self._pid = os.posix_spawnp(self._argv[0], self._argv, dict(os.environ, LC_ALL="C"),
                                        file_actions=actions, setpgroup=0, setsigdef=[signal.SIGPIPE])  # fmt: skip
            self._fd = fd
        except OSError:
            self.is_missing = True
            os.close(fd)
        os.close(child_fd)

    def close(self) -> None:
        """End the child and its group."""
        if self._pid:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except OSError:
                pass
            os.waitpid(self._pid, 0)
            self._pid = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def cell(text: str) -> float | None:
    """A cell of nvidia-smi as a number; None for every way in which it says that there is none."""
    words = text.strip().strip("[]").split()
    try:
        value = float(int(words[0], 16)) if words[0].startswith("0x") else float(words[0])
    except (IndexError, ValueError):
        return None
    return value if value == value and abs(value) < 1e18 else None


class Smi(Gpus):
    """`nvidia-smi` in its own loop, where NVML cannot be loaded. Source: nvidia-smi --help-query-gpu."""

    source = "smi"
    FIELDS = ("index,name,uuid,driver_version,pstate,utilization.gpu,temperature.gpu,power.draw,"
              "clocks.current.sm,clocks.max.sm,clocks_throttle_reasons.active")  # fmt: skip
    APPS = "gpu_uuid,pid,process_name,used_memory"

    def __init__(self, troubles: list[str]) -> None:
        super().__init__(troubles)
        form = "--format=csv,noheader,nounits"
        self._loop = Loop(["nvidia-smi", "--query-gpu=" + self.FIELDS, form, "-l", "1"])
        self._apps_loop = Loop(["nvidia-smi", "--query-compute-apps=" + self.APPS, form, "-l", "5"])
        self._gpus: dict[str, dict[str, object]] = {}
        self._processes: list[list[object]] | None = None
        self._gpus_at = -1e9
        self._processes_at = time.monotonic()
        self._patient_until = time.monotonic() + 5.0
        self.names = []

    def _take_gpu(self, line: str) -> None:
        cells = [text.strip() for text in line.split(",")]
        if len(cells) != 11 or not cells[0].isdigit():
            return
        keys = {"u": 5, "t": 6, "p": 7, "c": 8, "cm": 9, "th": 10}
        found = {key: cell(cells[at]) for key, at in keys.items()}
        self._gpus[cells[0]] = {key: value for key, value in found.items() if value is not None}
        if cells[1][:64] not in self.names or self.driver != cells[3]:
            self.names.append(cells[1][:64])
            self.driver = cells[3][:32]
            self.is_changed = True

    def read(self) -> Reading:
        """GPUs, processes on them, troubles."""
        now = time.monotonic()
        for line in self._loop.lines():
            self._take_gpu(line)
            self._gpus_at = now
        fresh = []
        for line in self._apps_loop.lines():
            cells = [text.strip() for text in line.split(",")]
            if len(cells) >= 4 and cells[1].isdigit():
                used = cell(cells[-1])  # MiB
                name = ",".join(cells[2:-1]).split("/")[-1][:64]
                fresh.append([int(cells[1]), name, None if used is None else int(used * 2**20)])
        # An empty list prints nothing: a child that runs and is silent means none, once its first moments are over.
        if fresh or (now - self._processes_at > 7.0 and self._apps_loop.is_running):
            self._processes, self._processes_at = fresh[:MAX_PROCESSES], now
        if now - self._gpus_at <= 5.0:
            return list(self._gpus.values()), self._processes, None
        if self._loop.is_missing:
            return None, None, [*self.troubles, "nvidia-smi was not found"]
        return None, None, [*self.troubles, "nvidia-smi says nothing"] if now > self._patient_until else None

    def close(self) -> None:
        """End both children."""
        self._loop.close()
        self._apps_loop.close()


def open_gpus() -> Gpus:
    """NVML if it loads and answers, else nvidia-smi in a loop."""
    if NVML_FILE == "off":
        return Smi([])
    try:
        return Nvml()
    except (OSError, AttributeError, ImportError) as error:
        return Smi([f"NVML: {error}"[:160]])
