"""The physical model: what real use does to the readings, and what it can never do."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.simulator.machine import gb10, live_files
from sparkdesk.simulator.machine.physics import Engine, Readings, Usage, step
from sparkdesk.simulator.machine.traffic import Counts

BUSY = Usage(engines=(Engine(pid=7, name="llama-server", busy=1.0, resident_bytes=2**30),), busy_cores=1.0)
IDLE = Usage()

usages = st.builds(
    Usage,
    engines=st.lists(
        st.builds(
            Engine,
            pid=st.integers(2, 9),
            name=st.just("x"),
            busy=st.floats(0, 1),
            resident_bytes=st.integers(0, 2**38),
            declared_bytes=st.integers(0, 2**38),
            ramp_s=st.floats(0, 100),
            age_s=st.floats(0, 1000),
        ),
        max_size=3,
    ).map(tuple),
    other_bytes=st.integers(0, 2**38),
    busy_cores=st.floats(0, 20),
    received_bytes=st.integers(0, 2**40),
    cached_bytes=st.integers(0, 2**40),
)


def after(usage: Usage, seconds: float, now: Readings | None = None) -> Readings:
    """The readings after this long under one usage, in half seconds as the simulator steps."""
    now = now or Readings()
    for _tick in range(int(seconds * 2)):
        now = step(now, usage, 0.5)
    return now


def test_an_idle_spark_stays_idle() -> None:
    now = after(IDLE, 60)
    assert (now.sm_mhz, now.power_w, now.temperature_c, now.util) == (208.0, 4.0, 33.0, 0.0)
    assert now.used_kb == gb10.OS_MEMORY_KB


def test_load_brings_clock_power_and_heat_to_what_units_show() -> None:
    now = after(BUSY, 120)
    assert 60 <= now.power_w <= 87
    assert 2300 <= now.sm_mhz <= 2525
    assert 60 <= now.temperature_c <= 80


def test_heat_lags_behind_power() -> None:
    now = after(BUSY, 3)
    assert now.power_w > 60
    assert now.temperature_c < 45
    cooled = after(IDLE, 3, after(BUSY, 120))
    assert cooled.power_w < 8
    assert cooled.temperature_c > 60


def test_an_engine_that_does_nothing_is_awake_but_cool() -> None:
    now = after(Usage(engines=(Engine(pid=7, name="x", busy=0.0, resident_bytes=0),)), 30)
    assert 10 <= now.power_w <= 13
    assert now.util == 0


def test_page_cache_is_available_memory() -> None:
    now = after(Usage(cached_bytes=40 * 2**30), 1)
    assert now.available_kb == gb10.MEM_TOTAL_KB - gb10.OS_MEMORY_KB
    assert now.free_kb == now.available_kb - now.cached_kb
    assert now.cached_kb > 40 * 2**20


def test_declared_memory_grows_over_its_ramp() -> None:
    sizes = [Engine(1, "x", 0, 10, declared_bytes=1000, ramp_s=4, age_s=age).memory_bytes() for age in (0, 1, 2, 4, 9)]
    assert sizes == [10, 250, 500, 1000, 1000]


@given(st.lists(usages, min_size=1, max_size=6), st.floats(0.01, 10))
def test_readings_stay_in_their_ranges_and_counters_never_fall(steps: list[Usage], dt_s: float) -> None:
    now = Readings()
    for usage in steps:
        before, now = now, step(now, usage, dt_s)
        assert 0 <= now.util <= 1
        assert gb10.IDLE_SM_MHZ <= now.sm_mhz <= gb10.MAX_SM_MHZ
        assert gb10.IDLE_POWER_W - 1e-9 <= now.power_w <= 100
        assert math.isfinite(now.temperature_c)
        assert 0 <= now.free_kb <= now.available_kb <= gb10.MEM_TOTAL_KB
        assert now.received_bytes >= before.received_bytes
        assert now.disk_read_bytes >= before.disk_read_bytes


@given(usages)
def test_the_same_use_gives_the_same_files(usage: Usage) -> None:
    one, two = step(Readings(), usage, 0.5), step(Readings(), usage, 0.5)
    assert live_files.proc_files(one) == live_files.proc_files(two)
    assert live_files.sys_files(one) == live_files.sys_files(two)


def test_rdma_is_counted_in_words_of_four_bytes_and_packets_in_bytes_at_their_own_port() -> None:
    counts = {"enp1s0f1np1": Counts(sent_bytes=77, rdma_sent_bytes=8_000_000)}
    files = live_files.sys_files(Readings(), counts=counts)
    counters = {half.rdma: f"class/infiniband/{half.rdma}/ports/1/counters/port_xmit_data" for half in gb10.HALVES}
    assert files[counters["rocep1s0f1"]] == "2000000\n"
    assert files["class/net/enp1s0f1np1/statistics/tx_bytes"] == "77\n"
    assert {files[counters[half.rdma]] for half in gb10.HALVES if half.rdma != "rocep1s0f1"} == {"0\n"}


def test_proc_stat_counts_the_work_of_real_processes_and_all_cores() -> None:
    now = after(Usage(busy_cores=2.0), 10)
    lines = live_files.proc_files(now)["stat"].splitlines()
    assert lines[0].split()[1] == "2000"
    assert sum(line.startswith("cpu") for line in lines) == 21
    assert int(lines[0].split()[4]) == 20 * 1000 - 2000
