"""A small physical model of a Spark: what real work on a node does to its clocks, power, heat and memory.

The one rule: pure and deterministic. The same usage over the same time gives the same readings; nothing moves that no
real process and no declared load moves. The curves go through points seen on units (gb10.py); between them they are
made up for the simulator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from sparkdesk.simulator.machine import gb10

_UTIL_TAU_S = 0.5
_POWER_TAU_S = 0.8
_HEAT_TAU_S = 22.0
_HOT_C = 83.0
_AWAKE_SM_MHZ = 1890.0  # a context is open but nothing runs; unverified on hardware [gpu-awake-clock]
_IDLE_UTIL = 0.02
_POWER_CAP_UTIL = 0.9  # above it a GB10 is mostly held by its power cap


@dataclass(frozen=True, slots=True)
class Engine:
    """A process that would use the GPU: its real processor time and memory, and what it declares beyond that.

    `busy` is its processor time per second and thread, 0..1. `declared_bytes` is reserved over `ramp_s` from its start.
    """

    pid: int
    name: str
    busy: float
    resident_bytes: int
    declared_bytes: int = 0
    ramp_s: float = 0.0
    age_s: float = 0.0

    def memory_bytes(self) -> int:
        """What it holds now of the unified memory."""
        part = 1.0 if self.ramp_s <= 0 else min(1.0, self.age_s / self.ramp_s)
        return max(self.resident_bytes, int(self.declared_bytes * part))


@dataclass(frozen=True, slots=True)
class Usage:
    """What really happened on the node since the last step."""

    engines: tuple[Engine, ...] = ()
    other_bytes: int = 0
    busy_cores: float = 0.0
    received_bytes: int = 0
    sent_bytes: int = 0
    cached_bytes: int = 0
    is_slow: bool = False
    is_capped: bool = False
    has_dropped_caches: bool = False


@dataclass(frozen=True, slots=True)
class Readings:
    """The state of the machine: what its files and nvidia-smi show. Fractions 0..1; counters only grow."""

    util: float = 0.0
    sm_mhz: float = gb10.IDLE_SM_MHZ
    power_w: float = gb10.IDLE_POWER_W
    temperature_c: float = gb10.AMBIENT_C
    is_awake: bool = False
    power_capped_us: int = 0
    used_kb: int = gb10.OS_MEMORY_KB
    cached_kb: int = gb10.OS_CACHE_KB
    uptime_s: float = 0.0
    busy_core_s: float = 0.0
    load_1m: float = 0.0
    load_5m: float = 0.0
    load_15m: float = 0.0
    received_bytes: int = 0
    sent_bytes: int = 0
    disk_read_bytes: int = 0
    engines: tuple[Engine, ...] = field(default=())

    @property
    def available_kb(self) -> int:
        """MemAvailable: page cache counts as available."""
        return max(0, gb10.MEM_TOTAL_KB - self.used_kb)

    @property
    def free_kb(self) -> int:
        """MemFree: without the page cache."""
        return max(0, self.available_kb - self.cached_kb)


def step(before: Readings, usage: Usage, dt_s: float) -> Readings:
    """The readings `dt_s` seconds later, after this usage."""
    wanted = min(1.0, sum(engine.busy for engine in usage.engines))
    util = _toward(before.util, wanted, dt_s, _UTIL_TAU_S)
    is_awake = bool(usage.engines)
    power = _toward(before.power_w, _power_w(util, is_awake, is_slow=usage.is_slow), dt_s, _POWER_TAU_S)
    heat = gb10.AMBIENT_C + (gb10.LOAD_C - gb10.AMBIENT_C) * (power - gb10.IDLE_POWER_W) / (
        gb10.LOAD_POWER_W - gb10.IDLE_POWER_W
    )
    temperature = _toward(before.temperature_c, heat, dt_s, _HEAT_TAU_S)
    cap_from = _POWER_CAP_UTIL if not usage.is_capped else _IDLE_UTIL
    capped_us = int(dt_s * 1e6) if util > cap_from else 0
    moved = replace(
        before,
        util=util,
        sm_mhz=_limit_mhz(_clock_mhz(util, is_awake, temperature), util, usage),
        power_w=power,
        temperature_c=temperature,
        is_awake=is_awake,
        power_capped_us=before.power_capped_us + capped_us,
        uptime_s=before.uptime_s + dt_s,
        busy_core_s=before.busy_core_s + usage.busy_cores * dt_s,
        load_1m=_toward(before.load_1m, usage.busy_cores, dt_s, 60.0),
        load_5m=_toward(before.load_5m, usage.busy_cores, dt_s, 300.0),
        load_15m=_toward(before.load_15m, usage.busy_cores, dt_s, 900.0),
        engines=usage.engines,
    )
    return _move_bytes(moved, usage)


def _move_bytes(before: Readings, usage: Usage) -> Readings:
    """Memory, page cache, disk and network."""
    held = sum(engine.memory_bytes() for engine in usage.engines) + usage.other_bytes
    used_kb = min(gb10.MEM_TOTAL_KB, gb10.OS_MEMORY_KB + held // gb10.KIB)
    room_kb = max(0, gb10.MEM_TOTAL_KB - used_kb)
    wanted_kb = gb10.OS_CACHE_KB + usage.cached_bytes // gb10.KIB
    cached_kb = min(gb10.OS_CACHE_KB // 8 if usage.has_dropped_caches else wanted_kb, room_kb)
    read_bytes = max(0, cached_kb - before.cached_kb) * gb10.KIB
    return replace(
        before,
        used_kb=used_kb,
        cached_kb=cached_kb,
        disk_read_bytes=before.disk_read_bytes + read_bytes,
        received_bytes=before.received_bytes + usage.received_bytes,
        sent_bytes=before.sent_bytes + usage.sent_bytes,
    )


def _toward(now: float, goal: float, dt_s: float, tau_s: float) -> float:
    """First-order lag: after `tau_s` seconds 63 % of the way is done."""
    return goal + (now - goal) * math.exp(-dt_s / tau_s)


def _power_w(util: float, is_awake: bool, *, is_slow: bool) -> float:
    floor = gb10.AWAKE_POWER_W if is_awake else gb10.IDLE_POWER_W
    return floor + util * ((gb10.SLOW_POWER_W if is_slow else gb10.LOAD_POWER_W) - floor)


def _limit_mhz(clock: float, util: float, usage: Usage) -> float:
    """What the slow state, or a fault that keeps it at its power cap, leaves of the clock."""
    if util < _IDLE_UTIL:
        return clock
    if usage.is_slow:
        low, high = gb10.SLOW_SM_MHZ
        return min(clock, low + (high - low) * util)
    return min(clock, gb10.CAPPED_SM_MHZ) if usage.is_capped else clock


def _clock_mhz(util: float, is_awake: bool, temperature_c: float) -> float:
    if not is_awake and util < _IDLE_UTIL:
        return gb10.IDLE_SM_MHZ
    clock = _AWAKE_SM_MHZ + (gb10.LOAD_SM_MHZ - _AWAKE_SM_MHZ) * min(1.0, util * 2)
    return clock * 0.85 if temperature_c > _HOT_C else clock
