"""Each judge finds what it is for, tells figures and a remedy, and says nothing about what it cannot know."""

from __future__ import annotations

import pytest

from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.findings.concern import Severity
from sparkdesk.core.findings.judge_cage import moved_from
from sparkdesk.core.findings.standing import Standings
from sparkdesk.core.findings.table import URGENT_JUDGES, judge_one
from sparkdesk.core.findings.view import CageRecord
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.probes.check import CheckUp, Finding, Verdict
from sparkdesk.core.probes.finding import NO_STEP
from sparkdesk.core.step import Run, Wait
from tests.core.findings.nodes import (
    GB,
    GIB,
    HEALTHY,
    NAN,
    NOW_MS,
    Value,
    concerns_of,
    known_of,
    make_details,
    make_job,
    make_node,
    make_past,
    stop_plan,
)


def test_healthy_nodes_raise_nothing() -> None:
    assert concerns_of(make_node("n1"), make_node("n2"), make_node("n3")) == {}
    assert concerns_of(make_node()) == {}


READINGS: dict[str, tuple[dict[str, Value], str, Severity, str]] = {
    "slow state": ({"gpu_sm_clock_mhz": 640.0}, "slow-state/n1/", Severity.CRIT, "640 MHz"),
    "slow clock": ({"gpu_sm_clock_mhz": 1300.0}, "slow-state/n1/", Severity.WARN, "1300 MHz"),
    "power cap": ({"gpu_power_capped": 0.6}, "power-capped/n1/", Severity.NOTE, "60 %"),
    "power cap, slow": (
        {"gpu_power_capped": 0.6, "gpu_sm_clock_mhz": 1200.0}, "power-capped/n1/", Severity.WARN, "1200 MHz"
    ),
    "heat": ({"gpu_temp_c": 96.0}, "temperature/n1/", Severity.CRIT, "96 °C"),
    "disk": ({"disk_used_bytes": 3900 * GB}, "disk-space/n1/", Severity.NOTE, "100 of 4000 GB"),
    "full disk": ({"disk_used_bytes": 4000 * GB}, "disk-space/n1/", Severity.CRIT, "0 of 4000 GB"),
    "pressure": ({"psi_memory_full_avg10": 0.04}, "memory-pressure/n1/", Severity.WARN, "4.0 %"),
    "swap": ({"swap_used_bytes": 6 * GIB}, "swap/n1/", Severity.WARN, "6.0 GiB"),
    "page cache": ({"mem_page_cache_bytes": 57 * GIB}, "page-cache/n1/", Severity.NOTE, "57.0 GiB more"),
    "half": ({"cage_up.P1": 1.0, "cage_speed_gbps.P1": 200.0}, "link/n1/P1", Severity.WARN, "1 of 2 halves"),
    "slow line": ({"cage_speed_gbps.P1": 100.0}, "link/n1/P1", Severity.WARN, "100 of 200 Gb/s"),
}  # fmt: skip


@pytest.mark.parametrize("name", READINGS)
def test_what_readings_tell_becomes_a_concern_with_its_figures(name: str) -> None:
    readings, key, severity, words = READINGS[name]
    concern = concerns_of(make_node("n1", readings))[key]
    assert concern.severity is severity
    assert words in concern.evidence
    assert concern.remedy
    assert concern.title
    assert key not in concerns_of(make_node("n1"))


@pytest.mark.parametrize("name", READINGS)
def test_a_reading_that_is_missing_is_neither_good_nor_bad(name: str) -> None:
    readings, key, _, _ = READINGS[name]
    silent = make_node("n1", dict.fromkeys(HEALTHY, NAN))
    assert known_of(silent)[key] is False
    assert concerns_of(silent) == {}
    old = make_past({**HEALTHY, **readings}, span_s=0)
    assert key not in concerns_of(make_node("n1", past=old, cages={}))


def test_an_idle_gpu_says_nothing_about_its_clock() -> None:
    idle = make_node("n1", {"gpu_util": 0.01, "gpu_sm_clock_mhz": 208.0})
    assert concerns_of(idle) == {}
    assert known_of(idle)["slow-state/n1/"] is False


