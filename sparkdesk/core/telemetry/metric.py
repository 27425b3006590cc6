"""The metric table: one row a quantity. Titles, units, ranges and digits on screen come from here, never from a widget.

The one rule: code holds SI units, bytes and fractions; `Metric.to_screen` makes what a person reads (GiB, %, GHz).
A key may carry a part after a dot ("net_rx_gbps.enP7s7", "cage_rx_gbps.P0"): the row is that of the first part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NAN = float("nan")
_GIB = 1 / 2**30
_GB = 1e-9


@dataclass(frozen=True, slots=True)
class Metric:
    """A quantity. `low` and `high` bound it in code units (NaN: open); `unit` and `scale` are those of the screen."""

    key: str
    title: str
    unit: str
    low: float
    high: float
    source: str
    """Where the figure comes from, in words."""
    scale: float = 1.0
    digits: int = 0
    is_rate: bool = False
    """Made from two readings of a counter, so the first sample has none."""

    def to_screen(self, value: float) -> float:
        """The value in the unit of the screen."""
        return value * self.scale


def _fraction(key: str, title: str, source: str, *, is_rate: bool = False) -> Metric:
    return Metric(key, title, "%", 0.0, 1.0, source, scale=100.0, is_rate=is_rate)


def _memory(key: str, title: str, source: str) -> Metric:
    return Metric(key, title, "GiB", 0.0, NAN, source, scale=_GIB, digits=1)


_NVML = "NVML or nvidia-smi"
_MEMINFO = "/proc/meminfo"
_RDMA = "RDMA port counters, both halves of the cage"
_CAGE = "RDMA and network counters, both halves of the cage"

_ROWS = (
    _fraction("gpu_util", "GPU busy", f"{_NVML}: utilization.gpu; a waiting rank of a group polls and looks busy"),
    Metric("gpu_temp_c", "GPU temperature", "°C", 0.0, 110.0, f"{_NVML}: temperature.gpu"),
    Metric("gpu_power_w", "GPU power", "W", 0.0, 140.0, f"{_NVML}: power.draw; the GPU rail, about half of the box"),
    Metric("gpu_sm_clock_mhz", "SM clock", "MHz", 0.0, 3003.0, f"{_NVML}: clocks.current.sm"),
    Metric("gpu_sm_clock_max_mhz", "SM clock, highest", "MHz", 0.0, NAN, f"{_NVML}: clocks.max.sm"),
    Metric("gpu_throttle_mask", "Throttle reasons", "", 0.0, NAN, f"{_NVML}: clocks_throttle_reasons.active"),
    _fraction("gpu_power_capped", "Held back by power", "NVML: violation time, power", is_rate=True),
    _fraction("gpu_heat_capped", "Held back by heat", "NVML: violation time, thermal", is_rate=True),
    _memory("gpu_process_bytes", "GPU processes", f"{_NVML}: sum over processes"),
    _memory("mem_total_bytes", "Unified memory", f"{_MEMINFO}: MemTotal"),
    _memory("mem_available_bytes", "Memory available", f"{_MEMINFO}: MemAvailable"),
    _memory("mem_used_bytes", "Memory used", f"{_MEMINFO}: MemTotal - MemAvailable"),
    _memory("mem_page_cache_bytes", "Page cache", f"{_MEMINFO}: Cached + Buffers + SReclaimable - Shmem"),
    _memory("swap_total_bytes", "Swap", f"{_MEMINFO}: SwapTotal"),
    _memory("swap_used_bytes", "Swap used", f"{_MEMINFO}: SwapTotal - SwapFree"),
    _fraction("cpu_util", "CPU busy", "/proc/stat, all cores", is_rate=True),
    Metric("cpu_temp_c", "CPU temperature", "°C", 0.0, 110.0, "the hottest thermal zone"),
    Metric("nvme_temp_c", "NVMe temperature", "°C", 0.0, 100.0, "the hottest NVMe sensor"),
    Metric("load1", "Load, 1 min", "", 0.0, NAN, "/proc/loadavg", digits=1),
    Metric("load5", "Load, 5 min", "", 0.0, NAN, "/proc/loadavg", digits=1),
    Metric("load15", "Load, 15 min", "", 0.0, NAN, "/proc/loadavg", digits=1),
    Metric("disk_total_bytes", "Disk", "GB", 0.0, NAN, "statvfs of /", scale=_GB),
    Metric("disk_used_bytes", "Disk used", "GB", 0.0, NAN, "statvfs of /", scale=_GB),
    Metric("disk_read_bytes_per_s", "Disk read", "GB/s", 0.0, NAN, "/proc/diskstats", _GB, 2, True),
    Metric("disk_write_bytes_per_s", "Disk write", "GB/s", 0.0, NAN, "/proc/diskstats", _GB, 2, True),
    _fraction("psi_memory_some_avg10", "Waiting for memory", "/proc/pressure/memory: some avg10"),
    _fraction("psi_memory_full_avg10", "All waiting for memory", "/proc/pressure/memory: full avg10"),
    _fraction("psi_io_some_avg10", "Waiting for disk", "/proc/pressure/io: some avg10"),
    Metric("net_rx_gbps", "Received", "Gb/s", 0.0, NAN, "network counters", digits=2, is_rate=True),
    Metric("net_tx_gbps", "Sent", "Gb/s", 0.0, NAN, "network counters", digits=2, is_rate=True),
    Metric("net_speed_gbps", "Line rate", "Gb/s", 0.0, NAN, "/sys/class/net/*/speed"),
    Metric("net_carrier", "Carrier", "", 0.0, 1.0, "/sys/class/net/*/carrier"),
    Metric("rdma_rx_gbps", "RDMA received", "Gb/s", 0.0, 200.0, _RDMA, digits=1, is_rate=True),
    Metric("rdma_tx_gbps", "RDMA sent", "Gb/s", 0.0, 200.0, _RDMA, digits=1, is_rate=True),
    Metric("cage_rx_gbps", "Cable received", "Gb/s", 0.0, 200.0, _CAGE, digits=1, is_rate=True),
    Metric("cage_tx_gbps", "Cable sent", "Gb/s", 0.0, 200.0, _CAGE, digits=1, is_rate=True),
    Metric("cage_speed_gbps", "Cable line rate", "Gb/s", 0.0, 200.0, "/sys/class/net/*/speed, the faster half"),
    Metric("cage_up", "Cable halves up", "", 0.0, 2.0, "carrier of the two halves"),
    Metric("clock_offset_s", "Clock ahead of ours", "s", NAN, NAN, "node's wall clock against this computer's", 1.0, 1),
)

METRICS: Mapping[str, Metric] = MappingProxyType({row.key: row for row in _ROWS})


def find_metric(key: str) -> Metric:
    """The row for a sample's key. Raises KeyError."""
    return METRICS[key.partition(".")[0]]


def title_of(key: str) -> str:
    """A key's title with its part: "Received, enP7s7". Raises KeyError."""
    part = key.partition(".")[2]
    title = find_metric(key).title
    return f"{title}, {part}" if part else title
