"""The files of a GB10 that move: readings of the physical model as the kernel would print them.

The one rule: pure, and no text gets shorter than it was, because readers keep these files open and read them again
while they are being written over in place.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.machine.machine_files import Ports
from sparkdesk.simulator.machine.physics import Readings
from sparkdesk.simulator.machine.traffic import Counts

_TICKS_PER_S = 100
_SWAPS_HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
_WORD_BYTES = 4  # RDMA data counters count words of four bytes
_RATES = {
    200_000: "200 Gb/sec (2X NDR)\n",
    100_000: "100 Gb/sec (1X NDR)\n",  # unverified on hardware [rdma-phys-state-words]
    -1: "40 Gb/sec (4X QDR)\n",
}


def proc_files(now: Readings, boot_time_s: int = 0, conditions: Collection[str] = ()) -> dict[str, str]:
    """The moving files of /proc. `boot_time_s` is Unix time, from which programs count when a process began."""
    if "memory-pressure" in conditions:
        now = replace(now, used_kb=max(now.used_kb, gb10.MEM_TOTAL_KB - gb10.SHORT_OF_MEMORY_KB))
        now = replace(now, cached_kb=min(now.cached_kb, now.available_kb))
    some, full = gb10.MEMORY_PRESSURE if "memory-pressure" in conditions else (0.0, 0.0)
    swapped_kb = gb10.SWAP_IN_USE_KB if "swap-on" in conditions else 0
    return {
        "meminfo": _meminfo(now, swapped_kb),
        "swaps": _SWAPS_HEAD + f"/swap.img                               file\t\t{gb10.SWAP_TOTAL_KB}\t"
        f"{swapped_kb}\t\t-2\n",
        "stat": _stat(now, boot_time_s),
        "loadavg": f"{now.load_1m:.2f} {now.load_5m:.2f} {now.load_15m:.2f} {1 + int(now.load_1m)}/612 2443\n",
        "diskstats": _diskstats(now),
        "pressure/memory": _pressure(some, full),
        "pressure/io": _pressure(),
        "pressure/cpu": _pressure(),
    }


def driver(conditions: Collection[str]) -> str:
    """The driver's version."""
    return gb10.OTHER_DRIVER if "driver-other" in conditions else gb10.DRIVER


def _pressure(some: float = 0.0, full: float = 0.0) -> str:
    """Percent of the time that some or all tasks wait. The total is not moved."""
    rows = (f"{kind} avg10={share:.2f} avg60={share:.2f} avg300={share:.2f} total=0" for kind, share in
            (("some", some), ("full", full)))  # fmt: skip
    return "\n".join(rows) + "\n"


def _meminfo(now: Readings, swapped_kb: int) -> str:
    values = {
        "MemTotal": gb10.MEM_TOTAL_KB,
        "MemFree": now.free_kb,
        "MemAvailable": now.available_kb,
        "Buffers": 104_216,
        "Cached": max(0, now.cached_kb - 104_216),
        "SwapCached": 0,
        "Active": now.used_kb // 2,
        "Inactive": now.cached_kb,
        "SwapTotal": gb10.SWAP_TOTAL_KB,
        "SwapFree": gb10.SWAP_TOTAL_KB - swapped_kb,
        "Dirty": 0,
        "AnonPages": now.used_kb,
        "Mapped": 412_336,
        "Shmem": 36_864,
        "CmaTotal": 0,
        "CmaFree": 0,
        "HugePages_Total": 0,
        "HugePages_Free": 0,
        "Hugepagesize": 2048,
    }
    return "".join(
        f"{name + ':':<16}{value:>8}{'' if name.startswith('HugePages') else ' kB'}\n" for name, value in values.items()
    )


def _stat(now: Readings, boot_time_s: int) -> str:
    """/proc/stat: the work of real processes, put on the cores one after another."""
    total = int(now.uptime_s * _TICKS_PER_S)
    left = int(now.busy_core_s * _TICKS_PER_S)
    rows = []
    for core in range(gb10.CORES):
        busy = min(left, total)
        left -= busy
        rows.append(f"cpu{core} {busy} 0 0 {total - busy} 0 0 0 0 0 0\n")
    busy = min(int(now.busy_core_s * _TICKS_PER_S), total * gb10.CORES)
    head = f"cpu  {busy} 0 0 {total * gb10.CORES - busy} 0 0 0 0 0 0\n"
    return f"{head}{''.join(rows)}intr 0\nctxt 0\nbtime {boot_time_s}\nprocesses 0\nprocs_running 1\nprocs_blocked 0\n"


def _diskstats(now: Readings) -> str:
    sectors = now.disk_read_bytes // 512
    busy_ms = sectors // 2000
    row = f"{sectors // 256} 0 {sectors} {busy_ms} 0 0 0 0 0 {busy_ms} {busy_ms} 0 0 0 0 0 0\n"
    still = " ".join(["0"] * 17) + "\n"
    return f" 259       0 nvme0n1 {row} 259       1 nvme0n1p1 {still} 259       2 nvme0n1p2 {row}"