def test_a_clock_is_taken_from_the_moments_under_load_alone() -> None:
    def is_loaded(age_s: float) -> bool:
        return age_s % 4 < 2

    readings: dict[str, Value] = {
        "gpu_util": lambda age_s: 0.9 if is_loaded(age_s) else 0.0,
        "gpu_sm_clock_mhz": lambda age_s: 2400.0 if is_loaded(age_s) else 208.0,
    }
    assert concerns_of(make_node("n1", readings)) == {}


def test_a_slow_clock_is_seen_between_idle_moments() -> None:
    readings: dict[str, Value] = {
        "gpu_util": lambda age_s: 0.9 if age_s % 4 < 1 else 0.0,
        "gpu_sm_clock_mhz": lambda age_s: 640.0 if age_s % 4 < 1 else 208.0,
    }
    assert "640 MHz" in concerns_of(make_node("n1", readings))["slow-state/n1/"].evidence


@pytest.mark.parametrize("name", READINGS)
def test_readings_that_are_old_or_too_few_tell_nothing(name: str) -> None:
    readings, key, _, _ = READINGS[name]
    gone: dict[str, Value] = {
        each: lambda age_s, value=value: NAN if age_s < 61 else value  # type: ignore[misc]
        for each, value in {**HEALTHY, **readings}.items()
        if not callable(value)
    }
    assert concerns_of(make_node("n1", gone)) == {}
    if not key.startswith("link"):  # a carrier is a state: its newest reading is it
        few = make_past({**HEALTHY, **readings}, span_s=5)
        assert key not in concerns_of(make_node("n1", past=few))


def test_one_bad_moment_is_no_concern() -> None:
    readings: dict[str, Value] = {"gpu_sm_clock_mhz": lambda age_s: 640.0 if age_s < 4 else 2418.0}
    assert concerns_of(make_node("n1", readings)) == {}


def test_the_drivers_counter_speaks_where_samples_do_not() -> None:
    node = make_node("n1", {"gpu_power_capped": NAN}, power_capped=0.8)
    assert "80 %" in concerns_of(node)["power-capped/n1/"].evidence


def test_the_page_cache_is_a_warning_while_a_model_loads() -> None:
    readings: dict[str, Value] = {"mem_page_cache_bytes": 57 * GIB}
    node = make_node("n1", readings, jobs=(make_job("a", 1, JobState.LOADING),))
    concern = concerns_of(node)["page-cache/n1/"]
    assert concern.severity is Severity.WARN
    assert concern.fix is not None


def test_details_tell_of_lanes_driver_kernel_and_restart() -> None:
    details = make_details(width=2, driver="590.44.01", kernel="7.0.0-1019-nvidia", needs_reboot=True)
    found = concerns_of(make_node("n1", details=details))
    assert set(found) == {"pcie-width/n1/", "driver-branch/n1/", "kernel-signature/n1/", "reboot-required/n1/"}
    assert "2 lanes" in found["pcie-width/n1/"].evidence
    assert found["reboot-required/n1/"].severity is Severity.NOTE
    unknown = make_node("n1", details=None)
    assert concerns_of(unknown) == {}
    assert not any(known_of(unknown)[key] for key in found)


def test_a_check_up_counts_for_what_is_not_asked_all_the_time() -> None:
    rows = (
        Finding("docker-daemon", "n1", "Docker runs", Verdict.FAIL, "docker does not run", meaning="m", remedy="r"),
        Finding("disk-space", "n1", "Disk space", Verdict.FAIL, "0 of 1 GB are free", remedy="r"),
        Finding("clock-skew", "n1", "Clock", Verdict.UNREAD, "not read", remedy="r"),
        Finding("failed-units", "n1", "System services", Verdict.PASS, "No service has failed"),
    )
    node = make_node("n1", check_up=CheckUp("n1", "done", 1, rows))
    (concern,) = concerns_of(node).values()
    assert concern.id == "docker-daemon/n1/"
    assert "until the doctor is run again" in concern.remedy
    assert known_of(node)["clock-skew/n1/"] is False
    assert known_of(node)["failed-units/n1/"] is True


# Cages ---------------------------------------------------------------------------------------------------------------

DOWN: dict[str, Value] = {"cage_up.P1": 0.0, "cage_speed_gbps.P1": NAN}


