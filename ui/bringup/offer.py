"""What the head of the bring-up page says, and which button does what comes next.

The one rule: pure; one main button, and it never runs a plan of other choices than those that are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.outcome import is_change
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.proof.verdict import BAD, open_parts, verdict_words
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.topology import Shape
from ui import text
from ui.bringup.outline import CHAPTERS, current_chapter, is_open, steps_of

OfferKey = Literal["look", "apply", "chapter", "pause", "resume", "undo", "prove", "cancel"]
UNDER_WAY: Final = (Phase.READING, Phase.RUNNING, Phase.PROVING, Phase.UNDOING)
_SHAPES: Final[dict[Shape, str]] = {
    Shape.SINGLE: "no cable between them",
    Shape.PAIR: "a pair on a cable",
    Shape.RING: "a ring",
    Shape.SWITCH: "on a switch",
    Shape.CHAIN: "a chain, which is no ring",
    Shape.LOOP: "a cable from a node to itself",
    Shape.MIXED: "cabled in a mixed way",
    Shape.UNKNOWN: "cabling not known",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A button. `reason`: why it cannot be pressed, "" when it can."""

    key: OfferKey
    words: str
    is_primary: bool = False
    is_busy: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What the buttons follow: the state, the nodes that are chosen, whether the plan shown is that of the choices."""

    state: BringUpState
    node_count: int
    is_fresh: bool
    is_step_by_step: bool = False
    chapter: Chapter = Chapter.FINISH
    """The one that is looked at, whose button stands in the head while it goes step by step."""

    @property
    def nodes(self) -> str:
        """ "4 nodes"."""
        return f"{self.node_count} {'node' if self.node_count == 1 else 'nodes'}"


def offers(situation: Situation) -> tuple[Offer, ...]:
    """The buttons, the main one last, as they stand in the head."""
    found = _OFFERS[situation.state.phase](situation)
    if situation.node_count == 0:
        found = tuple(
            replace(each, reason="Choose a node") if each.key in ("look", "prove") else each for each in found
        )
    return found


def _look(situation: Situation) -> tuple[Offer, ...]:
    return (Offer("look", f"Check {situation.nodes}", is_primary=True),)


def _reading(situation: Situation) -> tuple[Offer, ...]:
    """Where a plan is in sight already its buttons keep their places, and wait."""
    found = _planned(situation)
    if len(found) < 2:
        return (Offer("look", f"Checking {situation.nodes}", is_primary=True, is_busy=True),)
    waiting = (replace(each, reason="The nodes are being read again") for each in found[1:])
    return (replace(found[0], words="Checking again", is_busy=True), *waiting)


def _planned(situation: Situation) -> tuple[Offer, ...]:
    plan = situation.state.plan
    if plan is None or not situation.is_fresh:
        return _look(situation)
    again = Offer("look", "Check again")
    if plan.change_count == 0:
        return (again, _prove(situation))
    if situation.is_step_by_step:
        return (again, *_chapter(situation))
    reason = text.one_line(plan.obstacles[0], 200) if plan.obstacles else ""
    return (again, Offer("apply", f"Bring up {situation.nodes}", is_primary=True, reason=reason))


def _chapter(situation: Situation) -> tuple[Offer, ...]:
    """The button of the chapter that is looked at; none where there is nothing to do in it."""
    state, chapter = situation.state, situation.chapter
    if chapter is Chapter.PROOF and state.plan is not None and state.plan.proof_items:
        has_run = state.run is not None and state.run.can_resume  # it is not over: it is proved at its end
        return () if has_run else (Offer("prove", "Run the proof", is_primary=True),)
    if not steps_of(state, chapter.value) or not is_open(state, chapter.value):
        return ()
    reason = text.one_line(state.plan.obstacles[0], 200) if state.plan is not None and state.plan.obstacles else ""
    return (Offer("chapter", f"Apply: {chapter.words}", is_primary=True, reason=reason),)


def _prove(situation: Situation, *, is_primary: bool = True) -> Offer:
    words = "Prove again" if situation.state.measurements else f"Prove {situation.nodes}"
    return Offer("prove", words, is_primary=is_primary)


def _running(_situation: Situation) -> tuple[Offer, ...]:
    return (Offer("cancel", "Stop"), Offer("pause", "Pause after this node"))


def _paused(situation: Situation) -> tuple[Offer, ...]:
    return _going_on(situation)


def _going_on(situation: Situation) -> tuple[Offer, ...]:
    """What was asked for and is not done goes on; where all of that is done, what is left of the plan."""
    state = situation.state
    asked = sorted(state.chapters, key=lambda key: [chapter.value for chapter in CHAPTERS].index(key))
    left = [key for key in asked if is_open(state, key)]
    if left:
        words = f"Continue: {Chapter(left[0]).words}" if len(left) == 1 else "Continue"
        return (Offer("resume", words, is_primary=True),)
    if not asked:
        return (Offer("resume", "Continue", is_primary=True),)
    chapter = _chapter(situation) if situation.is_step_by_step else ()
    return (Offer("resume", "Do the rest", is_primary=not chapter), *chapter)


def _proving(_situation: Situation) -> tuple[Offer, ...]:
    return (Offer("cancel", "Stop the proof"),)


def _done(situation: Situation) -> tuple[Offer, ...]:
    return (Offer("look", "Check again"), _prove(situation, is_primary=not situation.state.measurements))


def _failed(situation: Situation) -> tuple[Offer, ...]:
    run = situation.state.run
    if run is not None and run.can_resume:
        return (Offer("look", "Check again"), *_going_on(situation))
    if situation.state.measurements:
        return (Offer("look", "Check again"), _prove(situation))
    return (Offer("look", "Check again", is_primary=True),)


def _undoing(_situation: Situation) -> tuple[Offer, ...]:
    return (Offer("cancel", "Stop"),)


def _interrupted(situation: Situation) -> tuple[Offer, ...]:
    """What went backwards goes on backwards: it cannot be carried on forwards any more."""
    run = situation.state.run
    if run is not None and run.is_undo:
        return (Offer("undo", "Undo the rest", is_primary=True),)
    return (Offer("resume", "Continue", is_primary=True),)


_OFFERS: Final = {
    Phase.IDLE: _look,
    Phase.READING: _reading,
    Phase.PLANNED: _planned,
    Phase.RUNNING: _running,
    Phase.PAUSED: _paused,
    Phase.PROVING: _proving,
    Phase.DONE: _done,
    Phase.FAILED: _failed,
    Phase.UNDOING: _undoing,
    Phase.UNDONE: _look,
    Phase.INTERRUPTED: _interrupted,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the proof came to, for a chip of the head: it stays in sight wherever the page is scrolled to."""

    words: str
    mark: Literal["pass", "warn", "fail"]


