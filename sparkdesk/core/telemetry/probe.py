"""Reads the lines of remote/probe.py. Total: whatever bytes come, the answer is a value, never an exception.

The one rule: everything in a line is a claim of the node's: typed, bounded, and absent when it is not what it should
be. The short keys are those of remote/probe.py; a test holds the two lists against each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from sparkdesk.core.cluster.node import NodeFacts
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.telemetry.frame import Line
from sparkdesk.core.telemetry.sample import GpuProcess

PROTOCOL = 1
RAW_KEYS = frozenset(
    ("q", "b", "m", "w", "cpu", "ld", "mem", "psi", "ct", "nt", "df", "io", "net", "ib", "gpu", "gs", "pr", "e")
)
MEMORY_KEYS = frozenset(("mt", "mf", "ma", "bu", "ca", "sr", "sh", "st", "sf"))
GPU_KEYS = frozenset(("u", "t", "p", "c", "cm", "th", "mt", "mu", "vp", "vt"))

MAX_ITEMS = 64
MAX_TEXT = 256
MAX_NUMBER = 2.0**64
MAX_TIME_S = 1e11
"""Three thousand years: beyond it milliseconds are lost in a float, and no clock of a node stands there."""
MAX_SPEED_MBPS = 1.6e6
"""The fastest Ethernet. Some drivers tell 4294967295 for a line whose speed they do not know."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is no reading, and why. `is_ours` when it carried the marker (else: the node's shell talking)."""

    reason: str
    is_ours: bool = True


@dataclass(frozen=True, slots=True)
class Hello:
    """What a node says about itself when its probe begins, or when that changes."""

    facts: NodeFacts


@dataclass(frozen=True, slots=True)
class RawInterface:
    """Counters in bytes; `speed_mbps` and `carrier` None when not told."""

    rx_bytes: float | None
    tx_bytes: float | None
    state: str
    carrier: float | None
    speed_mbps: float | None


@dataclass(frozen=True, slots=True)
class RawRdma:
    """Counters in words of 4 bytes."""

    rx_words: float | None
    tx_words: float | None
    state: str


@dataclass(frozen=True, slots=True)
class RawSample:
    """A reading as the probe took it: counters and the kernel's own units."""

    sequence: int
    boot_id: str
    monotonic_s: float
    wall_s: float
    cpu_jiffies: tuple[float, ...] = ()
    loads: tuple[float, ...] = ()
    memory_kb: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    pressure_percent: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    cpu_temp_mc: float | None = None
    nvme_temp_mc: float | None = None
    disk_bytes: tuple[float, ...] = ()
    disk_sectors: tuple[float, ...] = ()
    interfaces: Mapping[str, RawInterface] = field(default_factory=lambda: MappingProxyType({}))
    rdma: Mapping[str, RawRdma] = field(default_factory=lambda: MappingProxyType({}))
    gpus: tuple[Mapping[str, float], ...] = ()
    gpu_source: str = ""
    processes: tuple[GpuProcess, ...] | None = None
    troubles: tuple[str, ...] = ()


def parse_line(line: Line, marker: bytes) -> Hello | RawSample | Malformed:
    """One line of the probe that was started with this marker."""
    is_ours = line.data.startswith(marker + b" ")
    if line.cut_bytes:
        return Malformed(f"a line of {len(line.data) + line.cut_bytes} bytes", is_ours)
    if not is_ours:
        return Malformed("not a line of the probe", is_ours)
    try:
        text = line.data[len(marker) + 1 :].decode("utf-8")
    except UnicodeDecodeError as error:
        return Malformed(f"not UTF-8 at byte {error.start}")
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return Malformed(f"not JSON: {str(error)[:120]}")
    if not isinstance(data, dict):
        return Malformed("not a JSON object")
    return _read_hello(data) if "hello" in data else _read_sample(data)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


# Single values: typed and bounded, or None ------------------------------------------------------------------------


def _text(value: object, limit: int = MAX_TEXT) -> str:
    """Text of a node on one line, safe to show, bounded; "" when it is no text."""
    return make_line(value, max_chars=limit).strip() if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= MAX_NUMBER else None


def _count(value: object) -> float | None:
    """A number that cannot be negative."""
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _whole(value: object) -> int | None:
    number = _count(value)
    return None if number is None else int(number)


def _time(value: object) -> float | None:
    number = _count(value)
    return number if number is not None and number <= MAX_TIME_S else None


def _speed(value: object) -> float | None:
    number = _count(value)
    return number if number is not None and number <= MAX_SPEED_MBPS else None


def _numbers(value: object, least: int) -> tuple[float, ...]:
    """A list of counts, at least so many and all of them good; else nothing."""
    if not isinstance(value, list) or not least <= len(value) <= MAX_ITEMS:
        return ()
    found = [number for number in map(_count, value) if number is not None]
    return tuple(found) if len(found) == len(value) else ()


