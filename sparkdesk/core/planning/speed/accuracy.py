"""How well the performance model does on the shipped measurements: case by case, and on models that the fit never saw.

The one rule: nothing measured is left out of the report; what is not comparable stands in a list of its own with the
reason, and what is not reached is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.speed.calibration import Band, Fitted
from sparkdesk.core.planning.speed.fit import Row

QUANTILE = 0.95
"""Of the errors, that a band covers."""
LEAST_BAND = 0.15
"""What two nodes of one make, a driver or a prompt's words change by themselves: an allowance."""


@dataclass(frozen=True, slots=True)
class Case:
    """One measured figure beside its prediction."""

    row: Row
    kind: str
    """decode (tokens a second of all users) or ttft (seconds)."""
    measured: float
    predicted: float
    unseen: float
    """Predicted by the parameters that were found without this model."""

    @property
    def error(self) -> float:
        """Relative: 0.1 is a tenth too high."""
        return self.predicted / self.measured - 1.0

    @property
    def unseen_error(self) -> float:
        """The same, without this model."""
        return self.unseen / self.measured - 1.0


def cases_of(rows: Sequence[Row], reference: Reference, left_out: Mapping[str, Fitted]) -> tuple[Case, ...]:
    """Every figure that the rows measured. `left_out` has the parameters that were found without a model."""
    found = []
    for row in rows:
        one = row.measured
        unseen = replace(reference.calibration, fitted=left_out.get(one.model, reference.calibration.fitted))
        ttft_s, tpot_s = row.seconds(reference, reference.calibration)
        unseen_ttft_s, unseen_tpot_s = row.seconds(reference, unseen)
        if one.tpot_s is not None:
            rates = (one.users / tpot for tpot in (one.tpot_s, tpot_s, unseen_tpot_s))
            found.append(Case(row, "decode", *rates))
        if one.ttft_s is not None:
            found.append(Case(row, "ttft", one.ttft_s, ttft_s, unseen_ttft_s))
    return tuple(found)


def fitted_cases(cases: Iterable[Case], kind: str) -> list[Case]:
    """Those of a kind that the fit saw."""
    return [case for case in cases if case.kind == kind and case.row.measured.is_fitted]


def mean_error(errors: Iterable[float]) -> float:
    """Mean of their sizes."""
    sizes = [abs(error) for error in errors]
    return math.fsum(sizes) / len(sizes) if sizes else math.nan


def fair_mean_error(cases: Iterable[Case]) -> float:
    """Mean of the sizes of errors where each model of each source counts once, however many rows it has."""
    groups: dict[tuple[str, str], list[float]] = {}
    for case in cases:
        groups.setdefault((case.row.measured.model, case.row.measured.source), []).append(case.error)
    return mean_error(mean_error(errors) for errors in groups.values())


def bands_of(cases: Sequence[Case]) -> tuple[Band, Band]:
    """The bands of decode and of the time to the first token: what `QUANTILE` of the errors stay within.

    Near a measured case it is that of the fit, far from all that of models that the fit never saw.
    """
    return _band(fitted_cases(cases, "decode")), _band(fitted_cases(cases, "ttft"))


def _band(cases: Sequence[Case]) -> Band:
    near = _quantile([abs(math.log1p(case.error)) for case in cases])
    far = _quantile([abs(math.log1p(case.unseen_error)) for case in cases])
    near_band = max(LEAST_BAND, math.expm1(near))
    return Band(round(near_band, 3), round(max(near_band, math.expm1(far)), 3))


def _quantile(values: list[float]) -> float:
    """The smallest value that `QUANTILE` of them do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(QUANTILE * len(ordered)) - 1]


def orders_of(cases: Sequence[Case]) -> tuple[tuple[Case, Case], ...]:
    """Pairs of measured cases that differ in TP against PP only, the faster one first."""
    decode = [case for case in cases if case.kind == "decode"]
    pairs = []
    for at, one in enumerate(decode):
        for other in decode[at + 1 :]:
            if _is_same_but_division(one, other):
                pairs.append((one, other) if one.measured >= other.measured else (other, one))
    return tuple(pairs)


def _is_same_but_division(one: Case, other: Case) -> bool:
    first, second = one.row.measured, other.row.measured
    has_both = {first.parallelism.tensor_parallel_size > 1, second.parallelism.tensor_parallel_size > 1} == {
        True,
        False,
    }
    return (
        has_both
        and first.parallelism.world_size == second.parallelism.world_size
        and (first.source, first.model, first.format) == (second.source, second.model, second.format)
        and (first.engine, first.prompt_tokens, first.users) == (second.engine, second.prompt_tokens, second.users)
    )