def test_a_link_that_was_there_is_missed() -> None:
    node = make_node("n1", DOWN, best_cages={"P1": CageRecord(2, 200.0)})
    assert "200 Gb/s are expected" in concerns_of(node)["link/n1/P1"].evidence


def test_a_link_that_the_other_nodes_have_is_missed_and_one_that_nobody_has_is_not() -> None:
    others = (make_node("n2"), make_node("n3"))
    assert set(concerns_of(make_node("n1", DOWN), *others)) == {"link/n1/P1"}
    assert concerns_of(make_node("n1", DOWN)) == {}
    assert concerns_of(make_node("n1", DOWN), make_node("n2", DOWN)) == {}


def test_a_cage_that_differs_and_works_at_full_speed_is_a_note() -> None:
    other_cage: dict[str, Value] = {**DOWN, "cage_up.P0": 2.0, "cage_speed_gbps.P0": 200.0}
    found = concerns_of(make_node("n1", other_cage), make_node("n2"), make_node("n3"))
    assert {key: concern.severity for key, concern in found.items()} == {"link/n1/P0": Severity.NOTE}


def test_a_slow_cage_that_differs_is_a_warning() -> None:
    slow: dict[str, Value] = {**DOWN, "cage_up.P0": 2.0, "cage_speed_gbps.P0": 100.0}
    found = concerns_of(make_node("n1", slow), make_node("n2"), make_node("n3"))
    assert {key: concern.severity for key, concern in found.items()} == {"link/n1/P0": Severity.WARN}


def test_a_cage_that_leads_to_another_device_is_a_note() -> None:
    for readings in ({"cage_speed_gbps.P1": 100.0}, {"cage_up.P1": 1.0}):
        (concern,) = concerns_of(make_node("n1", readings, foreign_cages=frozenset({"P1"}))).values()
        assert (concern.severity, concern.cost) == (Severity.NOTE, "")


WHOLE, NONE, HALF = CageRecord(2, 200.0), CageRecord(0, 0.0), CageRecord(1, 200.0)


@pytest.mark.parametrize(
    ("known", "now", "left"),
    [
        ({"P0": WHOLE}, {"P0": NONE, "P1": WHOLE}, "P0"),
        ({"P1": WHOLE, "P0": NONE}, {"P0": WHOLE, "P1": NONE}, "P1"),
        ({"P0": WHOLE}, {"P0": NONE, "P1": HALF}, None),
        ({"P0": WHOLE}, {"P1": WHOLE}, None),
        ({"P0": WHOLE, "P1": WHOLE}, {"P0": NONE, "P1": WHOLE}, None),
        ({"P0": WHOLE}, {"P0": WHOLE, "P1": WHOLE}, None),
        ({}, {"P0": NONE, "P1": WHOLE}, None),
    ],
)
def test_a_cable_that_was_moved_to_the_other_cage_is_not_missed(
    known: dict[str, CageRecord], now: dict[str, CageRecord], left: str | None
) -> None:
    assert moved_from(known, now) == left


# About to wedge ------------------------------------------------------------------------------------------------------


def falling(now_gib: float, gib_per_s: float) -> Value:
    return lambda age_s: (now_gib + gib_per_s * age_s) * GIB


@pytest.mark.parametrize(
    ("readings", "is_wedging"),
    [
        ({"mem_available_bytes": falling(5, 0.2)}, True),
        ({"mem_available_bytes": falling(5, 0.02)}, False),
        ({"mem_available_bytes": falling(9, 0.3)}, False),
        ({"mem_available_bytes": falling(9, 0.3), "psi_memory_some_avg10": 0.2}, True),
        ({"mem_available_bytes": falling(40, 3.0), "psi_memory_some_avg10": 0.2}, False),
        ({"mem_available_bytes": falling(5, -1.0)}, False),
        ({"mem_available_bytes": 1.5 * GIB}, True),
        ({"mem_available_bytes": 6 * GIB, "psi_memory_full_avg10": 0.3}, True),
        ({"mem_available_bytes": 6 * GIB}, False),
    ],
)
def test_a_node_that_runs_out_of_memory_is_told_in_time_and_only_then(
    readings: dict[str, Value], is_wedging: bool
) -> None:
    found = concerns_of(make_node("n1", readings))
    assert ("wedge/n1/" in found) is is_wedging
    if is_wedging:
        assert found["wedge/n1/"].severity is Severity.CRIT


