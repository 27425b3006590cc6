"""Counters that jump back, clocks that jump, words in place of numbers: a value or nothing, and never a wrong one."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkdesk.core.telemetry.builder import SampleBuilder
from sparkdesk.core.telemetry.clock import NodeClock
from sparkdesk.core.telemetry.frame import Line
from sparkdesk.core.telemetry.metric import find_metric
from sparkdesk.core.telemetry.probe import GPU_KEYS, MEMORY_KEYS, Malformed, RawRdma, RawSample, parse_line
from sparkdesk.core.telemetry.sample import Sample

NOW_MS = 1_700_000_000_000
WORDS = ("[N/A]", "N/A", "Not Supported", "[Not Supported]", "[Unknown Error]", "No devices were found", "11,17", "")
NETDEVS = ("enp1s0f0np0", "enP2p1s0f0np0", "enP7s7")
DEVICES = ("rocep1s0f0", "roceP2p1s0f0")
WRAPS = (2.0**32, 2.0**64)

counters = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**32 - 1, 2**32, 2**64 - 1])
cells = counters | st.floats(-1e300, 1e300) | st.sampled_from(WORDS) | st.none()


def parse(data: dict[str, Any]) -> RawSample | Malformed:
    found = parse_line(Line(b"m " + json.dumps(data).encode()), b"m")
    assert isinstance(found, RawSample | Malformed)
    return found


def reading(second: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"q": 1, "b": "b1", "m": 100.0 + second, "w": 1000.0 + second, **more}


def build(*readings: dict[str, Any]) -> Sample:
    builder = SampleBuilder("n1")
    samples = []
    for data in readings:
        raw = parse(data)
        assert isinstance(raw, RawSample)
        samples.append(builder.build(raw, NOW_MS + int(raw.monotonic_s * 1000)))
    return samples[-1]


@st.composite
def readings(draw: st.DrawFn) -> dict[str, Any]:
    """A reading of the right form, with any counter, or a word, in each cell."""
    return {
        "q": draw(st.integers(0, 1000)),
        "b": draw(st.sampled_from(["b1", "b2", ""])),
        "m": draw(st.floats(0, 100)),
        "w": draw(st.floats(0, 1e11) | st.floats(1000, 1100)),
        "cpu": draw(st.lists(counters, min_size=8, max_size=8)),
        "mem": {key: draw(cells) for key in sorted(MEMORY_KEYS)},
        "psi": {key: draw(cells) for key in ("ms", "mf", "is")},
        "ct": draw(cells),
        "nt": draw(cells),
        "df": [draw(cells), draw(cells)],
        "io": [draw(cells), draw(cells)],
        "net": {name: [draw(cells), draw(cells), "up", draw(cells), draw(cells)] for name in NETDEVS},
        "ib": {name: [draw(cells), draw(cells), "4: ACTIVE"] for name in draw(st.sets(st.sampled_from(DEVICES)))},
        "gpu": [{key: draw(cells) for key in sorted(GPU_KEYS)} for _ in range(draw(st.integers(0, 2)))],
    }


@given(st.lists(readings(), min_size=1, max_size=4))
def test_whatever_is_read_each_value_is_one_that_can_be(lines: list[dict[str, Any]]) -> None:
    builder = SampleBuilder("n1")
    last_ms, last_boot = 0, None
    for data in lines:
        raw = parse(data)
        assert isinstance(raw, RawSample)
        sample = builder.build(raw, NOW_MS)
        for key, value in sample.values.items():
            row = find_metric(key)
            assert math.isfinite(value)
            assert row.can_be(value), (key, value)
            assert not (row.is_rate and value < 0)
        assert sample.t_ms > last_ms or raw.boot_id != last_boot
        last_ms, last_boot = sample.t_ms, raw.boot_id


counted = st.integers(0, 10**9)


@given(counted, counted, counted, st.sampled_from(WRAPS))
@example(1, 0, 0, 2.0**32)
def test_a_counter_that_restarts_or_wraps_has_no_rate_for_that_step_and_the_right_one_after(
    before: int, after: int, growth: int, wrap: float
) -> None:
    """Reboots of a driver start a counter again; a counter of 32 or 64 bits goes through its end."""
    high = before + int(wrap) // 2
    lines = [
        reading(at, net={"enP7s7": [count, 0, "up", 1, 10_000]}, io=[count, 0])
        for at, count in enumerate((high, min(after, high - 1), min(after, high - 1) + growth))
    ]
    torn = build(*lines[:2])
    assert math.isnan(torn.value("net_rx_gbps.enP7s7"))
    assert math.isnan(torn.value("disk_read_bytes_per_s"))
    assert torn.value("net_tx_gbps.enP7s7") == 0.0
    whole = build(*lines)
    assert whole.value("net_rx_gbps.enP7s7") == pytest.approx(growth * 8 / 1e9)


@given(st.integers(0, 2**60), st.integers(0, 2 * 10**10), st.integers(0, 2 * 10**10))
def test_words_are_four_bytes_and_the_halves_of_a_cage_are_added(start: int, first: int, second: int) -> None:
    def at(one: int, two: int) -> dict[str, Any]:
        return {"rocep1s0f0": [start + one, 0, "4: ACTIVE"], "roceP2p1s0f0": [two, 0, "4: ACTIVE"]}

    sample = build(reading(0, ib=at(0, 0)), reading(10, ib=at(first, second)))
    assert sample.value("rdma_rx_gbps.P0") == pytest.approx((first + second) * 4 * 8 / 10 / 1e9, abs=1e-4)
    assert sample.value("cage_rx_gbps.P0") == sample.value("rdma_rx_gbps.P0")
    assert sample.value("rdma_tx_gbps.P0") == 0.0


def test_200_gbps_over_both_halves_is_3125_million_words_a_second_each() -> None:
    def half(words: int) -> dict[str, Any]:
        return {name: [words, words // 2, "4: ACTIVE"] for name in DEVICES}

    sample = build(reading(0, ib=half(0)), reading(1, ib=half(3_125_000_000)))
    assert sample.value("rdma_rx_gbps.P0") == 200.0
    assert sample.value("rdma_tx_gbps.P0") == 100.0


@pytest.mark.parametrize("before", [True, False])
def test_while_one_half_comes_or_goes_the_sum_of_the_cage_is_not_known(before: bool) -> None:
    both: dict[str, list[int]] = {name: [5_000_000, 0] for name in DEVICES}
    one = {DEVICES[0]: [9_000_000, 0]}
    steps = [both, one] if before else [one, {name: [10_000_000, 0] for name in DEVICES}]
    steps.append({name: [row[0] + 1_000_000, 0] for name, row in steps[1].items()})
    lines = [reading(at, ib={name: [*row, "4: ACTIVE"] for name, row in rows.items()}) for at, rows in enumerate(steps)]
    assert math.isnan(build(*lines[:2]).value("rdma_rx_gbps.P0"))
    settled = build(*lines)
    assert settled.value("rdma_rx_gbps.P0") == pytest.approx(len(steps[2]) * 0.032)


@pytest.mark.parametrize("word", WORDS)
def test_a_word_in_place_of_a_number_is_nothing_and_not_zero(word: str) -> None:
    sample = build(
        reading(
            0,
            gpu=[{"u": 36, **{key: word for key in sorted(GPU_KEYS) if key != "u"}}],
            mem={"mt": 100, "ma": word},
            ld=[word, word, word],
            ct=word,
            net={"enP7s7": [word, word, "up", word, word]},
            ib={"rocep1s0f0": [word, word, word]},
            psi={"ms": word},
        )
    )
    assert {key for key in sample.values if not key.startswith("cage_up")} == {
        "gpu_util",
        "mem_total_bytes",
        "clock_offset_s",
    }


@pytest.mark.parametrize(
    ("cells", "key"),
    [
        ({"gpu": [{"u": 101}]}, "gpu_util"),
        ({"gpu": [{"u": 150}, {"u": 0}]}, "gpu_util"),
        ({"gpu": [{"t": 4_294_967_295}]}, "gpu_temp_c"),
        ({"gpu": [{"p": 4_294_967.295}]}, "gpu_power_w"),
        ({"ct": -273_150}, "cpu_temp_c"),
        ({"mem": {"mt": 100, "ma": 101}}, "mem_used_bytes"),
        ({"mem": {"st": 100, "sf": 101}}, "swap_used_bytes"),
        ({"df": [100, 101]}, "disk_used_bytes"),
        ({"psi": {"ms": 100.1}}, "psi_memory_some_avg10"),
        ({"net": {"enP7s7": [0, 0, "up", 1, 4_294_967_295]}}, "net_speed_gbps.enP7s7"),
        ({"net": {"enP7s7": [0, 0, "down", 0, -1]}}, "net_speed_gbps.enP7s7"),
    ],
)
def test_a_figure_that_no_machine_has_is_missing(cells: dict[str, Any], key: str) -> None:
    assert math.isnan(build(reading(0, **cells)).value(key))


def test_a_half_whose_speed_is_nonsense_leaves_the_speed_of_the_other() -> None:
    rows = {"enp1s0f0np0": [0, 0, "up", 1, 200_000], "enP2p1s0f0np0": [0, 0, "up", 1, 4_294_967_295]}
    assert build(reading(0, net=rows)).value("cage_speed_gbps.P0") == 200.0


def test_cpu_time_that_was_counted_anew_has_no_share_and_iowait_may_go_back_a_little() -> None:
    def share(after: list[int]) -> float:
        before = [1000, 0, 1000, 5000, 100, 0, 0, 0]
        return build(reading(0, cpu=before), reading(1, cpu=after)).value("cpu_util")

    assert math.isnan(share([5, 0, 5, 90_000, 0, 0, 0, 0]))
    assert math.isnan(share([1000, 0, 1000, 5000, 100, 0, 0, 0]))
    assert share([1060, 0, 1000, 5050, 90, 0, 0, 0]) == pytest.approx(0.6)


def test_a_reading_that_does_not_tell_its_boot_has_no_rate_and_time_goes_on() -> None:
    builder = SampleBuilder("n1")
    samples = []
    for at, boot in enumerate(("b1", "b1", "", "b1", "b1")):
        raw = parse(reading(at, b=boot, io=[at * 2000, 0]))
        assert isinstance(raw, RawSample)
        late_ms = 0 if boot else 700
        samples.append(builder.build(raw, NOW_MS + at * 1000 + late_ms))
    known = [not math.isnan(sample.value("disk_read_bytes_per_s")) for sample in samples]
    assert known == [False, True, False, False, True]
    assert [sample.t_ms for sample in samples] == [NOW_MS + at * 1000 for at in range(5)]


@pytest.mark.parametrize("cell", ["m", "w"])
def test_a_time_that_no_clock_shows_is_no_reading(cell: str) -> None:
    for time_s in (1e12, 2.0**64, -1.0, "12,5", None):
        assert isinstance(parse(reading(0) | {cell: time_s}), Malformed)


@given(
    st.floats(0, 1e11),
    st.lists(st.floats(0.1, 10.0), min_size=2, max_size=30),
    st.lists(st.floats(-1e9, 1e9), max_size=3),
)
def test_a_clock_of_the_node_that_jumps_leaves_times_evenly_spaced(
    wall_s: float, steps_s: list[float], jumps_s: list[float]
) -> None:
    clock = NodeClock()
    mono_s, placed, due_ms = 0.0, [], []
    jumps = dict(zip(range(1, 30, 7), jumps_s, strict=False))
    for at, step_s in enumerate(steps_s):
        mono_s += step_s
        wall_s = min(max(wall_s + step_s + jumps.get(at, 0.0), 0.0), 1e11)
        due_ms.append(NOW_MS + int(mono_s * 1000))
        placed.append(clock.place("b", mono_s, wall_s, due_ms[-1]))
    assert all(abs(found - due) <= 1000 * len(steps_s) for found, due in zip(placed, due_ms, strict=True))
    assert placed == sorted(set(placed))


@given(st.integers(130, 10**7), st.lists(st.integers(0, 5), min_size=5, max_size=30))
def test_when_our_own_clock_is_set_back_times_go_on_as_they_began(back_s: int, late_ms: list[int]) -> None:
    clock = NodeClock()
    placed = []
    for at, late in enumerate(late_ms):
        now_ms = NOW_MS + at * 1000 + late - (back_s * 1000 if at >= 3 else 0)
        placed.append(clock.place("b", float(at), 500.0 + at, now_ms))
    gaps_ms = [later - earlier for earlier, later in itertools.pairwise(placed)]
    assert all(990 <= gap_ms <= 1010 for gap_ms in gaps_ms)
    # The next boot of the node is placed by the clock as it is now.
    assert clock.place("b2", 0.0, 900.0, NOW_MS - back_s * 1000) == NOW_MS - back_s * 1000


def test_a_first_line_that_came_late_does_not_shift_the_others() -> None:
    clock = NodeClock()
    clock.place("b", 0, 100.0, NOW_MS + 20_000)
    assert clock.place("b", 30, 130.0, NOW_MS + 30_000) == NOW_MS + 30_000


def test_a_half_whose_counter_went_back_is_not_hidden_by_the_other() -> None:
    before = {"rocep1s0f0": [1_000_000, 0, ""], "roceP2p1s0f0": [0, 0, ""]}
    after = {"rocep1s0f0": [0, 0, ""], "roceP2p1s0f0": [9_000_000, 0, ""]}
    assert math.isnan(build(reading(0, ib=before), reading(1, ib=after)).value("rdma_rx_gbps.P0"))


def test_a_counter_of_rdma_that_is_not_told_makes_the_cage_unknown_and_never_half() -> None:
    builder = SampleBuilder("n1")
    raw = parse(reading(0, ib={name: [0, 0, ""] for name in DEVICES}))
    assert isinstance(raw, RawSample)
    builder.build(raw, NOW_MS)
    gone = {"rocep1s0f0": RawRdma(1e6, 0.0, ""), "roceP2p1s0f0": RawRdma(None, None, "")}
    sample = builder.build(replace(raw, monotonic_s=101.0, wall_s=1001.0, rdma=gone), NOW_MS + 1000)
    assert math.isnan(sample.value("rdma_rx_gbps.P0"))
