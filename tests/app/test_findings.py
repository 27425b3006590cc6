"""What is wrong with simulated Sparks leads to its finding, is accepted, and clears when the fault is gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from sparkdesk.app.stack import Stack
from sparkdesk.core.command import Command
from sparkdesk.core.errors import NodeError
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.ports import Process
from sparkdesk.services.findings import Findings, FindingsParts
from sparkdesk.services.fleet.power_cap import PowerCaps
from sparkdesk.services.wait import wait_for_value
from tests.app.sparks import record_of, running_sparks, switch_fault
from tests.simulator.conftest import Simulator

FAULTS = ("slow-state", "power-capped", "link-down", "pcie-width", "driver-other")
SICK = "spark-5c2d"
APPEAR_S = 150.0
LOAD = """
import json, os
pid = os.getpid()
row = {"pid": pid, "name": "load", "started_s": 0}
open(f"/run/sparkdesk-sim/loads/{pid}.json", "w").write(json.dumps(row))
is_child = any(os.fork() == 0 for _ in range(4))
if is_child:
    os.setsid()
while not is_child or os.getppid() == pid:
    sum(range(9999))
"""
"""A program that uses the GPU, as the simulated Spark counts it: by the processor time of it and its children.

Children with sessions of their own, because a busy computer gives each session no more than its share, and less than
half of a core is no load.
"""


@pytest.fixture(scope="module")
def sparks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Two Sparks; one has the faults that findings are for."""
    words = [word for fault in FAULTS for word in ("--fault", f"{fault}:{SICK}")]
    with running_sparks(tmp_path_factory.mktemp("sparks"), 2, *words) as simulator:
        yield simulator


class Desk:
    """The application's services, with the findings."""

    def __init__(self) -> None:
        self.stack = stack = Stack()
        self.caps = PowerCaps(reader=stack.fleet.reader, telemetry=stack.telemetry, every_s=3.0)
        self.findings = Findings(
            FindingsParts(
                tasks=stack.tasks,
                inventory=stack.inventory,
                telemetry=stack.telemetry,
                details=stack.fleet.details,
                doctor=stack.fleet.doctor,
                launcher=stack.launcher,
                power_caps=self.caps,
                store=stack.store,
                clock=stack.clock,
            )
        )
        stack.inventory.on_live.append(self.caps.watch)

    async def open(self, sparks: Simulator) -> None:
        """Connect to the Sparks and look at them from now on."""
        await self.stack.open()
        await self.findings.load()
        await self.stack.inventory.open(record_of(sparks))
        self.stack.tasks.start(self.findings.run)
        await self.all_live()

    async def reconnect(self, sparks: Simulator) -> None:
        """Leave the Sparks and connect to them anew."""
        await self.stack.inventory.open(record_of(sparks))
        await self.all_live()

    async def all_live(self) -> None:
        """Until both are live."""
        await wait_for_value(
            self.stack.inventory.nodes,
            lambda nodes: len(nodes) == 2 and all(node.is_live for node in nodes),
            timeout_s=40,
        )

    async def work(self, node_id: str) -> None:
        """Use a node's GPU until the connection goes."""
        try:
            async with self.stack.inventory.shell(node_id).open(Command(("python3", "-c", LOAD))) as process:
                await _drain(process)
        except NodeError:
            pass

    async def until(self, wanted: set[str], unwanted: set[str]) -> None:
        """Until these stand and those do not; a failure says what stands."""

        def is_so(found: object) -> bool:
            ids = {concern.id for concern in self.findings.findings.value}
            return wanted <= ids and not unwanted & ids

        try:
            await wait_for_value(self.findings.findings, is_so, timeout_s=APPEAR_S)
        except TimeoutError:
            standing = [f"{concern.id}: {concern.evidence}" for concern in self.findings.findings.value]
            raise AssertionError(f"wanted {wanted}, not {unwanted}; there are {standing}") from None


async def _drain(process: Process) -> None:
    async for _ in process.chunks():
        pass


@pytest.mark.timeout(400)
async def test_each_fault_leads_to_its_finding_which_is_accepted_and_clears(sparks: Simulator) -> None:
    desk = Desk()
    sick, well = (record.id for record in record_of(sparks).nodes)
    try:
        await desk.open(sparks)
        desk.stack.tasks.start(desk.work, sick)
        moving = {f"slow-state/{sick}/", f"power-capped/{sick}/", f"link/{sick}/P1"}
        fixed = {f"pcie-width/{sick}/", f"driver-branch/{sick}/", "differs//driver"}
        await desk.until({*moving, *fixed}, set())
        found = {concern.id: concern for concern in desk.findings.findings.value}
        assert found[f"slow-state/{sick}/"].severity is Severity.CRIT
        assert "MHz at" in found[f"slow-state/{sick}/"].evidence
        assert not any(key.split("/")[1] == well and key != f"disk-space/{well}/" for key in found)
        for key in found:
            await desk.findings.accept(key, "seen")
        assert all(concern.is_accepted for concern in desk.findings.findings.value)

        for fault in FAULTS:
            await switch_fault(sparks, "off", fault, SICK)
        await desk.reconnect(sparks)  # what works there ends with its line
        await desk.stack.fleet.details.refresh(sick)
        await desk.until({f"slow-state/{sick}/"}, {f"power-capped/{sick}/", f"link/{sick}/P1", *fixed})
        desk.stack.tasks.start(desk.work, sick)  # an idle GPU says nothing about its clock
        await desk.until(set(), {f"slow-state/{sick}/"})
    finally:
        await desk.stack.close()


async def test_a_full_disk_is_a_finding_until_there_is_room_again(sparks: Simulator) -> None:
    desk = Desk()
    disk = f"disk-space/{record_of(sparks).nodes[0].id}/"

    def is_full(found: Sequence[Concern]) -> bool:
        return any(concern.id == disk and concern.evidence.startswith("0 of ") for concern in found)

    try:
        await switch_fault(sparks, "on", "disk-full", SICK)
        await desk.open(sparks)
        await wait_for_value(desk.findings.findings, is_full, timeout_s=APPEAR_S)
        await switch_fault(sparks, "off", "disk-full", SICK)
        await desk.reconnect(sparks)  # what runs on a node sees its full disk until it ends
        await wait_for_value(desk.findings.findings, lambda found: not is_full(found), timeout_s=APPEAR_S)
    finally:
        await desk.stack.close()
