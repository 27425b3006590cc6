"""Turns what is wrong with the cables into concerns: MTU, subnets, one-way links, loops, silent ports.

The one rule: a problem clears when a look that was done to its end, and that the node answered, has it no more. What
the samples tell by themselves (a half that is down, a slow line) is judge_cage's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.findings.cable_fix import make_mtu_fix
from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes.finding import NO_STEP

MAX_EVIDENCE_CHARS = 600
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
HALF_COST = "Up to 100 of 200 Gb/s: over one half NCCL reached about 12 GB/s, over both 23.7 GB/s."
"""Source: NVIDIA/dgx-spark-playbooks#103 for both; a user's log of one RDMA device (98 Gb/s) for one."""
COSTS = {
    "one-way": "Nothing that runs over both nodes works over this cable.",
    "mtu-mismatch": "Transfers stall or break off while a ping looks well. With 9000 at all ends NCCL reached 23.7 "
    "GB/s, with 1500 at all ends 18.9 to 21 GB/s.",
    "subnet-mismatch": "Models over several nodes cannot use this cable.",
    "rdma-inactive": "Models over several nodes cannot use RDMA on this cable.",
    "loop": "Both ports of the node are taken, and it reaches no other node.",
}
"""Source of the figures: NVIDIA/dgx-spark-playbooks#25 (MTU 1500) and #103 (MTU 9000)."""
OF_HALVES = ("subnet-mismatch", "rdma-inactive")
"""Where one wrong half costs half of the cable."""


def judge_topology(topology: Topology, node_ids: Iterable[str]) -> Iterator[Judgement]:
    """What the last look at the cables tells of these nodes."""
    found: dict[str, list[Problem]] = {}
    for problem in topology.problems:
        found.setdefault(concern_id(problem.id, problem.node_id, problem.cage), []).append(problem)
    for node_id in node_ids:
        was_asked = topology.state is LookState.DONE and concern_id(NOT_ASKED, node_id) not in found
        for rule, title in TITLES.items():
            for cage in CAGES:
                key = concern_id(rule, node_id, cage)
                known = found.get(key) if topology.state is LookState.DONE else None
                yield Judgement(key, _tell(known, title) if known is not None else None, is_known=was_asked)


def _tell(problems: Sequence[Problem], title: str) -> Concern:
    """One concern of a cage: both of its halves may have the same problem."""
    first = problems[0]
    severity = Severity(first.severity) if first.severity in tuple(Severity) else Severity.WARN
    message, remedy = _words(problems)
    message = make_line(message, max_chars=MAX_EVIDENCE_CHARS)
    fix = make_mtu_fix(first.node_id, [one.mtu for one in problems if one.mtu is not None])
    is_by_hand = fix is None and severity is not Severity.NOTE
    halves = {one.netdev for one in problems}
    is_half = first.id in OF_HALVES and len(halves) == 1 and "" not in halves
    return Concern(
        rule=first.id,
        node_id=first.node_id,
        severity=severity,
        title=title,
        evidence=message,
        remedy=f"{NO_STEP} {remedy}" if is_by_hand else remedy,
        subject=first.cage,
        cost=HALF_COST if is_half else COSTS.get(first.id, ""),
        fix=fix,
        fingerprint=message,
    )


def _words(problems: Sequence[Problem]) -> tuple[str, str]:
    """What was seen and what to do; halves with the same MTU are named together, not told one after the other."""
    first, *rest = problems
    others = list(dict.fromkeys(one.netdev for one in rest if one.netdev != first.netdev))
    if others and all(one.mtu is not None and one.netdev and _shape(one) == _shape(first) for one in problems):
        names = " and ".join((first.netdev, *others))
        message = first.message.replace(first.netdev, names).replace(" has MTU", " have MTU")
        more = f" The same for {' and '.join(others)}." if first.netdev in first.remedy else ""
        return message, first.remedy + more
    message = "; ".join(dict.fromkeys(one.message for one in problems))
    return message, " ".join(dict.fromkeys(one.remedy for one in problems))


def _shape(problem: Problem) -> tuple[str, str]:
    """The words without the half's name."""
    return problem.message.replace(problem.netdev, "*"), problem.remedy.replace(problem.netdev, "*")
