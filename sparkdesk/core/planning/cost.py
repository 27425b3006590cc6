"""Power and money of a setup under its load: watts at the wall, and what a million output tokens cost.

The one rule: a price that nobody gave makes no cost, and watts are an estimate with a wide band: a node tells the power
of its GPU only, and the planner has not even that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.place import Device, Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.row import Cost
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.telemetry.energy import JOULE_PER_KWH, SPARK_WALL
from sparkdesk.core.telemetry.energy_rate import EnergyRates

MILLION = 1e6
HOURS_A_YEAR = 8766.0
YEARS = 3.0
"""An assumption, shown beside the figure."""
BUSY_SHARE = 0.5
"""An assumption, shown beside the figure: the part of those years in which the machine works."""

REST_W = 11.5
"""GPU rail, awake and without work: 11 to 12 W."""
MEMORY_W = 34.0
"""More at the peak of memory bandwidth: from 25 W at 14 to 20 tokens a second of a 3B model in 16 bit (90 to 128 GB/s).
Computed."""
COMPUTE_W = 45.0
"""More at full compute: to the middle of the 60 to 87 W under load. Computed; with the two above:
unverified on hardware [work-power]."""
WAITING_W = 72.5
"""GPU rail of a node in a group that talks over the cable: 60 to 85 W, even without requests (NCCL polls)."""
MOST_RAIL_W = 87.0
LOW_FACTOR, HIGH_FACTOR = 0.6, 1.5
"""Of the rail: 15 to 38 W were reported where this says 25."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a person said of money; NaN and None are not said. `machine_price` stands before the device's own."""

    rates: EnergyRates = field(default_factory=EnergyRates)
    machine_price: float | None = None
    years: float = YEARS
    busy_share: float = BUSY_SHARE

    @property
    def words(self) -> str:
        """What the cost rests on, for the screen."""
        if not math.isfinite(self.rates.price_per_kwh):
            return "No price of energy is set, so the cost is not known."
        return f"Energy at the wall (estimate), machines over {self.years:g} years at {self.busy_share:.0%} use."


def cost_of(
    prediction: Prediction, workload: Workload, place: Place, devices: Mapping[str, Device], prices: Prices
) -> Cost:
    """Power of all nodes and money for 10^6 output tokens. What is not known stays UNKNOWN."""
    kinds = Counter(node.device for node in place.nodes)
    power_w = _sum([_node_power_w(devices.get(key), prediction, len(place.nodes)).scaled(kinds[key]) for key in kinds])
    seconds = _seconds_per_million(prediction, workload)
    if not seconds.is_known:
        return Cost(power_w)
    rate = prices.rates.price_per_kwh
    if not power_w.is_known or not (math.isfinite(rate) and rate >= 0.0):
        return Cost(power_w)
    energy = _product(power_w, seconds).scaled(rate / JOULE_PER_KWH)
    machines = _machine_price(place, devices, prices)
    lifetime_s = prices.years * HOURS_A_YEAR * 3600.0 * prices.busy_share
    if machines is None or not lifetime_s > 0.0:
        return Cost(power_w, energy)
    return Cost(power_w, energy, _sum([energy, seconds.scaled(machines / lifetime_s)]))


def _machine_price(place: Place, devices: Mapping[str, Device], prices: Prices) -> float | None:
    """Of all nodes; None when one is not known."""
    total = 0.0
    for node in place.nodes:
        device = devices.get(node.device)
        price = prices.machine_price if prices.machine_price is not None else device.price if device else None
        if price is None or not (math.isfinite(price) and price >= 0.0):
            return None
        total += price
    return total


def _seconds_per_million(prediction: Prediction, workload: Workload) -> Figure:
    """Time until so many requests as make 10^6 output tokens are answered, prompts included."""
    tokens = workload.users * workload.answer_tokens
    return prediction.e2e_s.scaled(MILLION / tokens) if prediction.e2e_s.is_known and tokens > 0 else UNKNOWN


def _node_power_w(device: Device | None, prediction: Prediction, nodes: int) -> Figure:
    """One node at the wall, as the mean over reading prompts and answering."""
    if device is None:
        return UNKNOWN
    if not device.is_fitted:  # only its published power is known; a machine that waits for memory draws less
        return Figure(device.power_w, device.power_w * 0.5, device.power_w)
    prompt = prediction.prompt_share
    reading = REST_W + COMPUTE_W
    memory = prediction.memory_gb_per_s / device.peak_gb_per_s
    answering = REST_W + MEMORY_W * min(memory, 1.0) + COMPUTE_W * min(prediction.compute_share, 1.0)
    rail = prompt * reading + (1.0 - prompt) * answering
    if math.isnan(rail):
        return UNKNOWN
    is_polling = nodes > 1 and prediction.link_gb_per_s > 0.0  # copies of the model (DP) do not wait for each other
    rail = min(max(rail, WAITING_W) if is_polling else rail, MOST_RAIL_W)
    low, high = rail * LOW_FACTOR, min(rail * HIGH_FACTOR, MOST_RAIL_W)
    return Figure(*(SPARK_WALL.estimate_w(watts) for watts in (rail, low, high)))


def _sum(figures: list[Figure]) -> Figure:
    """NaN when one is not known, or there is none."""
    if not figures or not all(figure.is_known for figure in figures):
        return UNKNOWN
    return Figure(
        math.fsum(figure.value for figure in figures),
        math.fsum(figure.low for figure in figures),
        math.fsum(figure.high for figure in figures),
    )


def _product(a: Figure, b: Figure) -> Figure:
    return Figure(a.value * b.value, a.low * b.low, a.high * b.high)
