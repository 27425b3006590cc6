"""`nvidia-smi` of a node: what the driver of a GB10 says, with the fields that it has not as it says them.

The one rule: strict. An option or field that the real program does not know fails as there; one that it knows and that
is not simulated fails, too, and says so. Layouts and cells follow captures of units with driver 580; exit codes follow
the manual page; the words of errors were never seen on hardware.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from smi_page import full_page, performance_page, table_page
from spark_state import read_json

CUDA = "13.0"
_BAD_ARGUMENT = 2  # manual page: "A supplied argument or flag is invalid"
_NOT_FOUND = 6
_NA = "[N/A]"

# field -> (unit or "", how to get it); None is what a GB10 answers with [N/A]
_PLAIN: dict[str, tuple[str, str | None]] = {
    "index": ("", "0"),
    "count": ("", "1"),
    "name": ("", "NVIDIA GB10"),
    "compute_cap": ("", "12.1"),
    "compute_mode": ("", "Default"),
    "persistence_mode": ("", "Enabled"),
    "display_mode": ("", "Disabled"),
    "display_active": ("", "Disabled"),
    "pci.bus_id": ("", "0000000F:01:00.0"),
    "pci.domain": ("", "0x000F"),
    "pci.bus": ("", "0x01"),
    "pci.device": ("", "0x00"),
    "pci.device_id": ("", "0x2E1210DE"),
    "pcie.link.gen.current": ("", "1"),
    "pcie.link.gen.max": ("", "1"),
    "pcie.link.width.current": ("", "1"),
    "pcie.link.width.max": ("", "1"),
    "addressing_mode": ("", "ATS"),
    "utilization.memory": ("%", "0"),
    "clocks.max.sm": ("MHz", "3003"),
    "clocks.max.graphics": ("MHz", "3003"),
    "clocks_throttle_reasons.active": ("", "0x0000000000000000"),
    "memory.total": ("MiB", None),
    "memory.used": ("MiB", None),
    "memory.free": ("MiB", None),
    "memory.reserved": ("MiB", None),
    "temperature.memory": ("", None),
    "temperature.gpu.tlimit": ("", None),
    "power.limit": ("W", None),
    "power.min_limit": ("W", None),
    "power.max_limit": ("W", None),
    "power.default_limit": ("W", None),
    "enforced.power.limit": ("W", None),
    "clocks.current.memory": ("MHz", None),
    "clocks.max.memory": ("MHz", None),
    "fan.speed": ("%", None),
    "ecc.mode.current": ("", None),
    "ecc.mode.pending": ("", None),
    "ecc.errors.corrected.volatile.total": ("", None),
    "ecc.errors.uncorrected.volatile.total": ("", None),
    "mig.mode.current": ("", None),
    "mig.mode.pending": ("", None),
    "serial": ("", None),
    "vbios_version": ("", None),
}
_MOVING = {
    "uuid": ("", "uuid"),
    "driver_version": ("", "driver"),
    "pstate": ("", "pstate"),
    "utilization.gpu": ("%", "util_pct"),
    "temperature.gpu": ("", "temperature_c"),
    "power.draw": ("W", "power_w"),
    "power.draw.average": ("W", "power_w"),
    "power.draw.instant": ("W", "power_w"),
    "clocks.current.sm": ("MHz", "sm_mhz"),
    "clocks.current.graphics": ("MHz", "sm_mhz"),
}
_OTHER_NAMES = {
    "gpu_name": "name",
    "gpu_uuid": "uuid",
    "gpu_bus_id": "pci.bus_id",
    "gpu_serial": "serial",
    "clocks.sm": "clocks.current.sm",
    "clocks.gr": "clocks.current.graphics",
    "clocks.mem": "clocks.current.memory",
    "clocks.max.gr": "clocks.max.graphics",
    "clocks.max.mem": "clocks.max.memory",
    "clocks_event_reasons.active": "clocks_throttle_reasons.active",
}
_APP_FIELDS = {"gpu_uuid", "gpu_name", "gpu_bus_id", "pid", "process_name", "name", "used_memory", "used_gpu_memory"}
_TAKES_VALUE = {"--query-gpu", "--query-compute-apps", "--format", "--loop", "--loop-ms", "--id", "--display"}
_SHORT = {"-l": "--loop", "-lms": "--loop-ms", "-i": "--id", "-d": "--display"}
_TAKES_NONE = {"-L": "list", "--list-gpus": "list", "-q": "query", "--query": "query", "-h": "help", "--help": "help",
               "--version": "version"}  # fmt: skip


class UsageError(Exception):
    """The words for a wrong command line."""


def parse(arguments: list[str]) -> dict[str, str]:
    """Options by their long names. Raises UsageError."""
    found: dict[str, str] = {}
    words = list(arguments)
    while words:
        word, has_value, value = words.pop(0).partition("=")
        name = _SHORT.get(word, word)
        if name in _TAKES_NONE:
            found[_TAKES_NONE[name]] = ""
        elif name in _TAKES_VALUE:
            if not has_value:
                if name == "--loop" and (not words or words[0].startswith("-")):
                    value = "5"  # -l alone
                elif not words:
                    raise UsageError(f"Option {word} is missing its value.")
                else:
                    value = words.pop(0)
            found[name] = value
        elif word in ("topo", "dmon", "pmon", "nvlink", "mig", "-pm", "-lgc", "-rgc", "-pl"):
            raise UsageError(f"{word} is not simulated.")
        else:
            raise UsageError("Invalid combination of input arguments.")
    return found


def main(arguments: list[str]) -> int:
    """Print once, or again and again with --loop."""
    try:
        options = parse(arguments)
        pause_s = _pause_s(options)
        show = _chosen(options)
    except UsageError as error:
        print(error if str(error).startswith("Field") else f"{error} Please run 'nvidia-smi -h' for help.\n")
        return _BAD_ARGUMENT
    if options.get("--id", "0") not in ("0", "0000000F:01:00.0", read_json("gpu")["uuid"]):
        print("No devices were found")
        return _NOT_FOUND
    is_first = True
    while True:
        try:
            sys.stdout.write(show(read_json("gpu"), is_first))
            sys.stdout.flush()
        except BrokenPipeError:
            sys.stderr.close()
            return 0
        if not pause_s:
            return 0
        is_first = False
        time.sleep(pause_s)


def _pause_s(options: dict[str, str]) -> float:
    text = options.get("--loop-ms") or options.get("--loop")
    if text is None:
        return 0.0
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"Invalid loop interval {text}.")
    return int(text) / (1000 if "--loop-ms" in options else 1)


def _chosen(options: dict[str, str]) -> Any:
    """The function that makes the text: (readings, whether it is the first time) -> text."""
    if "help" in options:
        return lambda now, _first: f"NVIDIA System Management Interface -- v{now['driver']} (simulated)\n"
    if "version" in options:
        return lambda now, _first: (
            f"NVIDIA-SMI version  : {now['driver']}\nDRIVER version      : {now['driver']}\n"
            f"CUDA Version        : {CUDA}\n"
        )
    if "list" in options:
        return lambda now, _first: f"GPU 0: NVIDIA GB10 (UUID: {now['uuid']})\n"
    if "--query-gpu" in options:
        fields = _fields(options["--query-gpu"], {*_PLAIN, *_MOVING, *_OTHER_NAMES, "timestamp"})
        form = _format(options)
        return lambda now, first: _header(fields, form, first) + _gpu_row(fields, form, now)
    if "--query-compute-apps" in options:
        fields = _fields(options["--query-compute-apps"], _APP_FIELDS)
        form = _format(options)
        return lambda now, first: _header(fields, form, first) + _app_rows(fields, form, now)
    if "query" in options:
        page = {"PERFORMANCE": performance_page, "": full_page}.get(options.get("--display", "").upper())
        if page is None:
            raise UsageError("Only -q and -q -d PERFORMANCE are simulated.")
        return lambda now, _first: page(now, now["driver"], CUDA)
    if "--format" in options or "--display" in options:
        raise UsageError("Invalid combination of input arguments.")
    return lambda now, _first: table_page(now, now["driver"], CUDA)


def _fields(text: str, known: set[str]) -> list[str]:
    fields = [field.strip() for field in text.split(",")]
    for field in fields:
        if field not in known:
            raise UsageError(f'Field "{field}" is not a valid field to query.\n')
    return fields


def _format(options: dict[str, str]) -> set[str]:
    if "--format" not in options:
        raise UsageError('"--format=" switch is missing.')
    form = {part.strip() for part in options["--format"].split(",")}
    if "csv" not in form or not form <= {"csv", "noheader", "nounits"}:
        raise UsageError(f'"{options["--format"]}" is not a valid format.')
    return form


def _unit(field: str) -> str:
    if field in ("used_memory", "used_gpu_memory"):
        return "MiB"
    name = _OTHER_NAMES.get(field, field)
    return (_PLAIN.get(name) or _MOVING.get(name) or ("", ""))[0]


def _header(fields: list[str], form: set[str], is_first: bool) -> str:
    if "noheader" in form or not is_first:
        return ""
    return ", ".join(f"{field} [{_unit(field)}]" if _unit(field) else field for field in fields) + "\n"


def _cell(value: str | None, unit: str, form: set[str]) -> str:
    if value is None:
        return _NA
    return f"{value} {unit}" if unit and "nounits" not in form else value


def _gpu_row(fields: list[str], form: set[str], now: dict[str, Any]) -> str:
    cells = []
    for field in fields:
        name = _OTHER_NAMES.get(field, field)
        if name == "timestamp":
            cells.append(time.strftime("%Y/%m/%d %H:%M:%S.000"))
        elif name in _MOVING:
            value = now[_MOVING[name][1]]
            cells.append(_cell(f"{value:.2f}" if name.startswith("power") else str(value), _unit(name), form))
        else:
            cells.append(_cell(_PLAIN[name][1], _unit(name), form))
    return ", ".join(cells) + "\n"


def _app_rows(fields: list[str], form: set[str], now: dict[str, Any]) -> str:
    rows = []
    for app in now["apps"]:
        values = {
            "gpu_uuid": now["uuid"],
            "gpu_name": "NVIDIA GB10",
            "gpu_bus_id": "0000000F:01:00.0",
            "pid": str(app["pid"]),
            "process_name": app["name"],
            "name": app["name"],
            "used_memory": str(app["memory_mib"]),
            "used_gpu_memory": str(app["memory_mib"]),
        }
        rows.append(", ".join(_cell(values[field], _unit(field), form) for field in fields) + "\n")
    return "".join(rows)
