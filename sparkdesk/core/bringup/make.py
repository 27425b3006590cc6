"""Makes the one plan of a bring-up: all chapters in their order, one playbook, and the proof.

The one rule: a pure function; the same case gives the same bytes, and where all is as it should be the playbook is
empty. A node that did not answer is in the matrix, and in no step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan
from sparkdesk.core.bringup.chapters.cabling import plan_cabling
from sparkdesk.core.bringup.chapters.docker import plan_docker
from sparkdesk.core.bringup.chapters.guard import plan_guard
from sparkdesk.core.bringup.chapters.hardware import plan_hardware
from sparkdesk.core.bringup.chapters.keys import plan_keys
from sparkdesk.core.bringup.chapters.network import plan_network
from sparkdesk.core.bringup.chapters.tools import plan_packages
from sparkdesk.core.bringup.chapters.trust import NO_ROOT, find_twins, plan_root, plan_trust, with_root_steps
from sparkdesk.core.bringup.matrix import Matrix, Row
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.build import build_proof
from sparkdesk.core.bringup.proof.image_choice import choose_image, later_words
from sparkdesk.core.bringup.proof.measurement import ProofItem
from sparkdesk.core.bringup.row import no_answer
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.bringup.scheme_choice import make_scheme
from sparkdesk.core.bringup.sign_in_note import sign_in_notes
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.step import Keep, Playbook, PutFile, Run, Stage


def make_plan(case: Case, made_ms: int) -> BringUpPlan:
    """The plan of this case, made at `made_ms` (Unix ms). Never raises for what a node says."""
    live = replace(case, node_ids=tuple(one for one in case.node_ids if case.reading(one).did_answer))
    scheme = make_scheme(live) if is_chosen(case, Chapter.NETWORK) else standing_part(make_scheme(live))
    chapters = [plan() for chapter, plan in _planners(live, scheme).items() if is_chosen(case, chapter)]
    # An installation needs the Internet, and what comes after a failed stage is not done: so it comes last.
    late = plan_packages(live)[1] if is_chosen(case, Chapter.HARDWARE) else ()
    stages = (*(stage for chapter in chapters for stage in chapter.stages), *late)
    needing = _needing_root(stages)
    first = plan_root(live, [one for one in live.node_ids if one in needing]) if is_chosen(case, Chapter.TRUST) else ()
    playbook = Playbook(
        f"Bring up {_count(live)}", tuple(one for one in (*first, *stages) if one.steps), needs_lock=True
    )
    rows = (with_root_steps(row, first) for chapter in chapters for row in chapter.rows)
    proof, items = Playbook(f"Prove {_count(live)}", ()), tuple[ProofItem, ...]()
    if live.node_ids and is_chosen(case, Chapter.PROOF):
        proof, items = build_proof(live, scheme)
    return BringUpPlan(
        mark=case.mark,
        made_ms=made_ms,
        node_ids=case.node_ids,
        names=case.names(),
        shape=case.topology.shape,
        matrix=Matrix(case.node_ids, tuple(_whole(row, case) for row in rows)),
        playbook=playbook,
        proof=proof,
        proof_items=items,
        scheme=scheme,
        diffs=tuple(replace(diff, chapter=chapter.chapter) for chapter in chapters for diff in chapter.diffs),
        notes=_notes(case, chapters, playbook, later_words(live) if items else ""),
        obstacles=tuple(dict.fromkeys(_obstacles(case, playbook))),
        choices=case.choices,
        image=choose_image(live) if items else "",
        is_simulated=case.is_simulated,
    )


def _planners(live: Case, scheme: Scheme) -> Mapping[Chapter, Callable[[], ChapterPlan]]:
    """Who plans each chapter of the nodes that answered, in their order."""
    return {
        Chapter.TRUST: lambda: plan_trust(live),
        Chapter.HARDWARE: lambda: plan_hardware(live),
        Chapter.KEYS: lambda: plan_keys(live, scheme),
        Chapter.DOCKER: lambda: plan_docker(live),
        Chapter.CABLING: lambda: plan_cabling(live),
        Chapter.NETWORK: lambda: plan_network(live, scheme),
        Chapter.GUARD: lambda: plan_guard(live),
    }


def standing_part(scheme: Scheme) -> Scheme:
    """What of a scheme stands already: all that there is to go on where addresses are not to be set."""
    lanes = (replace(lane, ends=tuple(end for end in lane.ends if end.origin == "kept")) for lane in scheme.lanes)
    return replace(scheme, lanes=tuple(lane for lane in lanes if lane.ends))


def is_chosen(case: Case, chapter: Chapter) -> bool:
    """Whether the person wants this chapter; nothing chosen is all of them."""
    return not case.choices.chapters or chapter.value in case.choices.chapters


def _count(case: Case) -> str:
    return "1 node" if len(case.node_ids) == 1 else f"{len(case.node_ids)} nodes"


def _whole(row: Row, case: Case) -> Row:
    """The row with a cell for each node that did not answer."""
    cells = {one: row.cells[one] if one in row.cells else no_answer(case.reading(one)) for one in case.node_ids}
    return replace(row, cells=MappingProxyType(cells))


def _notes(case: Case, chapters: list[ChapterPlan], playbook: Playbook, of_image: str) -> Mapping[str, tuple[str, ...]]:
    """By chapter: what the chapters say, who is left out, whose password is asked for, whose jobs are at stake."""
    absent = [case.reading(one) for one in case.node_ids if not case.reading(one).did_answer]
    first = [f"{one.name} did not answer and is left out: bring it up later, by itself." for one in absent]
    needing = _needing_root(playbook.stages)
    asked = [case.reading(one) for one in case.node_ids if one in needing]
    names = ", ".join(one.name for one in asked if one.sudo is SudoMode.PASSWORD)
    if names:
        first.append(f"sudo asks for a password on {names}: it is asked once, and kept for this run only.")
    found = {plan.chapter.value: plan.notes for plan in chapters}
    found[Chapter.TRUST.value] = (*first, *found.get(Chapter.TRUST.value, ()))
    network = Chapter.NETWORK.value
    found[network] = (*found.get(network, ()), *_at_stake(case, playbook))
    for chapter, notes in sign_in_notes(case, playbook).items():
        found[chapter] = (*found.get(chapter, ()), *notes)
    if of_image:
        found[Chapter.PROOF.value] = (of_image,)
    return MappingProxyType({chapter: notes for chapter, notes in found.items() if notes})


def _at_stake(case: Case, playbook: Playbook) -> Iterator[str]:
    """Jobs on nodes whose addresses change."""
    changed = {step.node for step in playbook.steps() if step.phase == Chapter.NETWORK.value}
    for node_id in case.node_ids:
        if node_id in changed and case.busy.get(node_id):
            jobs, name = ", ".join(case.busy[node_id]), case.reading(node_id).name
            yield f"{jobs} runs on {name}: what it sends over the cables may be cut. Stop it first if it spans nodes."


# What stands against it ----------------------------------------------------------------------------------------------


def _obstacles(case: Case, playbook: Playbook) -> Iterator[str]:
    """Sentences: what a person must mend before this can run at all."""
    yield from case.obstacles
    if not case.node_ids:
        yield "No node was chosen. Choose the nodes that are to be brought up."
    elif not any(case.reading(one).did_answer for one in case.node_ids):
        yield "No node answered. Connect them, then look again."
    for node_id, twin in find_twins(case).items():
        name = case.reading(node_id).name
        yield f"{name} and {twin} are one machine. Take one of them out of the cluster, then look again."
    needing = _needing_root(playbook.stages)
    for node_id in case.node_ids:
        reading = case.reading(node_id)
        if node_id in needing and reading.sudo in NO_ROOT:
            yield (
                f"{reading.name} needs root's rights for its steps, and sudo there is {reading.sudo.words}. "
                "Give the account the right, or leave the node out."
            )


def _needing_root(stages: Sequence[Stage]) -> frozenset[str]:
    """The nodes of which at least one step needs root's rights."""
    return frozenset(
        step.node
        for stage in stages
        for step in stage.steps
        for action in (*step.check, *step.apply, *step.verify)
        if isinstance(action, Run | PutFile | Keep) and action.as_root
    )
