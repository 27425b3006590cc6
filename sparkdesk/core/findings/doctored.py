"""Asks the doctor's judges about a node's samples and details, so that a threshold has one home: the doctor's table.

The one rule: samples are only put into the form that the doctor's reads answer in; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.findings.view import NAN, NodeNow, Past, Points, covers
from sparkdesk.core.probes import doctor_gpu, doctor_memory, doctor_system, form
from sparkdesk.core.probes.read import Answer, Answers, Fault, Read, ReadFile

SPAN_S = 20.0
"""The doctor's judges are shown what was typical of so many seconds."""
_PRESSURE = doctor_memory.PRESSURE.reads[0]
_ZONES = doctor_gpu.TEMPERATURE.reads[1]
_DISK = doctor_system.DISK.reads[0]
_NOT_TOLD = "[N/A]"


def answers_of(view: NodeNow) -> Answers:
    """The answers that the doctor's reads would give, as far as samples and details tell them. Total."""
    found: dict[Read, Answer] = dict(_sampled(view.past))
    if view.details is not None:
        found |= dict(_known(view.details))
    return found


def _text(read: Read, text: str) -> tuple[Read, Answer]:
    path = read.path if isinstance(read, ReadFile) else ""
    return read, Answer(texts=((path, text),), code=None if path else 0)


def _sampled(past: Past) -> Iterator[tuple[Read, Answer]]:
    clock_mhz, util = _loaded(past)
    cells = (util * 100, past.typical("gpu_temp_c", SPAN_S), past.typical("gpu_power_w", SPAN_S), clock_mhz)
    row = ", ".join(_NOT_TOLD if value != value else f"{value:.0f}" for value in cells)
    if any(value == value for value in cells):
        yield _text(form.GPU, f"GPU, {_NOT_TOLD}, {row}, {_NOT_TOLD}, {_NOT_TOLD}")
    if (zone_c := past.typical("cpu_temp_c", SPAN_S)) == zone_c:
        yield _text(_ZONES, f"{zone_c * 1000:.0f}")
    if rows := _meminfo(past):
        yield _text(form.MEMINFO, rows)
    if (full := past.typical("psi_memory_full_avg10", SPAN_S)) == full:
        yield _text(_PRESSURE, f"full avg10={full * 100:.2f}")
    total, used = past.typical("disk_total_bytes", SPAN_S), past.typical("disk_used_bytes", SPAN_S)
    if total == total and used == used:
        yield _DISK, Answer(numbers={"total_bytes": total, "free_bytes": max(0.0, total - used)})


def _loaded(past: Past) -> tuple[float, float]:
    """Clock (MHz) and use (share) of the moments under load; NaN where there are too few of them."""
    clocks, shares = loaded_clocks(past, SPAN_S), past.points("gpu_util", SPAN_S)
    if not covers(clocks, SPAN_S):
        return NAN, NAN
    times = {t_ms for t_ms, _ in clocks}
    return median(mhz for _, mhz in clocks), median(share for t_ms, share in shares if t_ms in times)


def loaded_clocks(past: Past, span_s: float) -> Points:
    """The SM clocks (MHz) of the moments in which the GPU was under load."""
    use = dict(past.points("gpu_util", span_s))
    clocks = past.points("gpu_sm_clock_mhz", span_s)
    return tuple((t_ms, mhz) for t_ms, mhz in clocks if use.get(t_ms, 0.0) * 100 >= doctor_gpu.LOAD_PERCENT)


def _meminfo(past: Past) -> str:
    """/proc/meminfo's rows. Free is what is available and no page cache: the kernel counts the cache as available."""
    available, cache = past.typical("mem_available_bytes", SPAN_S), past.typical("mem_page_cache_bytes", SPAN_S)
    swap, swapped = past.typical("swap_total_bytes", SPAN_S), past.typical("swap_used_bytes", SPAN_S)
    rows = {
        "MemAvailable": available,
        "MemFree": max(0.0, available - cache) if available == available and cache == cache else NAN,
        "SwapTotal": swap,
        "SwapFree": swap - swapped,
    }
    return "\n".join(f"{name}: {value / 1024:.0f} kB" for name, value in rows.items() if value == value)


def _known(details: NodeDetails) -> Iterator[tuple[Read, Answer]]:
    if details.driver:
        yield _text(form.DRIVER, details.driver)
    if details.kernel:
        yield _text(form.KERNEL, details.kernel)
    if details.needs_reboot is not None:
        yield form.REBOOT, Answer() if details.needs_reboot else Answer(fault=Fault.ABSENT)
    widths = [(half.pci_address, half.pcie_width) for half in details.halves if half.pci_address]
    speeds = [(half.pci_address, half.pcie_gts) for half in details.halves if half.pci_address]
    for read, rows in ((form.PCIE_WIDTHS, widths), (form.PCIE_SPEEDS, speeds)):
        name = read.path.rpartition("/")[2]
        texts = [(f"/sys/bus/pci/devices/{at}/{name}", f"{value:g}") for at, value in rows if value is not None]
        if texts:
            yield read, Answer(texts=tuple(texts))
