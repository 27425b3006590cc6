"""Makes samples of raw readings: units, sums over the halves of a cage, and rates from two readings of a counter.

The one rule: a rate needs two readings that belong together. After a reboot, a clock that was set, a counter that went
back or a missing reading there is no rate for that step: no spike, and no zero. A value that its row of the metric
table says cannot be was misread, and is missing too.
Source of the units: Linux's proc(5), sysfs ABI documents (RDMA data counters are words of 4 bytes, disk sectors 512).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGE_RDMA_DEVICES
from sparkdesk.core.telemetry.clock import NodeClock
from sparkdesk.core.telemetry.metric import find_metric
from sparkdesk.core.telemetry.probe import RawSample
from sparkdesk.core.telemetry.sample import Sample

WORD_BYTES = 4
SECTOR_BYTES = 512
LONGEST_STEP_S = 30.0
"""Readings further apart than this give no rate: a mean over a gap is not what happened in it."""
HIGHEST_RATE = 1e12
"""Bits or bytes a second that no part of a Spark can do: a counter was misread."""

_IDLE = (3, 4)  # positions of idle and iowait in a line of /proc/stat

Values = Iterator[tuple[str, float]]


class SampleBuilder:
    """Remembers one node's last reading and clock. Feed readings in the order they came."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._clock = NodeClock()
        self._last: RawSample | None = None

    def build(self, raw: RawSample, now_ms: int) -> Sample:
        """The sample of a reading that arrived at `now_ms` (Unix ms of this computer)."""
        before = self._last
        if before is not None and not self._belongs(before, raw):
            before = None
        self._last = raw
        t_ms = self._clock.place(raw.boot_id, raw.monotonic_s, raw.wall_s, now_ms)
        values = dict(_levels(raw))
        values["clock_offset_s"] = self._clock.offset_s
        if before is not None:
            values.update(_rates(before, raw))
        for cage in CAGE_NETDEVS:
            values.update(_cage(cage, raw, values))
        return Sample(
            node_id=self._node_id,
            t_ms=t_ms,
            sequence=raw.sequence,
            boot_id=raw.boot_id,
            values=MappingProxyType({key: value for key, value in values.items() if find_metric(key).can_be(value)}),
            processes=raw.processes or (),
            troubles=raw.troubles,
        )

    def move_times(self, moved_ms: int) -> None:
        """Our own clock was set by so much."""
        self._clock.move_times(moved_ms)

    def _belongs(self, before: RawSample, raw: RawSample) -> bool:
        step_s = raw.monotonic_s - before.monotonic_s
        is_same_boot = raw.boot_id == before.boot_id
        return is_same_boot and 0 < step_s <= LONGEST_STEP_S and not self._clock.has_jumped(raw.monotonic_s, raw.wall_s)


def _levels(raw: RawSample) -> Values:
    """What one reading alone tells."""
    yield from _memory(raw.memory_kb)
    yield from zip(("load1", "load5", "load15"), raw.loads, strict=False)
    if raw.cpu_temp_mc is not None:
        yield "cpu_temp_c", raw.cpu_temp_mc / 1000.0
    if raw.nvme_temp_mc is not None:
        yield "nvme_temp_c", raw.nvme_temp_mc / 1000.0
    if raw.disk_bytes:
        yield "disk_total_bytes", raw.disk_bytes[0]
        yield "disk_used_bytes", raw.disk_bytes[0] - raw.disk_bytes[1]
    shares = {"ms": "psi_memory_some_avg10", "mf": "psi_memory_full_avg10", "is": "psi_io_some_avg10"}
    for key, percent in raw.pressure_percent.items():
        if key in shares:
            yield shares[key], percent / 100.0
    for name, interface in raw.interfaces.items():
        if interface.carrier is not None:
            yield f"net_carrier.{name}", interface.carrier
        if interface.speed_mbps:
            yield f"net_speed_gbps.{name}", interface.speed_mbps / 1000.0
    yield from _gpus(raw)


def _memory(kb: Mapping[str, float]) -> Values:
    for key, short in (("mem_total_bytes", "mt"), ("mem_available_bytes", "ma"), ("swap_total_bytes", "st")):
        if short in kb:
            yield key, kb[short] * 1024.0
    if "mt" in kb and "ma" in kb:
        yield "mem_used_bytes", (kb["mt"] - kb["ma"]) * 1024.0
    if "st" in kb and "sf" in kb:
        yield "swap_used_bytes", (kb["st"] - kb["sf"]) * 1024.0
    if "ca" in kb:
        cache = kb["ca"] + kb.get("bu", 0.0) + kb.get("sr", 0.0) - kb.get("sh", 0.0)
        yield "mem_page_cache_bytes", max(cache, 0.0) * 1024.0


