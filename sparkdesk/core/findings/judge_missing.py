"""Judges whether a cable that the cluster was set up with was never there: no reading misses what never had a link.

The one rule: only a look that was done to its end, that was about these nodes and that all of them answered, tells it;
a cage of which `judge_cages` already tells something is not told twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from sparkdesk.core.cluster.half import End
from sparkdesk.core.cluster.planned_cable import find_missing
from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.findings.judge_cage import SUSTAINED_S, judge_cages
from sparkdesk.core.findings.judge_topology import NOT_ASKED
from sparkdesk.core.findings.view import NodeNow

RULE = "missing-cable"
PAIR = 2


def judge_missing(views: tuple[NodeNow, ...], topology: Topology, declared: str) -> Iterator[Judgement]:
    """The cables of the declared shape ("" for none) that nobody sees, each at its first end."""
    nodes = {view.node_id: view for view in views}
    is_known = _is_known(topology, frozenset(nodes))
    missing = find_missing(topology.cables, declared, tuple(nodes)) if is_known else ()
    if len(nodes) == PAIR:
        missing = missing[:1]  # one cable is enough for two nodes
    found = {ends[0]: ends for ends in missing}
    for node_id in nodes:
        for cage in CAGES:
            key, ends = concern_id(RULE, node_id, cage), found.get((node_id, cage))
            if ends is None:
                yield Judgement(key, is_known=is_known or not declared, clear_s=SUSTAINED_S)
            elif any(nodes[node].cages.get(each) is None for node, each in ends):
                yield Judgement(key, is_known=False)
            else:
                looked = [(node, each) for node in nodes for each in CAGES] if len(nodes) == PAIR else ends
                is_open = all(_is_open(nodes[node], each, views) for node, each in looked)
                concern = _tell(ends, nodes, declared) if is_open else None
                yield Judgement(key, concern, appear_s=SUSTAINED_S, clear_s=SUSTAINED_S)


def _is_known(topology: Topology, node_ids: frozenset[str]) -> bool:
    """Whether the look tells of all these nodes, and of no other."""
    is_done = topology.state is LookState.DONE and not topology.away
    was_asked = all(problem.id != NOT_ASKED for problem in topology.problems)
    return is_done and was_asked and node_ids == frozenset(topology.rank_order)


def _is_open(view: NodeNow, cage: str, views: tuple[NodeNow, ...]) -> bool:
    """Whether a cage has no link now, and nothing else tells so."""
    told = {judgement.id for judgement in judge_cages(view, views) if judgement.concern is not None}
    now = view.cages.get(cage)
    return (now is None or not now.halves) and not any(key.endswith(f"/{cage}") for key in told)


def _tell(ends: tuple[End, ...], nodes: dict[str, NodeNow], declared: str) -> Concern:
    places = [f"{nodes[node].name} {cage}" for node, cage in ends]
    (node_id, cage), where = ends[0], " and ".join(places)
    way = f"Join {where} by a cable" if len(ends) > 1 else f"Join {where} with the switch by a cable"
    return Concern(
        rule=RULE,
        node_id=node_id,
        severity=Severity.WARN,
        title=f"The cable between {where} is missing" if len(ends) > 1 else "The cable to the switch is missing",
        evidence=f"No link at {where}; the cluster was set up as a {declared}",
        remedy=f"{way}, or accept this if it was left out on purpose.",
        subject=cage,
        cost="Models over several nodes cannot use this cable.",
        fingerprint=where,
    )
