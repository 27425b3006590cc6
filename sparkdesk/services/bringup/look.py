"""Reads the nodes of a bring-up, all at once and together with their cabling, and makes the case of its plan.

The one rule: it changes nothing, and a node that does not answer is a reading that says why, never an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.bringup.case import Case, Choices
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.fold import follow
from sparkdesk.core.bringup.matrix import Matrix
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.reading_table import READS, read_node
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.errors import NodeError
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Action, Step
from sparkdesk.services.bringup.parts import BringUpParts
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.ident import new_id

READ_TIMEOUT_S = 60.0
CABLES_TIMEOUT_S = 30.0
FRESH_S = 5.0
"""Cabling that was seen so lately is not looked at again."""

Tell = Callable[[str], None]


async def read_case(
    parts: BringUpParts, node_ids: Sequence[str], choices: Choices, tell: Tell, *, max_age_s: float = FRESH_S
) -> Case:
    """The case of these nodes as they are now. `tell` hears how far it is."""
    wanted = tuple(dict.fromkeys(node_ids))
    readings: dict[str, NodeReading] = {}

    async def read(node_id: str) -> None:
        readings[node_id] = await read_one(parts, node_id)
        tell(f"{len(readings)} of {len(wanted)} nodes are read")

    tell(f"0 of {len(wanted)} nodes are read")
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_look_at_cables(parts, max_age_s))
        for node_id in wanted:
            group.create_task(read(node_id))
    topology = looking.result()
    cluster = parts.inventory.cluster.value
    return Case(
        node_ids=ranked(wanted, topology.rank_order),
        readings=MappingProxyType(readings),
        topology=topology,
        choices=choices,
        mark=new_id(),
        programs=parts.programs,
        torch_images=parts.torch_images,
        is_simulated=cluster is not None and cluster.is_simulated,
        obstacles=parts.obstacles(),
        busy=parts.busy(),
        in_use=parts.in_use(),
    )


async def read_one(parts: BringUpParts, node_id: str) -> NodeReading:
    """One node's reading."""
    try:
        record = parts.inventory.status(node_id).record
    except KeyError:
        words = "It is in the cluster no more"
        return NodeReading(node_id, node_id, did_answer=False, message=words, remedy="Add it again, then look again.")
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            answers = await parts.reader.read(node_id, READS)
    except NodeError as error:
        return _silent(record, error.message, error.remedy)
    except TimeoutError:
        return _silent(record, f"No answer within {READ_TIMEOUT_S:.0f} s", "Look again when it is less busy.")
    found = await asyncio.to_thread(read_node, answers, node_id=node_id, name=record.name, host_key=record.host_key)
    return replace(found, address=record.address)


def _silent(record: NodeRecord, message: str, remedy: str) -> NodeReading:
    return NodeReading(
        record.id, record.name, did_answer=False, message=message, remedy=remedy, host_key=record.host_key
    )


async def _look_at_cables(parts: BringUpParts, max_age_s: float) -> Topology:
    """The cabling; what was seen before where no look ends in time."""
    try:
        async with asyncio.timeout(CABLES_TIMEOUT_S):
            return await parts.topology.look_lately(max_age_s)
    except TimeoutError:
        seen = parts.topology.topology.value
        return seen if seen.state is not LookState.LOOKING else Topology()


def nodes_of(run: RunView) -> tuple[str, ...]:
    """The nodes of a run, in the order in which its steps name them."""
    return tuple(dict.fromkeys(step.node for step in run.playbook.steps()))


def step_of(run: RunView | None, step_id: str) -> Step | None:
    """This step of the run."""
    return next((step for step in run.playbook.steps() if step.id == step_id), None) if run else None


def steps_of(plan: BringUpPlan | None, chapters: frozenset[str]) -> frozenset[str] | None:
    """The steps of these chapters, and the proofs of root's rights where they need them; None for all."""
    if not chapters or plan is None:
        return None
    steps = [step for step in plan.playbook.steps() if step.phase in chapters]
    rooted = {step.node for step in steps if any(getattr(action, "as_root", False) for action in _actions(step))}
    proving = [step for step in plan.playbook.steps() if step.phase == Chapter.TRUST.value and step.node in rooted]
    return frozenset(step.id for step in (*proving, *steps))


def _actions(step: Step) -> tuple[Action, ...]:
    return (*step.check, *step.apply, *step.verify)


def unfinished(plan: BringUpPlan | None, run: RunView, chapters: frozenset[str]) -> frozenset[str]:
    """These chapters, where a step of theirs has not ended well; empty where all have: then the rest is wanted."""
    steps = plan.playbook.steps() if plan is not None else ()
    is_left = any(step.phase in chapters and run.step(step.id).state not in ("done", "unchanged") for step in steps)
    return chapters if is_left else frozenset()


def matrix_of(
    plan: BringUpPlan | None, node_ids: tuple[str, ...], run: RunView | None, proof_run: RunView | None
) -> Matrix:
    """What the plan found, with its cells as the run and the proof have them."""
    if plan is None:
        return Matrix(node_ids)
    is_its_run = run is not None and run.playbook == plan.playbook
    return follow(follow(plan.matrix, run if is_its_run else None), proof_run)


def knows_any(inventory: Inventory, node_ids: Sequence[str]) -> bool:
    """Whether one of these nodes is in any cluster still."""
    clusters = (*inventory.clusters.value, inventory.cluster.value)
    return any(node.id in node_ids for cluster in clusters if cluster is not None for node in cluster.nodes)
