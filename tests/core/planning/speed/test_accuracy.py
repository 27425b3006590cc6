"""The bars of accuracy, the report, and that the shipped parameters are those that the fit finds."""

from __future__ import annotations

import math
import tomllib
from dataclasses import asdict, replace

import pytest

from sparkdesk.core.planning.speed.accuracy import Case, cases_of, fair_mean_error, fitted_cases, mean_error, orders_of
from sparkdesk.core.planning.speed.calibration import Fitted
from sparkdesk.core.planning.speed.fit import BOUNDS, START, Row, cost, fit, rows_of
from sparkdesk.verbs.accuracy import report
from tests.core.planning.speed.speeds import RESOURCES, catalogue, reference


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    return rows_of(reference(), list(catalogue().values()))


@pytest.fixture(scope="module")
def cases(rows: tuple[Row, ...]) -> tuple[Case, ...]:
    values = tomllib.loads((RESOURCES / "planning" / "left_out.toml").read_text("utf-8"))
    return cases_of(rows, reference(), {model: Fitted(**one) for model, one in values.items()})


def test_every_measured_row_is_of_the_catalogue(rows: tuple[Row, ...]) -> None:
    assert [row.measured.key for row in rows] == [one.key for one in reference().measurements]


def test_rows_say_what_they_measured_and_why_they_are_not_compared() -> None:
    keys = [one.key for one in reference().measurements]
    assert len(keys) == len(set(keys))
    assert all(one.ttft_s or one.tpot_s for one in reference().measurements)
    assert all(one.source and one.is_fitted != bool(one.why_not) for one in reference().measurements)


def test_answers_are_predicted_within_a_tenth_and_none_beyond_a_quarter(cases: tuple[Case, ...]) -> None:
    errors = [case.error for case in fitted_cases(cases, "decode")]
    assert mean_error(errors) <= 0.10
    assert max(abs(error) for error in errors) <= 0.25


def test_gpt_oss_120b_with_one_user_is_near_in_every_build(cases: tuple[Case, ...]) -> None:
    alone = [
        case
        for case in fitted_cases(cases, "decode")
        if (case.row.measured.model, case.row.measured.users, case.row.place.nodes[1:]) == ("gpt-oss-120b", 1, ())
    ]
    assert {case.row.measured.build for case in alone} == {"stock", "tuned", "eager"}
    assert all(abs(case.error) <= 0.13 for case in alone)


def test_a_source_with_few_rows_counts_as_much_as_one_with_many(cases: tuple[Case, ...], rows: tuple[Row, ...]) -> None:
    seen = [row for row in rows if row.measured.is_fitted]
    many = [*seen, *(row for row in seen for _ in range(5) if row.measured.source.startswith("kubis"))]
    fitted = reference().calibration.fitted
    assert cost(many, reference(), fitted) == pytest.approx(cost(seen, reference(), fitted))
    decode = fitted_cases(cases, "decode")
    assert fair_mean_error([*decode, *(case for case in decode if case.row in many[len(seen) :])]) == pytest.approx(
        fair_mean_error(decode)
    )
    assert fair_mean_error(decode) <= 0.08


def test_models_that_the_fit_never_saw_are_predicted_within_a_sixth(cases: tuple[Case, ...]) -> None:
    assert mean_error(case.unseen_error for case in fitted_cases(cases, "decode")) <= 0.16


def test_first_tokens_are_predicted_within_fifteen_in_a_hundred(cases: tuple[Case, ...]) -> None:
    assert mean_error(case.error for case in fitted_cases(cases, "ttft")) <= 0.15


def test_every_measured_pair_of_tensor_and_pipeline_parallel_is_in_order(cases: tuple[Case, ...]) -> None:
    pairs = orders_of(cases)
    assert len(pairs) == 2
    assert all(faster.predicted > slower.predicted for faster, slower in pairs)


def test_bands_cover_nine_cases_in_ten(cases: tuple[Case, ...]) -> None:
    bands = {"decode": reference().calibration.decode_band, "ttft": reference().calibration.ttft_band}
    for kind, band in bands.items():
        found = fitted_cases(cases, kind)
        for errors, width in (([c.error for c in found], band.near), ([c.unseen_error for c in found], band.far)):
            inside = sum(abs(math.log1p(error)) <= math.log1p(width) + 1e-3 for error in errors)
            assert inside >= 0.9 * len(errors)


def test_the_shipped_parameters_are_those_that_the_fit_finds(rows: tuple[Row, ...]) -> None:
    """The whole fit takes seconds; so one step of each parameter from where it ended must not be better."""
    seen = [row for row in rows if row.measured.is_fitted]
    shipped = reference().calibration.fitted
    least = cost(seen, reference(), shipped)
    for name, (low, high) in BOUNDS.items():
        for factor in (1.03, 1 / 1.03):
            moved = min(max(asdict(shipped)[name] * factor, low), high)
            assert cost(seen, reference(), shipped.replaced({name: moved})) >= least - 2e-3, name


def test_the_fit_finds_parameters_that_made_the_measurements(rows: tuple[Row, ...]) -> None:
    truth = START.replaced({"dense_efficiency": 0.6, "layer_overhead_s": 1.5e-4, "attention_utilisation": 0.4})
    calibration = replace(reference().calibration, fitted=truth)
    chosen = [row for row in rows if row.measured.ttft_s and row.measured.tpot_s][:12]
    made = []
    for row in chosen:
        ttft_s, tpot_s = row.seconds(reference(), calibration)
        made.append(Row(replace(row.measured, ttft_s=ttft_s, tpot_s=tpot_s), row.setup, row.place))
    found = fit(made, reference(), START)
    assert cost(made, reference(), found) < 0.02 * cost(made, reference(), START)


def test_the_report_in_the_documents_is_the_one_that_the_command_writes() -> None:
    assert (RESOURCES.parent / "docs" / "accuracy.md").read_text("utf-8") == report(RESOURCES)
