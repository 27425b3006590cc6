"""What the bring-up page says in a banner: what failed, what was interrupted, what a person must mend first.

The one rule: pure; no message without what to do next, and the other nodes' state is said too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from sparkdesk.core.bringup.outcome import node_words
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement
from sparkdesk.core.bringup.state import BringUpState, Phase
from ui import text
from ui.bringup.grid import PROBLEMS

_ENDED_WELL: Final = ("done", "unchanged")
TOLD: Final = {
    "none": ("No node to bring up", "Add a Spark or start the simulated cluster first; then come back here."),
    "away": (
        "No node answers now",
        "A bring-up needs nodes that are live. What is the matter stands on the cluster page.",
    ),
}
MAX_OBSTACLES: Final = 4
MAX_SAID: Final = 8
"""So many of the lines that nodes said during an undo."""
MAX_CHARS: Final = 1200


@dataclass(frozen=True, slots=True)
class Notice:
    """A banner; with `can_undo` it has a button that opens what can be taken back."""

    kind: Literal["info", "ok", "warn", "crit"]
    title: str
    text: str = ""
    can_undo: bool = False


def stranger_words(node: str, cage: str) -> tuple[str, str]:
    """A Spark was seen behind a cage."""
    return (
        f"Found on {node} {text.one_line(cage, 8)}: another Spark. Add it?",
        "It is reached over this cable, also while it has no address of its own.",
    )


def notice_of(state: BringUpState, *, is_fresh: bool = True) -> Notice | None:
    """What is to be said now; None: the page says it all."""
    match state.phase:
        case Phase.INTERRUPTED:
            return _interrupted(state)
        case Phase.FAILED:
            return _failed(state)
        case Phase.PLANNED:
            return _planned(state, is_fresh=is_fresh)
        case Phase.UNDONE:
            return _undone(state)
        case Phase.DONE if bad := _outside(state.measurements):
            return _not_proved(bad)
        case Phase.PAUSED:
            return _paused(state)
        case Phase.IDLE | Phase.DONE if state.message:
            return Notice("info", text.one_line(state.message, MAX_CHARS), text.one_line(state.remedy))
        case _:
            return None


def _interrupted(state: BringUpState) -> Notice:
    said = _joined(state.message or "SparkDesk ended in the middle of it. Nothing runs now.", state.remedy)
    title = "This bring-up was interrupted"
    return Notice("warn", title, said, can_undo=True)


def _paused(state: BringUpState) -> Notice:
    """Which step comes next, and how each node stands."""
    run = state.run
    steps = list(run.playbook.steps()) if run is not None else []
    waits = [step for step in steps if run is not None and run.step(step.id).state not in _ENDED_WELL]
    asked = [step for step in waits if step.phase in state.chapters]  # what was asked for by itself, while any is left
    ahead = next((step.title for step in [*asked, *waits]), "")
    title = f"Paused before \u201c{text.one_line(ahead, 120)}\u201d." if ahead else "Paused between two steps."
    names = state.plan.names if state.plan is not None else {}
    stands = node_words(run, state.node_ids, names) if run is not None else state.message
    can_undo = run is not None and run.can_undo
    way = "Continue, or undo what was done." if can_undo else "Continue when it suits."
    return Notice("info", title, _joined(stands, way), can_undo=can_undo)


def _failed(state: BringUpState) -> Notice:
    """The error first; what it came to on each node, which the message goes on with, after what to do."""
    run = state.run
    message, error = state.message or "The bring-up stopped.", run.message.rstrip(".") if run is not None else ""
    title, rest = message, ""
    if error and message.startswith(error):
        title, rest = f"{error}.", message[len(error) :].lstrip(". ")
    can_undo = run is not None and run.can_undo
    said = _joined(state.remedy, rest)
    return Notice("info" if state.is_wanted else "crit", text.one_line(title), said, can_undo=can_undo)


def _outside(measurements: tuple[Measurement, ...]) -> list[Measurement]:
    """What lies outside of its band, or was not measured; the worst first, and of these what tells most."""
    order = (Grade.FAIL, Grade.WARN, Grade.UNREAD)
    found = [one for one in measurements if one.grade in order]
    return sorted(found, key=lambda one: (order.index(one.grade), one.value is None, not one.causes))


def _not_proved(bad: list[Measurement]) -> Notice:
    """A proof that failed: the first figure, its likeliest cause, and what to do."""
    first = bad[0]
    title = text.one_line(first.item.title, 120)
    value = first.value if first.value is not None and math.isfinite(first.value) else None
    figure = f": {text.grouped(value, 1)} {text.one_line(first.unit, 12)}" if value is not None else ""
    band = first.item.band
    side = "up to" if band is not None and band.is_lower_better else "at"
    mark = f", passes {side} {band.pass_at:g}" if figure and band is not None else ""
    cause = f"Likeliest cause: {first.causes[0]}" if first.causes else first.message
    rest = f"{len(bad) - 1} more {'stands' if len(bad) == 2 else 'stand'} out." if len(bad) > 1 else ""
    words = "Not proved" if first.grade is Grade.FAIL else "Proved with doubts"
    kind: Literal["warn", "crit"] = "crit" if first.grade is Grade.FAIL else "warn"
    return Notice(kind, f"{words}: {title}{figure}{mark}", _joined(_sentence(cause), first.remedy, rest))


def _sentence(words: str) -> str:
    return f"{words.rstrip('.')}." if words else ""


def _joined(*parts: str) -> str:
    return " ".join(text.one_line(part, MAX_CHARS) for part in parts if part)


def _planned(state: BringUpState, *, is_fresh: bool) -> Notice | None:
    plan = state.plan
    if plan is None or not is_fresh:
        return None
    if plan.obstacles:
        rest = plan.obstacles[1:MAX_OBSTACLES]
        return Notice(
            "warn",
            text.one_line(plan.obstacles[0]),
            " ".join(text.one_line(each) for each in rest) or "Mend it, or leave that node out; then check again.",
        )
    if plan.change_count == 0 and state.past_proof and (bad := _outside(state.measurements)):
        notice = _not_proved(bad)
        return Notice("warn", f"Nothing to change. {notice.title}, when it was proved last", notice.text)
    if plan.change_count == 0 and state.matrix.count(*PROBLEMS):
        return Notice(
            "info", "Nothing to change.", "Some checks stand out; click them for what to do. Then run the proof."
        )
    if plan.change_count == 0:
        return Notice(
            "ok", "Nothing to do: every check is as it should be.", "Run the proof to measure the cables and NCCL."
        )
    if state.message:
        return Notice("info", text.one_line(state.message, MAX_CHARS), text.one_line(state.remedy))
    return None


def _undone(state: BringUpState) -> Notice:
    left, said = state.undoable_count, " ".join(_sentence(text.one_line(line)) for line in state.undo_words[:MAX_SAID])
    if left:
        rest = f"{left} {'change stays' if left == 1 else 'changes stay'} and can be taken back too."
        kind: Literal["ok", "warn"] = "warn" if said else "ok"
        return Notice(kind, "What was chosen was taken back.", _joined(said, rest))
    if said:
        return Notice("warn", "Taken back, and something is to be known.", _joined(said, state.message, state.remedy))
    if state.message:
        return Notice("ok", text.one_line(state.message, MAX_CHARS), text.one_line(state.remedy))
    stays = "Installed packages and backup files that end in a minus sign stay; the report lists them."
    return Notice("ok", "Taken back: files, groups and addresses are as they were before.", stays)