def _table(value: object, read: Callable[[Any], T | None]) -> dict[str, T]:
    """A mapping whose values are read one by one; those that are not what they should be are left out."""
    if not isinstance(value, dict):
        return {}
    pairs = ((_text(key, 48), read(item)) for key, item in list(value.items())[:MAX_ITEMS])
    return {key: item for key, item in pairs if key and item is not None}


def _rows(value: object, read: Callable[[Any], T | None]) -> tuple[T, ...] | None:
    """A list whose items are read one by one; None when it is no list."""
    if not isinstance(value, list):
        return None
    return tuple(item for item in map(read, value[:MAX_ITEMS]) if item is not None)


def _texts(value: object) -> dict[str, str]:
    return _table(value, lambda item: _text(item) or None)


# The two kinds of line --------------------------------------------------------------------------------------------


def _read_hello(data: dict[str, Any]) -> Hello | Malformed:
    if data.get("hello") != PROTOCOL:
        return Malformed(f"a probe of another version ({_text(str(data.get('hello')), 16)})")
    dgx, dmi = _texts(data.get("dgx")), _texts(data.get("dmi"))
    gpus = _rows(data.get("gpus"), lambda item: _text(item, 64) or None) or ()
    mem_kb = _whole(data.get("mem_kb"))
    others = {f"dgx.{key}": text for key, text in dgx.items()} | {f"dmi.{key}": text for key, text in dmi.items()}
    others |= {key: text for key in ("arch", "os") if (text := _text(data.get(key)))}
    for kind in ("net", "ib"):
        for name, facts in _table(data.get(kind), lambda item: item if isinstance(item, dict) else None).items():
            shown = {key: str(text) if isinstance(text, int) else text for key, text in facts.items()}
            others |= {f"{kind}.{name}.{key}": text for key, text in _texts(shown).items()}
    return Hello(
        NodeFacts(
            hostname=_text(data.get("host"), 64),
            machine_id=_text(data.get("machine"), 64),
            boot_id=_text(data.get("boot"), 64),
            vendor=dmi.get("vendor", ""),
            product=dmi.get("product", ""),
            os_version=_name_os(dgx, _text(data.get("os"), 128)),
            kernel=_text(data.get("kernel"), 128),
            python_version=_text(data.get("py"), 32),
            driver_version=_text(data.get("driver"), 64),
            gpu_name=gpus[0] if gpus else "",
            cpu_count=_whole(data.get("cpus")) or None,
            mem_total_bytes=None if mem_kb is None else mem_kb * 1024,
            home=_text(data.get("home")),
            others=MappingProxyType(others),
        )
    )


def _name_os(dgx: Mapping[str, str], os_name: str) -> str:
    """DGX OS with its newest version (an over-the-air update is later than the factory image), else the system's name.

    Source: /etc/dgx-release of several units.
    """
    version = dgx.get("ota_version") or dgx.get("swbuild_version", "")
    return f"DGX OS {version}" if version else os_name


def _read_sample(data: dict[str, Any]) -> RawSample | Malformed:
    sequence, monotonic_s, wall_s = _whole(data.get("q")), _time(data.get("m")), _time(data.get("w"))
    if sequence is None or monotonic_s is None or wall_s is None:
        return Malformed("a reading without sequence or time")
    return RawSample(
        sequence=sequence,
        boot_id=_text(data.get("b"), 64),
        monotonic_s=monotonic_s,
        wall_s=wall_s,
        cpu_jiffies=_numbers(data.get("cpu"), 4),
        loads=_numbers(data.get("ld"), 3),
        memory_kb=_table(data.get("mem"), _count),
        pressure_percent=_table(data.get("psi"), _count),
        cpu_temp_mc=_number(data.get("ct")),
        nvme_temp_mc=_number(data.get("nt")),
        disk_bytes=_numbers(data.get("df"), 2),
        disk_sectors=_numbers(data.get("io"), 2),
        interfaces=_table(data.get("net"), _read_interface),
        rdma=_table(data.get("ib"), _read_rdma),
        gpus=_rows(data.get("gpu"), lambda item: _table(item, _count) or None) or (),
        gpu_source=_text(data.get("gs"), 16),
        processes=_rows(data.get("pr"), _read_process),
        troubles=_rows(data.get("e"), lambda item: _text(item) or None) or (),
    )


def _read_interface(item: object) -> RawInterface | None:
    if not isinstance(item, list) or len(item) < 5:
        return None
    return RawInterface(_count(item[0]), _count(item[1]), _text(item[2], 24), _count(item[3]), _speed(item[4]))


def _read_rdma(item: object) -> RawRdma | None:
    if not isinstance(item, list) or len(item) < 3:
        return None
    return RawRdma(_count(item[0]), _count(item[1]), _text(item[2], 24))


def _read_process(item: object) -> GpuProcess | None:
    if not isinstance(item, list) or len(item) < 3 or (pid := _whole(item[0])) is None:
        return None
    return GpuProcess(pid, _text(item[1], 64), _whole(item[2]))
