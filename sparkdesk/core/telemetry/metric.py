"""The metric table: one row a quantity. Titles, units, ranges and digits on screen come from here, never from a widget.

The one rule: code holds SI units, bytes and fractions; `Metric.to_screen` makes what a person reads (GiB, %, GHz).
A key may carry a part after a dot ("net_rx_gbps.enP7s7", "cage_rx_gbps.P0"): the row is that of the first part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NAN = float("nan")
GPU_POWER = "gpu_power_w"
WALL_POWER = "wall_power_w"
ENERGY = "energy_joule"
TOKEN_ENERGY = "joule_per_token"
BANDWIDTH = "bandwidth_bytes_per_s"
ENGINE_BUSY = "busy_fraction"
_GIB = 1 / 2**30
_GB = 1e-9
_MOST_BYTES = 2.0**60
_MOST_GBPS = 450.0
"""Both halves of a cage at the line rate of both together, and a little for readings that came late."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The good range of a quantity, in code units (NaN: open), when it holds, and who says so."""

    low: float = NAN
    high: float = NAN
    when: str = ""
    """"" = always; else the condition that the reader of the table must know, such as "under load"."""
    source: str = ""


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
    least: float = 0.0
    most: float = NAN
    """Outside of `least` and `most` (NaN: open) a value was misread; unlike `low` and `high`, the range of a scale."""
    limit: Limit | None = None
    """Outside of it something is wrong; None where nobody has published such a figure."""
    short: str = ""
    """The title where there is little room."""

    @property
    def short_title(self) -> str:
        """The title for a card."""
        return self.short or self.title

    def can_be(self, value: float) -> bool:
        """Whether this can be a reading at all; NaN cannot."""
        return math.isfinite(value) and value >= self.least and not value > self.most

    def is_good(self, value: float) -> bool | None:
        """Whether the value is within the limit; None where there is no limit or no value. `limit.when` is yours."""
        if self.limit is None or value != value:
            return None
        return not (value < self.limit.low or value > self.limit.high)

    def to_screen(self, value: float) -> float:
        """The value in the unit of the screen."""
        return value * self.scale


def _fraction(key: str, title: str, source: str, *, is_rate: bool = False) -> Metric:
    return Metric(key, title, "%", 0.0, 1.0, source, scale=100.0, is_rate=is_rate, most=1.0)


def _memory(key: str, title: str, source: str, limit: Limit | None = None) -> Metric:
    return Metric(key, title, "GiB", 0.0, NAN, source, scale=_GIB, digits=1, most=_MOST_BYTES, limit=limit)


def _heat(key: str, title: str, high: float, source: str, limit: Limit | None = None, short: str = "") -> Metric:
    return Metric(key, title, "°C", 0.0, high, source, least=-60.0, most=200.0, limit=limit, short=short)


def _traffic(key: str, title: str, high: float, source: str, digits: int) -> Metric:
    return Metric(key, title, "Gb/s", 0.0, high, source, digits=digits, is_rate=True, most=_MOST_GBPS)


def _tokens(key: str, title: str) -> Metric:
    return Metric(key, title, "tok/s", 0.0, NAN, f"{_ENGINE}; counters", digits=1, is_rate=True, most=1e7)


def _quantile(key: str, title: str, digits: int) -> Metric:
    return Metric(key, title, "ms", 0.0, NAN, f"{_ENGINE}; its histogram", 1000.0, digits, True, most=1e6)


_ENGINE = "the model server's own page of metrics"
_NVML = "NVML or nvidia-smi"
_POWER = f"{_NVML}: power.draw; the GPU rail, about half of the box"
_WALL = "an estimate from the GPU rail's power, for a DGX Spark only"
_RAIL_SUM = "the GPU rail's power, added up over the time that samples cover"
_TOKEN_JOULE = "the GPU rail's energy since the last reading, over the tokens made in the same time"
_STEP_READS = "computed, not measured: bytes that each decode step must read, times the steps a second"
_SLOTS = f"{_ENGINE}: requests that run, over the slots that were launched"
_SM_CLOCK = f"{_NVML}: clocks.current.sm"
_MEMINFO = "/proc/meminfo"
_RDMA = "RDMA port counters, both halves of the cage"
_SPEED = "/sys/class/net/*/speed"
_FASTER = f"{_SPEED}, the faster half"
_OFFSET = "node's wall clock against this computer's"
_CAGE = "RDMA and network counters, both halves of the cage"

