"""Clusters in every shape at once, and what SparkDesk's own beacon.py makes of them over SSH.

Some are looked at in three rounds: as they are, with faults, and after those are gone.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from sparkdesk.core.cluster.beacon import read_view
from sparkdesk.core.cluster.half import NodeView
from sparkdesk.core.cluster.topology import Topology, build_topology
from sparkdesk.core.program import python_command
from sparkdesk.simulator import control
from tests.simulator.conftest import PROJECT, Simulator

PROGRAM = (PROJECT / "sparkdesk" / "remote" / "beacon.py").read_bytes()
LOOK_AGAIN_S = 40.0
"""A busy computer may not let all programs listen at the same time: then they look again, as SparkDesk does."""
AT_ONCE = 3
"""So many clusters are looked at at a time."""


@dataclass(frozen=True)
class Case:
    """A shape, what it is with all well, and with `faults` on (words for the fault switch)."""

    shape: str
    kind: str
    cables: tuple[str, ...] = ()
    """By the nodes' numbers: "1:P1-2:P1"."""
    problems: tuple[str, ...] = ()
    """With node and cage: "mtu-mismatch 2 P1"."""
    nodes: int = 0
    faults: tuple[tuple[str, str], ...] = ()
    faulty_kind: str = ""
    faulty_problems: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    """What those who are no nodes call themselves, with the faults on; "": one that says nothing."""


CASES = (
    Case("single", "single", faults=(("storage", "1"), ("stranger", "1:P1")), faulty_kind="single",
         strangers=("02:5d:51:00:01:01", "storage-1")),
    Case("pair", "pair", ("1:P1-2:P1",), faults=(("silent", "1:P0"), ("rdma-inactive", "2")), faulty_kind="pair",
         faulty_problems=("no-answer 1 P0", "rdma-inactive 2 P1"), strangers=("",)),
    Case("pair-two-cables", "pair", ("1:P0-2:P0", "1:P1-2:P1")),
    Case("ring", "ring", ("1:P0-2:P1", "1:P1-3:P0", "2:P0-3:P1"),
         faults=(("cable-out", "1:P0"), ("mtu", "2:P0"), ("wrong-subnet", "3:P0")), faulty_kind="chain",
         faulty_problems=("mtu-mismatch 2 P0", "subnet-mismatch 1 P1")),
    Case("crossed-ring", "ring", ("1:P0-2:P0", "1:P1-3:P1", "2:P1-3:P0"), ("miscabled 1 P0", "miscabled 1 P1"),
         faults=(("half-down", "2:P1"), ("slow-line", "1:P0"), ("wire-mtu", "1:P1")), faulty_kind="ring",
         faulty_problems=("half-down 2 P1", "miscabled 1 P0", "miscabled 1 P1", "mtu-mismatch 1 P1", "slow-line 1 P0",
                          "slow-line 2 P0")),
    Case("switch", "switch", ("1:P1-switch", "2:P1-switch", "3:P1-switch"), nodes=3, faults=(("one-way", "2"),),
         faulty_kind="switch", faulty_problems=("one-way 1 P1", "one-way 3 P1")),
    Case("chain", "chain", ("1:P0-2:P1", "2:P0-3:P1")),
    Case("loop", "loop", ("1:P0-1:P1",), ("loop 1 P0",)),
    Case("mixed", "mixed", ("1:P0-2:P0", "1:P1-switch", "2:P1-switch", "3:P1-switch"), nodes=3),
)  # fmt: skip


@dataclass
class Told:
    """What was made of a cluster in each round: before, with faults, after."""

    rounds: list[Topology] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def short(self, text: str) -> str:
        """The text with numbers for the nodes' names."""
        for number, name in enumerate(self.names, start=1):
            text = text.replace(name, str(number))
        return text

    def cables(self, number: int) -> tuple[str, ...]:
        """The keys of that round's cables."""
        return tuple(self.short(cable.key) for cable in self.rounds[number].cables)

    def strangers(self, number: int) -> tuple[str, ...]:
        """What that round's strangers are called."""
        return tuple(sorted(one.label or one.name or one.mac for one in self.rounds[number].strangers))

    def problems(self, number: int) -> tuple[str, ...]:
        """The problems of that round."""
        found = {f"{one.id} {self.short(one.node_id)} {one.cage}" for one in self.rounds[number].problems}
        return tuple(sorted(found))


async def look(simulator: Simulator, links: Sequence[asyncssh.SSHClientConnection], token: str) -> Topology:
    """All nodes at the same moment."""

    async def ask(name: str, link: asyncssh.SSHClientConnection) -> NodeView:
        argv = python_command([PROGRAM], token, name).argv
        done = await link.run(shlex.join(argv), input=PROGRAM, encoding=None, timeout=30)
        assert done.exit_status == 0, done.stderr
        return read_view(name, name, json.loads(bytes(done.stdout or b"")))

    names = [str(node["name"]) for node in simulator.line["nodes"]]
    views = await asyncio.gather(*(ask(name, link) for name, link in zip(names, links, strict=True)))
    return build_topology(dict(zip(names, views, strict=True)), {})


async def look_until(
    simulator: Simulator, links: Sequence[asyncssh.SSHClientConnection], is_right: Callable[[Topology], bool]
) -> Topology:
    """The first look that shows what it should, or the last one."""
    end_s = time.monotonic() + LOOK_AGAIN_S
    while True:
        topology = await look(simulator, links, secrets.token_hex(4))
        if is_right(topology) or time.monotonic() > end_s:
            return topology


async def examine(case: Case, simulator: Simulator, gate: asyncio.Semaphore, alone: asyncio.Lock) -> Told:
    """The rounds of one cluster. `gate` lets so many be looked at at a time; who must look again does it `alone`."""
    told = Told(names=[str(node["name"]) for node in simulator.line["nodes"]])
    links = [await simulator.connect(index) for index in range(len(told.names))]
    well = (case.kind, case.cables, case.problems, ())
    ill = (case.faulty_kind, None, case.faulty_problems, case.strangers)
    try:
        for wanted, switched in ((well, None), (ill, True), (well, False))[: 3 if case.faults else 1]:
            if switched is not None:
                switch(simulator.state, case.faults, is_on=switched)

            def is_right(topology: Topology, wanted: tuple[object, ...] = wanted) -> bool:
                now = Told([topology], told.names)
                cables = now.cables(0) if wanted[1] is not None else None
                return (topology.shape, cables, now.problems(0), now.strangers(0)) == wanted

            async with gate:
                topology = await look(simulator, links, secrets.token_hex(4))
            if not is_right(topology):
                async with alone:
                    topology = await look_until(simulator, links, is_right)
            told.rounds.append(topology)
    finally:
        for link in links:
            link.close()
    return told


def switch(state: Path, faults: Sequence[tuple[str, str]], *, is_on: bool) -> None:
    """Switch faults as `--control` does."""
    for name, place in faults:
        reply = control.request(state, name, place, is_on=is_on)
        assert reply["ok"], reply
