"""What the planner takes for true of a Spark that works: what the system keeps, what power goes where, what is shared.

The one rule: an allowance that no log or counter of a node tells is listed all the same, and is "not seen" with the
reason; only a trial could tell it.
"""

from __future__ import annotations

import re

from sparkdesk.core.planning.cost import MOST_RAIL_W, REST_W
from sparkdesk.core.planning.memory.need import SYSTEM_BYTES
from sparkdesk.core.probes.assumption import Assumption, Hold
from sparkdesk.core.probes.assumption_rule import Rule, Ruling, assume, read_number, shown, text_of
from sparkdesk.core.probes.read import Answer, ReadCommand, ReadFile

_OWN = "ours, an allowance"
_JOB_LOGS = ReadFile("~/.local/state/sparkdesk/jobs/*/log", max_bytes=65536, max_files=8)
_POWER = ReadCommand(("nvidia-smi", "--query-gpu=power.draw,utilization.gpu,pstate", "--format=csv,noheader,nounits"))
_REST_TOLERANCE_W = 3.0
_LOADED_PERCENT, _IDLE_PERCENT = 50.0, 1.0
_GIB_KB = 1024.0**2

# Memory in use, and how many programs compute on the GPU (the library counts them when it is given no room to list
# them): only without one does the first tell what the system keeps.
_IDLE_SCRIPT = (
    "import ctypes as c, pathlib\n"
    "print(pathlib.Path('/proc/meminfo').read_text())\n"
    "try: n=c.CDLL('libnvidia-ml.so.1')\n"
    "except OSError as e: raise SystemExit(str(e))\n"
    "d,k=c.c_void_p(),c.c_uint(0)\n"
    "n.nvmlInit_v2()\n"
    "n.nvmlDeviceGetHandleByIndex_v2(0,c.byref(d))\n"
    "r=n.nvmlDeviceGetComputeRunningProcesses_v3(d,c.byref(k),None)\n"
    "if r in (0,7): print('programs',k.value)\n"
)


def _judge_system(answer: Answer) -> Ruling:
    text = text_of(answer)
    programs = re.search(r"^programs (\d+)$", text, re.MULTILINE)
    total, available = (_meminfo_kb(text, name) for name in ("MemTotal", "MemAvailable"))
    used_gib = (total - available) / _GIB_KB
    if programs is None or not used_gib >= 0.0:
        return Hold.NOT_SEEN, shown(answer.errors) or "memory or the GPU's programs could not be read"
    seen = f"{used_gib:.1f} GiB in use, {int(programs.group(1))} programs on the GPU"
    if int(programs.group(1)):
        return Hold.NOT_SEEN, f"{seen} (needs none)"
    return (Hold.HELD if used_gib <= SYSTEM_BYTES / 1024**3 else Hold.DIFFERS), seen


def _meminfo_kb(text: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d{{1,15}}) kB$", text, re.MULTILINE)
    return read_number(found.group(1)) if found is not None else float("nan")


def _judge_power(answer: Answer) -> Ruling:
    parts = [part.strip() for part in answer.text.split(",")]
    if len(parts) != 3:
        return Hold.DIFFERS, shown(answer.text)
    power_w, load_percent = read_number(parts[0]), read_number(parts[1])
    seen = shown(answer.text)
    if load_percent >= _LOADED_PERCENT:
        return (Hold.HELD if REST_W < power_w <= MOST_RAIL_W else Hold.DIFFERS), seen
    if load_percent <= _IDLE_PERCENT and parts[2] == "P0":
        return (Hold.HELD if abs(power_w - REST_W) <= _REST_TOLERANCE_W else Hold.DIFFERS), seen
    return Hold.NOT_SEEN, f"{seen} (needs load, or P0 without load)"


def _untold(reason: str) -> Rule:
    """Of what nothing on a node tells."""
    return lambda _answer: (Hold.NOT_SEEN, reason)


ASSUMPTIONS: tuple[Assumption, ...] = (
    assume(
        "system-reserve", "Without a program on the GPU the system keeps no more than 4 GiB",
        ReadCommand(("python3", "-c", _IDLE_SCRIPT)), _judge_system, source=_OWN, where="core/planning/memory/need.py",
    ),
    assume(
        "draft-weights", "A draft model is 15 % of its model's weights, a draft head 3 %", _JOB_LOGS,
        _untold("engines log the weights of model and draft as one sum"), source=_OWN,
        where="core/planning/memory/need.py",
    ),
    assume(
        "work-power", "The GPU's rail takes 11 to 12 W awake without work, and at most 87 W", _POWER, _judge_power,
        source="nvidia-smi's tables of several units", where="core/planning/cost.py",
    ),
    assume(
        "memory-sharing", "Two programs share the memory's bandwidth in proportion to what they ask", _POWER,
        _untold("only two deployments under load, timed alone and together, tell it"),
        source="ours; NVIDIA's Multi-Process Service page for the turns", where="core/planning/neighbour.py",
    ),
    assume(
        "training-overlap", "Four fifths of the time of backward can hide the exchange of gradients", _JOB_LOGS,
        _untold("only a profile of a training step on several nodes tells it"), source=_OWN,
        where="core/planning/training/plan.py",
    ),
    assume(
        "training-memory", "Training with AdamW in mixed precision takes 16 bytes a parameter and 4 GiB",
        _JOB_LOGS,
        _untold("frameworks do not log what each part takes"), source="the frameworks' defaults; the 4 GiB are ours",
        where="core/planning/training/memory.py",
    ),
)  # fmt: skip
