"""The desk sees a cable that is pulled and put back by itself, through real SSH and the probe's own samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.topology import LookState, Shape
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.wait import wait_for_value
from tests.lab.desk import opened_desk
from tests.lab.lab import Cable, Lab

pytestmark = pytest.mark.lab

PROGRAM = (Path(__file__).resolve().parents[2] / "sparkdesk" / "remote" / "beacon.py").read_bytes()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes in a ring."""
    cables = (Cable(0, 0, 1, 1), Cable(1, 0, 2, 1), Cable(2, 0, 0, 1))
    with Lab(3, tmp_path_factory.mktemp("watch"), marker="watch", cables=cables) as lab:
        yield lab


async def test_a_pulled_cable_makes_a_chain_of_the_ring_and_a_ring_again_when_it_is_back(lab: Lab) -> None:
    with lab.workstation():
        async with opened_desk(lab) as desk:
            watch = TopologyWatch(
                tasks=desk.tasks,
                nodes=desk.inventory.nodes,
                shells=desk.inventory.shell,
                samples=desk.telemetry.latest,
                store=desk.store,
                program=PROGRAM,
                clock=SystemClock(),
            )
            for node in lab.nodes:
                desk.tasks.start(watch.on_live, node.name, desk.inventory.shell(node.name))
            done = LookState.DONE
            ring = await wait_for_value(watch.topology, lambda now: now.state is done, timeout_s=30)
            assert ring.shape is Shape.RING
            assert ring.rank_order == ("spark-1", "spark-2", "spark-3")
            lab.nodes[1].set_cable(0, False)
            lab.nodes[2].set_cable(1, False)
            chain = await wait_for_value(
                watch.topology, lambda now: now.state is done and now.shape is Shape.CHAIN, timeout_s=30
            )
            assert chain.rank_order == ("spark-2", "spark-1", "spark-3")
            lab.nodes[1].set_cable(0, True)
            lab.nodes[2].set_cable(1, True)
            await wait_for_value(
                watch.topology, lambda now: now.state is done and now.shape is Shape.RING, timeout_s=30
            )
            watch.close()
