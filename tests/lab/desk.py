"""The services that watch nodes, joined as the application joins them, on all nodes of the lab."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.playbooks.job import JOB_PARTS
from sparkdesk.infra.network_watch import NetworkWatch
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.jobs.start.plans import PlanParts
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import PulseState, Telemetry
from sparkdesk.services.wait import wait_for_value
from tests.lab.lab import Lab

REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
SAMPLE_HZ = 5.0
LOOK_EVERY_S = 1.0
WAIT_S = 60.0
"""For what will come, however slow the machine is; what must come in time says its own time."""


class Desk:
    """One window's worth of services; a node's index in the lab is its index in the cluster."""

    def __init__(self, lab: Lab, hz: float = SAMPLE_HZ, owner: str = "me@here") -> None:
        self.lab = lab
        self.owner = owner
        self.tasks = Tasks()
        self.store = SqliteStore(None)
        self.inventory = Inventory(
            tasks=self.tasks, connector=SshConnector(), store=self.store, clock=SystemClock(), network=NetworkWatch()
        )
        self.telemetry = Telemetry(
            clock=SystemClock(),
            programs=[(REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py")],
            hz=hz,
            on_facts=self.inventory.set_facts,
        )
        self.inventory.on_live.append(self.telemetry.watch)
        self.inventory.follow(self.telemetry.pulse)
        self.runner = Runner(
            shells=self.inventory.shell,
            store=self.store,
            clock=SystemClock(),
            lock_program=(REMOTE / "lock.py").read_bytes(),
            owner=owner,
        )
        self.launcher: Launcher | None = None

    def add_launcher(self, backends: Mapping[str, Backend] | None = None) -> Launcher:
        """From the next connection on each node is surveyed, its jobs listed and their logs followed, too."""
        self.launcher = Launcher(
            tasks=self.tasks,
            inventory=self.inventory,
            telemetry=self.telemetry,
            runner=self.runner,
            store=self.store,
            clients=OpenAiClients(),
            parts=PlanParts(
                backends or {},
                self.owner,
                (REMOTE / "job.py").read_bytes(),
                programs={name: (REMOTE / f"{name}.py").read_bytes() for name in JOB_PARTS},
            ),
            jobs_program=(REMOTE / "jobs.py").read_bytes(),
            survey_program=(REMOTE / "survey.py").read_bytes(),
            clock=SystemClock(),
            look_every_s=LOOK_EVERY_S,
        )
        self.inventory.on_live.append(self.launcher.adopt)
        return self.launcher

    async def wait_for(self, index: int, *states: NodeState, timeout_s: float = WAIT_S) -> NodeStatus:
        """Until this node is in one of these states."""
        try:
            nodes = await wait_for_value(
                self.inventory.nodes, lambda nodes: nodes[index].state in states, timeout_s=timeout_s
            )
        except TimeoutError:
            raise AssertionError(f"never {states}: {self.inventory.nodes.value[index]}") from None
        return nodes[index]

    async def wait_for_all(self, *, count: int, timeout_s: float = WAIT_S) -> None:
        """Until so many nodes from the first on are live."""
        await wait_for_value(
            self.inventory.nodes, lambda nodes: all(node.is_live for node in nodes[:count]), timeout_s=timeout_s
        )

    async def wait_for_pulse(self, index: int, *states: PulseState, timeout_s: float = WAIT_S) -> None:
        """Until this node's telemetry stands so."""
        pulse = self.telemetry.pulse(self.lab.nodes[index].name)
        await wait_for_value(pulse, lambda now: now.state in states, timeout_s=timeout_s)

    def watch_states(self, index: int) -> list[NodeState]:
        """Every state that a node is in from now on, as a list that grows."""
        seen: list[NodeState] = []

        def look(nodes: tuple[NodeStatus, ...]) -> None:
            if len(nodes) > index and (not seen or seen[-1] is not nodes[index].state):
                seen.append(nodes[index].state)

        self.inventory.nodes.subscribe(look)
        return seen

    async def close(self) -> None:
        if self.launcher is not None:
            await self.launcher.close()
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()


@asynccontextmanager
async def opened_desk(
    lab: Lab,
    *records: NodeRecord,
    hz: float = SAMPLE_HZ,
    backends: Mapping[str, Backend] | None = None,
    owner: str = "me@here",
) -> AsyncIterator[Desk]:
    """A desk whose cluster is the lab's, or these records instead; every node of it that is in the lab is live.

    With `backends` it launches jobs, too.
    """
    desk = Desk(lab, hz, owner)
    if backends is not None:
        desk.add_launcher(backends)
    await desk.store.open()
    try:
        cluster = lab.cluster()
        if records:
            cluster = ClusterRecord(id=cluster.id, name=cluster.name, nodes=records)
        await desk.inventory.open(cluster)
        await desk.wait_for_all(count=min(len(cluster.nodes), len(lab.nodes)))
        yield desk
    finally:
        await desk.close()
