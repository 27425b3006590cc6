"""Builds the proof of a bring-up: one playbook that only measures, and the items that are read from its steps.

The one rule: the same case gives the same proof; nothing of it stays on a node. It takes the nodes' locks all the
same: what two computers measure at one moment, or one while another changes the network, is no figure of the cluster.
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
        Playbook(title, tuple(stage for _, stages in parts for stage in stages), needs_lock=True, only_measures=True),
        tuple(item for items, _ in parts for item in items),
    )
