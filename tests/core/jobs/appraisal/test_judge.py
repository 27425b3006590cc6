"""The verdict holds one measured request against its prediction, and has none without both figures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bench.sample import BenchSample
from sparkdesk.core.jobs.appraisal.cause import Evidence
from sparkdesk.core.jobs.appraisal.fall import judge_fall
from sparkdesk.core.jobs.appraisal.judge import has_fallen, judge_sample, sentence
from sparkdesk.core.jobs.appraisal.verdict_json import Verdicts, from_json, to_json
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.verdict import Pace, Verdict
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION

PREDICTED = replace(UNKNOWN_PREDICTION, tpot_s=Figure(1 / 57.9, 1 / 62.0, 1 / 54.0))
NOTHING = Evidence()
EAGER = Evidence(words={"eager": "yes"})
JOB = JobStatus("j" * 16, "gpt-oss", "vLLM", ("spark-a",), JobState.READY, 0)


def sample(tok_s: float, answer: int = 128) -> BenchSample:
    return BenchSample(0.0, 0.5, 0.5 + (answer - 1) / tok_s, 512, 0, answer)


def judged(tok_s: float, seen: Evidence = NOTHING) -> Verdict:
    return judge_sample(sample(tok_s), PREDICTED, seen, at_ms=5)


def test_a_server_as_fast_as_its_plan_is_said_to_be_so_with_the_band() -> None:
    verdict = judged(57.9, EAGER)
    assert verdict.pace is Pace.AS_EXPECTED
    assert sentence(verdict) == "57.9 tok/s, as expected (54-62)"
    assert verdict.causes == ()


def test_a_slow_server_is_told_its_share_and_its_causes() -> None:
    verdict = judged(34.0, EAGER)
    assert verdict.pace is Pace.SLOWER
    assert sentence(verdict) == "34 tok/s, about 60 % of what this plan should do"
    assert [cause.key for cause in verdict.causes] == ["eager"]
    assert sentence(judged(1.0)) == "1 tok/s, about 2 % of what this plan should do"


def test_a_fast_server_is_no_fault() -> None:
    assert sentence(judged(80.0, EAGER)) == "80 tok/s, faster than expected (54-62)"


def test_an_answer_in_one_burst_is_no_praise() -> None:
    verdict = judged(28_665.0)
    assert verdict.pace is Pace.UNKNOWN
    assert math.isnan(verdict.measured_tok_s)
    assert sentence(verdict) == "Too quick to tell: 128 tokens came within 4 ms of the first one"


def test_without_a_prediction_the_figure_stands_and_the_verdict_does_not() -> None:
    for prediction in (None, UNKNOWN_PREDICTION):
        verdict = judge_sample(sample(34.0), prediction, EAGER, at_ms=5)
        assert verdict.pace is Pace.UNKNOWN
        assert verdict.measured_tok_s == pytest.approx(34.0)
        assert sentence(verdict).startswith("34 tok/s; what this model should do here is not known")
        assert verdict.causes == ()


def test_a_simulated_engine_gets_a_figure_and_no_verdict() -> None:
    verdict = judge_sample(sample(3.0), PREDICTED, EAGER, at_ms=5, simulated="simulated vLLM")
    assert verdict.pace is Pace.UNKNOWN
    assert sentence(verdict) == "3 tok/s; simulated vLLM: no verdict where the engine or the machine is simulated"


def test_a_request_that_failed_or_ended_at_once_has_no_verdict() -> None:
    failed = judge_sample(BenchSample(0.0, failure="the server is busy"), PREDICTED, EAGER, at_ms=5)
    assert failed.pace is Pace.UNKNOWN
    assert math.isnan(failed.measured_tok_s)
    assert sentence(failed) == "It could not be measured: the server is busy"
    assert judge_sample(sample(3.0, answer=8), PREDICTED, EAGER, at_ms=5).pace is Pace.UNKNOWN


@given(st.floats(0.01, 2e3))
def test_the_pace_is_what_the_band_says(tok_s: float) -> None:
    verdict = judged(tok_s)
    wanted = Pace.SLOWER if tok_s < 53.999 else Pace.FASTER if tok_s > 62.001 else Pace.AS_EXPECTED
    assert verdict.pace is wanted or abs(tok_s - 54) < 0.01 or abs(tok_s - 62) < 0.01
    assert "nan" not in sentence(verdict)


def test_stored_verdicts_come_back_whole_and_a_strangers_are_refused() -> None:
    kept = Verdicts(judged(57.9), judged(34.0, EAGER), "0.33.0", "m\nvllm\nstock")
    assert from_json(to_json(kept)) == kept
    for text in (b"", b"{}", b'{"schema": 1, "version": "", "first": {}, "last": {}}'):
        with pytest.raises((KeyError, TypeError, ValueError)):
            from_json(text)


def test_a_fall_of_more_than_15_percent_is_one_finding_that_goes_when_it_is_over() -> None:
    first = judged(57.9)
    assert judge_fall(JOB, Verdicts(first, judged(50.0)), "spark-a").concern is None
    fallen = judge_fall(JOB, Verdicts(first, judged(40.0, EAGER)), "spark-a")
    assert fallen.concern is not None
    assert fallen.concern.id == fallen.id
    assert "40 tok/s" in fallen.concern.evidence
    assert "57.9" in fallen.concern.evidence
    assert "CUDA graphs" in fallen.concern.evidence
    again = judge_fall(JOB, Verdicts(first, judged(39.0)), "spark-a")
    assert again.id == fallen.id
    assert judge_fall(replace(JOB, state=JobState.STOPPED), Verdicts(first, judged(40.0)), "spark-a").concern is None


def test_a_server_is_held_against_itself_although_it_was_slow_from_the_start() -> None:
    assert not has_fallen(judged(34.0), 33.0)
    assert has_fallen(judged(34.0), 28.0)


def test_an_answer_that_is_too_short_to_judge_is_no_fall_and_no_baseline() -> None:
    first, short = judged(57.9), judge_sample(sample(20.0, answer=5), PREDICTED, EAGER, at_ms=2, first=judged(57.9))
    assert (short.causes, "57.9" in short.note) == ((), False)
    assert not has_fallen(first, 20.0, 5)
    unknown = judge_fall(JOB, Verdicts(first, short), "spark-a")
    assert (unknown.concern, unknown.is_known) == (None, False), "a fall that was found is not over by it either"
    no_baseline = judge_sample(sample(90.0, answer=5), PREDICTED, NOTHING, at_ms=1)
    assert not has_fallen(no_baseline, 40.0)
    assert judge_fall(JOB, Verdicts(no_baseline, judged(40.0)), "spark-a").concern is None


def test_a_server_that_fell_is_told_its_causes_where_nobody_knows_what_it_should_do() -> None:
    first = judge_sample(sample(57.9), None, NOTHING, at_ms=1, simulated="simulated GB10")
    fallen = judge_sample(sample(38.0), None, EAGER, at_ms=2, simulated="simulated GB10", first=first)
    assert fallen.pace is Pace.UNKNOWN
    assert [cause.key for cause in fallen.causes] == ["eager"]
    assert fallen.note.startswith("It made 57.9 tok/s with the same request when it was first measured. simulated GB10")
    steady = judge_sample(sample(52.0), None, EAGER, at_ms=2, first=first)
    assert steady.causes == ()
    assert "57.9" not in steady.note