_HEAT_LIMIT = Limit(high=86.0, source="the highest that captures of GB10 under heavy load show (83 to 86)")
_CLOCK_LIMIT = Limit(
    low=1400.0,
    when="under load",
    source="community reports: 1400 MHz and more are healthy, 500 to 950 are the slow state that only power-off clears",
)
_MEMORY_LIMIT = Limit(
    low=8 * 2.0**30,
    source="our margin: out of memory a Spark freezes and needs its power cut (NVIDIA/dgx-spark-playbooks, issue 102)",
)
_SPEED_LIMIT = Limit(low=200.0, when="cable between two Sparks", source="NVIDIA's playbooks: 200 Gb/s (2X NDR)")

_ROWS = (
    _fraction("gpu_util", "GPU busy", f"{_NVML}: utilization.gpu; a waiting rank of a group polls and looks busy"),
    _heat("gpu_temp_c", "GPU temperature", 110.0, f"{_NVML}: temperature.gpu", _HEAT_LIMIT, "GPU temp"),
    Metric(GPU_POWER, "GPU power (rail)", "W", 0.0, 140.0, _POWER, most=1e4, short="GPU rail"),
    Metric(WALL_POWER, "Wall power (estimate)", "W", 0.0, 240.0, _WALL, most=240.0, short="Wall"),
    Metric("gpu_sm_clock_mhz", "SM clock", "MHz", 0.0, 3003.0, _SM_CLOCK, most=1e4, limit=_CLOCK_LIMIT),
    Metric("gpu_sm_clock_max_mhz", "SM clock, highest", "MHz", 0.0, NAN, f"{_NVML}: clocks.max.sm", most=1e4),
    Metric("gpu_throttle_mask", "Throttle reasons", "", 0.0, NAN, f"{_NVML}: clocks_throttle_reasons.active"),
    _fraction("gpu_power_capped", "Held back by power", "NVML: violation time, power", is_rate=True),
    _fraction("gpu_heat_capped", "Held back by heat", "NVML: violation time, thermal", is_rate=True),
    _memory("gpu_process_bytes", "GPU processes", f"{_NVML}: sum over processes"),
    _memory("mem_total_bytes", "Unified memory", f"{_MEMINFO}: MemTotal"),
    _memory("mem_available_bytes", "Memory available", f"{_MEMINFO}: MemAvailable", _MEMORY_LIMIT),
    _memory("mem_used_bytes", "Memory used", f"{_MEMINFO}: MemTotal - MemAvailable"),
    _memory("mem_page_cache_bytes", "Page cache", f"{_MEMINFO}: Cached + Buffers + SReclaimable - Shmem"),
    _memory("swap_total_bytes", "Swap", f"{_MEMINFO}: SwapTotal"),
    _memory("swap_used_bytes", "Swap used", f"{_MEMINFO}: SwapTotal - SwapFree"),
    _fraction("cpu_util", "CPU busy", "/proc/stat, all cores", is_rate=True),
    _heat("cpu_temp_c", "CPU temperature", 110.0, "the hottest thermal zone"),
    _heat("nvme_temp_c", "NVMe temperature", 100.0, "the hottest NVMe sensor"),
    Metric("load1", "Load, 1 min", "", 0.0, NAN, "/proc/loadavg", digits=1),
    Metric("load5", "Load, 5 min", "", 0.0, NAN, "/proc/loadavg", digits=1),
    Metric("load15", "Load, 15 min", "", 0.0, NAN, "/proc/loadavg", digits=1),
    Metric("disk_total_bytes", "Disk", "GB", 0.0, NAN, "statvfs of /", scale=_GB, most=_MOST_BYTES),
    Metric("disk_used_bytes", "Disk used", "GB", 0.0, NAN, "statvfs of /", scale=_GB, most=_MOST_BYTES),
    Metric("disk_read_bytes_per_s", "Disk read", "GB/s", 0.0, NAN, "/proc/diskstats", _GB, 2, True, most=1e11),
    Metric("disk_write_bytes_per_s", "Disk write", "GB/s", 0.0, NAN, "/proc/diskstats", _GB, 2, True, most=1e11),
    _fraction("psi_memory_some_avg10", "Waiting for memory", "/proc/pressure/memory: some avg10"),
    _fraction("psi_memory_full_avg10", "All waiting for memory", "/proc/pressure/memory: full avg10"),
    _fraction("psi_io_some_avg10", "Waiting for disk", "/proc/pressure/io: some avg10"),
    _traffic("net_rx_gbps", "Received", NAN, "network counters", 2),
    _traffic("net_tx_gbps", "Sent", NAN, "network counters", 2),
    Metric("net_speed_gbps", "Line rate", "Gb/s", 0.0, NAN, _SPEED, most=1600.0),
    Metric("net_carrier", "Carrier", "", 0.0, 1.0, "/sys/class/net/*/carrier", most=1.0),
    _traffic("rdma_rx_gbps", "RDMA received", 200.0, _RDMA, 1),
    _traffic("rdma_tx_gbps", "RDMA sent", 200.0, _RDMA, 1),
    _traffic("cage_rx_gbps", "Cable received", 200.0, _CAGE, 1),
    _traffic("cage_tx_gbps", "Cable sent", 200.0, _CAGE, 1),
    Metric("cage_speed_gbps", "Cable line rate", "Gb/s", 0.0, 200.0, _FASTER, most=1600.0, limit=_SPEED_LIMIT),
    Metric("cage_up", "Cable halves up", "", 0.0, 2.0, "carrier of the two halves", most=2.0),
    _tokens("generated_tokens_per_s", "Generated"),
    _tokens("prompt_tokens_per_s", "Prompt read"),
    _tokens("cached_tokens_per_s", "Prompt from cache"),
    Metric("requests_running", "Requests running", "", 0.0, NAN, _ENGINE, most=1e6),
    Metric("requests_waiting", "Requests waiting", "", 0.0, NAN, _ENGINE, most=1e9),
    _fraction("kv_used_fraction", "KV cache in use", f"{_ENGINE}; several caches: the fullest"),
    Metric("kv_tokens", "Tokens in the KV cache", "", 0.0, NAN, f"{_ENGINE}; of requests that run", most=1e12),
    Metric("ttft_s", "Time to first token", "ms", 0.0, NAN, _ENGINE, 1000.0, 0, True, most=1e6),
    _quantile("ttft_p50_s", "Time to first token, median", 0),
    _quantile("ttft_p95_s", "Time to first token, 95 %", 0),
    _quantile("tpot_p50_s", "Time per token, median", 1),
    _quantile("tpot_p95_s", "Time per token, 95 %", 1),
    _fraction("prefix_hit_share", "Prefix hits", f"{_ENGINE}; tokens found over tokens looked up", is_rate=True),
    _fraction("acceptance_share", "Guesses accepted", f"{_ENGINE}; tokens accepted over tokens guessed", is_rate=True),
    Metric("accepted_length", "Tokens a step", "", 1.0, NAN, f"{_ENGINE}; with its guesses", digits=2, is_rate=True),
    Metric("preemptions_per_s", "Preemptions", "1/s", 0.0, NAN, _ENGINE, digits=2, is_rate=True, most=1e6),
    _fraction(ENGINE_BUSY, "Busy", _SLOTS),
    Metric(BANDWIDTH, "Memory bandwidth (computed)", "GB/s", 0.0, NAN, _STEP_READS, _GB, 1, True, most=1e14),
    Metric(TOKEN_ENERGY, "Energy per token (GPU rail)", "J/tok", 0.0, NAN, _TOKEN_JOULE, digits=2, is_rate=True),
    Metric(ENERGY, "Energy (GPU rail)", "Wh", 0.0, NAN, _RAIL_SUM, 1 / 3600.0, 2, most=1e18),
    _memory("model_bytes", "Models in memory", "Ollama: /api/ps, size_vram"),
    Metric("clock_offset_s", "Clock ahead of ours", "s", NAN, NAN, _OFFSET, 1.0, 1, least=-math.inf),
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
