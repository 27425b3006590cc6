"""What a bring-up says where it refuses, and where it has failed.

The one rule: every refusal says what to do first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.playbooks.run_view import INTERRUPTED, PAUSED, WAITING, RunView
from sparkdesk.core.step import RunEnded

WAIT_FIRST = "Wait for its end, or stop it."
DECIDE_FIRST = "Continue it, or undo it."
UNDER_WAY = ("A bring-up is under way", WAIT_FIRST)
HALF_DONE = ("A bring-up is half done", DECIDE_FIRST)
LOOK_FIRST = "Read the nodes first."
MEND_FIRST = "Mend it, then look again."
STOPPED_WORDS = "The proof was stopped; what was set up stands."
UNBEGUN = "Stopped before anything was begun."
UNCHANGED = "Nothing was changed."
GO_ON = "Continue to go on, or undo what was done."
CHANGED = "The nodes changed since this plan was made: read it again."
READ_AGAIN = "This is the plan of how they are now. Nothing was changed yet."
READING = "Reading the nodes again before anything is changed"
PROVE_AGAIN = "Prove it again, or undo what was done."


def plan_words(plan: BringUpPlan) -> tuple[str, str]:
    """What is said of a plan that is shown, and what to do first."""
    if plan.obstacles:
        return plan.obstacles[0], MEND_FIRST
    if plan.change_count:
        return "", ""
    if unsure := _unsure_nodes(plan):
        more = f" and {len(unsure) - 4} more" if len(unsure) > 4 else ""
        return (
            f"There is nothing to change, but not all is as it should be on {', '.join(unsure[:4])}{more}.",
            MEND_FIRST,
        )
    return "Everything is as it should be: there is nothing to change.", ""


def _unsure_nodes(plan: BringUpPlan) -> list[str]:
    """The nodes on which something is wrong, or is not known: neither is success."""
    wrong = (CellState.FAIL, CellState.UNREAD)
    found = {one for row in plan.matrix.rows for one, cell in row.cells.items() if cell.state in wrong}
    told = {one for row in plan.matrix.rows for one in row.cells}
    return [plan.names.get(one, one) for one in plan.node_ids if one in found or one not in told]


def earlier_words(run: RunView) -> str:
    """Why a bring-up before the one in sight was not taken back."""
    return f"{run.message.rstrip('.')}; it belongs to a bring-up before this one, of which a part stands."


def unproved_words(ended: RunEnded) -> tuple[str, str]:
    """Why the proof did not come to its end, and what to do next."""
    words = f"{ended.message.rstrip('.')}; what was set up stands."
    return STOPPED_WORDS if ended.result == "cancelled" else words, ended.remedy or PROVE_AGAIN


def rolled_back_words(names: Sequence[str], nodes: str) -> str:
    """A person wanted the networks that were tried on these nodes back."""
    return f"Rolled back on {' and '.join(names)}, as you asked. {nodes}"


def cut_words(phase: Phase, nodes: str) -> tuple[str, str]:
    """What was stopped between two runs, and what to do next."""
    if phase is Phase.PROVING:
        return STOPPED_WORDS, PROVE_AGAIN
    words = "Stopped before more was taken back." if phase is Phase.UNDOING else "Stopped before it went on."
    return f"{words} {nodes}".rstrip(), GO_ON


def end_words(run: RunView, nodes: str, back: Sequence[str], left_s: Mapping[str, float]) -> tuple[str, str]:
    """Why a run ended early, and what to do next. `back`: the nodes whose network a person wanted back."""
    if run.result == PAUSED:
        return paused_words(run, nodes), run.remedy
    if back:
        return rolled_back_words(back, nodes), GO_ON
    return ended_words(run, nodes, left_s), GO_ON if run.result == "cancelled" else run.remedy


def ended_words(run: RunView, nodes: str, left_s: Mapping[str, float]) -> str:
    """Why a run ended early, what became of each node, and which takes its old network back in at most so long."""
    restoring = [f"{name} takes its old network back by itself, in at most {s:.0f} s." for name, s in left_s.items()]
    return " ".join([f"{run.message.rstrip('.')}.", nodes, *restoring])


def paused_words(run: RunView, nodes: str) -> str:
    """It was held: what comes next, and what became of each node."""
    ends = {step.id: run.step(step.id).state for step in run.playbook.steps()}
    way = reversed(list(run.playbook.steps())) if run.is_undo else run.playbook.steps()
    left = (step.title for step in way if (step.id in run.undoable if run.is_undo else ends[step.id] == WAITING))
    title = next(left, "")
    following = f" Next comes \u201c{title}\u201d." if title else ""
    return f"{run.message.rstrip('.')}.{following} {nodes}"


def let_go_words(names: Sequence[str], titles: Sequence[str]) -> str:
    """Asks for what stands on nodes that are in no cluster any more."""
    are, them = ("is", "it") if len(names) == 1 else ("are", "them")
    more = f" and {len(titles) - 4} more" if len(titles) > 4 else ""
    return (
        f"{' and '.join(names)} {are} in no cluster any more, and what these steps did stands there: "
        f"{'; '.join(titles[:4])}{more}. It can be taken back only after they were added again. Let go of {them} for "
        "good? The report tells what stands there."
    )


def start_words(run: RunView, is_over: bool, nodes: str) -> tuple[Phase, str, str] | None:
    """What is said of the last bring-up when SparkDesk starts anew; None where nothing is left to decide."""
    if run.result == INTERRUPTED:
        return Phase.INTERRUPTED, f"{run.message}. {nodes}", DECIDE_FIRST
    if not is_over and run.result == "done" and not run.is_undo:
        words = "SparkDesk ended before all of it was proved. What was set up stands."
        return Phase.INTERRUPTED, words, "Continue with the proof, or undo what was done."
    if not is_over and run.can_resume:
        return Phase.FAILED, f"The last bring-up was not finished. {nodes}", DECIDE_FIRST
    return None