def verdict_of(state: BringUpState) -> Verdict | None:
    """The proof's, once it is over; None before, and where what was measured tells of an earlier time."""
    grades = {one.grade for one in state.measurements}
    if state.phase is not Phase.DONE or state.past_proof or not grades - {Grade.SKIPPED}:
        return None
    words = verdict_words(state.measurements)
    is_open = bool(grades & set(BAD)) or bool(open_parts(state.measurements))
    mark: Literal["pass", "warn", "fail"] = "fail" if Grade.FAIL in grades else "warn" if is_open else "pass"
    return Verdict(words[:1].upper() + words[1:], mark)


def head_line(state: BringUpState) -> str:
    """The line beside the title, without what the chip says."""
    return _took_words(state) if verdict_of(state) is not None else head_words(state)


def head_words(state: BringUpState) -> str:
    """How it stands, whole."""
    chapter = current_chapter(state)
    step = f"step {CHAPTERS.index(chapter) + 1} of {len(CHAPTERS)} · {chapter.words}"
    match state.phase:
        case Phase.IDLE:
            return "Nothing was read yet"
        case Phase.READING:
            said = text.one_line(state.message, 80) or "Reading the nodes"
            return f"{said} · this changes nothing"
        case Phase.PLANNED:
            return plan_words(state)
        case Phase.RUNNING:
            return step[:1].upper() + step[1:]
        case Phase.PROVING:
            return " · ".join(part for part in (step[:1].upper() + step[1:], text.one_line(state.message, 80)) if part)
        case Phase.PAUSED:
            return f"Paused at {step}"
        case Phase.FAILED:
            return f"Stopped at {step}"
        case Phase.INTERRUPTED:
            return f"Interrupted at {step}"
        case Phase.UNDOING:
            return "Taking back what was done"
        case Phase.UNDONE:
            return "Taken back in part" if state.undoable_count else "Taken back"
        case Phase.DONE:
            return _done_words(state)


def plan_words(state: BringUpState) -> str:
    """What was recognised, and how much would be changed."""
    plan = state.plan
    if plan is None:
        return "No plan"
    seen = f"{len(plan.node_ids)} Sparks, {_SHAPES[plan.shape]}" if len(plan.node_ids) != 1 else "1 Spark"
    if plan.change_count == 0:
        return f"{seen} · nothing to do: run the proof"
    steps = [step for step in plan.playbook.steps() if is_change(step)]
    if not steps:
        return f"{seen} · nothing to change but to sign in anew"
    nodes = len({step.node for step in steps})
    changes = f"{len(steps)} {'change' if len(steps) == 1 else 'changes'}"
    return f"{seen} · {changes} on {nodes} {'node' if nodes == 1 else 'nodes'}"


def _done_words(state: BringUpState) -> str:
    verdict = verdict_words(state.measurements) if state.measurements else "not proved yet"
    return f"{_took_words(state)} · {verdict}"


def _took_words(state: BringUpState) -> str:
    took = (state.ended_ms - state.started_ms) / 1000 if state.ended_ms is not None and state.started_ms else None
    return f"Done in {text.duration(took)}" if took is not None else "Done"
