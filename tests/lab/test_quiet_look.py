"""What no carrier tells appears on a healthy switch by itself, one fault alone, and goes by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sparkdesk.core.cluster.topology import LookState, Shape
from sparkdesk.services.wait import wait_for_value
from tests.lab.cable_desk import WAIT_S, opened_cable_desk
from tests.lab.lab import Lab
from tests.lab.patchbay import Patchbay, Wire

pytestmark = pytest.mark.lab

PLUGS = ((0, 0), (1, 0), (2, 0))


@pytest.fixture
def bay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Patchbay]]:
    """Three nodes on a switch, all as they should be."""
    with Lab(3, tmp_path_factory.mktemp("quiet"), marker="quiet", cables=None) as lab:
        bay = Patchbay(lab, wires=1)
        bay.patch([Wire(PLUGS, is_switch=True)])
        yield lab, bay
        bay.close()


async def test_a_wrong_mtu_and_a_wrong_subnet_appear_each_alone_without_a_wish_to_look(
    bay: tuple[Lab, Patchbay],
) -> None:
    lab, patchbay = bay
    with lab.workstation():
        async with opened_cable_desk(lab) as cables:
            watch = cables.watch
            await wait_for_value(
                watch.topology, lambda now: now.shape is Shape.SWITCH and not now.problems, timeout_s=WAIT_S
            )
            states: set[LookState] = set()
            subscription = watch.topology.subscribe(lambda now: states.add(now.state))
            patchbay.set_mtu(PLUGS[2], 9000)
            await cables.wait_until_found("mtu-mismatch/spark-3/P0")
            patchbay.reset_ports()
            await cables.wait_until_cleared("mtu-mismatch/spark-3/P0")
            for number, (plug, net) in enumerate(zip(PLUGS, (100, 100, 200), strict=True), 1):
                patchbay.add_address(plug, 0, f"192.168.{net}.{number}/24")
            await cables.wait_until_found("subnet-mismatch/spark-3/P0")
            patchbay.reset_ports()
            await cables.wait_until_cleared("subnet-mismatch/spark-3/P0")
            subscription.close()
            assert states == {LookState.DONE}
