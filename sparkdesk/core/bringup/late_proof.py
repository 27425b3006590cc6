"""The proof of a plan that could not choose its image yet, with the image that a reading after the run has found.

The one rule: what was done stays as it was planned; only what is measured comes from the later reading.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.plan import BringUpPlan


def awaits_image(plan: BringUpPlan) -> bool:
    """Whether its proof wants an image and has none: docker may answer only once the plan has run."""
    has_proof = not plan.choices.chapters or Chapter.PROOF.value in plan.choices.chapters
    return has_proof and plan.choices.picks_image and not plan.image


def with_later_proof(plan: BringUpPlan, later: BringUpPlan) -> BringUpPlan:
    """The plan with the proof of one that was made after its run; its own where that one left a node out."""
    if not _measured(plan) <= _measured(later):
        return plan
    return replace(plan, proof=later.proof, proof_items=later.proof_items, image=later.image)


def _measured(plan: BringUpPlan) -> set[str]:
    return {node_id for item in plan.proof_items for node_id in item.node_ids}
