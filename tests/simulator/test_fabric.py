"""Real packets over the cables of simulated nodes: every shape, every fault of a cable, and counters that move."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkdesk.simulator import identity
from sparkdesk.simulator.fabric.port import device_mac, read_fault
from tests.simulator.conftest import Simulator, read_line, spawn
from tests.simulator.shape_desk import AT_ONCE, CASES, Case, Told, examine


def read_host() -> tuple[object, ...]:
    """What of this computer a simulator could have changed: its network, its mounts, its /etc."""
    etc = sorted((entry.name, entry.stat(follow_symlinks=False).st_mtime_ns) for entry in os.scandir("/etc"))
    mounts = Path("/proc/self/mountinfo").read_text()
    forwarding = Path("/proc/sys/net/ipv4/ping_group_range").read_text()
    return socket.if_nameindex(), mounts, etc, forwarding


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Told]]:
    """Every shape, looked at before, with, and after its faults; this computer is as it was."""
    home = tmp_path_factory.mktemp("shapes")
    before = read_host()
    processes = {}
    for case in CASES:
        count = ("--nodes", str(case.nodes)) if case.nodes else ()
        processes[case.shape] = spawn(home, home / case.shape, "--shape", case.shape, *count)
    try:
        simulators = {}
        for shape, process in processes.items():
            line = read_line(process)
            assert line, process.communicate()[1].decode()
            simulators[shape] = Simulator(process, json.loads(line), home / shape)
        if not all(simulator.line["packets"] for simulator in simulators.values()):
            pytest.skip(f"no real cables here: {simulators['pair'].line['packets_reason']}")
        yield asyncio.run(examine_all(simulators))
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait(timeout=30)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
    assert read_host() == before


async def examine_all(simulators: dict[str, Simulator]) -> dict[str, Told]:
    """All clusters, as many at a time as a small computer bears."""
    gate, alone = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
    found = await asyncio.gather(*(examine(case, simulators[case.shape], gate, alone) for case in CASES))
    return {case.shape: one for case, one in zip(CASES, found, strict=True)}


def name_of(case: Case) -> str:
    return case.shape


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_shape_is_recognised_from_real_packets(told: dict[str, Told], case: Case) -> None:
    found = told[case.shape]
    assert found.rounds[0].shape == case.kind
    assert found.cables(0) == case.cables
    assert found.problems(0) == case.problems


@pytest.mark.parametrize("case", [case for case in CASES if case.faults], ids=name_of)
def test_faults_of_cables_are_found_and_clear(told: dict[str, Told], case: Case) -> None:
    found = told[case.shape]
    assert (found.rounds[1].shape, found.problems(1)) == (case.faulty_kind, case.faulty_problems)
    assert (found.rounds[2].shape, found.cables(2), found.problems(2)) == (case.kind, case.cables, case.problems)
    assert (found.strangers(1), found.strangers(2)) == (case.strangers, ())


def test_storage_is_known_by_the_mac_that_answers_and_by_its_name(told: dict[str, Told]) -> None:
    cable = told["single"].rounds[1].cable_at((identity.name_of(1), "P0"))
    assert cable is not None
    assert cable.stranger is not None
    assert cable.stranger.mac == device_mac(read_fault("storage", 1, "P0", ()))
    assert cable.stranger.name == "storage-1"
