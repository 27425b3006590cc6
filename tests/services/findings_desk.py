"""The findings over real services: inventory, telemetry, details, doctor and launcher, on a store that may stay.

The one rule: a test puts readings into a node's feed as its probe would, and moves the clock; nothing is stood in for.
"""

from __future__ import annotations

from pathlib import Path

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.telemetry.probe import RawInterface, RawSample
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.findings import Findings, FindingsParts
from sparkdesk.services.fleet.details import DetailsReader
from sparkdesk.services.fleet.doctor import Doctor
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.power_cap import PowerCaps
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.jobs.start.plans import PlanParts
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import Telemetry
from tests.core.findings.nodes import GB, make_details
from tests.fakes.connector import LocalConnector
from tests.services.fleet.fleet_desk import MovedClock
from tests.services.job_rig import REMOTE

CLUSTER = ClusterRecord(
    "c1", "Test", tuple(NodeRecord(f"n{i}", f"spark-{i}", "127.0.0.1", 22, "spark", host_key="k") for i in (1, 2))
)
OTHER = ClusterRecord(
    "c2", "Other", tuple(NodeRecord(f"n{i}", f"spark-{i}", "127.0.0.1", 22, "spark", host_key="k") for i in (8, 9))
)


def reading(
    second: float,
    *,
    free_gb: float = 3000.0,
    up: float = 1.0,
    up_p0: float = 0.0,
    boot_id: str = "b1",
    **more: float,
) -> RawSample:
    """A node that rests; its disk and its cages (`up_second`: the second half of P1) are as wanted.

    `clock_mhz` and `gpu_percent` are of its GPU.
    """
    halves = {
        "enp1s0f1np1": up,
        "enP2p1s0f1np1": min(up, more.get("up_second", 1.0)),
        "enp1s0f0np0": up_p0,
        "enP2p1s0f0np0": up_p0,
    }
    cell = {"c": more["clock_mhz"], "u": more["gpu_percent"]} if "clock_mhz" in more else None
    return RawSample(
        sequence=int(second),
        boot_id=boot_id,
        monotonic_s=second,
        wall_s=1_000_000.0 + second,
        memory_kb={"mt": 127_535_084, "ma": 110 * 2**20, "ca": 4 * 2**20, "st": 2**24, "sf": 2**24},
        pressure_percent={"ms": 0.0, "mf": 0.0},
        disk_bytes=(4000 * GB, free_gb * GB),
        interfaces={
            name: RawInterface(0.0, 0.0, "up" if on else "down", on, 200_000.0 if on else None)
            for name, on in halves.items()
        },
        gpus=(cell,) if cell else (),
    )


class FindingsDesk:
    """One run of the program; several may follow each other on one folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovedClock()
        self.tasks = Tasks()
        self.store = SqliteStore(folder / "data")
        self.inventory = Inventory(
            tasks=self.tasks, connector=LocalConnector(folder / "nodes"), store=self.store, clock=self.clock
        )
        self.telemetry = Telemetry(clock=self.clock, programs=())
        reader = Reader(program=(REMOTE / "reader.py").read_bytes(), shells=self.inventory.shell, clock=self.clock)
        self.details = DetailsReader(reader=reader, store=self.store, clock=self.clock)
        self.doctor = Doctor(reader=reader, clock=self.clock)
        launcher = Launcher(
            tasks=self.tasks,
            inventory=self.inventory,
            telemetry=self.telemetry,
            runner=Runner(shells=self.inventory.shell, store=self.store, clock=self.clock),
            store=self.store,
            clients=OpenAiClients(),
            jobs_program=b"",
            survey_program=b"",
            parts=PlanParts({}, "me@here", b""),
            clock=self.clock,
        )
        self.topology: Latest[Topology] = Latest(Topology())
        self.findings = Findings(
            FindingsParts(
                tasks=self.tasks,
                inventory=self.inventory,
                telemetry=self.telemetry,
                details=self.details,
                doctor=self.doctor,
                launcher=launcher,
                power_caps=PowerCaps(reader=reader, telemetry=self.telemetry),
                store=self.store,
                clock=self.clock,
                topology=self.topology,
            )
        )
        self._launcher = launcher
        self._second = 100.0

    async def open(self, cluster: ClusterRecord = CLUSTER) -> None:
        """Open the store and a cluster."""
        await self.store.open()
        await self.findings.load()
        await self.inventory.open(cluster)

    def know(self, *details: NodeDetails) -> None:
        """So much is known of nodes."""
        self.details.details.set({one.node_id: one for one in details or (make_details("n1"), make_details("n2"))})

    def pass_by(self, seconds: int, node_id: str = "n1", **readings: float | str) -> None:
        """So long a node tells the same, once a second, and is looked at."""
        for _ in range(seconds):
            self._second += 1.0
            self.clock.moved_ms += 1000
            self.telemetry.feed(node_id).take_reading(reading(self._second, **readings))  # type: ignore[arg-type]
            self.findings.look()

    def wait_in_silence(self, seconds: int) -> None:
        """So long nothing is told."""
        for _ in range(seconds):
            self.clock.moved_ms += 1000
            self.findings.look()

    @property
    def found(self) -> dict[str, Concern]:
        """What stands, by id."""
        return {concern.id: concern for concern in self.findings.findings.value}

    async def close(self) -> None:
        """Quit."""
        await self._launcher.close()
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()
