"""A desk that looks at cables and judges them: the watch and the findings on a lab, joined as the application does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sparkdesk.core.findings.concern import Concern
from sparkdesk.infra.openai_api import OpenAiClients
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.findings import Findings, FindingsParts
from sparkdesk.services.fleet.details import DetailsReader
from sparkdesk.services.fleet.doctor import Doctor
from sparkdesk.services.fleet.power_cap import PowerCaps
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.jobs.start.plans import PlanParts
from tests.lab.desk import REMOTE, Desk
from tests.lab.lab import Lab

WAIT_S = 90.0
"""However slow the machine is."""


@dataclass
class CableDesk:
    """A desk and what it knows of cables."""

    desk: Desk
    watch: TopologyWatch
    findings: Findings

    @property
    def found(self) -> dict[str, Concern]:
        """What stands, by id."""
        return {concern.id: concern for concern in self.findings.findings.value}

    async def wait_until_found(self, *ids: str) -> None:
        """Until all of these stand."""
        await self._wait(lambda now: set(ids) <= {one.id for one in now}, ids)

    async def wait_until_cleared(self, *ids: str) -> None:
        """Until none of these stands."""
        await self._wait(lambda now: not set(ids) & {one.id for one in now}, ids)

    async def _wait(self, is_so: Callable[[tuple[Concern, ...]], bool], ids: tuple[str, ...]) -> None:
        """Looks all the time: the findings' own pace is for a window."""
        deadline_s = time.monotonic() + WAIT_S
        while not is_so(self.findings.findings.value):
            assert time.monotonic() < deadline_s, f"waited for {ids}; there are {sorted(self.found)}"
            await asyncio.sleep(0.25)
            self.findings.look()


@asynccontextmanager
async def opened_cable_desk(lab: Lab, *, hz: float = 2.0, again_s: float = 2.0) -> AsyncIterator[CableDesk]:
    """All nodes live, cables looked at by themselves, findings judged. Nothing is launched, nothing adopted."""
    desk = Desk(lab, hz)
    watch = _make_watch(desk, again_s)
    findings = _make_findings(desk, watch)
    desk.inventory.on_live.append(watch.on_live)
    await desk.store.open()
    try:
        await findings.load()
        await desk.inventory.open(lab.cluster())
        await desk.wait_for_all(count=len(lab.nodes), timeout_s=WAIT_S)
        yield CableDesk(desk, watch, findings)
    finally:
        watch.close()
        await desk.close()


def _make_watch(desk: Desk, again_s: float) -> TopologyWatch:
    return TopologyWatch(
        tasks=desk.tasks,
        nodes=desk.inventory.nodes,
        shells=desk.inventory.shell,
        samples=desk.telemetry.latest,
        store=desk.store,
        program=(REMOTE / "beacon.py").read_bytes(),
        clock=SystemClock(),
        again_s=again_s,
    )


def _make_findings(desk: Desk, watch: TopologyWatch) -> Findings:
    clock = SystemClock()
    reader = Reader(program=(REMOTE / "reader.py").read_bytes(), shells=desk.inventory.shell, clock=clock)
    launcher = Launcher(
        tasks=desk.tasks,
        inventory=desk.inventory,
        telemetry=desk.telemetry,
        runner=desk.runner,
        store=desk.store,
        clients=OpenAiClients(),
        jobs_program=b"",
        survey_program=b"",
        parts=PlanParts({}, desk.owner, b""),
        clock=clock,
    )
    return Findings(
        FindingsParts(
            tasks=desk.tasks,
            inventory=desk.inventory,
            telemetry=desk.telemetry,
            details=DetailsReader(reader=reader, store=desk.store, clock=clock),
            doctor=Doctor(reader=reader, clock=clock),
            launcher=launcher,
            power_caps=PowerCaps(reader=reader, telemetry=desk.telemetry),
            store=desk.store,
            clock=clock,
            topology=watch.topology,
        )
    )
