"""How long until ready, by earlier starts; nothing is said before the first."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.record import Phase, PhaseState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.start_time import KEEP, StartTimes, start_key, time_left_s

DONE, NOW, TO_DO = PhaseState.DONE, PhaseState.CURRENT, PhaseState.TO_DO
REQUEST = LaunchRequest(engine="vllm", model="owner/model", nodes=("n1",), served_name="m")


def seen(load_s: float, warmup_s: float) -> tuple[Phase, ...]:
    """A start that was seen whole."""
    return (
        Phase("preflight", "", DONE, 1.0),
        Phase("weights", "", DONE, 300.0),
        Phase("load", "", DONE, load_s),
        Phase("warmup", "", DONE, warmup_s),
        Phase("token", "", DONE, 1.0),
        Phase("ready", "", DONE, 0.0),
    )


def test_the_estimate_is_the_median_of_what_is_to_come_and_shrinks() -> None:
    starts = StartTimes().with_start(seen(60.0, 20.0)).with_start(seen(100.0, 30.0)).with_start(seen(80.0, 22.0))
    assert starts.usual_s == 80.0 + 22.0 + 1.0
    left = []
    for load, warmup in (
        ((TO_DO, math.nan), (TO_DO, math.nan)),
        ((NOW, 30.0), (TO_DO, math.nan)),
        ((DONE, 82.0), (NOW, 30.0)),
    ):
        phases = (
            Phase("load", "", *load),
            Phase("warmup", "", *warmup),
            Phase("token", "", TO_DO),
            Phase("ready", "", TO_DO),
        )
        left.append(time_left_s(starts, phases))
    assert left == [103.0, 73.0, 1.0]


def test_a_first_start_has_no_estimate_and_one_that_was_cut_in_two_teaches_nothing() -> None:
    assert math.isnan(time_left_s(StartTimes(), seen(1.0, 1.0)))
    assert math.isnan(StartTimes().usual_s)
    assert StartTimes().with_start(seen(math.nan, 2.0)) == StartTimes()


def test_a_download_counts_by_what_it_tells_and_is_not_known_before() -> None:
    starts = StartTimes().with_start(seen(60.0, 20.0))
    rest = (Phase("load", "", TO_DO), Phase("ready", "", TO_DO))
    told = time_left_s(starts, (Phase("weights", "", NOW, 30.0, fraction=0.25), *rest))
    assert told == 90.0 + 60.0
    assert math.isnan(time_left_s(starts, (Phase("weights", "", NOW, 30.0), *rest)))


def test_starts_are_alike_by_model_engine_build_and_node_and_kept_few() -> None:
    other = REQUEST.model_copy(update={"nodes": ("n2",)})
    assert start_key(REQUEST) == start_key(REQUEST.model_copy(update={"port": 9000}))
    assert len({start_key(REQUEST), start_key(other), start_key(REQUEST.model_copy(update={"build": "x"}))}) == 3
    starts = StartTimes()
    for number in range(20):
        starts = starts.with_start(seen(float(number), 1.0))
    assert len(starts.starts) == KEEP
    assert StartTimes.from_json(starts.to_json()) == starts


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_what_was_kept_may_be_damaged(data: bytes) -> None:
    assert StartTimes.from_json(data).starts == ()
    assert StartTimes.from_json(b'{"schema": 1, "starts": [{"load": 1e999, "x": "y", "ok": 2}]}').starts == (
        {"ok": 2.0},
    )
