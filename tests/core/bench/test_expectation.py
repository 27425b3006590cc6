"""A published figure stands beside a measured one only where it is of the same case."""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.bench.expectation import NOTHING, expectation_of
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION, MeasuredCase

CASE = MeasuredCase("t2-c4", "NVIDIA table 2: FP8, 4 users", "15 s, 75 ms", "", ttft_s=15.0, tpot_s=0.08)
PREDICTED = replace(
    UNKNOWN_PREDICTION, output_tok_s=Figure(50.0, 40.0, 60.0), ttft_s=Figure(14.0, 12.0, 16.0), leans_on=(CASE,)
)


def test_the_very_same_case_gives_its_published_rate() -> None:
    found = expectation_of(PREDICTED, 4)
    assert (found.output_tok_s, found.low_tok_s, found.high_tok_s, found.ttft_s) == (50.0, 40.0, 60.0, 14.0)
    assert found.published_tok_s == 50.0
    assert found.source == "NVIDIA table 2: FP8, 4 users"


def test_a_near_case_is_named_with_what_differs_and_has_no_rate() -> None:
    near = replace(PREDICTED, leans_on=(replace(CASE, distance="another prompt"),))
    found = expectation_of(near, 4)
    assert math.isnan(found.published_tok_s)
    assert found.source == "NVIDIA table 2: FP8, 4 users: 15 s, 75 ms (another prompt)"


def test_without_a_prediction_nothing_is_expected() -> None:
    assert expectation_of(None, 4) is NOTHING
    assert math.isnan(expectation_of(UNKNOWN_PREDICTION, 1).output_tok_s)
