"""What happens to a cable becomes a finding, which can be accepted, and which is gone when the cable is mended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sparkdesk.core.findings.concern import Severity
from sparkdesk.services.wait import wait_for_value
from tests.lab.cable_desk import WAIT_S, opened_cable_desk
from tests.lab.lab import Lab
from tests.lab.patchbay import Patchbay, Wire

pytestmark = pytest.mark.lab

PAIRS = tuple(((2 * pair, 1), (2 * pair + 1, 1)) for pair in range(4))
"""Of eight nodes, one for each fault: cable out, half down, MTU mismatch, wrong subnet."""
OUT, HALF, MTU, SUBNET = PAIRS
FOUND = (
    "link/spark-1/P1",
    "link/spark-2/P1",
    "link/spark-4/P1",
    "mtu-mismatch/spark-5/P1",
    "subnet-mismatch/spark-7/P1",
)
TITLES = (
    "Port P1 has no link",
    "Port P1 has no link",
    "Half of port P1 is missing",
    "The MTU differs along a cable",
    "Two ends of a cable are in different subnets",
)


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Patchbay]]:
    """Four pairs, all as they should be."""
    with Lab(8, tmp_path_factory.mktemp("finding"), marker="finding", cables=None) as lab:
        bay = Patchbay(lab, wires=4)
        bay.patch([Wire(pair) for pair in PAIRS])
        yield lab, bay
        bay.close()


def hurt(lab: Lab, bay: Patchbay) -> None:
    for plug in OUT:
        lab.nodes[plug[0]].set_cable(1, False)
    lab.nodes[HALF[1][0]].fabric.set_link("n3p1b", False)
    bay.set_mtu(MTU[1], 9000)
    bay.add_address(SUBNET[0], 0, "192.168.100.10/24")
    bay.add_address(SUBNET[1], 0, "192.168.200.11/24")


def mend(lab: Lab, bay: Patchbay) -> None:
    """Where an MTU or an address was wrong no link comes or goes."""
    for plug in (*OUT, HALF[1]):
        lab.nodes[plug[0]].set_cable(1, True)
    bay.reset_ports()


async def test_each_fault_of_a_cable_is_found_can_be_accepted_and_clears_when_it_is_mended(
    bay: tuple[Lab, Patchbay],
) -> None:
    lab, patchbay = bay
    with lab.workstation():
        async with opened_cable_desk(lab) as cables:
            await wait_for_value(
                cables.watch.topology, lambda now: len(now.cables) == 4 and not now.problems, timeout_s=WAIT_S
            )
            cables.findings.look()
            assert not {key for key in cables.found if "/P" in key}
            hurt(lab, patchbay)
            await cables.wait_until_found(*FOUND)
            assert tuple(cables.found[key].title for key in FOUND) == TITLES
            assert {cables.found[key].severity for key in FOUND} == {Severity.WARN}
            assert all(cables.found[key].evidence and cables.found[key].remedy for key in FOUND)

            for key in FOUND:
                await cables.findings.accept(key, "we know")
            cables.findings.look()
            assert {(cables.found[key].is_accepted, cables.found[key].note) for key in FOUND} == {(True, "we know")}

            mend(lab, patchbay)
            await cables.wait_until_cleared(*FOUND)
            assert not {key for key in cables.found if "/P" in key}
