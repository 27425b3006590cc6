"""This computer's clock is set, forward or back, and what was measured keeps its age and its place in the charts."""

from __future__ import annotations

import numpy as np
import pytest

from sparkdesk.core.findings.concern import Concern, Judgement, Severity
from sparkdesk.core.findings.standing import Standings
from sparkdesk.services.clock import ClockWatch, SystemClock
from sparkdesk.services.records.energies import Energies
from tests.services.records.test_series import NOW, Desk, HandClock

HOUR_MS = 3_600_000


class SetClock(HandClock):
    """The application's clock over a computer whose wall clock a test sets; `ms` moves the time itself."""

    def __init__(self) -> None:
        super().__init__()
        self.set_ms = 0
        self.real = SystemClock(lambda: (self.ms + self.set_ms) * 1_000_000, lambda: (self.ms - NOW) * 1_000_000)

    def now_ms(self) -> int:
        return self.real.now_ms()

    def monotonic_s(self) -> float:
        return self.real.monotonic_s()


class Moved(Desk):
    """Charts, energy and ages of a node, on a computer whose clock can be set."""

    def __init__(self) -> None:
        self.hand = SetClock()
        super().__init__(self.hand)
        self.energies = Energies(telemetry=self.telemetry, nodes=self.nodes, jobs=self.jobs)
        moved = (self.energies, self.telemetry, self.server_readings, self.absences)
        self.watch = ClockWatch(self.hand.real, [one.move_times for one in moved])

    def set_clock(self, by_ms: int) -> None:
        """A person, or NTP, sets the computer's clock."""
        self.hand.set_ms += by_ms
        self.watch.look()


@pytest.fixture
def moved() -> Moved:
    return Moved()


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS, 2_000, -2_000])
def test_after_the_clock_was_set_charts_go_on_with_one_gap_that_says_so(moved: Moved, by_ms: int) -> None:
    moved.sample(seconds=60)
    moved.set_clock(by_ms)
    moved.sample(seconds=10)
    times, values = moved.book.series("n1", "gpu_power_w", 300)
    assert times[-1] == moved.clock.now_ms() == NOW + 70_000 + by_ms
    assert np.isfinite(values).sum() == 70
    assert (np.diff(times[np.isfinite(values)]) == 1000).all()
    assert [gap.words for gap in moved.book.gaps("n1", 300)] == ["this computer's clock was set"]


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
def test_a_live_node_stays_live_and_a_silent_one_has_its_true_age(moved: Moved, by_ms: int) -> None:
    moved.sample(seconds=5)
    moved.clock.ms += 12_000
    moved.set_clock(by_ms)
    feed = moved.telemetry.feed("n1")
    assert feed.sample_age_s() == pytest.approx(12.0)
    sample = feed.latest.value
    assert sample is not None
    assert moved.clock.now_ms() - sample.t_ms == 12_000
    moved.sample()
    assert feed.sample_age_s() == pytest.approx(0.0)


def test_a_probe_that_was_started_anew_makes_no_old_sample_young(moved: Moved) -> None:
    moved.sample(seconds=5)
    moved.clock.ms += 60_000
    moved.telemetry.feed("n1").begin()
    assert moved.telemetry.feed("n1").sample_age_s() == pytest.approx(60.0)


def test_time_does_not_jump_between_two_looks_at_the_clock(moved: Moved) -> None:
    moved.hand.set_ms = HOUR_MS
    assert moved.clock.now_ms() == NOW
    moved.watch.look()
    assert moved.clock.now_ms() == NOW + HOUR_MS


def test_a_clock_that_is_kept_right_is_followed_without_a_word(moved: Moved) -> None:
    moved.sample(seconds=5)
    for _ in range(5):
        moved.set_clock(-3)
        moved.sample()
    assert moved.clock.now_ms() == NOW + 10_000 - 15
    assert moved.book.gaps("n1", 300) == ()


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
def test_energy_counts_no_time_that_did_not_pass(moved: Moved, by_ms: int) -> None:
    moved.sample(seconds=60)
    moved.set_clock(by_ms)
    moved.sample(seconds=60)
    view = moved.energies.energy("n1")
    assert view is not None
    assert view.covered == pytest.approx(1.0, abs=0.02)
    assert view.since_ms == NOW + 1000 + by_ms


def test_a_long_silence_is_not_put_down_to_the_clock(moved: Moved) -> None:
    moved.sample(seconds=5)
    moved.clock.ms += 60_000
    moved.set_clock(HOUR_MS)
    moved.clock.ms += 60_000
    moved.sample(seconds=5)
    assert [gap.words for gap in moved.book.gaps("n1", 300)] == ["no samples"]


def test_what_was_wrong_before_the_clock_was_set_stands_since_the_same_time_ago() -> None:
    standings = Standings()
    concern = Concern("clock-slow", "n1", Severity.WARN, "Slow", "507 MHz", "Power off")
    for second in range(3):
        standings.take([Judgement(concern.id, concern)], NOW + second * 1000)
    (before,) = standings.concerns
    standings.move_times(HOUR_MS)
    (after,) = standings.concerns
    assert after.since_ms == before.since_ms + HOUR_MS
