"""How fast a setup is under a load: the time to the first token, between tokens, to the end, and rates.

The one rule: every figure has its band and its parts; where anything that it needs is not known, so is the figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkdesk.core.planning.figure import Figure, total_s
from sparkdesk.core.planning.place import Device, Place
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION, Prediction
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import ALL, Share
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK
from sparkdesk.core.planning.speed.calibration import Calibration
from sparkdesk.core.planning.speed.decode import Decode, decode_of
from sparkdesk.core.planning.speed.nearness import Nearest, nearest_cases
from sparkdesk.core.planning.speed.prefill import prefill_parts
from sparkdesk.core.planning.speed.terms import Terms, terms_of
from sparkdesk.core.planning.workload import Workload

if TYPE_CHECKING:
    from sparkdesk.core.planning.reference import Reference

FULL_CABLE = 0.75
"""Of a 200G cable's rate: collectives over one were measured at 80 to 95 % of its line."""
MOST = 1e15
"""Seconds or tokens a second beyond which a figure is no answer."""
LEAST_TPOT_S, LEAST_TTFT_S = 0.006, 0.1
"""Half of the fastest that was measured. What is faster still (very small models) is bound by launches and turns of the
server, which nobody measured: its band is that of a device that nothing was measured on."""


def predict(setup: Setup, workload: Workload, place: Place, reference: Reference, *, share: Share = ALL) -> Prediction:
    """Speed of a setup with the nodes of `place`; `share` is what neighbours leave of them.

    A shape, device, cache type or share that is not known gives unknown figures, never zero; so does a model that
    writes no text. Never raises for numbers.
    """
    if not setup.spec.is_generator:
        return UNKNOWN_PREDICTION
    try:
        return _predicted(setup, workload, place, reference, share)
    except OverflowError:  # a count of hundreds of digits
        return UNKNOWN_PREDICTION


def _predicted(setup: Setup, workload: Workload, place: Place, reference: Reference, share: Share) -> Prediction:
    devices = devices_of(place, reference)
    terms = terms_of(setup, place, devices, reference.calibration, share) if _is_load(workload) else None
    if terms is None:
        return UNKNOWN_PREDICTION
    is_fitted = all(device.is_fitted for device in devices)
    nearest = Nearest((), True, True)
    if is_fitted:
        nearest = nearest_cases(setup, workload, reference, _departures(place, share))
    return _prediction(terms, workload, reference.calibration, nearest, is_fitted)


def _prediction(
    terms: Terms, workload: Workload, calibration: Calibration, nearest: Nearest, is_fitted: bool
) -> Prediction:
    decode, ttft_parts = decode_of(terms, workload), prefill_parts(terms, workload)
    tpot_s, ttft_s = total_s(decode.parts), total_s(ttft_parts)
    if not (0.0 < tpot_s < MOST and 0.0 < ttft_s < MOST):
        return UNKNOWN_PREDICTION
    decode_band = ttft_band = calibration.roofline_band
    if is_fitted:
        decode_band = calibration.decode_band.far if nearest.is_decode_far else calibration.decode_band.near
        ttft_band = calibration.ttft_band.far if nearest.is_ttft_far else calibration.ttft_band.near
        decode_band = decode_band if tpot_s > LEAST_TPOT_S else calibration.roofline_band
        ttft_band = ttft_band if ttft_s > LEAST_TTFT_S else calibration.roofline_band
    tpot, ttft = _banded(tpot_s, decode_band), _banded(ttft_s, ttft_band)
    more = float(max(0, workload.answer_tokens - 1))
    e2e = Figure(ttft.value + more * tpot.value, ttft.low + more * tpot.low, ttft.high + more * tpot.high)
    return Prediction(
        ttft_s=ttft,
        tpot_s=tpot,
        e2e_s=e2e,
        prefill_tok_s=ttft.inverse(workload.new_prompt_tokens * workload.users),
        output_tok_s=tpot.inverse(float(workload.users)),
        ttft_parts=ttft_parts,
        tpot_parts=decode.parts,
        leans_on=nearest.cases,
        is_fitted=is_fitted,
        memory_gb_per_s=decode.read_bytes / tpot_s / 1e9,
        compute_share=_compute_share(terms, decode, tpot_s),
        link_gb_per_s=decode.sent_bytes / tpot_s / 1e9,
    )


def _departures(place: Place, share: Share) -> tuple[str, ...]:
    """What of the place is not as it was where others measured: they had free nodes, full clocks and 200G cables."""
    is_slow = len(place.nodes) > 1 and (place.link or DEFAULT_LINK).gb_per_s < FULL_CABLE * DEFAULT_LINK.gb_per_s
    departures = (
        ("load of neighbours", share != ALL),
        ("GPU clock", any(node.sm_clock_share < 1.0 for node in place.nodes)),
        ("cable", is_slow),
    )
    return tuple(name for name, departs in departures if departs)


def _compute_share(terms: Terms, decode: Decode, tpot_s: float) -> float:
    return min(1.0, decode.operations / tpot_s / terms.peak_operations_per_s)


def _banded(value: float, band: float) -> Figure:
    """The band is of factors: 0.25 is from four fifths to five quarters."""
    return Figure(value, value / (1.0 + band), value * (1.0 + band))


def devices_of(place: Place, reference: Reference) -> list[Device]:
    """Of the nodes, each once; none when one of them is not known."""
    keys = {node.device for node in place.nodes}
    found = [reference.devices[key] for key in keys if key in reference.devices]
    return found if len(found) == len(keys) else []


def _is_load(workload: Workload) -> bool:
    counts = (workload.prompt_tokens, workload.answer_tokens, workload.users)
    return all(1 <= count < MOST for count in counts) and 0.0 <= workload.cached_share < 1.0
