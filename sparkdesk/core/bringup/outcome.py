"""What a run came to on each node, in one sentence a node: for whoever reads why a bring-up stopped.

The one rule: every node of the plan is named, also those on which nothing happened; a step whose end is not known is
never counted as done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.core.playbooks.run_view import RUNNING, WAITING, RunView
from sparkdesk.core.step import Confirm, SignInAnew, Step, Wait

MAX_UNDO_CHARS = 600
_USUAL = re.compile(r"^(?:as before|nothing to undo)(?:;|$)")
_ENDED_WELL = ("done", "unchanged")
_STOPPED = ("failed", "unknown", "cancelled", RUNNING)
_ONLY_LOOKS = (SignInAnew, Wait, Confirm)


def is_change(step: Step) -> bool:
    """Whether a step leaves something on its node. One that proves root's rights, signs in anew or pings does not: it
    applies nothing, or nothing that could be found there or taken back later."""
    return bool(step.check or step.undo) and any(not isinstance(action, _ONLY_LOOKS) for action in step.apply)


def is_for_good(step: Step) -> bool:
    """Whether a step leaves something that no undo takes back: installed packages."""
    return is_change(step) and not step.undo


def node_words(run: RunView, node_ids: Sequence[str], names: Mapping[str, str]) -> str:
    """ "spark-1: all 9 steps are done. spark-2: stopped at “Set its addresses”, 3 of 9 done." """
    found = []
    for node_id in node_ids:
        steps = [step for step in run.playbook.steps() if step.node == node_id]
        found.append(f"{names.get(node_id, node_id)}: {_words(run, steps)}.")
    return " ".join(found)


def _words(run: RunView, steps: Sequence[Step]) -> str:
    states = [run.step(step.id).state for step in steps]
    done = sum(state in _ENDED_WELL for state in states)
    stopped = next((step.title for step, state in zip(steps, states, strict=True) if state in _STOPPED), "")
    count = _count(len(steps))
    if not steps:
        return "nothing to change"
    if left := [step for step in steps if step.id in run.left]:
        return f"let go of, and what {len(left)} of {count} did stands there"
    if run.is_undo and (stuck := [step for step in steps if _is_stuck(run, step)]):
        what = f"\u201c{stuck[0].title}\u201d" if len(stuck) == 1 else f"{len(stuck)} steps"
        return f"{what} could not be taken back, {_back_words(run, steps)}"
    if stopped:
        return f"stopped at \u201c{stopped}\u201d, {done} of {count} done"
    if "undone" in states:
        return _back_words(run, steps)
    if done == len(steps):
        return "its one step is done" if done == 1 else f"all {count} are done"
    return "nothing was begun" if all(state == WAITING for state in states) else f"{done} of {count} done"


def _count(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def _back_words(run: RunView, steps: Sequence[Step]) -> str:
    """ "7 of 9 steps undone, 2 still done, 1 stays by design": of the steps whose undo takes something back and that
    found something to do. What was so already, and what only looks, was never there to be taken back."""
    states = [(step, run.step(step.id).state) for step in steps]
    taken = [state for step, state in states if step.undo and state not in ("unchanged", WAITING)]
    stays = sum(is_for_good(step) and state in ("done", "undone") for step, state in states)
    words = [f"{taken.count('undone')} of {_count(len(taken))} undone" if taken else "nothing to take back"]
    words += [f"{taken.count('done')} still done"] if "done" in taken else []
    words += [f"{stays} {'stays' if stays == 1 else 'stay'} by design"] if stays else []
    return ", ".join(words)


def undo_words(text: str) -> str:
    """What a step that was taken back says of itself and a person should know, as one plain line: the `message` of its
    JSON answer. "" where it says no more than that all is as it was before."""
    said = last_object(text) or {}
    message = said.get("message")
    if said.get("ok") is not True or not isinstance(message, str):
        return ""
    return _USUAL.sub("", make_line(message, max_chars=MAX_UNDO_CHARS).strip()).strip()


def _is_stuck(run: RunView, step: Step) -> bool:
    """Whether its undo did not work, or did not reach its node."""
    return step.id in run.undoable and run.step(step.id).state in ("failed", "unknown")
