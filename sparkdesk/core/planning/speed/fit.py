"""Finds the fitted parameters from the shipped measurements, and how well they do on models that they never saw.

The one rule: the same rows give the same parameters on every machine: a coordinate search in logarithms, with fixed
steps and bounds and no randomness.

What is made small: the sum over rows of a function of the error's logarithm that is square near zero, straight beyond
`STRAIGHT`, and steep again beyond `STEEP`, so that no single row is left far off. Each model of each source counts
once for answers and once for first tokens, however many rows it has: its rows share one weight. Rows with speculative
decoding or of unknown configuration take no part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.figure import total_s
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import ALL
from sparkdesk.core.planning.speed.calibration import Calibration, Fitted
from sparkdesk.core.planning.speed.decode import decode_of
from sparkdesk.core.planning.speed.measurement import Measurement
from sparkdesk.core.planning.speed.performance import devices_of
from sparkdesk.core.planning.speed.prefill import prefill_parts
from sparkdesk.core.planning.speed.terms import terms_of

STRAIGHT, STEEP, STEEPNESS = 0.08, 0.17, 20.0
ROUNDS, FIRST_STEP, SHRINK = 14, 0.2, 0.7
DIGITS = 4
BOUNDS: Mapping[str, tuple[float, float]] = {
    "dense_efficiency": (0.3, 0.9),
    "expert_efficiency": (0.3, 0.9),
    "own_efficiency": (0.3, 0.9),
    "token_likeness": (0.001, 1.0),
    "kv_efficiency": (0.4, 0.9),
    "layer_overhead_s": (1e-6, 5e-4),
    "eager_overhead_s": (1e-4, 2e-3),
    "sequence_overhead_s": (1e-7, 5e-4),
    "collective_overhead_s": (1e-6, 2e-4),
    "dense_utilisation": (0.05, 1.0),
    "expert_utilisation": (0.05, 1.0),
    "own_utilisation": (0.05, 1.0),
    "attention_utilisation": (0.05, 1.0),
    "collective_rate_share": (0.6, 1.0),
}
"""Parameter -> least and most that physics allows. 0.9 of the peak: a matrix-vector probe reached 247 of 273 GB/s."""


START = Fitted(
    dense_efficiency=0.7,
    expert_efficiency=0.7,
    own_efficiency=0.7,
    token_likeness=0.1,
    kv_efficiency=0.7,
    layer_overhead_s=5e-5,
    eager_overhead_s=6e-4,
    sequence_overhead_s=2e-5,
    crowded_tokens=2.5,
    collective_overhead_s=3e-5,
    dense_utilisation=0.5,
    expert_utilisation=0.5,
    own_utilisation=0.3,
    attention_utilisation=0.5,
    collective_rate_share=0.9,
)
"""Where the search begins: what a person would guess."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement with the setup that it was made with."""

    measured: Measurement
    setup: Setup
    place: Place

    def seconds(self, reference: Reference, calibration: Calibration) -> tuple[float, float]:
        """Predicted time to the first token, and from one to the next; NaN where the model cannot say."""
        terms = terms_of(self.setup, self.place, devices_of(self.place, reference), calibration, ALL)
        if terms is None:
            return math.nan, math.nan
        workload = self.measured.workload
        return total_s(prefill_parts(terms, workload)), total_s(decode_of(terms, workload).parts)


def rows_of(reference: Reference, specs: Sequence[ModelSpec]) -> tuple[Row, ...]:
    """The measurements whose model, weights, engine and build are known, in the file's order."""
    by_key = {spec.key: spec for spec in specs}
    found = []
    for one in reference.measurements:
        spec, engine = by_key.get(one.model), reference.engines[one.engine]
        weights = next((w for w in spec.formats if w.key == one.format), None) if spec else None
        build = next((b for b in engine.builds if b.key == one.build), None)
        if spec is None or weights is None or build is None:
            continue
        setup = Setup(spec, weights, engine, build, one.parallelism, one.kv_dtype, one.speculative)
        nodes = tuple(NodeRoom(f"node-{n}", f"node {n}", device=one.device) for n in range(one.parallelism.world_size))
        found.append(Row(one, setup, Place(nodes)))
    return tuple(found)


def cost(rows: Sequence[Row], reference: Reference, fitted: Fitted) -> float:
    """What the fit makes small."""
    calibration = replace(reference.calibration, fitted=fitted)
    errors = [
        ((row.measured.model, row.measured.source, kind), math.log(predicted / measured))
        for row in rows
        for kind, measured, predicted in _pairs(row, reference, calibration)
    ]
    counts = Counter(group for group, _ in errors)
    return math.fsum(_loss(abs(error)) / counts[group] for group, error in errors)


def fit(rows: Sequence[Row], reference: Reference, start: Fitted) -> Fitted:
    """The parameters at which `cost` is least, near `start`, to `DIGITS` digits."""
    best, least, step = start, cost(rows, reference, start), FIRST_STEP
    for _ in range(ROUNDS):
        for name, bounds in BOUNDS.items():
            for factor in (math.exp(step), math.exp(-step)):
                tried = _moved(best, name, factor, bounds)
                while tried is not None and (now := cost(rows, reference, tried)) < least:
                    best, least = tried, now
                    tried = _moved(best, name, factor, bounds)
        step *= SHRINK
    return Fitted(**{name: float(f"{value:.{DIGITS}g}") for name, value in asdict(best).items()})


def fit_without(model: str, rows: Sequence[Row], reference: Reference, start: Fitted) -> Fitted:
    """The parameters that are found when no row of this model is seen."""
    return fit([row for row in rows if row.measured.model != model], reference, start)


def _moved(fitted: Fitted, name: str, factor: float, bounds: tuple[float, float]) -> Fitted | None:
    """With one parameter a step further; None where it stands at its bound."""
    old: float = getattr(fitted, name)
    new = min(max(old * factor, bounds[0]), bounds[1])
    return None if new == old else fitted.replaced({name: new})


def _pairs(row: Row, reference: Reference, calibration: Calibration) -> list[tuple[str, float, float]]:
    """(kind, measured, predicted) of what the row measured."""
    ttft_s, tpot_s = row.seconds(reference, calibration)
    both = (("ttft", row.measured.ttft_s, ttft_s), ("decode", row.measured.tpot_s, tpot_s))
    return [(kind, measured, predicted) for kind, measured, predicted in both if measured is not None]


def _loss(error: float) -> float:
    straight = error * error if error < STRAIGHT else STRAIGHT * (2.0 * error - STRAIGHT)
    return straight + STEEPNESS * max(0.0, error - STEEP) ** 2
