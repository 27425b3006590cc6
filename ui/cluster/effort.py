"""What a deployment or a node costs in memory traffic and energy, in words. Pure: no Qt, no clock.

The one rule: a computed figure says "computed", an estimate "estimate", and what is not known "n/a" with its reason.
"""

from __future__ import annotations

from sparkdesk.core.planning.bandwidth import PEAK_GB_PER_S, Bandwidth
from sparkdesk.core.telemetry.energy import SPARK_WALL, EnergyView
from ui import text

WHAT_IS_COMPUTED = (
    "Computed, not measured: what each decode step must read (active weights, the experts that the requests touch "
    "together, the KV cache) times the steps a second, over the peak of the memory."
)
_WH_J = 3600.0
_KILO = 1000.0


def bandwidth_words(found: Bandwidth, nodes: int) -> tuple[str, str]:
    """The effective memory bandwidth and its tooltip: "178 GB/s · 65 % of 273, computed"."""
    if not found.is_known:
        return "GB/s n/a", f"{WHAT_IS_COMPUTED} Not known here: {found.reason}."
    peak = f"{PEAK_GB_PER_S:.0f}" if nodes < 2 else f"{nodes} x {PEAK_GB_PER_S:.0f}"
    share = text.percent(found.share)
    words = f"{found.gb_per_s:.0f} GB/s · {share} of {peak}, {found.origin}"
    return words, f"{WHAT_IS_COMPUTED} A step reads {found.step_bytes / 1e9:.1f} GB."


def energy_words(joule: float) -> str:
    """An energy in Wh, above 1,000 Wh in kWh."""
    if not text.is_known(joule):
        return text.NOT_KNOWN
    wh = joule / _WH_J
    if wh >= _KILO:
        return f"{text.grouped(wh / _KILO, 2)} kWh"
    return f"{text.grouped(wh, 2 if wh < 1 else 1)} Wh"


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
        parts.append(f"{text.grouped(found.j_per_token, 2 if found.j_per_token < 10 else 1)} J/tok")
    if text.is_known(found.joule):
        parts.append(energy_words(found.joule))
    if cost_words(found):
        parts.append(cost_words(found))
    told = [f"{label}: {value}" for label, value in energy_rows(found)]
    return " · ".join(parts), "\n".join([*told, text.one_line(found.words, 240)])


def energy_rows(found: EnergyView) -> list[tuple[str, str]]:
    """Label and value of all that is known of an energy."""
    rows = [("GPU rail", energy_words(found.joule))]
    if text.is_known(found.wall_joule):
        rows.append(("Wall", f"about {energy_words(found.wall_joule)}, estimate"))
    if cost_words(found):
        rows.append(("Cost", cost_words(found)))
    if text.is_known(found.co2_g):
        rows.append(("CO2", f"{text.grouped(found.co2_g, 0 if found.co2_g >= 10 else 1)} g"))
    if text.is_known(found.covered):
        rows.append(("Covered", f"{text.percent(found.covered)} of the time, the rest is a gap"))
    return rows


def wall_words(gpu_power_w: float, *, is_spark: bool) -> tuple[str, str]:
    """The wall's power as an estimate, and where it comes from; "n/a" for a machine that nobody measured."""
    if not text.is_known(gpu_power_w):
        return text.NOT_KNOWN, "The node does not tell the GPU's power"
    if not is_spark:
        return text.NOT_KNOWN, "There is no estimate for another machine than a DGX Spark"
    return f"about {text.power(SPARK_WALL.estimate_w(gpu_power_w))}, estimate", SPARK_WALL.source
