"""Findings appear, can be accepted, and clear; an acceptance outlives the program and ends with its evidence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.topology import Cable, LookState, Stranger, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.findings.concern import Severity
from sparkdesk.services.findings import ACCEPTED
from sparkdesk.services.telemetry import PulseState
from sparkdesk.services.wait import wait_for_value
from tests.core.findings.nodes import make_details
from tests.services.findings_desk import CLUSTER, OTHER, FindingsDesk

DISK = "disk-space/n1/"
LINK = "link/n1/P1"
Begin = Callable[[], Awaitable[FindingsDesk]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Start the program, also again over the same folder after `close`."""
    desks: list[FindingsDesk] = []

    async def start() -> FindingsDesk:
        desk = FindingsDesk(tmp_path)
        desks.append(desk)
        await desk.open()
        return desk

    yield start
    await desks[-1].close()


async def test_a_full_disk_appears_and_clears(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(60)
    assert desk.found == {}
    desk.pass_by(15, free_gb=50.0)
    assert desk.found == {}
    desk.pass_by(25, free_gb=50.0)
    assert desk.found[DISK].severity is Severity.NOTE
    assert "50 of 4000 GB" in desk.found[DISK].evidence
    desk.pass_by(60)
    assert desk.found == {}


async def test_a_node_that_falls_silent_keeps_what_it_had_and_gets_nothing(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(60, free_gb=50.0)
    desk.telemetry.feed("n1").tell(PulseState.STALE, "No telemetry", "Wait.")
    before = desk.found
    desk.wait_in_silence(600)
    assert desk.found == before
    assert set(before) == {DISK}


async def test_what_had_only_begun_when_a_node_fell_silent_does_not_appear(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(60)
    desk.pass_by(15, free_gb=50.0)
    desk.telemetry.feed("n1").tell(PulseState.STALE, "No telemetry", "Wait.")
    desk.wait_in_silence(600)
    assert desk.found == {}


async def test_what_the_cables_tell_is_among_the_findings(begin: Begin) -> None:
    desk = await begin()
    mtu = Problem("mtu-mismatch", "warn", "n1", "P1", "1500 here, 9000 there", "Give both the same.")
    desk.topology.set(Topology(problems=(mtu,), state=LookState.DONE))
    desk.findings.look()
    assert set(desk.found) == {"mtu-mismatch/n1/P1"}
    desk.topology.set(Topology(state=LookState.FAILED))
    desk.findings.look()
    assert set(desk.found) == {"mtu-mismatch/n1/P1"}
    desk.topology.set(Topology(state=LookState.DONE))
    desk.findings.look()
    assert desk.found == {}


async def test_a_link_that_was_seen_is_missed_after_a_restart_of_the_program_too(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(5)
    desk.pass_by(20, up=0.0)
    assert "200 Gb/s are expected" in desk.found[LINK].evidence
    await wait_until_idle(desk)
    await desk.close()
    desk = await begin()
    desk.pass_by(20, up=0.0)
    assert set(desk.found) == {LINK}
    await desk.findings.forget("n1")
    desk.pass_by(20, up=0.0)
    assert desk.found == {}


async def test_a_cable_that_the_cluster_was_set_up_with_and_that_was_never_there_is_found(tmp_path: Path) -> None:
    desk = FindingsDesk(tmp_path)
    await desk.open(replace(CLUSTER, shape="pair"))
    try:
        desk.topology.set(Topology(state=LookState.DONE, rank_order=("n1", "n2"), seen_ms=1))
        for _ in range(20):
            desk.pass_by(1, "n1", up=0.0)
            desk.pass_by(1, "n2", up=0.0)
        assert desk.found["missing-cable/n1/P0"].severity is Severity.WARN
        await desk.findings.accept("missing-cable/n1/P0", "none was bought")
        assert desk.found["missing-cable/n1/P0"].is_accepted
        for _ in range(20):
            desk.pass_by(1, "n1")
            desk.pass_by(1, "n2")
        assert desk.found == {}
        await wait_until_idle(desk)
    finally:
        await desk.close()


async def test_a_cable_that_was_moved_to_the_other_cage_is_not_missed(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(20)
    desk.pass_by(30, up=0.0, up_p0=1.0)
    assert desk.found == {}
    await wait_until_idle(desk)
    assert list(await desk.store.documents("cage_record")) == ["n1/P0"]
    desk.pass_by(30, up=0.0, up_p0=0.0)
    assert set(desk.found) == {"link/n1/P0"}


async def test_half_a_cable_to_storage_is_a_note_and_to_somebody_unknown_a_warning(begin: Begin) -> None:
    desk = await begin()
    for kind, severity in (("unknown", Severity.WARN), ("device", Severity.NOTE)):
        other = Cable("n1:P1-other", ("n1", "P1"), stranger=Stranger("02:00:00:00:00:01", kind=kind))
        desk.topology.set(Topology(cables=(other,), state=LookState.DONE))
        desk.pass_by(30, up_second=0.0)
        assert desk.found[LINK].severity is severity


async def test_a_node_is_heard_when_its_readings_go_far_enough_back(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(10)
    assert desk.findings.heard.value == frozenset()
    desk.pass_by(40)
    assert desk.findings.heard.value == {"n1"}
    desk.telemetry.feed("n1").tell(PulseState.STALE, "No telemetry", "Wait.")
    desk.findings.look()
    assert desk.findings.heard.value == frozenset()


async def test_a_restart_ends_the_slow_state_that_an_idle_gpu_would_not_clear(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(60, clock_mhz=640.0, gpu_percent=95.0)
    assert set(desk.found) == {"slow-state/n1/"}
    desk.pass_by(60, clock_mhz=208.0, gpu_percent=0.0)
    assert set(desk.found) == {"slow-state/n1/"}
    desk.pass_by(5, clock_mhz=208.0, gpu_percent=0.0, boot_id="b2")
    assert desk.found == {}


async def test_what_is_known_in_detail_is_read_again_each_hour(begin: Begin) -> None:
    desk = await begin()
    desk.know()
    desk.details.details.set({"n1": make_details("n1", t_ms=desk.clock.now_ms())})
    desk.pass_by(5)
    assert not any("_refresh" in name for name in desk.tasks.names)
    desk.clock.moved_ms += 3_600_000
    desk.pass_by(2)
    assert [name for name in desk.tasks.names if "_refresh" in name] != []


async def wait_until_idle(desk: FindingsDesk) -> None:
    """Until what was begun in the background has been kept."""
    async with asyncio.timeout(10):
        while any("_save_cage" in name or "_drop" in name for name in desk.tasks.names):
            await asyncio.sleep(0.01)


async def test_an_acceptance_survives_a_restart_and_ends_when_the_evidence_changes(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(60, free_gb=50.0)
    await desk.findings.accept(DISK, "a small disk")
    assert (desk.found[DISK].is_accepted, desk.found[DISK].note) == (True, "a small disk")
    await desk.close()

    desk = await begin()
    desk.pass_by(60, free_gb=60.0)
    assert (desk.found[DISK].is_accepted, desk.found[DISK].note) == (True, "a small disk")
    desk.pass_by(60, free_gb=5.0)
    assert (desk.found[DISK].severity, desk.found[DISK].is_accepted) == (Severity.CRIT, False)
    await wait_until_idle(desk)
    assert await desk.store.documents(ACCEPTED) == {}
    await desk.close()

    desk = await begin()
    desk.pass_by(60, free_gb=50.0)
    assert not desk.found[DISK].is_accepted


async def test_an_acceptance_can_be_taken_back_and_what_is_gone_cannot_be_accepted(begin: Begin) -> None:
    desk = await begin()
    desk.pass_by(60, free_gb=50.0)
    await desk.findings.accept(DISK, "")
    await desk.findings.unaccept(DISK)
    await desk.findings.unaccept(DISK)
    assert not desk.found[DISK].is_accepted
    with pytest.raises(SettingsError) as caught:
        await desk.findings.accept(LINK, "")
    assert caught.value.remedy


async def test_the_worst_comes_first_and_what_was_accepted_last(begin: Begin) -> None:
    desk = await begin()
    desk.know(make_details("n1", needs_reboot=True), make_details("n2", driver="580.95.05"))
    desk.pass_by(60, free_gb=5.0)
    order = [concern.id for concern in desk.findings.findings.value]
    assert order == [DISK, "differs//driver", "reboot-required/n1/"]
    await desk.findings.accept(DISK, "")
    assert desk.findings.findings.value[-1].id == DISK


async def test_another_cluster_has_its_own_findings_and_acceptances(begin: Begin) -> None:
    desk = await begin()
    here = (make_details("n1"), make_details("n2", driver="580.95.05"))
    desk.know(*here)
    desk.findings.look()
    await desk.findings.accept("differs//driver", "on purpose")
    await desk.inventory.open(OTHER)
    desk.findings.look()
    assert desk.found == {}
    desk.know(*here, make_details("n8"), make_details("n9", driver="580.95.05"))
    desk.findings.look()
    assert not desk.found["differs//driver"].is_accepted
    await desk.inventory.open(CLUSTER)
    desk.findings.look()
    assert desk.found["differs//driver"].note == "on purpose"


async def test_a_node_that_was_restarted_is_read_again(begin: Begin) -> None:
    desk = await begin()
    desk.know()
    await wait_for_value(desk.inventory.nodes, lambda nodes: all(node.is_live for node in nodes), timeout_s=90)
    before = desk.details.details.value["n1"]
    desk.pass_by(3)
    assert not any("_refresh" in name for name in desk.tasks.names)
    desk.pass_by(1, boot_id="b2")
    await wait_for_value(desk.details.details, lambda known: known["n1"] != before, timeout_s=90)


async def test_it_looks_by_itself_and_tells_only_what_is_news(begin: Begin) -> None:
    desk = await begin()
    desk.know(make_details("n1"), make_details("n2", driver="580.95.05"))
    told: list[object] = []
    desk.findings.findings.subscribe(told.append)
    desk.tasks.start(desk.findings.run)
    await wait_for_value(desk.findings.findings, lambda found: bool(found), timeout_s=90)
    for _ in range(5):
        desk.findings.look()
    assert len(told) == 2


async def test_what_was_kept_and_is_damaged_is_left_out(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    desk = await begin()
    await desk.store.save_document(ACCEPTED, f"c1 {DISK}", b'{"severity": "huge"}')
    await desk.store.save_document("cage_record", "n1/P1", b"[]")
    await desk.close()
    desk = await begin()
    desk.pass_by(60, free_gb=50.0)
    assert not desk.found[DISK].is_accepted
