"""The forms in which a Spark's files and programs answer, and the reads that details, doctor and field report share.

The one rule: total. Whatever a text holds, a parser gives what it is sure of, and None or nothing for the rest. Sources
are public captures of GB10 machines and the manuals named; the table of assumptions holds a real Spark against them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes.read import Answer, ReadCommand, ReadFile

MEMINFO = ReadFile("/proc/meminfo", max_bytes=8192)
UPTIME = ReadFile("/proc/uptime", max_bytes=64)
KERNEL = ReadFile("/proc/sys/kernel/osrelease", max_bytes=128)
DRIVER = ReadFile("/proc/driver/nvidia/version", max_bytes=1024)
DGX_RELEASE = ReadFile("/etc/dgx-release", max_bytes=8192)
REBOOT = ReadFile("/run/reboot-required", max_bytes=256)
REBOOT_PACKAGES = ReadFile("/run/reboot-required.pkgs", max_bytes=2048)
BIOS_VERSION = ReadFile("/sys/class/dmi/id/bios_version", max_bytes=256)
PCIE_WIDTHS = ReadFile("/sys/bus/pci/devices/*:01:00.*/current_link_width", max_bytes=32)
PCIE_SPEEDS = ReadFile("/sys/bus/pci/devices/*:01:00.*/current_link_speed", max_bytes=64)
GROUPS = ReadCommand(("id", "-Gn"), max_bytes=4096)
USER = ReadCommand(("id", "-un"), max_bytes=256)
TOOLKIT = ReadCommand(("nvidia-ctk", "--version"), max_bytes=1024)
GPU_FIELDS = (
    "name",
    "pstate",
    "utilization.gpu",
    "temperature.gpu",
    "power.draw",
    "clocks.current.sm",
    "clocks.max.sm",
    "clocks_throttle_reasons.active",
)
GPU = ReadCommand(
    ("nvidia-smi", f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader,nounits"), timeout_s=10.0
)
PERFORMANCE = ReadCommand(("nvidia-smi", "-q", "-d", "PERFORMANCE"), timeout_s=10.0)

KIB = 1024
MAX_LINES = 4000
_SETTING = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]{0,63})=(.*)$")
_MEMORY = re.compile(r"^(\w[\w()]{0,40}):\s+(\d{1,15})(?:\s+(kB))?\s*$")
_VERSION = re.compile(r"\b(\d{1,4}(?:\.\d{1,6}){1,3})\b")
_COUNTER = re.compile(r"^\s*([A-Za-z ]{3,40}?)\s*:\s*(\d{1,19}) us\s*$")
_NETDEV = re.compile(r"^en(?:P(\d{1,5}))?p(\d{1,3})s(\d{1,2})(?:f(\d))?(?:np?\w+)?$")


def lines_of(text: str) -> list[str]:
    """The lines of a node's text, bounded; only a line feed ends one."""
    return text.split("\n")[:MAX_LINES]


def parse_settings(text: str) -> dict[str, str]:
    """NAME=value or NAME="value" lines, as /etc/os-release, /etc/dgx-release and `timedatectl show` have them.

    The last one of a name wins: /etc/dgx-release gets a block for each update. Source: os-release(5).
    """
    found: dict[str, str] = {}
    for line in lines_of(text):
        match = _SETTING.match(line)
        if match:
            found[match[1]] = make_line(match[2].strip().strip("\"'"), max_chars=256)
    return found


def parse_memory(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes (rows without a unit are counts). Source: proc_meminfo(5)."""
    rows = (_MEMORY.match(line) for line in lines_of(text))
    return {row[1]: int(row[2]) * (KIB if row[3] else 1) for row in rows if row}


def parse_version(text: str) -> str:
    """The first dotted number in a text; "" when there is none."""
    match = _VERSION.search(text[:4096])
    return match[1] if match else ""


def parse_number(text: str) -> float | None:
    """A number as nvidia-smi and sysfs print it; None for [N/A], Not Supported, [Unknown Error], nothing."""
    words = text.strip().split()
    if not words or len(words[0]) > 32:
        return None
    try:
        number = float(words[0])
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def parse_whole(text: str) -> int | None:
    """A whole number that is not negative, or None."""
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 18 else None


def parse_core_count(text: str) -> int | None:
    """How many cores a list like "0-9,12" has. Source: the kernel's cpu-list format."""
    count = 0
    for part in text.strip().split(","):
        low, dash, high = part.partition("-")
        first, last = parse_whole(low), parse_whole(high if dash else low)
        if first is None or last is None or not first <= last < 4096:
            return None
        count += last - first + 1
    return count


def parse_pressure(text: str) -> dict[str, float]:
    """/proc/pressure/*: "some" and "full" -> percent of the last 10 s. Source: the kernel's accounting/psi document."""
    found = {}
    for line in lines_of(text):
        name, _, rest = line.partition(" ")
        for word in rest.split():
            share = parse_number(word[6:]) if word.startswith("avg10=") else None
            if name in ("some", "full") and share is not None and 0 <= share <= 100:
                found[name] = share
    return found


def parse_performance(text: str) -> dict[str, int]:
    """`nvidia-smi -q -d PERFORMANCE`: the cumulative counters of why clocks were lowered, in microseconds, by name."""
    rows = (_COUNTER.match(line) for line in lines_of(text))
    return {row[1].strip(): int(row[2]) for row in rows if row}


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One row of the GPU read; None where a GB10 says [N/A] or nothing. `reasons` is the throttle mask."""

    name: str
    pstate: str
    util_percent: float | None
    temperature_c: float | None
    power_w: float | None
    sm_mhz: float | None
    reasons: int | None


def parse_gpu(answer: Answer) -> GpuReading | None:
    """The first GPU of the read GPU; None when there is no row (no driver, "No devices were found")."""
    row = lines_of(answer.text)[0] if answer.is_ok else ""
    cells = [cell.strip() for cell in row.split(",")]
    if len(cells) != len(GPU_FIELDS):
        return None
    util, temperature, power, clock = (parse_number(cell) for cell in cells[2:6])
    try:
        reasons = int(cells[7][:20], 16)
    except ValueError:
        reasons = None
    name, pstate = (make_line(cell, max_chars=64) for cell in cells[:2])
    return GpuReading(name, pstate, util, temperature, power, clock, reasons)


def pci_address_of(netdev: str) -> str:
    """The PCI function that a predictable interface name tells: enP2p1s0f1np1 -> 0002:01:00.1; "" when it tells none.

    Source: systemd.net-naming-scheme(7): domain, bus and slot are decimal in the name.
    """
    match = _NETDEV.match(netdev)
    if not match:
        return ""
    domain, bus, slot, function = (int(part or 0) for part in match.groups())
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function}"


def folder_of(path: str, depth: int) -> str:
    """The name that stands `depth` levels above a path's last part: a device in a sysfs path."""
    parts = path.split("/")
    return parts[-1 - depth] if len(parts) > depth else ""


def by_device(answer: Answer, depth: int = 1) -> dict[str, str]:
    """A glob's texts by the name of the device in their path."""
    return {folder_of(path, depth): text.strip() for path, text in answer.texts}
