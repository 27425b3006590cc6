"""What the code takes for true of a Spark's GPU and of what nvidia-smi and NVML say about it."""

from __future__ import annotations

import re

from sparkdesk.core.probes.assumption import Assumption, Hold
from sparkdesk.core.probes.assumption_rule import (
    Rule,
    Ruling,
    assume,
    matches,
    number_within,
    read_number,
    shown,
    text_of,
)
from sparkdesk.core.probes.read import Answer, ReadCommand, ReadFile

_PROBE = "remote/gpu.py"
_MODEL = "simulator/machine/physics.py"
_NVTOP = "Syllo/nvtop issue 449"
_NVITOP = "XuehaiPan/nvitop issue 208"
_ABSENT = r"^(\[N/A\]|N/A|\[Not Supported\]|Not Supported)$"
_LOADED_PERCENT = 50.0
SLOW_STATE_MHZ = 950.0
SLOW_STATE_W = 45.0
HEALTHY_MHZ = 1400.0


def _ask(fields: str) -> ReadCommand:
    return ReadCommand(("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"))


# The library's own answer to a question that nvidia-smi cannot show: what it returns for the GPU's memory.
_NVML_SCRIPT = (
    "import ctypes as c\n"
    "try: n=c.CDLL('libnvidia-ml.so.1')\n"
    "except OSError as e: raise SystemExit(str(e))\n"
    "d=c.c_void_p()\n"
    "m=(c.c_ulonglong*3)()\n"
    "print('init',n.nvmlInit_v2())\n"
    "print('device',n.nvmlDeviceGetHandleByIndex_v2(0,c.byref(d)))\n"
    "print('memory',n.nvmlDeviceGetMemoryInfo(d,m))\n"
    "p=c.c_uint()\n"
    "print('power',n.nvmlDeviceGetPowerUsage(d,c.byref(p)),p.value)\n"
)
_NVML = ReadCommand(("python3", "-c", _NVML_SCRIPT))


def _judge_clock_under_load(answer: Answer) -> Ruling:
    parts = answer.text.split(",")
    if len(parts) != 2:
        return Hold.DIFFERS, shown(answer.text)
    clock_mhz, load_percent = (read_number(part) for part in parts)
    if not load_percent >= _LOADED_PERCENT:
        return Hold.NOT_SEEN, shown(f"{answer.text} (the GPU is not under load)")
    return (Hold.HELD if clock_mhz >= HEALTHY_MHZ else Hold.DIFFERS), shown(answer.text)


def _judge_slow_power(answer: Answer) -> Ruling:
    parts = answer.text.split(",")
    if len(parts) != 3:
        return Hold.DIFFERS, shown(answer.text)
    clock_mhz, load_percent, power_w = (read_number(part) for part in parts)
    if not (load_percent >= _LOADED_PERCENT and clock_mhz <= SLOW_STATE_MHZ):
        return Hold.NOT_SEEN, shown(f"{answer.text} (the GPU is not in the slow state under load)")
    return (Hold.HELD if power_w <= SLOW_STATE_W else Hold.DIFFERS), shown(answer.text)


def _judge_awake_clock(answer: Answer) -> Ruling:
    parts = [part.strip() for part in answer.text.split(",")]
    if len(parts) != 3:
        return Hold.DIFFERS, shown(answer.text)
    if parts[2] != "P0" or not read_number(parts[1]) <= 1:
        return Hold.NOT_SEEN, shown(f"{answer.text} (needs P0 and no load)")
    return (Hold.HELD if 1700 <= read_number(parts[0]) <= 2600 else Hold.DIFFERS), shown(answer.text)


def _judge_processes(answer: Answer) -> Ruling:
    lines = [line for line in answer.text.splitlines() if line.strip()]
    if not lines:
        return Hold.NOT_SEEN, "no program uses the GPU"
    sizes = [line.rpartition(",")[2].strip() for line in lines]
    is_right = all(read_number(size) > 0 for size in sizes)
    return (Hold.HELD if is_right else Hold.DIFFERS), shown(f"{', '.join(sizes)} MiB")


def _nvml_says(pattern: str) -> Rule:
    def rule(answer: Answer) -> Ruling:
        if not re.search(r"^device 0$", text_of(answer), re.MULTILINE):
            return Hold.NOT_SEEN, shown(text_of(answer) + "\n" + answer.errors[-200:])
        return matches(pattern)(answer)

    return rule


