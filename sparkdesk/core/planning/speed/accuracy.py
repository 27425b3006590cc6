"""How well the performance model does on the shipped measurements: case by case, and on models that the fit never saw.

The one rule: nothing measured is left out of the report; what is not comparable stands in a list of its own with the
reason, and what is not reached is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

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


# The report ----------------------------------------------------------------------------------------------------------

_HEAD = "| Case | Source | Measured | Predicted | Error | Without this model |\n|---|---|---:|---:|---:|---:|"


def report_of(cases: Sequence[Case], reference: Reference) -> str:
    """The accuracy report, as Markdown."""
    decode, ttft = fitted_cases(cases, "decode"), fitted_cases(cases, "ttft")
    others = [case for case in cases if not case.row.measured.is_fitted]
    parts = [
        "# How accurate the planner is",
        "Made by `python -m sparkdesk accuracy --write`; nobody edits it by hand. Every row is a published measurement "
        'of `resources/planning/measurements.toml`. "Without this model" is what the planner says when the fit never '
        "saw a row of that model: the honest figure for a model that is not in the list.",
        _summary(decode, ttft, orders_of(cases)),
        "## Tokens a second while answering, all users",
        _table(decode, "{:.1f}"),
        "## Seconds to the first token",
        _table(ttft, "{:.2f}"),
        "## Shown, not compared",
        "The source does not say enough about how these were measured, or the planner has no such mode. They fit "
        "nothing and count in no mean.",
        _others(others),
        "## Parameters",
        "Found by `python -m sparkdesk accuracy --fit` from the rows above; `crowded_tokens` is set by hand so that "
        "the measured order of TP and PP holds.",
        _parameters(reference.calibration.fitted),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(decode: Sequence[Case], ttft: Sequence[Case], orders: Sequence[tuple[Case, Case]]) -> str:
    right = sum(faster.predicted > slower.predicted for faster, slower in orders)
    rows = [
        ("Decode, mean error", mean_error(case.error for case in decode), 0.10),
        ("Decode, largest error", max(abs(case.error) for case in decode), 0.25),
        ("Decode, mean error on models not seen", mean_error(case.unseen_error for case in decode), 0.16),
        ("Time to the first token, mean error", mean_error(case.error for case in ttft), 0.15),
    ]
    lines = ["| Figure | Value | Wanted | |", "|---|---:|---:|---|"]
    lines += [f"| {name} | {value:.1%} | {bar:.0%} at most | {_met(value <= bar)} |" for name, value, bar in rows]
    lines.append(
        f"| Pairs of TP and PP in the measured order | {right} of {len(orders)} | all | {_met(right == len(orders))} |"
    )
    unseen = mean_error(case.unseen_error for case in ttft)
    lines.append(f"| Time to the first token, mean error on models not seen | {unseen:.1%} | no bar | |")
    return "\n".join(lines)


def _met(is_met: bool) -> str:
    return "met" if is_met else "**not met**"


def _table(cases: Sequence[Case], form: str) -> str:
    lines = [_HEAD]
    for case in cases:
        figures = " | ".join(form.format(value) for value in (case.measured, case.predicted))
        errors = f"{case.error:+.0%} | {case.unseen_error:+.0%}"
        lines.append(f"| {_conditions(case)} | {case.row.measured.source}{_assumed(case)} | {figures} | {errors} |")
    return "\n".join(lines)


def _others(cases: Sequence[Case]) -> str:
    lines = ["| Case | Source | Measured | Predicted | Why it is not compared |", "|---|---|---:|---:|---|"]
    for case in cases:
        one = case.row.measured
        figures = f"{case.measured:.1f} | {case.predicted:.1f}"
        lines.append(f"| {_conditions(case)} | {one.source}{_assumed(case)} | {figures} | {one.why_not} |")
    return "\n".join(lines)


def _conditions(case: Case) -> str:
    one = case.row.measured
    users = "1 user" if one.users == 1 else f"{one.users} users"
    engine, build = case.row.setup.engine.title, one.build if len(case.row.setup.engine.builds) > 1 else ""
    parts = (
        f"{case.row.setup.spec.title} {one.format}",
        f"{engine} {build}".strip(),
        one.parallelism.label,
        f"{one.prompt_tokens:,}/{one.answer_tokens:,}",
        users,
    )
    return ", ".join(parts)


def _assumed(case: Case) -> str:
    assumed = case.row.measured.assumed
    return f" (assumed: {assumed})" if assumed else ""


def _parameters(fitted: Fitted) -> str:
    lines = ["| Parameter | Value |", "|---|---:|"]
    return "\n".join([*lines, *(f"| `{name}` | {value:.4g} |" for name, value in asdict(fitted).items())])
