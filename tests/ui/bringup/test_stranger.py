"""Of several Sparks behind cables the one is offered first that can be reached: through a neighbour that needs none."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.state import BringUpState
from sparkdesk.core.cluster.node import JumpHost
from sparkdesk.core.cluster.topology import Cable, Stranger, Topology
from sparkdesk.core.feed import Latest
from tests.ui import rack
from ui.bringup.model import BringUpFeeds, BringUpModel


def test_a_neighbour_that_is_reached_directly_comes_first() -> None:
    far, near = rack.status(0), rack.status(1)
    jump = JumpHost(near.record.address, 22, "nvidia", "ssh-ed25519 AAAA")
    far = replace(far, record=replace(far.record, jump=jump))
    spark = Stranger("4c:bb:47:00:00:01", kind="spark")
    cables = [Cable(f"{each.record.id}:P0-other", (each.record.id, "P0"), stranger=spark) for each in (far, near)]
    topology = Latest(Topology(cables=(Cable("other", ("x", "P1"), stranger=Stranger("")), *cables)))
    nodes = Latest((far, near))
    model = BringUpModel(BringUpFeeds(Latest(BringUpState()), nodes, topology, Latest(None), lambda: 0))
    assert model.strange_spark() is cables[1]
    nodes.set((far,))
    assert model.strange_spark() is cables[0], "else any is told"
    topology.set(Topology())
    assert model.strange_spark() is None
