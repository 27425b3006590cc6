"""What the bring-up page says in a banner: what failed, what was interrupted, what a person must mend first.

The one rule: pure; no message without what to do next, and the other nodes' state is said too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sparkdesk.core.bringup.state import BringUpState, Phase
from ui import text
from ui.bringup.grid import PROBLEMS
from ui.bringup.offer import OfferKey

TOLD: Final = {
    "none": ("No node to bring up", "Add a Spark or start the simulated cluster first; then come back here."),
    "away": (
        "No node answers now",
        "A bring-up needs nodes that are live. What is the matter stands on the cluster page.",
    ),
}
MAX_OBSTACLES: Final = 4
_FINE: Final = ("done", "unchanged")


@dataclass(frozen=True, slots=True)
class Notice:
    """A banner. `action` is a button that does `action_key`; `second` opens what can be undone."""

    kind: Literal["info", "ok", "warn", "crit"]
    title: str
    text: str = ""
    action: str = ""
    action_key: OfferKey | Literal[""] = ""
    second: str = ""


def stranger_words(node: str, cage: str) -> tuple[str, str]:
    """A Spark was seen behind a cage."""
    return (
        f"Found on {node} {text.one_line(cage, 8)}: another Spark. Add it?",
        "It is reached over this cable, also while it has no address of its own.",
    )


def notice_of(state: BringUpState, names: Mapping[str, str], *, is_fresh: bool = True) -> Notice | None:
    """What is to be said now; None: the page says it all."""
    match state.phase:
        case Phase.INTERRUPTED:
            return _interrupted(state)
        case Phase.FAILED:
            return _failed(state, names)
        case Phase.PLANNED:
            return _planned(state, is_fresh=is_fresh)
        case Phase.UNDONE:
            return _undone(state)
        case _ if state.message:
            return Notice("crit", text.one_line(state.message), text.one_line(state.remedy))
        case _:
            return None


def _interrupted(state: BringUpState) -> Notice:
    done = state.run.done_count if state.run is not None else 0
    steps = sum(1 for _ in state.run.playbook.steps()) if state.run is not None else 0
    said = f"{done} of {steps} steps had ended. Nothing runs now. Continue where it ended, or take back what was done."
    return Notice(
        "warn",
        text.one_line(state.message) or "SparkDesk ended in the middle of this bring-up.",
        said,
        action="Continue",
        action_key="resume",
        second="Undo…",
    )


def _failed(state: BringUpState, names: Mapping[str, str]) -> Notice:
    run = state.run
    message = text.one_line(state.message or (run.message if run is not None else "")) or "The bring-up stopped."
    remedy = text.one_line(state.remedy or (run.remedy if run is not None else ""))
    others = node_words(state, names)
    can_undo = run is not None and run.can_undo
    return Notice(
        "crit", message, " ".join(part for part in (remedy, others) if part), second="Undo…" if can_undo else ""
    )


def node_words(state: BringUpState, names: Mapping[str, str]) -> str:
    """How each node stands after a run that stopped: "spark-5c2d is done; spark-bd26: 3 of 5 steps, 1 failed."."""
    if state.run is None:
        return ""
    run, said = state.run, []
    for node_id in state.node_ids:
        steps = [step for step in run.playbook.steps() if step.node == node_id]
        if not steps:
            continue
        name = text.one_line(names.get(node_id, node_id), 64)
        fine = sum(run.step(step.id).state in _FINE for step in steps)
        failed = sum(run.step(step.id).state in ("failed", "unknown") for step in steps)
        begun = any(step.id in run.begun for step in steps)
        if fine == len(steps):
            said.append(f"{name} is done")
        elif failed:
            said.append(f"{name}: {fine} of {len(steps)} steps done, {failed} failed")
        elif begun or fine:
            said.append(f"{name}: {fine} of {len(steps)} steps done")
        else:
            said.append(f"{name} was not changed")
    return f"{'; '.join(said)}." if said else ""


def _planned(state: BringUpState, *, is_fresh: bool) -> Notice | None:
    plan = state.plan
    if plan is None or not is_fresh:
        return Notice("crit", text.one_line(state.message), text.one_line(state.remedy)) if state.message else None
    if plan.obstacles:
        rest = plan.obstacles[1:MAX_OBSTACLES]
        return Notice(
            "warn",
            text.one_line(plan.obstacles[0]),
            " ".join(text.one_line(each) for each in rest) or "Mend it, or leave that node out; then check again.",
            action="Check again",
            action_key="look",
        )
    if plan.change_count == 0 and state.matrix.count(*PROBLEMS):
        return Notice(
            "info", "Nothing to change.", "Some checks stand out; click them for what to do. Then run the proof."
        )
    if plan.change_count == 0:
        return Notice(
            "ok", "Nothing to do: every check is as it should be.", "Run the proof to measure the cables and NCCL."
        )
    return None


def _undone(state: BringUpState) -> Notice:
    if state.message:
        return Notice("warn", text.one_line(state.message), text.one_line(state.remedy))
    left = len(state.run.begun) if state.run is not None else 0
    if left:
        return Notice(
            "ok", "What was chosen was taken back.", f"{left} {'change stays' if left == 1 else 'changes stay'}."
        )
    stays = "Installed packages and backup files that end in a minus sign stay; the report lists them."
    return Notice("ok", "Taken back: files, groups and addresses are as they were before.", stays)
