"""One click on boxes that do not exist: a whole bring-up over simulated nodes, a second one, and the way back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.proof.image_choice import LATER_IMAGE
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.topology import Shape
from tests.simulator.bringup_desk import IMAGE, Desk
from tests.simulator.conftest import Simulator, StartSimulator
from tests.simulator.test_bringup_network import PORT, TWIN, as_root, ask, read_port
from tests.simulator.test_fabric import read_host

LOOK = "ls -A /etc/netplan ~/.ssh 2>/dev/null; id -nG; cat /etc/group; systemctl is-active earlyoom; stat -c %a ~"


@asynccontextmanager
async def desk(folder: Path, simulator: Simulator) -> AsyncIterator[Desk]:
    """A desk that is signed in to all nodes; skipped where no packets run over cables."""
    if not simulator.line["packets"]:
        pytest.skip(f"no real cables here: {simulator.line['packets_reason']}")
    one = Desk(folder, simulator)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


@pytest.fixture
def host() -> Iterator[None]:
    """This computer is the same before and after."""
    before = read_host()
    yield
    assert read_host() == before


async def bring_up(one: Desk) -> BringUpState:
    """Press the button and wait."""
    one.bring_up.start()
    return await one.rest(300.0)


async def test_boxes_become_a_proven_pair_and_boxes_again(start: StartSimulator, tmp_path: Path, host: None) -> None:
    wanted = Choices(wants_guard=True)
    with start("--shape", "pair", "--fresh") as simulator:
        async with desk(tmp_path / "desk", simulator) as one:
            before = [await ask(simulator, LOOK, index) for index in (0, 1)]
            planned = (await one.look(wanted)).plan
            assert planned is not None
            assert (planned.shape, planned.obstacles, planned.change_count > 10) == (Shape.PAIR, (), True)
            later = next(item for item in planned.proof_items if item.id == "all-gather")
            assert (planned.image, later.image, later.skipped) == ("", LATER_IMAGE, ""), "shown before docker answers"
            state = await bring_up(one)
            assert state.plan is not None
            assert state.plan.image == IMAGE, "docker answers now, and every node has it"
            assert (state.phase, state.message) == (Phase.DONE, "")
            grades = {measured.item.id: (measured.grade, measured.is_simulated) for measured in state.measurements}
            assert set(grades.values()) == {(Grade.PASS, True)}, grades
            assert {"ping-0", "rdma_bandwidth-0", "all-gather", "nccl-image", "nccl-image-2"} <= set(grades)
            assert not state.matrix.count(CellState.FAIL, CellState.UNREAD, CellState.PLANNED)
            for index in (0, 1):
                for port in (PORT, TWIN):
                    found = await read_port(simulator, port, index)
                    assert (found["mtu"], len(found["addresses"])) == (9000, 1)
            again = (await one.look(wanted)).plan
            assert again is not None
            assert [step.title for step in again.playbook.steps()] == []
            one.bring_up.undo()
            state = await one.rest()
            assert (state.phase, state.message) == (Phase.UNDONE, "")
            for index in (0, 1):
                for port in (PORT, TWIN):
                    assert await read_port(simulator, port, index) == {"mtu": 1500, "addresses": []}
            assert [await ask(simulator, LOOK, index) for index in (0, 1)] == before
            assert (
                await as_root(simulator, "ls -d /run/netplan/* /var/lib/sparkdesk /run/sparkdesk 2>/dev/null; true")
                == ""
            )


LARGER = [("switch", 4, Shape.SWITCH), *([("ring", 3, Shape.RING)] if os.environ.get("SPARKDESK_DEEP") else [])]


@pytest.mark.parametrize(("shape", "nodes", "kind"), LARGER)
async def test_rings_and_switches_are_brought_up_and_proven(
    start: StartSimulator, tmp_path: Path, shape: str, nodes: int, kind: Shape
) -> None:
    with start("--shape", shape, "--nodes", str(nodes), "--fresh") as simulator:
        async with desk(tmp_path / "desk", simulator) as one:
            planned = (await one.look()).plan
            assert planned is not None
            assert planned.shape is kind
            state = await bring_up(one)
            assert (state.phase, state.message) == (Phase.DONE, "")
            bad = [measured for measured in state.measurements if measured.grade is not Grade.PASS]
            assert bad == []


async def test_nodes_that_are_set_up_keep_their_addresses(start: StartSimulator, tmp_path: Path) -> None:
    with start("--shape", "pair") as simulator:
        async with desk(tmp_path / "desk", simulator) as one:
            planned = (await one.look()).plan
            assert planned is not None
            assert planned.scheme.is_kept
            assert not [step for step in planned.playbook.steps() if step.phase in ("network", "docker")]


async def test_a_port_that_came_up_wrongly_is_told_with_its_cause(start: StartSimulator, tmp_path: Path) -> None:
    with start("--shape", "pair", "--fault", "rdma-degraded:spark-5c2d:P1") as simulator:
        async with desk(tmp_path / "desk", simulator) as one:
            await one.look()
            state = await bring_up(one)
            grades = {measured.item.id: measured for measured in state.measurements}
            measured = grades["rdma_bandwidth-0"]
            assert measured.grade is Grade.FAIL
            assert "13 Gb/s" in measured.causes[0], measured.causes
