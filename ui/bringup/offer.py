"""What the head of the bring-up page says, and which button does what comes next.

The one rule: pure; one main button, and it never runs a plan of other choices than those that are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.topology import Shape
from ui import text
from ui.bringup.outline import CHAPTERS, current_chapter

OfferKey = Literal["look", "apply", "pause", "resume", "prove", "cancel"]
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
    return (Offer("look", f"Checking {situation.nodes}", is_primary=True, is_busy=True),)


def _planned(situation: Situation) -> tuple[Offer, ...]:
    plan = situation.state.plan
    if plan is None or not situation.is_fresh:
        return _look(situation)
    again = Offer("look", "Check again")
    if plan.change_count == 0:
        return (again, _prove(situation))
    if situation.is_step_by_step:
        return (again,)
    reason = text.one_line(plan.obstacles[0], 200) if plan.obstacles else ""
    return (again, Offer("apply", f"Bring up {situation.nodes}", is_primary=True, reason=reason))


def _prove(situation: Situation, *, is_primary: bool = True) -> Offer:
    words = "Prove again" if situation.state.measurements else f"Prove {situation.nodes}"
    return Offer("prove", words, is_primary=is_primary)


def _running(_situation: Situation) -> tuple[Offer, ...]:
    return (Offer("cancel", "Stop"), Offer("pause", "Pause after this node"))


def _paused(situation: Situation) -> tuple[Offer, ...]:
    words = "Do the rest" if situation.is_step_by_step else "Continue"
    return (Offer("resume", words, is_primary=not situation.is_step_by_step),)


def _proving(_situation: Situation) -> tuple[Offer, ...]:
    return (Offer("cancel", "Stop the proof"),)


def _done(situation: Situation) -> tuple[Offer, ...]:
    return (Offer("look", "Check again"), _prove(situation, is_primary=not situation.state.measurements))


def _failed(situation: Situation) -> tuple[Offer, ...]:
    run = situation.state.run
    if run is not None and run.can_resume:
        return (Offer("look", "Check again"), Offer("resume", "Continue", is_primary=True))
    if situation.state.measurements:
        return (Offer("look", "Check again"), _prove(situation))
    return (Offer("look", "Check again", is_primary=True),)


def _undoing(_situation: Situation) -> tuple[Offer, ...]:
    return (Offer("cancel", "Stop"),)


def _interrupted(_situation: Situation) -> tuple[Offer, ...]:
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


def head_words(state: BringUpState) -> str:
    """The line beside the title."""
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
            return "Taken back"
        case Phase.DONE:
            return _done_words(state)


def plan_words(state: BringUpState) -> str:
    """What was recognised, and how much would be changed."""
    plan = state.plan
    if plan is None:
        return "No plan"
    seen = f"{len(plan.node_ids)} {'Spark' if len(plan.node_ids) == 1 else 'Sparks'}, {_SHAPES[plan.shape]}"
    if plan.change_count == 0:
        return f"{seen} · nothing to do: run the proof"
    nodes = len({step.node for step in plan.playbook.steps()})
    changes = f"{plan.change_count} {'change' if plan.change_count == 1 else 'changes'}"
    return f"{seen} · {changes} on {nodes} {'node' if nodes == 1 else 'nodes'}"


def _done_words(state: BringUpState) -> str:
    took = (state.ended_ms - state.started_ms) / 1000 if state.ended_ms is not None and state.started_ms else None
    how_long = f" in {text.duration(took)}" if took is not None else ""
    if not state.measurements:
        return f"Done{how_long} · not proved yet"
    bad = sum(measurement.grade in (Grade.FAIL, Grade.WARN, Grade.UNREAD) for measurement in state.measurements)
    return f"Done{how_long} · {'proved' if not bad else f'{bad} of {len(state.measurements)} measurements stand out'}"
