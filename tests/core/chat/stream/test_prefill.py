"""How far a long prompt is: the server's word before its metrics, those before a prediction, and each says which."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.context import PoolUse
from sparkdesk.core.chat.event import PromptProgress
from sparkdesk.core.chat.stream.prefill import PrefillEstimate, PrefillEvidence, PrefillSource, estimate_prefill

SENT = PrefillEvidence(sent_s=100.0, prompt_tokens=10_000, predicted_tokens_per_s=1000.0)


def pool(tokens: float, running: int = 1, waiting: int = 0) -> PoolUse:
    return PoolUse(tokens / 100_000, 100_000, running, waiting)


def test_the_servers_own_progress_is_taken_with_the_speed_of_its_newest_step() -> None:
    evidence = SENT.with_progress(PromptProgress(2048, 0, 10_000, 101.0, 1.0))
    assert estimate_prefill(evidence, 101.0) == PrefillEstimate(
        2048, 10_000, (10_000 - 2048) / 2048, PrefillSource.SERVER
    )
    evidence = evidence.with_progress(PromptProgress(4096, 0, 10_000, 103.0, 3.0))
    found = estimate_prefill(evidence, 104.0)
    assert found == PrefillEstimate(4096, 10_000, (10_000 - 4096) / 1024 - 1.0, PrefillSource.SERVER)
    assert math.isclose(found.fraction, 0.4096)


def test_what_was_cached_does_not_count_as_speed() -> None:
    evidence = PrefillEvidence(sent_s=0.0).with_progress(PromptProgress(9000, 8000, 10_000, 2.0, 2.0))
    found = estimate_prefill(evidence, 2.0)
    assert found is not None
    assert found.left_s == 1000 / 500


def test_the_first_word_of_a_server_without_a_speed_borrows_the_predicted_one() -> None:
    first = PromptProgress(24, 24, 1024, 100.0)
    found = estimate_prefill(SENT.with_progress(first), 100.0)
    assert found == PrefillEstimate(24, 1024, 1.0, PrefillSource.SERVER)
    unknown = estimate_prefill(PrefillEvidence(100.0).with_progress(first), 100.0)
    assert unknown is not None
    assert math.isnan(unknown.left_s)


def test_a_growing_cache_tells_how_far_it_is_while_ours_is_the_only_request() -> None:
    evidence = SENT.with_look(pool(500, running=0), 99.0).with_look(pool(4500), 102.0)
    found = estimate_prefill(evidence, 102.0)
    assert found == PrefillEstimate(4000, 10_000, 3.0, PrefillSource.METRICS)
    later = estimate_prefill(evidence.with_look(pool(5500), 103.0), 103.0)
    assert later == PrefillEstimate(5000, 10_000, 5.0, PrefillSource.METRICS)


def test_another_request_beside_ours_makes_the_cache_say_nothing() -> None:
    for before, after in ((pool(500, 1, 1), pool(4500)), (pool(500, 2), pool(4500)), (pool(500, 0), pool(4500, 2))):
        found = estimate_prefill(SENT.with_look(before, 99.0).with_look(after, 102.0), 102.0)
        assert found is not None
        assert found.source is PrefillSource.PREDICTED


def test_metrics_without_a_size_or_a_count_of_requests_are_not_looked_at() -> None:
    for told in (None, PoolUse(0.5, None, 1), PoolUse(None, 1000, 1), PoolUse(0.5, 1000, None)):
        assert SENT.with_look(told, 99.0) == SENT


def test_a_prediction_says_that_it_is_one_and_nothing_once_it_has_run_out() -> None:
    assert estimate_prefill(SENT, 104.0) == PrefillEstimate(4000, 10_000, 6.0, PrefillSource.PREDICTED)
    over = estimate_prefill(SENT, 111.0)
    assert over is not None
    assert over.processed == 10_000
    assert math.isnan(over.left_s)


def test_without_a_speed_or_a_length_there_is_no_estimate() -> None:
    assert estimate_prefill(PrefillEvidence(0.0, 5000), 1.0) is None
    assert estimate_prefill(PrefillEvidence(0.0, None, 1000.0), 1.0) is None


COUNT = st.integers(0, 1 << 53)
TIME = st.floats(0, 1e9)


@given(
    steps=st.lists(st.tuples(COUNT, COUNT, COUNT, TIME), max_size=3),
    looks=st.lists(st.tuples(st.floats(0, 1), COUNT, TIME), max_size=3),
    rate=st.floats(),
    prompt=st.none() | COUNT,
    now_s=TIME,
)
def test_whatever_a_server_tells_the_bar_stays_within_its_ends(
    steps: list[tuple[int, int, int, float]],
    looks: list[tuple[float, int, float]],
    rate: float,
    prompt: int | None,
    now_s: float,
) -> None:
    evidence = PrefillEvidence(1.0, prompt, rate)
    for fraction, capacity, t_s in looks:
        evidence = evidence.with_look(PoolUse(fraction, capacity, 1), t_s)
    for processed, cached, total, t_s in steps:
        evidence = evidence.with_progress(PromptProgress(processed, cached, total, t_s))
    found = estimate_prefill(evidence, now_s)
    if found is not None:
        assert 0 <= found.processed <= found.total
        assert math.isnan(found.left_s) or found.left_s >= 0
        assert math.isnan(found.fraction) or 0 <= found.fraction <= 1
