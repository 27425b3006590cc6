"""Turns what is wrong with the cables into concerns: MTU, subnets, one-way links, loops, silent ports.

The one rule: a problem clears when a look that was done to its end, and that the node answered, has it no more. What
the samples tell by themselves (a half that is down, a slow line) is judge_cage's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id

TITLES = {
    "one-way": "A cable works in one direction only",
    "mtu-mismatch": "The MTU differs along a cable",
    "subnet-mismatch": "Two ends of a cable are in different subnets",
    "subnet-shared": "Both halves of a port are in one subnet",
    "rdma-inactive": "A port cannot be used for RDMA",
    "loop": "A cable joins a node with itself",
    "no-ipv6": "What a cable leads to cannot be seen",
    "no-answer": "Nobody answers on a cable",
    "miscabled": "A cable is plugged in another way than in the guide",
}
NOT_ASKED = "not-asked"


def judge_topology(topology: Topology, node_ids: Iterable[str]) -> Iterator[Judgement]:
    """What the last look at the cables tells of these nodes."""
    found: dict[str, Problem] = {}
    for problem in topology.problems:
        found.setdefault(concern_id(problem.id, problem.node_id, problem.cage), problem)
    for node_id in node_ids:
        was_asked = topology.state is LookState.DONE and concern_id(NOT_ASKED, node_id) not in found
        for rule, title in TITLES.items():
            for cage in CAGES:
                key = concern_id(rule, node_id, cage)
                known = found.get(key) if topology.state is LookState.DONE else None
                yield Judgement(key, _tell(known, title) if known is not None else None, is_known=was_asked)


def _tell(problem: Problem, title: str) -> Concern:
    is_known = problem.severity in tuple(Severity)
    return Concern(
        rule=problem.id,
        node_id=problem.node_id,
        severity=Severity(problem.severity) if is_known else Severity.WARN,
        title=title,
        evidence=problem.message,
        remedy=problem.remedy,
        subject=problem.cage,
        fingerprint=problem.message,
    )
