"""An answer's energy is the mean power of its nodes' GPUs times its span, and unknown where samples are missing."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.chat.answering.energy import answer_energy_j
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.telemetry import Telemetry

BEGUN_MS = 1_000_000


class HandClock(SystemClock):
    """Goes on when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s


def measured(*powers_w: float, node: str = "n1", telemetry: Telemetry | None = None) -> Telemetry:
    """A sample a second; None of a second that was not heard is NaN."""
    found = telemetry if telemetry is not None else Telemetry(clock=HandClock(), programs=())
    feed = found.feed(node)
    for at, power_w in enumerate(powers_w):
        if not math.isnan(power_w):
            feed.history.append(Sample(node, BEGUN_MS + 1000 * at, 0, "b", {"gpu_power_w": power_w}))
    feed._seen_s = feed._taken_s = 1000.0
    return found


def test_an_answer_s_energy_is_the_mean_power_of_its_span() -> None:
    telemetry = measured(10.0, 10.0, 60.0, 60.0, 60.0, 60.0)
    assert answer_energy_j(telemetry, ["n1"], 3.0) == pytest.approx(60.0 * 3.0)


def test_an_answer_shorter_than_a_sample_has_the_power_around_it() -> None:
    assert answer_energy_j(measured(20.0, 40.0), ["n1"], 0.5) == pytest.approx(30.0 * 0.5)


def test_the_nodes_of_one_server_are_added_up() -> None:
    telemetry = measured(50.0, 50.0, 50.0)
    measured(70.0, 70.0, 70.0, node="n2", telemetry=telemetry)
    assert answer_energy_j(telemetry, ["n1", "n2"], 2.0) == pytest.approx(240.0)


@pytest.mark.parametrize("powers_w", [(), (50.0, math.nan, math.nan, math.nan, math.nan, 50.0)])
def test_energy_over_a_time_without_samples_is_not_known(powers_w: tuple[float, ...]) -> None:
    assert math.isnan(answer_energy_j(measured(*powers_w), ["n1"], 5.0))


def test_a_node_that_fell_silent_makes_the_energy_unknown() -> None:
    telemetry = measured(50.0, 50.0, 50.0)
    telemetry.feed("n1")._seen_s = telemetry.feed("n1")._taken_s = 990.0
    assert math.isnan(answer_energy_j(telemetry, ["n1"], 2.0))


@pytest.mark.parametrize("span_s", [0.0, -1.0, math.nan, math.inf])
def test_a_span_that_is_none_has_no_energy(span_s: float) -> None:
    assert math.isnan(answer_energy_j(measured(50.0, 50.0), ["n1"], span_s))


def test_a_server_without_nodes_of_ours_has_no_energy() -> None:
    assert math.isnan(answer_energy_j(measured(50.0, 50.0), [], 2.0))
