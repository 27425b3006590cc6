"""Every kind of finding appears, is accepted over a restart of the program, comes back when it changes, and clears."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.probes.check import CheckUp, Finding, Verdict
from sparkdesk.core.telemetry.probe import RawInterface, RawSample
from tests.core.findings.nodes import GB, make_details
from tests.services.findings_desk import CLUSTER, FindingsDesk

GIB_KB = 2**20
P0, P1 = ("enp1s0f0np0", "enP2p1s0f0np0"), ("enp1s0f1np1", "enP2p1s0f1np1")
SETTLE_S = 100
"""Longer than the longest span that is judged (60 s), and than what has to last."""
PERIOD_S = 2


@dataclass(frozen=True)
class State:
    """What a node tells."""

    clock_mhz: float = 2400.0
    heat_c: float = 70.0
    capped: float = 0.0
    """Share of the time at the power cap."""
    available_gib: float = 60.0
    cache_gib: float = 4.0
    swapped_gib: float = 0.0
    full_percent: float = 0.0
    free_gb: float = 3000.0
    halves: tuple[int, int] = (0, 2)
    """Halves with a link, by cage."""
    speed_gbps: float = 200.0


WELL = State()
ILL = {
    "n1": State(clock_mhz=1300.0, heat_c=90.0, free_gb=60.0, swapped_gib=3.0, full_percent=4.0, halves=(0, 1)),
    "n2": State(capped=0.6, speed_gbps=100.0, cache_gib=55.0),
    "n3": State(available_gib=1.5, halves=(2, 0)),
}
WORSE = {
    "n1": State(clock_mhz=640.0, heat_c=97.0, free_gb=5.0, swapped_gib=9.0, full_percent=20.0, speed_gbps=100.0),
    "n2": State(clock_mhz=1200.0, capped=0.6, speed_gbps=40.0, cache_gib=55.0),
    "n3": State(available_gib=1.5, halves=(2, 0)),
}
NODES = tuple(ILL)
CABLES = (
    Problem("mtu-mismatch", "warn", "n1", "P1", "1500 here, 9000 there", "Give both the same."),
    Problem("subnet-mismatch", "warn", "n2", "P1", "10.0.1.0/24, nobody else is in", "Give it another address."),
    Problem("one-way", "crit", "n2", "P0", "nothing arrives", "Change the cable."),
    Problem("rdma-inactive", "warn", "n3", "P0", "roceP2p1s0f0 is not active", "Restart both nodes."),
)
CHECKED = Finding("docker-daemon", "n1", "Docker runs", Verdict.FAIL, "docker does not run", meaning="m", remedy="r")

CHANGE = frozenset(
    {
        "slow-state/n1/", "temperature/n1/", "disk-space/n1/", "swap/n1/", "memory-pressure/n1/", "link/n1/P1",
        "power-capped/n2/", "link/n2/P1", "pcie-width/n1/", "driver-branch/n2/", "kernel-signature/n2/",
        "differs//driver", "differs//kernel", "mtu-mismatch/n1/P1", "subnet-mismatch/n2/P1",
    }
)  # fmt: skip
"""Ids whose evidence the second stage changes."""
STAY = frozenset(
    {
        "page-cache/n2/", "wedge/n3/", "memory-pressure/n3/", "link/n3/P0", "reboot-required/n1/", "differs//dgx_os",
        "one-way/n2/P0", "rdma-inactive/n3/P0", "docker-daemon/n1/",
    }
)  # fmt: skip


class Rack:
    """Three nodes over a desk; they tell what `states` says."""

    def __init__(self, desk: FindingsDesk) -> None:
        self.desk = desk
        self._second = 100
        self._capped_ns = dict.fromkeys(NODES, 0.0)

    async def open(self) -> None:
        """Open the cluster with its three nodes."""
        third = replace(CLUSTER.nodes[0], id="n3", name="spark-3")
        await self.desk.open(replace(CLUSTER, nodes=(*CLUSTER.nodes, third)))

    def know(self, *, width: int = 4, driver: str = "", kernel: str = "", dgx_os: str = "", **own: bool) -> None:
        """The nodes' details: the first one's lanes and restart, the second one's versions."""
        versions = {"driver": driver, "kernel": kernel, "dgx_os": dgx_os}
        n2 = {key: value for key, value in versions.items() if value}
        self.desk.know(make_details("n1", width=width, **own), make_details("n2", **n2), make_details("n3"))

    def pass_by(self, states: dict[str, State]) -> None:
        """Let it be so for a while, and look."""
        desk = self.desk
        for _ in range(SETTLE_S // PERIOD_S):
            self._second += PERIOD_S
            desk.clock.moved_ms += 1000 * PERIOD_S
            for node_id, state in states.items():
                self._capped_ns[node_id] += state.capped * PERIOD_S * 1e9
                desk.telemetry.feed(node_id).take_reading(self._reading(node_id, state))
            desk.findings.look()

    def _reading(self, node_id: str, state: State) -> RawSample:
        interfaces = {
            netdev: RawInterface(0.0, 0.0, "up" if i < up else "down", float(i < up), state.speed_gbps * 1000)
            for names, up in zip((P0, P1), state.halves, strict=True)
            for i, netdev in enumerate(names)
        }
        memory = {"mt": 121.6, "ma": state.available_gib, "ca": state.cache_gib, "st": 16, "sf": 16 - state.swapped_gib}
        gpu = {"u": 95.0, "t": state.heat_c, "p": 60.0, "c": state.clock_mhz, "vp": self._capped_ns[node_id], "vt": 0.0}
        return RawSample(
            sequence=self._second,
            boot_id=f"boot of {node_id}",
            monotonic_s=float(self._second),
            wall_s=1_000_000.0 + self._second,
            memory_kb={key: value * GIB_KB for key, value in memory.items()},
            pressure_percent={"ms": 0.0, "mf": state.full_percent},
            disk_bytes=(4000 * GB, state.free_gb * GB),
            interfaces=interfaces,
            gpus=(gpu,),
        )

    def cable(self, *problems: Problem) -> None:
        """What the last look at the cables told."""
        self.desk.topology.set(Topology(problems=problems, state=LookState.DONE))

    @property
    def found(self) -> dict[str, Concern]:
        """What stands, by id."""
        return self.desk.found


def fall_ill(rack: Rack) -> None:
    """Everything goes wrong at once."""
    rack.know(width=2, driver="590.44.01", kernel="7.0.0-1019-nvidia", dgx_os="DGX OS 7.2.3", needs_reboot=True)
    rack.cable(*CABLES)
    rack.desk.doctor.check_ups.set({"n1": CheckUp("n1", "done", 1, (CHECKED,))})
    rack.pass_by(ILL)


def accepted(rack: Rack) -> set[str]:
    return {key for key, concern in rack.found.items() if concern.is_accepted}


async def test_each_kind_appears_is_accepted_over_a_restart_comes_back_when_it_changes_and_clears(
    tmp_path: Path,
) -> None:
    rack = Rack(FindingsDesk(tmp_path))
    await rack.open()
    rack.know()
    rack.cable()
    rack.pass_by(dict.fromkeys(NODES, WELL))
    assert rack.found == {}
    assert rack.desk.findings.heard.value == set(NODES)

    fall_ill(rack)
    assert set(rack.found) == CHANGE | STAY
    for concern in rack.found.values():
        assert concern.evidence
        assert concern.remedy
        assert concern.since_ms > 0
    for key in rack.found:
        await rack.desk.findings.accept(key, f"note on {key}")
    await rack.desk.close()

    rack = Rack(FindingsDesk(tmp_path))
    await rack.open()
    try:
        fall_ill(rack)
        assert accepted(rack) == CHANGE | STAY
        assert {concern.note for concern in rack.found.values()} == {f"note on {key}" for key in CHANGE | STAY}

        rack.know(width=1, driver="595.10", kernel="7.1.0-generic", dgx_os="DGX OS 7.2.3", needs_reboot=True)
        others = [replace(problem, message=f"{problem.message} now") for problem in CABLES[:2]]
        rack.cable(*others, *CABLES[2:])
        rack.pass_by(WORSE)
        assert {key for key, concern in rack.found.items() if not concern.is_accepted} >= CHANGE
        assert accepted(rack) == STAY
        assert rack.found["slow-state/n1/"].severity is Severity.CRIT
        await until_quiet(rack.desk)

        rack.know()
        rack.cable()
        rack.desk.doctor.check_ups.set({"n1": CheckUp("n1", "done", 2, (replace(CHECKED, verdict=Verdict.PASS),))})
        rack.pass_by(dict.fromkeys(NODES, WELL))
        assert rack.found == {}
    finally:
        await rack.desk.close()


async def until_quiet(desk: FindingsDesk) -> None:
    """Until what was begun in the background has been kept."""
    async with asyncio.timeout(10):
        while any("_save_cage" in name or "_drop" in name for name in desk.tasks.names):
            await asyncio.sleep(0.01)
