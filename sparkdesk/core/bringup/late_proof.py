"""The proof of a plan that could not choose its image yet, with the image that a reading after the run has found.

The one rule: what is measured is what was shown, with the image's name in the place of `IMAGE`; beside it only more
images are asked for their NCCL. Where no image was found, what wants one is left out, and its reason is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.image_choice import LATER_IMAGE
from sparkdesk.core.bringup.proof.measurement import ProofItem, ProofKind
from sparkdesk.core.step import Action, Confirm, Playbook, Run, Stage, Step

STILL_OPEN = "No image could be chosen: docker did not answer on all nodes after the changes. Look again, then prove."


def awaits_image(plan: BringUpPlan) -> bool:
    """Whether its proof wants an image and has none: docker may answer only once the plan has run."""
    has_proof = not plan.choices.chapters or Chapter.PROOF.value in plan.choices.chapters
    return has_proof and plan.choices.picks_image and not plan.image


def with_later_proof(plan: BringUpPlan, later: BringUpPlan) -> BringUpPlan:
    """The plan with the image of one that was made after its run. Where it was planned without any, with all of that
    one's proof; its own where that one left a node out."""
    is_whole = _measured(plan) <= _measured(later)
    if not any(item.image == LATER_IMAGE for item in plan.proof_items):
        return replace(plan, proof=later.proof, proof_items=later.proof_items, image=later.image) if is_whole else plan
    if not is_whole or not later.image:
        return _without_image(plan, {item.id: item.skipped for item in later.proof_items} if is_whole else {})
    named = f"The proof runs in {later.image}; the plan called it {LATER_IMAGE} until docker answered."
    notes = {**plan.notes, Chapter.PROOF.value: (named,)}
    items, proof = _with_others(
        tuple(_named_item(item, later.image) for item in plan.proof_items),
        replace(plan.proof, stages=tuple(_named_stage(stage, later.image) for stage in plan.proof.stages)),
        later,
    )
    return replace(plan, proof=proof, proof_items=items, image=later.image, notes=MappingProxyType(notes))


def _measured(plan: BringUpPlan) -> set[str]:
    return {node_id for item in plan.proof_items for node_id in item.node_ids}


# The name in its place -----------------------------------------------------------------------------------------------


def _named_item(item: ProofItem, image: str) -> ProofItem:
    if item.image != LATER_IMAGE:
        return item
    return replace(item, image=image, title=item.title.replace(LATER_IMAGE, image))


def _named_stage(stage: Stage, image: str) -> Stage:
    steps = tuple(_named_step(step, image) for step in stage.steps)
    return replace(stage, title=stage.title.replace(LATER_IMAGE, image), steps=steps)


def _named_step(step: Step, image: str) -> Step:
    apply = tuple(_named_action(action, image) for action in step.apply)
    return replace(step, title=step.title.replace(LATER_IMAGE, image), apply=apply)


def _named_action(action: Action, image: str) -> Action:
    """Only a word that is nothing but the placeholder."""
    if not isinstance(action, Run) or LATER_IMAGE not in action.command.argv:
        return action
    argv = tuple(image if word == LATER_IMAGE else word for word in action.command.argv)
    return replace(action, command=replace(action.command, argv=argv))


def _with_others(
    items: tuple[ProofItem, ...], proof: Playbook, later: BringUpPlan
) -> tuple[tuple[ProofItem, ...], Playbook]:
    """With the questions to the other images that came to light, behind the one to the chosen one."""
    known = {item.id for item in items}
    others = [one for one in later.proof_items if one.kind is ProofKind.NCCL_IMAGE and one.id not in known]
    ids = {step_id for one in others for step_id in one.step_ids}
    asks = [stage for stage in later.proof.stages if any(step.id in ids for step in stage.steps)]
    chosen = next(at for at, item in enumerate(items) if item.kind is ProofKind.NCCL_IMAGE) + 1
    stages = proof.stages
    first = set(items[chosen - 1].step_ids)
    behind = next(at for at, stage in enumerate(stages) if any(step.id in first for step in stage.steps)) + 1
    return (
        (*items[:chosen], *others, *items[chosen:]),
        replace(proof, stages=(*stages[:behind], *asks, *stages[behind:])),
    )


# Without one ---------------------------------------------------------------------------------------------------------


def _without_image(plan: BringUpPlan, why: Mapping[str, str]) -> BringUpPlan:
    """What wants an image is left out, with the reason that is known now, by item."""
    gone = {step_id for item in plan.proof_items if item.image == LATER_IMAGE for step_id in item.step_ids}
    items = tuple(
        replace(item, step_ids=(), parts=(), image="", title=item.title.replace(LATER_IMAGE, "the image"),
                skipped=why.get(item.id) or STILL_OPEN)
        if item.image == LATER_IMAGE else item
        for item in plan.proof_items
    )  # fmt: skip
    notes = {chapter: notes for chapter, notes in plan.notes.items() if chapter != Chapter.PROOF.value}
    proof = replace(plan.proof, stages=_left(plan.proof.stages, gone))
    return replace(plan, proof=proof, proof_items=items, notes=MappingProxyType(notes))


def _left(stages: Sequence[Stage], gone: set[str]) -> tuple[Stage, ...]:
    """The stages without those steps, and without a question that is asked for their sake alone."""
    kept: list[Stage] = []
    is_behind_gone = False
    for stage in reversed(stages):
        is_question = all(isinstance(action, Confirm) for step in stage.steps for action in step.apply)
        is_gone = is_behind_gone if is_question else any(step.id in gone for step in stage.steps)
        if not is_gone:
            kept.append(stage)
        is_behind_gone = is_gone
    return tuple(reversed(kept))
