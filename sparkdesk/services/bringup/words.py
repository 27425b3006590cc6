"""What a bring-up says where it refuses, and where it has failed.

The one rule: every refusal says what to do first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.playbooks.run_view import INTERRUPTED, RunView

WAIT_FIRST = "Wait for its end, or stop it."
DECIDE_FIRST = "Continue it, or undo it."
LOOK_FIRST = "Read the nodes first."
MEND_FIRST = "Mend it, then look again."
STOPPED_WORDS = "The proof was stopped; what was set up stands."
UNBEGUN = "Stopped before anything was begun."
UNCHANGED = "Nothing was changed."
GO_ON = "Continue to go on, or undo what was done."
PROVE_AGAIN = "Prove it again, or undo what was done."


def rolled_back_words(names: Sequence[str], nodes: str) -> str:
    """A person wanted the networks that were tried on these nodes back."""
    return f"Rolled back on {' and '.join(names)}, as you asked. {nodes}"


def cut_words(phase: Phase, nodes: str) -> tuple[str, str]:
    """What was stopped between two runs, and what to do next."""
    if phase is Phase.PROVING:
        return STOPPED_WORDS, PROVE_AGAIN
    words = "Stopped before more was taken back." if phase is Phase.UNDOING else "Stopped before it went on."
    return f"{words} {nodes}".rstrip(), GO_ON


def ended_words(run: RunView, nodes: str, left_s: Mapping[str, float]) -> str:
    """Why a run ended early, what became of each node, and which takes its old network back in at most so long."""
    restoring = [f"{name} takes its old network back by itself, in at most {s:.0f} s." for name, s in left_s.items()]
    return " ".join([f"{run.message.rstrip('.')}.", nodes, *restoring])


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