def sys_files(
    now: Readings, conditions: Collection[str] = (), ports: Ports = (), counts: Mapping[str, Counts] | None = None
) -> dict[str, str]:
    """The moving files of /sys. `counts` are those of the fast ports, by network device."""
    zone = f"{round(now.temperature_c + 3) * 1000}\n"
    files = {f"class/thermal/thermal_zone{number}/temp": zone for number in range(7)}
    for core in range(gb10.CORES):
        is_busy = core < now.load_1m + 0.5 and now.util > 0.05
        idle, full = (1378000, 3900000) if core % 10 >= 5 else (338000, 2808000)
        files[f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq"] = f"{full if is_busy else idle}\n"
    folder = f"class/net/{gb10.MANAGEMENT_NETDEV}/statistics"
    files |= _counts(f"{folder}/rx_bytes", f"{folder}/rx_packets", now.received_bytes, 1500)
    files |= _counts(f"{folder}/tx_bytes", f"{folder}/tx_packets", now.sent_bytes, 1500)
    lanes = "2" if "pcie-width" in conditions else "4"
    by_netdev = {port["netdev"]: port for port in ports}
    for half in gb10.HALVES:
        if half.pci.startswith("0002:"):
            files[f"bus/pci/devices/{half.pci}/current_link_width"] = f"{lanes}\n"
        files |= _port_files(half, by_netdev.get(half.netdev, {}))
        files |= _port_counts(half, (counts or {}).get(half.netdev, Counts()))
    return files


def _port_files(half: gb10.CageHalf, port: Mapping[str, Any]) -> dict[str, str]:
    """A fast port as its cable lets it be. The words without a link: unverified on hardware [rdma-phys-state-words]."""
    net, rdma = f"class/net/{half.netdev}", f"class/infiniband/{half.rdma}/ports/1"
    is_up, is_active = bool(port.get("carrier")), bool(port.get("is_rdma_active"))
    speed = port.get("speed_mbps", -1)
    gids = _gids(port) if is_up else ("0000:" * 7 + "0000",) * 4
    return {
        f"{net}/operstate": "up\n" if is_up else "down\n",
        f"{net}/carrier": "1\n" if is_up else "0\n",
        f"{net}/speed": f"{speed}\n",
        f"{net}/mtu": f"{port.get('mtu', 1500)}\n",
        f"{rdma}/state": "4: ACTIVE\n" if is_active else "1: DOWN\n",
        f"{rdma}/phys_state": "5: LinkUp\n" if is_active else "3: Disabled\n",
        f"{rdma}/rate": _RATES.get(speed if is_active else -1, _RATES[-1]),
        **{f"{rdma}/gids/{row}": f"{gid}\n" for row, gid in enumerate(gids)},
    }


def _gids(port: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of an RDMA port: of the link, then of IPv4, each once per version of RoCE."""
    own = ipaddress.IPv6Address(gb10.eui64(str(port["mac"])))
    text = str(port["address"]).partition("/")[0]
    mapped = ipaddress.IPv6Address(f"::ffff:{text}" if text else "::")
    return (own.exploded, own.exploded, mapped.exploded, mapped.exploded)


def _port_counts(half: gb10.CageHalf, counts: Counts) -> dict[str, str]:
    net, rdma = f"class/net/{half.netdev}/statistics", f"class/infiniband/{half.rdma}/ports/1/counters"
    files = {
        f"{net}/rx_bytes": f"{counts.received_bytes}\n",
        f"{net}/rx_packets": f"{counts.received_packets}\n",
        f"{net}/tx_bytes": f"{counts.sent_bytes}\n",
        f"{net}/tx_packets": f"{counts.sent_packets}\n",
        f"class/net/{half.netdev}/carrier_changes": f"{counts.link_changes}\n",
    }
    for way, moved in (("rcv", counts.rdma_received_bytes), ("xmit", counts.rdma_sent_bytes)):
        files |= _counts(f"{rdma}/port_{way}_data", f"{rdma}/port_{way}_packets", moved, 4096, _WORD_BYTES)
    return files


def _counts(data: str, packets: str, count_bytes: int, packet_bytes: int, unit_bytes: int = 1) -> dict[str, str]:
    return {data: f"{count_bytes // unit_bytes}\n", packets: f"{-(-count_bytes // packet_bytes)}\n"}


def gpu_json(now: Readings, gpu_uuid: str, conditions: Collection[str] = ()) -> str:
    """What the nvidia-smi of the node knows; one object."""
    apps = [
        {"pid": engine.pid, "name": engine.name, "memory_mib": engine.memory_bytes() // 2**20} for engine in now.engines
    ]
    return json.dumps({
        "uuid": gpu_uuid,
        "driver": driver(conditions),
        "util_pct": round(now.util * 100),
        "sm_mhz": round(now.sm_mhz),
        "power_w": round(now.power_w, 2),
        "temperature_c": round(now.temperature_c),
        "pstate": "P0" if now.is_awake or now.util > 0.02 else "P8",
        "power_capped_us": now.power_capped_us,
        "apps": apps,
    })  # fmt: skip
