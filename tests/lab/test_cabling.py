"""A hundred cablings of real machines on real cables, told over real SSH: each is seen and drawn as what it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from sparkdesk.core.cluster.topology import LookState, Shape, Topology
from tests.lab.cabling import (
    COUNT,
    FAULTS,
    GUESTS,
    KINDS,
    Cabling,
    Truth,
    looks_of,
    make_cabling,
    set_ports,
    split,
    truth_of,
)
from tests.lab.drawing import draw, drawn
from tests.lab.lab import Lab
from tests.lab.looker import Looker
from tests.lab.patchbay import Patchbay

pytestmark = pytest.mark.lab

NODES = 16
ROUNDS = split([make_cabling(number) for number in range(COUNT)], NODES)


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Patchbay]]:
    """Sixteen nodes with nothing plugged in, storage boxes and unknown Sparks."""
    with Lab(NODES, tmp_path_factory.mktemp("cabling"), marker="cabling", cables=None) as lab:
        bay = Patchbay(lab, wires=2 * NODES, guests=GUESTS)
        yield lab, bay
        bay.close()


def seen(topology: Topology, nodes: list[str]) -> Truth:
    """What was recognised, in the truth's form."""
    assert (topology.state, sorted(topology.rank_order)) == (LookState.DONE, sorted(nodes))
    joined = {frozenset({cable.a[0], cable.b[0]}) for cable in topology.cables if cable.b is not None}
    if topology.shape in (Shape.PAIR, Shape.RING, Shape.CHAIN):
        assert all(frozenset(pair) in joined for pair in pairwise(topology.rank_order)), topology.rank_order
    return Truth(
        topology.shape,
        frozenset(cable.key for cable in topology.cables),
        frozenset((problem.id, problem.node_id, problem.cage) for problem in topology.problems),
        frozenset((stranger.mac, stranger.kind) for stranger in topology.strangers),
        frozenset(cable.key for cable in topology.cables if cable.is_one_way),
    )


def test_the_hundred_are_of_every_kind_with_every_fault_and_with_guests() -> None:
    made = [cabling for one in ROUNDS for cabling in one]
    assert len(made) == COUNT
    assert {cabling.name.split()[1] for cabling in made} == set(KINDS)
    faults = Counter(cabling.fault for cabling in made)
    assert all(faults[fault] >= 7 for fault in FAULTS[1:8])
    guests = {number % 2 for cabling in made for wire in cabling.wires for number in wire.guests}
    assert guests == {0, 1}


@pytest.mark.timeout(600)
async def test_a_hundred_cablings_are_each_recognised_and_drawn_as_what_they_are(bay: tuple[Lab, Patchbay]) -> None:
    lab, patchbay = bay
    wrong: list[str] = []
    with lab.workstation():
        desk = Looker(lab)
        await desk.open()
        for cablings in ROUNDS:
            patchbay.patch([wire for cabling in cablings for wire in cabling.wires])
            for cabling in cablings:
                set_ports(cabling, patchbay)
            names = names_of(cablings)
            found = await asyncio.gather(*(desk.look(nodes) for nodes in names))
            for cabling, nodes, topology in zip(cablings, names, found, strict=True):
                truth, told = truth_of(cabling, nodes), seen(topology, nodes)
                if told != truth:  # on a slow machine sixteen programs may begin seconds apart: then it alone
                    topology = await desk.look(nodes)
                    told = seen(topology, nodes)
                    print(f"{cabling.name} was looked at twice")
                picture = drawn(draw(topology, desk.statuses(nodes)))
                if picture != (looks := looks_of(cabling, truth)):
                    wrong.append(f"{cabling.name}:\n  truth {looks}\n  drawn {picture}")
                if told != truth:
                    wrong.append(f"{cabling.name}:\n  truth {truth}\n  told  {told}")
        await desk.close()
    assert not wrong, "\n".join(wrong)


def names_of(cablings: list[Cabling]) -> list[list[str]]:
    """The ids of each cabling's nodes: one cabling after another."""
    found, used = [], 0
    for cabling in cablings:
        found.append([f"spark-{used + number + 1}" for number in range(cabling.count)])
        used += cabling.count
    return found
