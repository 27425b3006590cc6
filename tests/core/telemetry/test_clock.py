"""Times of a node land on our clock, never go back within a boot, and a wrong clock on the node does not matter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.telemetry.clock import NodeClock

NOW_MS = 1_700_000_000_000


def test_a_node_ten_minutes_behind_is_shown_at_our_time() -> None:
    clock = NodeClock()
    placed = [clock.place("b", at, 1_699_999_400.0 + at, NOW_MS + int(at * 1000) + 5) for at in range(10)]
    assert placed == [NOW_MS + at * 1000 + 5 for at in range(10)]
    assert abs(clock.offset_s + 600) < 0.1


def test_a_late_line_is_placed_when_it_was_taken() -> None:
    clock = NodeClock()
    clock.place("b", 0, 100.0, NOW_MS)
    assert clock.place("b", 1, 101.0, NOW_MS + 4000) == NOW_MS + 1000


def test_a_clock_that_is_set_back_on_the_node_leaves_no_mark() -> None:
    clock = NodeClock()
    clock.place("b", 0, 1000.0, NOW_MS)
    assert clock.has_jumped(1, 401.0)
    assert clock.place("b", 1, 401.0, NOW_MS + 1000) == NOW_MS + 1000


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 10**12)), max_size=30))
def test_time_never_goes_back_within_a_boot(steps: list[tuple[float, float, int]]) -> None:
    clock = NodeClock()
    placed = [clock.place("b", mono, wall, now) for mono, wall, now in steps]
    assert placed == sorted(set(placed))