def _gpus(raw: RawSample) -> Values:
    """A Spark has one GPU; several are told as one: mean use, hottest, summed power."""

    def cells(key: str) -> list[float]:
        return [gpu[key] for gpu in raw.gpus if key in gpu]

    if used := cells("u"):
        yield "gpu_util", sum(used) / len(used) / 100.0 if max(used) <= 100.0 else float("nan")
    if heat := cells("t"):
        yield "gpu_temp_c", max(heat)
    if power := cells("p"):
        yield "gpu_power_w", sum(power)
    for key, short in (("gpu_sm_clock_mhz", "c"), ("gpu_sm_clock_max_mhz", "cm"), ("gpu_throttle_mask", "th")):
        if found := cells(short):
            yield key, max(found)
    if raw.processes is not None:
        known = [process.memory_bytes for process in raw.processes if process.memory_bytes is not None]
        if known or not raw.processes:
            yield "gpu_process_bytes", float(sum(known))


def _rate(before: float | None, after: float | None, step_s: float, scale: float) -> float:
    """Growth a second, scaled; NaN when it cannot be told."""
    if before is None or after is None or after < before:
        return float("nan")
    rate = (after - before) * scale / step_s
    return rate if rate <= HIGHEST_RATE else float("nan")


def _rates(before: RawSample, raw: RawSample) -> Values:
    """What two readings that belong together tell."""
    step_s = raw.monotonic_s - before.monotonic_s
    yield "cpu_util", _busy(before.cpu_jiffies, raw.cpu_jiffies)
    for key, old, new in zip(("read", "write"), before.disk_sectors, raw.disk_sectors, strict=False):
        yield f"disk_{key}_bytes_per_s", _rate(old, new, step_s, SECTOR_BYTES)
    for name, interface in raw.interfaces.items():
        if (was := before.interfaces.get(name)) is not None:
            yield f"net_rx_gbps.{name}", _rate(was.rx_bytes, interface.rx_bytes, step_s, 8.0) / 1e9
            yield f"net_tx_gbps.{name}", _rate(was.tx_bytes, interface.tx_bytes, step_s, 8.0) / 1e9
    for cage, devices in CAGE_RDMA_DEVICES.items():
        names = [name for name in devices if name in before.rdma or name in raw.rdma]
        # A half that came or went in this step: what it carried is not known, so neither is the sum.
        if names and all(name in before.rdma and name in raw.rdma for name in names):
            pairs = [(before.rdma[name], raw.rdma[name]) for name in names]
            bits = WORD_BYTES * 8.0
            rx = sum(_rate(old.rx_words, new.rx_words, step_s, bits) for old, new in pairs)
            tx = sum(_rate(old.tx_words, new.tx_words, step_s, bits) for old, new in pairs)
            yield f"rdma_rx_gbps.{cage}", rx / 1e9
            yield f"rdma_tx_gbps.{cage}", tx / 1e9
    for key, short in (("gpu_power_capped", "vp"), ("gpu_heat_capped", "vt")):
        if raw.gpus and len(raw.gpus) == len(before.gpus):
            share = _rate(before.gpus[0].get(short), raw.gpus[0].get(short), step_s, 1e-9)
            yield key, share if share <= 1.0 else (1.0 if share < 1.2 else float("nan"))


def _busy(before: tuple[float, ...], after: tuple[float, ...]) -> float:
    """Share of CPU time that was neither idle nor waiting for disk."""
    if len(before) < 5 or len(before) != len(after):
        return float("nan")
    grown = [new - old for old, new in zip(before, after, strict=True)]
    total = sum(grown)
    # Idle and iowait may go back a little (proc(5)); work that goes back was counted anew.
    if total <= 0 or any(growth < 0 for at, growth in enumerate(grown) if at not in _IDLE):
        return float("nan")
    return min(max(1.0 - sum(grown[at] for at in _IDLE) / total, 0.0), 1.0)


def _cage(cage: str, raw: RawSample, values: Mapping[str, float]) -> Values:
    """A cage's line rate, halves up, and traffic: RDMA goes past the network counters, so both are added."""
    halves = [raw.interfaces[name] for name in CAGE_NETDEVS[cage] if name in raw.interfaces]
    up = [half for half in halves if half.carrier]
    if any(half.carrier is not None or half.state for half in halves):
        yield f"cage_up.{cage}", float(len(up))
    if speeds := [half.speed_mbps for half in up if half.speed_mbps]:
        yield f"cage_speed_gbps.{cage}", max(speeds) / 1000.0
    halves_seen = [name for name in CAGE_NETDEVS[cage] if name in raw.interfaces]
    has_rdma = any(name in raw.rdma for name in CAGE_RDMA_DEVICES[cage])
    for way in ("rx", "tx"):
        keys = [f"net_{way}_gbps.{name}" for name in halves_seen] + [f"rdma_{way}_gbps.{cage}"] * has_rdma
        parts = [values.get(key, float("nan")) for key in keys]
        if parts:  # one part that is not known makes the sum not known
            yield f"cage_{way}_gbps.{cage}", sum(parts)