ASSUMPTIONS: tuple[Assumption, ...] = (
    assume(
        "gpu-name", "The GPU is called NVIDIA GB10", _ask("name"), matches(r"^NVIDIA GB10$"),
        source="NVIDIA/dgx-spark-playbooks 0db7c141", where="core/probes/details.py",
    ),
    assume(
        "gpu-compute-capability", "The GPU's compute capability is 12.1", _ask("compute_cap"), matches(r"^12\.1$"),
        source="captures of several units", where="backends/vllm.py",
    ),
    assume(
        "gpu-memory-absent", "nvidia-smi gives no GPU memory in total: it is the system's memory",
        _ask("memory.total"), matches(_ABSENT), source=_NVITOP, where=_PROBE,
    ),
    assume(
        "gpu-power-limit-absent", "There is no power limit to read", _ask("power.limit"), matches(_ABSENT),
        source="captures of two units", where=_PROBE,
    ),
    assume(
        "gpu-fan-absent", "There is no fan to read", _ask("fan.speed"), matches(_ABSENT),
        source="nvidia-smi's table of a unit", where=_PROBE,
    ),
    assume(
        "gpu-power", "The power of the GPU's rail is a number of watts, below 120", _ask("power.draw"),
        number_within(r"^\s*(\d+(?:\.\d+)?)\s*$", 0.0, 120.0), source=_NVITOP, where=_PROBE,
    ),
    assume(
        "gpu-temperature", "The GPU's temperature is a number", _ask("temperature.gpu"),
        number_within(r"^\s*(\d+)\s*$", 1.0, 120.0), source=_NVITOP, where=_PROBE,
    ),
    assume(
        "gpu-highest-clock", "The highest clock is 3003 MHz", _ask("clocks.max.graphics"), matches(r"^3003$"),
        source="captures of two units", where=_MODEL,
    ),
    assume(
        "gpu-clock-under-load", "Under load the clock stays above 1400 MHz; 500 to 950 is the slow state",
        _ask("clocks.sm,utilization.gpu"), _judge_clock_under_load,
        source="reports of owners; cleared by removing the power plug", where="core/probes/doctor.py",
    ),
    assume(
        "gpu-slow-power", f"In the slow state the GPU takes no more than {SLOW_STATE_W:.0f} W under load",
        _ask("clocks.sm,utilization.gpu,power.draw"), _judge_slow_power, source="ours, a guess",
        where="simulator/machine/gb10.py",
    ),
    assume(
        "gpu-awake-clock", "A GPU that is awake and idle stands between 1700 and 2600 MHz",
        _ask("clocks.sm,utilization.gpu,pstate"), _judge_awake_clock, source="ours, a guess", where=_MODEL,
    ),
    assume(
        "gpu-throttle-mask", "What limits the clock is a mask in hexadecimal",
        _ask("clocks_event_reasons.active"), matches(r"^0x[0-9a-fA-F]{16}$"), source="captures of two units",
        where=_PROBE,
    ),
    assume(
        "gpu-capped-counters", "The time for which power capped the clock is counted, in microseconds",
        ReadCommand(("nvidia-smi", "-q", "-d", "PERFORMANCE")), matches(r"^\s*SW Power Capping\s*: \d+ us\s*$"),
        source="a test fixture in a public repository and one unit's reading", where=_PROBE,
    ),
    assume(
        "gpu-processes", "The memory of each program on the GPU is known, in MiB",
        ReadCommand(("nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")),
        _judge_processes, source="mostlygeek/llama-swap issue 782", where=_PROBE,
    ),
    assume(
        "gpu-pci-id", "The GPU is 10de:2e12 at 000f:01:00.0", ReadFile("/sys/bus/pci/devices/000f:01:00.0/device"),
        matches(r"^0x2e12$"), source="lspci of a unit", where="core/probes/details.py",
    ),
    assume(
        "gpu-information", "The driver's own file about the GPU names its video BIOS",
        ReadFile("/proc/driver/nvidia/gpus/*/information"), matches(r"^Video BIOS:\s*\S+"),
        source="NVIDIA's open kernel module", where="core/probes/details.py",
    ),
    assume(
        "gpu-addressing", "The GPU addresses memory by ATS, without memory of its own",
        ReadCommand(("nvidia-smi", "-q")), matches(r"^\s*Addressing Mode\s*: ATS\s*$"),
        source="nvidia-smi -q of a unit", where="core/telemetry/builder.py",
    ),
    assume(
        "driver-branch", "The driver is of the 580 branch", ReadFile("/proc/driver/nvidia/version"),
        matches(r"\b580\.\d+(\.\d+)?\b"), source="captures of ten units", where="core/probes/doctor.py",
    ),
    assume(
        "nvml-library", "The driver's library answers, finds the GPU, and gives its power in milliwatts", _NVML,
        _nvml_says(r"^power 0 [1-9]\d{2,5}$"), source="NVIDIA's nvml.h", where=_PROBE,
    ),
    assume(
        "nvml-memory", "The library gives no GPU memory (3, not supported), or the system's (0)", _NVML,
        _nvml_says(r"^memory [03]$"), source=f"{_NVITOP}; {_NVTOP}", where=_PROBE,
    ),
)  # fmt: skip
