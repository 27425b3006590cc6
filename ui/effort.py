"""What a deployment or a node costs in memory traffic and energy, in words. Pure: no Qt, no clock.

The one rule: a computed figure says "computed", an estimate "estimate", and what is not known "n/a" with its reason.
"""

from __future__ import annotations

from typing import NamedTuple

from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.planning.speed.bandwidth import PEAK_GB_PER_S, Bandwidth
from sparkdesk.core.telemetry.energy import SPARK_WALL, EnergyView
from sparkdesk.core.telemetry.metric import BANDWIDTH, ENERGY, GPU_POWER, TOKEN_ENERGY, WALL_POWER, find_metric
from ui import text
from ui.quantity import title_of_card, write_quantity

WHAT_IS_COMPUTED = (
    "Computed, not measured: what each decode step must read (active weights, the experts that the requests touch "
    "together, the KV cache) times the steps a second, over the peak of the memory."
)
COVERED = "Covered"
_KILO = 1000.0


def bandwidth_words(found: Bandwidth, nodes: int) -> tuple[str, str]:
    """The effective memory bandwidth and its tooltip: "178 GB/s · 65 % of 273, computed"."""
    hint = f"{WHAT_IS_COMPUTED} {_why_or_how(found)}"
    if not found.is_known:
        return f"{find_metric(BANDWIDTH).unit} {text.NOT_KNOWN}", hint
    return f"{rate_words(found)} · {_share_words(found, nodes)}, {found.origin}", hint


def bandwidth_wordings(found: Bandwidth, nodes: int) -> tuple[str, ...]:
    """The same in less and less words; why it is not known comes first, where there is room for it."""
    words, _ = bandwidth_words(found, nodes)
    if found.is_known:
        return words, f"{rate_words(found)}, {found.origin}", rate_words(found)
    return f"{words}: {_begin_small(found.reason)}", words


def rate_words(found: Bandwidth) -> str:
    """The bare figure: "178 GB/s"; one decimal below 10."""
    return f"{text.grouped(found.gb_per_s, 0 if found.gb_per_s >= 9.95 else 1)} {find_metric(BANDWIDTH).unit}"


def _share_words(found: Bandwidth, nodes: int) -> str:
    peak = f"{PEAK_GB_PER_S:.0f}" if nodes < 2 else f"{nodes} x {PEAK_GB_PER_S:.0f}"
    return f"{text.percent(found.share)} of {peak}"


def _why_or_how(found: Bandwidth) -> str:
    if not found.is_known:
        return f"Not known here: {found.reason}."
    return f"A step reads {found.step_bytes / 1e9:.1f} GB."


def _begin_small(words: str) -> str:
    return lower_first(words)


class EffortCell(NamedTuple):
    """One figure of what a deployment takes, with its title and what it means."""

    title: str
    value: str
    hint: str


def effort_cells(bandwidth: Bandwidth | None, energy: EnergyView | None, nodes: int) -> tuple[EffortCell, ...]:
    """What a deployment takes of its machines, each figure with its own title; why one is not known stands in words."""
    cells = []
    if bandwidth is not None:
        hint = f"{WHAT_IS_COMPUTED} {_why_or_how(bandwidth)}"
        value = f"{text.NOT_KNOWN}: {_begin_small(bandwidth.reason)}"
        if bandwidth.is_known:
            value = f"{rate_words(bandwidth)} · {_share_words(bandwidth, nodes)}"
        cells.append(EffortCell(find_metric(BANDWIDTH).title, value, hint))
    if energy is not None:
        words = text.one_line(energy.words, 240)
        per_token = write_quantity(TOKEN_ENERGY, energy.j_per_token)
        cells.append(EffortCell(find_metric(TOKEN_ENERGY).title, str(per_token), words))
        titles = {title_of_card(GPU_POWER): find_metric(ENERGY).title}
        shown = [(label, value) for label, value in energy_rows(energy) if label != COVERED]
        cells += [EffortCell(titles.get(label, label), value, words) for label, value in shown]
    return tuple(cells)


def energy_words(joule: float) -> str:
    """An energy in Wh, above 1,000 Wh in kWh."""
    if not text.is_known(joule):
        return text.NOT_KNOWN
    row = find_metric(ENERGY)
    wh = row.to_screen(joule)
    if wh >= _KILO:
        return f"{text.grouped(wh / _KILO, 2)} k{row.unit}"
    return f"{text.grouped(wh, row.digits if wh < 1 else 1)} {row.unit}"


def cost_words(found: EnergyView) -> str:
    """The cost with its currency, "" where no price is set."""
    if not text.is_known(found.cost):
        return ""
    return f"{text.grouped(found.cost, 4 if found.cost < 0.1 else 2)} {text.one_line(found.currency, 8)}".strip()


def job_energy_words(found: EnergyView | None) -> tuple[str, str]:
    """The energy of a deployment in one line, what matters most first, and its tooltip; "" where nothing is known."""
    if found is None:
        return "", ""
    parts = []
    if text.is_known(found.j_per_token):
        unit = find_metric(TOKEN_ENERGY).unit
        parts.append(f"{text.grouped(found.j_per_token, 2 if found.j_per_token < 10 else 1)} {unit}")
    if text.is_known(found.joule):
        parts.append(energy_words(found.joule))
    if cost_words(found):
        parts.append(cost_words(found))
    told = [f"{label}: {value}" for label, value in energy_rows(found)]
    return " · ".join(parts), "\n".join([*told, text.one_line(found.words, 240)])


def energy_rows(found: EnergyView) -> list[tuple[str, str]]:
    """Label and value of all that is known of an energy."""
    rows = [(title_of_card(GPU_POWER), energy_words(found.joule))]
    if text.is_known(found.wall_joule):
        rows.append((title_of_card(WALL_POWER), f"about {energy_words(found.wall_joule)}, estimate"))
    if cost_words(found):
        rows.append(("Cost", cost_words(found)))
    if text.is_known(found.co2_g):
        rows.append(("CO2", f"{text.grouped(found.co2_g, 0 if found.co2_g >= 10 else 1)} g"))
    if text.is_known(found.covered):
        rows.append((COVERED, f"{text.percent(found.covered)} of the time, the rest is a gap"))
    return rows


def wall_words(gpu_power_w: float, *, is_spark: bool) -> tuple[str, str]:
    """The wall's power as an estimate, and where it comes from; "n/a" for a machine that nobody measured."""
    if not text.is_known(gpu_power_w):
        return text.NOT_KNOWN, "The node does not tell the GPU's power"
    if not is_spark:
        return text.NOT_KNOWN, "There is no estimate for another machine than a DGX Spark"
    return f"about {write_quantity(WALL_POWER, SPARK_WALL.estimate_w(gpu_power_w))}, estimate", SPARK_WALL.source
