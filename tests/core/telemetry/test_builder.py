"""Samples are made of readings in the right units, and a rate only of two readings that belong together."""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.cluster.port import PortState
from sparkdesk.core.telemetry.builder import SampleBuilder
from sparkdesk.core.telemetry.cage import ports_of
from sparkdesk.core.telemetry.metric import find_metric
from sparkdesk.core.telemetry.probe import RawInterface, RawRdma, RawSample
from sparkdesk.core.telemetry.sample import GpuProcess, Sample

GIB = 2**30


def reading(second: float = 0.0, boot_id: str = "b1") -> RawSample:
    """A node under a steady load: everything that counts grows with the time."""
    words = 1_000_000_000.0 * second
    up = RawInterface(125_000_000.0 * second, 0.0, "up", 1.0, 200_000.0)
    return RawSample(
        sequence=int(second),
        boot_id=boot_id,
        monotonic_s=50.0 + second,
        wall_s=1_000.0 + second,
        cpu_jiffies=(25.0 * second, 0.0, 25.0 * second, 40.0 * second, 10.0 * second, 0.0, 0.0, 0.0),
        loads=(1.0, 2.0, 3.0),
        memory_kb={"mt": 128 * 2**20, "ma": 100 * 2**20, "ca": 20 * 2**20, "bu": 0.0, "sr": 0.0, "sh": 2**20},
        pressure_percent={"ms": 25.0},
        cpu_temp_mc=51_000.0,
        disk_sectors=(2000.0 * second, 0.0),
        interfaces={"enp1s0f0np0": up, "enP2p1s0f0np0": up, "enP7s7": replace(up, speed_mbps=10_000.0)},
        rdma={"rocep1s0f0": RawRdma(words, 0.0, "4: ACTIVE"), "roceP2p1s0f0": RawRdma(words, 0.0, "4: ACTIVE")},
        gpus=({"u": 50.0, "t": 60.0, "p": 40.5, "c": 2400.0, "cm": 3003.0, "vp": 4e8 * second},),
        processes=(GpuProcess(1, "a", GIB), GpuProcess(2, "b", None)),
    )


def build(*readings: RawSample) -> Sample:
    builder = SampleBuilder("n1")
    samples = [builder.build(raw, 5_000_000 + int(raw.monotonic_s * 1000)) for raw in readings]
    return samples[-1]


def test_units_are_those_of_the_metric_table() -> None:
    sample = build(reading())
    assert sample.value("gpu_util") == 0.5
    assert sample.value("gpu_power_w") == 40.5
    assert sample.value("cpu_temp_c") == 51.0
    assert sample.value("mem_used_bytes") == 28 * GIB
    assert sample.value("mem_page_cache_bytes") == 19 * GIB
    assert sample.value("psi_memory_some_avg10") == 0.25
    assert sample.value("gpu_process_bytes") == GIB
    assert sample.value("net_speed_gbps.enP7s7") == 10.0
    assert all(find_metric(key) for key in sample.values)


def test_the_first_sample_has_no_rates_and_what_is_missing_is_nan() -> None:
    sample = build(reading())
    for key in ("cpu_util", "net_rx_gbps.enP7s7", "rdma_rx_gbps.P0", "cage_rx_gbps.P0", "disk_read_bytes_per_s"):
        assert math.isnan(sample.value(key))
        assert key not in sample.values
    assert math.isnan(build(replace(reading(), memory_kb={}, gpus=())).value("gpu_util"))


def test_rates_come_from_two_readings_and_words_are_four_bytes() -> None:
    sample = build(reading(0), reading(1))
    assert sample.value("cpu_util") == 0.5
    assert sample.value("disk_read_bytes_per_s") == 2000 * 512
    assert sample.value("net_rx_gbps.enP7s7") == 1.0
    # Two halves, 10^9 words of 4 bytes a second each.
    assert sample.value("rdma_rx_gbps.P0") == 64.0
    assert sample.value("cage_rx_gbps.P0") == 66.0
    assert sample.value("gpu_power_capped") == 0.4
    assert math.isnan(sample.value("rdma_rx_gbps.P1"))


def test_no_rate_across_a_reboot_a_set_clock_a_lost_minute_or_a_reading_that_came_twice() -> None:
    for second in (
        reading(1, boot_id="b2"),
        replace(reading(1), wall_s=1_000_000.0),
        reading(60),
        reading(0),
    ):
        sample = build(reading(0), second)
        assert math.isnan(sample.value("cpu_util"))
        assert math.isnan(sample.value("net_rx_gbps.enP7s7"))
        assert sample.value("gpu_util") == 0.5


def test_a_counter_that_went_back_has_no_rate_and_the_others_have() -> None:
    torn = replace(reading(2), rdma={**reading(2).rdma, "rocep1s0f0": RawRdma(3.0, 0.0, "4: ACTIVE")})
    sample = build(reading(1), torn)
    assert math.isnan(sample.value("rdma_rx_gbps.P0"))
    assert math.isnan(sample.value("cage_rx_gbps.P0"))
    assert sample.value("rdma_tx_gbps.P0") == 0.0
    assert sample.value("net_rx_gbps.enP7s7") == 1.0


def test_a_counter_that_leaps_beyond_any_hardware_has_no_rate() -> None:
    leap = replace(reading(1), rdma={"rocep1s0f0": RawRdma(1e18, 0.0, "")})
    assert math.isnan(build(reading(0), leap).value("rdma_rx_gbps.P0"))


def test_cages_are_up_degraded_down_or_unknown() -> None:
    down = RawInterface(None, None, "down", 0.0, None)
    halves = reading().interfaces
    states = {
        "both halves": halves,
        "one half": {**halves, "enP2p1s0f0np0": down},
        "no cable": {"enp1s0f0np0": down, "enP2p1s0f0np0": down},
        "nothing said": {},
        "half the speed": {key: replace(value, speed_mbps=100_000.0) for key, value in halves.items()},
    }
    found = {name: ports_of(build(replace(reading(), interfaces=rows)))[0].state for name, rows in states.items()}
    assert found == {
        "both halves": PortState.UP,
        "one half": PortState.DEGRADED,
        "no cable": PortState.DOWN,
        "nothing said": PortState.UNKNOWN,
        "half the speed": PortState.DEGRADED,
    }
