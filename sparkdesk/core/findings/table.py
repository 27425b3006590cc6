"""Every judge of concerns, in one table, and the one way to ask them all. Pure and total."""

from __future__ import annotations

from collections.abc import Iterator

from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.findings.concern import Judgement
from sparkdesk.core.findings.judge_cage import judge_cages
from sparkdesk.core.findings.judge_checks import judge_check_up, judge_node
from sparkdesk.core.findings.judge_missing import judge_missing
from sparkdesk.core.findings.judge_power import judge_power
from sparkdesk.core.findings.judge_topology import judge_topology
from sparkdesk.core.findings.judge_versions import judge_versions
from sparkdesk.core.findings.judge_wedge import judge_wedge
from sparkdesk.core.findings.view import Judge, NodeNow

URGENT_JUDGES: tuple[Judge, ...] = (judge_wedge,)
"""What a person has seconds for."""
NODE_JUDGES: tuple[Judge, ...] = (*URGENT_JUDGES, judge_node, judge_power, judge_cages, judge_check_up)


def judge_one(
    view: NodeNow, views: tuple[NodeNow, ...], judges: tuple[Judge, ...] = NODE_JUDGES
) -> Iterator[Judgement]:
    """What can be said now of every possible concern of one of these nodes."""
    for judge in judges:
        yield from judge(view, views)


def judge_cluster(
    views: tuple[NodeNow, ...], topology: Topology | None = None, declared: str = ""
) -> Iterator[Judgement]:
    """What can be said now of every possible concern of the nodes together, and of what joins them.

    `declared` is the shape that the cluster was set up with, "" where nobody said one.
    """
    yield from judge_versions(views)
    if topology is not None:
        yield from judge_topology(topology, (view.node_id for view in views))
        yield from judge_missing(views, topology, declared)
