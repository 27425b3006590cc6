"""A heap of agents' tasks: waves, the fastest number at once, and where more stops helping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.planning.agent.workload import AgentWorkload, run_tasks
from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.prediction import Prediction

T2 = {1: 35.0, 2: 54.0, 4: 91.0}
"""Seconds of so many tasks at once, 32K in and 1K out. Source: published, Qwen3-Coder-Next FP8, one node."""


def lasting(seconds: float) -> Prediction:
    e2e = Figure(seconds, seconds * 0.9, seconds * 1.1)
    return Prediction(e2e, e2e, e2e, e2e, e2e, (), ())


def published(users: int) -> Prediction:
    return lasting(T2.get(users, 35.0 + (users - 1) * 56.0 / 3.0))


def work(tasks: int, concurrency: int | None = None) -> AgentWorkload:
    return AgentWorkload(tasks, 32768, 1024, concurrency=concurrency)


def test_four_published_tasks_take_two_and_a_half_times_one() -> None:
    run = run_tasks(work(4), published)
    assert run.total_s.value == 91.0
    assert run.total_s.value / run_tasks(work(1), published).total_s.value == pytest.approx(2.6)
    assert run.concurrency == 4


def test_tasks_that_do_not_fill_the_last_wave_end_it_sooner() -> None:
    assert run_tasks(work(6, 4), published).total_s.value == 91.0 + 54.0
    assert run_tasks(work(6, 4), published).total_s.low == pytest.approx(0.9 * 145.0)


def test_best_is_the_number_that_ends_soonest() -> None:
    def slow_in_crowds(users: int) -> Prediction:
        return lasting(10.0 if users <= 8 else 10.0 * users)

    run = run_tasks(work(64), slow_in_crowds)
    assert (run.concurrency, run.total_s.value) == (8, 80.0)


def test_more_at_once_stops_helping_at_the_knee() -> None:
    def saturated(users: int) -> Prediction:
        return lasting(10.0 + max(0, users - 8) * 10.0 / 8)

    def ever_less(users: int) -> Prediction:
        return lasting(5.0 + users)

    assert run_tasks(work(64), saturated).knee == 8
    run = run_tasks(work(64), ever_less)
    assert (run.concurrency, run.knee) == (64, 32)  # 32 / 37 a second is nine tenths of 64 / 69, 24 / 29 is not


def test_an_unknown_speed_gives_an_unknown_time() -> None:
    unknown = Prediction(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, (), ())
    run = run_tasks(work(8), lambda _users: unknown)
    assert not run.total_s.is_known
    assert run.knee is None


@pytest.mark.parametrize(("tasks", "concurrency"), [(0, None), (-1, None), (4, 0), (10**7, None)])
def test_absurd_heaps_are_refused(tasks: int, concurrency: int | None) -> None:
    with pytest.raises(ValueError, match="tasks"):
        run_tasks(work(tasks, concurrency), published)


@given(st.integers(1, 60), st.integers(1, 40), st.floats(0.1, 50.0), st.floats(0.0, 10.0))
def test_more_tasks_never_end_sooner_at_the_same_number_at_once(
    tasks: int, concurrency: int, first_s: float, more_s: float
) -> None:
    def predict(users: int) -> Prediction:
        return lasting(first_s + more_s * (users - 1))

    # With fewer tasks than that, all go at once.
    fewer = run_tasks(work(tasks, concurrency), predict)
    more = run_tasks(work(tasks + 1, concurrency), predict)
    assert more.total_s.value >= fewer.total_s.value * (1.0 - 1e-12)
    best = run_tasks(work(tasks), predict)
    assert best.total_s.value <= fewer.total_s.value * (1.0 + 1e-12) or concurrency not in {
        point.concurrency for point in best.points
    }
