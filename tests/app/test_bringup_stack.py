"""What the application knows of a bring-up's nodes and no reading tells: that simulated ones can only be read."""

from __future__ import annotations

import json
from pathlib import Path

from sparkdesk.app.stack import Stack
from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.state import Phase
from sparkdesk.infra.simulation import Simulation, read_cluster

NODE = {"name": "spark-5c2d", "address": "127.77.0.1", "port": 2222, "user": "nvidia", "host_key": "ssh-ed25519 AAAA"}
LINE = {"schema": 1, "name": "simulated-1", "shape": "single", "confined": False, "reason": "", "nodes": [NODE]}
TOLD = "These simulated nodes can only be read"


async def test_simulated_nodes_that_can_only_be_read_get_a_plan_that_does_not_begin(tmp_path: Path) -> None:
    stack = Stack(folder=None)
    await stack.open()
    try:
        stack.simulation = Simulation(tmp_path, client_key=tmp_path / "key", tasks=stack.tasks)
        stack.inventory.cluster.set(read_cluster(json.dumps(LINE).encode(), key_path=""))
        for is_read_only in (True, False):
            stack.simulation.is_read_only = is_read_only
            await stack.bring_up.look(("gone",), Choices())
            state = stack.bring_up.state.value
            assert state.plan is not None
            assert any(TOLD in one for one in state.plan.obstacles) is is_read_only
            stack.bring_up.start()
            assert stack.bring_up.state.value.phase is Phase.PLANNED
            assert (TOLD in stack.bring_up.state.value.message) is is_read_only
    finally:
        await stack.close()
