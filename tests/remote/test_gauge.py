"""The judge of a node's memory: sure of the floor, quick where memory falls fast, and unknown is no reason to kill."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"
GIB = 1 << 30
FLOOR = 4 * GIB
PERIOD_S = 0.15


@pytest.fixture(scope="module")
def guard() -> Iterator[Any]:
    """guard.py as a module, beside job.py and gauge.py as in a job's folder."""
    found = importlib.util.spec_from_file_location("guard_program", REMOTE / "guard.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    keeps = sys.dont_write_bytecode
    found.loader.exec_module(module)
    yield module
    sys.dont_write_bytecode = keeps


def run(
    gauge: Any,
    available: Callable[[float], float | None],
    seconds: float,
    stall: Callable[[float], int | None] = lambda _: 1,
    period_s: float = PERIOD_S,
) -> tuple[float, str]:
    """Look at a course of memory; gives when it was judged and why, or (inf, "")."""
    for step in range(round(seconds / period_s)):
        now = step * period_s
        left = available(now)
        if why := gauge.judge(now, None if left is None else int(left), stall(now)):
            return now, why
    return float("inf"), ""


def test_a_fast_fall_is_ended_before_nothing_is_left(guard: Any) -> None:
    for gib_s in (3, 6, 12):

        def course(t: float, speed: int = gib_s) -> float:
            return (30 - speed * t) * GIB

        at, why = run(guard.memory.Gauge(FLOOR), course, 20)
        left = 30 - gib_s * at
        assert left - gib_s * PERIOD_S > 0.0, f"{gib_s} GiB/s: {left} left and the kill still to come"
        assert "GiB available, at least 4.0 GiB wanted" in why
    at, why = run(guard.memory.Gauge(FLOOR), lambda t: (30 - 6 * t) * GIB, 20)
    assert 30 - 6 * at > 4.5, "before the floor"
    assert "it falls by 6.0 GiB a second" in why


def test_a_load_that_takes_most_at_once_and_leaves_enough_is_let_be(guard: Any) -> None:
    def course(t: float) -> float:
        return 100 * GIB if t < 1.0 else max(100 - 200 * (t - 1.0), 9.0) * GIB

    assert run(guard.memory.Gauge(FLOOR), course, 5) == (float("inf"), "")


def test_a_steady_load_that_ends_above_the_floor_is_let_be(guard: Any) -> None:
    assert run(guard.memory.Gauge(FLOOR), lambda t: max(60 - 5 * t, 8.5) * GIB, 20) == (float("inf"), "")


def test_one_low_look_is_not_enough_and_two_are(guard: Any) -> None:
    assert run(guard.memory.Gauge(FLOOR), lambda t: (3 if t < 0.1 else 30) * GIB, 3) == (float("inf"), "")
    at, why = run(guard.memory.Gauge(FLOOR), lambda t: (30 if t < 1 else 3) * GIB, 3)
    assert at < 1.5
    assert why == "3.0 GiB available, at least 4.0 GiB wanted"


def test_a_node_that_stands_still_near_the_floor_is_relieved(guard: Any) -> None:
    at, why = run(guard.memory.Gauge(FLOOR), lambda _: 6 * GIB, 5, lambda t: int(1 + 0.8e6 * t))
    assert at < 1.5
    assert "stands still 80% of the time" in why
    far = run(guard.memory.Gauge(FLOOR), lambda _: 60 * GIB, 5, lambda t: int(1 + 0.8e6 * t))
    assert far == (float("inf"), "")


def test_a_slowed_guard_still_sees_that_it_is_low_that_it_falls_and_that_all_stand_still(guard: Any) -> None:
    for period_s in (0.7, 1.2, 9.0):
        low = run(guard.memory.Gauge(FLOOR), lambda _: 2 * GIB, 60, period_s=period_s)
        assert low == (period_s, "2.0 GiB available, at least 4.0 GiB wanted")
    _, why = run(guard.memory.Gauge(FLOOR), lambda t: (16 - 7.5 * t) * GIB, 9, period_s=1.2)
    assert "it falls by 7.5 GiB a second" in why
    at, why = run(guard.memory.Gauge(FLOOR), lambda _: 6 * GIB, 9, lambda t: int(1 + 0.8e6 * t), 1.2)
    assert at == 1.2
    assert "stands still 80% of the time" in why


def test_a_node_that_never_stood_still_since_its_start_is_relieved_as_soon(guard: Any) -> None:
    at, why = run(guard.memory.Gauge(FLOOR), lambda _: 6 * GIB, 5, lambda t: int(0.8e6 * t))
    assert at < 0.7, "a total of 0 is known"
    assert "stands still 80% of the time" in why
    late = run(guard.memory.Gauge(FLOOR), lambda _: 6 * GIB, 2, lambda t: None if t < 1 else 10**9)
    assert late == (float("inf"), ""), "what was not known before is not 0"


def test_what_cannot_be_read_is_no_reason(guard: Any) -> None:
    assert run(guard.memory.Gauge(FLOOR), lambda t: 30 * GIB if t < 1 else None, 5) == (float("inf"), "")
    assert run(guard.memory.Gauge(0), lambda _: 1.0, 5) == (float("inf"), "")
    gauge = guard.memory.Gauge(FLOOR)
    assert gauge.judge(0.0, 5 * GIB, None) == ""
    assert gauge.figures["stall_share"] is None


def test_a_rank_keeps_256_mb_of_its_log(guard: Any) -> None:
    assert guard.LOG_FILE_BYTES * guard.LOG_FILES == 256 * 1024**2