def test_it_offers_to_stop_the_newest_job_that_is_ours() -> None:
    jobs = (make_job("old", 1), make_job("new", 2), make_job("another account's", 3))
    plans = {"old": stop_plan("old"), "new": stop_plan("new")}
    node = make_node("n1", {"mem_available_bytes": falling(5, 0.2)}, jobs=jobs, stop_plans=plans)
    concern = concerns_of(node)["wedge/n1/"]
    assert concern.fix == plans["new"]
    assert concern.job_id == "new"
    assert "model new" in concern.remedy
    assert "5.0 GiB" in concern.evidence
    assert "full in 20 s" in concern.evidence
    last = concerns_of(make_node("n1", {"mem_available_bytes": falling(1, 0.2)}))["wedge/n1/"]
    assert "within seconds" in last.evidence
    assert "0 s" not in last.evidence


def test_the_alarm_goes_at_once_when_memory_is_plainly_back_and_else_says_what_there_is() -> None:
    standings = Standings()

    def look(available_gib: float, second: int) -> str:
        node = make_node("n1", {"mem_available_bytes": available_gib * GIB})
        standings.take(judge_one(node, (node,), URGENT_JUDGES), NOW_MS + 1000 * second)
        return "; ".join(one.evidence for one in standings.concerns)

    assert [look(1.0, second) for second in (0, 2)] == ["", "1.0 GiB of memory is left"]
    assert "6.0 GiB" in look(6.0, 4)
    assert look(118.0, 6) == ""


# Versions ------------------------------------------------------------------------------------------------------------


def test_a_driver_that_differs_is_told_with_each_nodes_version() -> None:
    other = make_node("n2", details=make_details("n2", driver="580.95.05"))
    (concern,) = concerns_of(make_node("n1"), other).values()
    assert concern.id == "differs//driver"
    assert concern.severity is Severity.WARN
    assert concern.evidence == "spark-n1 580.142, spark-n2 580.95.05"


def test_a_node_whose_version_is_not_known_neither_differs_nor_agrees() -> None:
    silent = make_node("n2", details=None)
    assert concerns_of(make_node("n1"), silent) == {}
    assert known_of(make_node("n1"), silent)["differs//driver"] is False
    other = make_node("n3", details=make_details("n3", driver="580.95.05"))
    assert "differs//driver" in concerns_of(make_node("n1"), silent, other)
    assert known_of(make_node("n1"))["differs//driver"] is True


@pytest.mark.parametrize("sign", ["net_carrier", "net_rx_gbps"])
def test_the_half_that_has_lost_its_link_is_brought_up_and_waited_for(sign: str) -> None:
    """One that is switched off tells no carrier at all, only its counters."""
    up, down = CAGE_NETDEVS["P1"]
    readings: dict[str, Value] = {"cage_up.P1": 1.0, f"net_carrier.{up}": 1.0, f"{sign}.{down}": 0.0}
    concern = concerns_of(make_node(readings=readings))["link/n1/P1"]
    assert "100 of 200 Gb/s" in concern.cost
    assert down in concern.evidence
    assert concern.fix is not None
    (step,) = concern.fix.steps()
    (run,), (wait,) = step.apply, step.verify
    assert isinstance(run, Run)
    assert isinstance(wait, Wait)
    assert (run.as_root, run.command.argv) == (True, ("ip", "link", "set", "dev", down, "up"))
    assert wait.command.argv == ("cat", f"/sys/class/net/{down}/carrier")
    unknown = concerns_of(make_node(readings={"cage_up.P1": 1.0}))["link/n1/P1"]
    assert unknown.fix is None
    assert unknown.remedy.startswith(NO_STEP)


def test_swap_is_mended_by_what_the_last_check_up_read() -> None:
    swapped: dict[str, Value] = {"swap_used_bytes": 6 * GIB}
    assert concerns_of(make_node(readings=swapped))["swap/n1/"].fix is None
    fix = stop_plan("swapping")
    found = Finding("swap", "n1", "Swap", Verdict.WARN, "used", remedy="r", fix=fix)
    checked = make_node(readings=swapped, check_up=CheckUp("n1", "done", NOW_MS, (found,)))
    assert concerns_of(checked)["swap/n1/"].fix is fix
