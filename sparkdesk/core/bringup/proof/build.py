"""Builds the proof of a bring-up: one playbook that only measures, and the items that are read from its steps.

The one rule: the same case gives the same proof; nothing in it changes a node, so it takes no lock: a lock would wait
for others who only read, and what two desks measure at one moment shows as what it is.
"""

from __future__ import annotations

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.proof.image_choice import with_image
from sparkdesk.core.bringup.proof.link_steps import Part, duplicate_part, link_part, ping_part
from sparkdesk.core.bringup.proof.load_steps import load_part
from sparkdesk.core.bringup.proof.measurement import ProofItem
from sparkdesk.core.bringup.proof.nccl_steps import nccl_part
from sparkdesk.core.bringup.proof.nccl_tests import tests_part
from sparkdesk.core.bringup.proof.speed_steps import speed_part
from sparkdesk.core.bringup.proof.wire import find_wires
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.step import Playbook


def build_proof(case: Case, scheme: Scheme) -> tuple[Playbook, tuple[ProofItem, ...]]:
    """What is measured, in order: links, pings, addresses, bandwidth and latency by rounds, NCCL, each GPU's clock."""
    case = with_image(case)
    wires = find_wires(case, scheme)
    parts: list[Part] = [
        link_part(wires),
        ping_part(wires),
        duplicate_part(case, wires),
        load_part(case, wires),
        nccl_part(case, scheme),
        tests_part(case, scheme),
    ]
    parts.append(speed_part(case, [stage for _, stages in parts for stage in stages]))
    count = len(case.node_ids)
    title = f"Prove {count} nodes" if count != 1 else "Prove one node"
    return (
        Playbook(title, tuple(stage for _, stages in parts for stage in stages)),
        tuple(item for items, _ in parts for item in items),
    )
