"""What a fresh sign-in cuts: the notes for nodes that SparkDesk reaches something on.

The one rule: only what the application knew when the plan was made is named; a server itself is never cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.step import Playbook, SignInAnew

MAX_NAMED = 3
MAX_NAME_CHARS = 60


def sign_in_notes(case: Case, playbook: Playbook) -> Mapping[str, tuple[str, ...]]:
    """By the value of the chapter: one sentence for each node that is signed in to anew and in use."""
    found: dict[str, tuple[str, ...]] = {}
    anew = ((step.phase, step.node) for step in playbook.steps() if any(isinstance(a, SignInAnew) for a in step.apply))
    for chapter, node_id in dict.fromkeys(anew):
        found[chapter] = (*found.get(chapter, ()), *_note(case, node_id))
    return {chapter: notes for chapter, notes in found.items() if notes}


def _note(case: Case, node_id: str) -> Iterator[str]:
    used = tuple(dict.fromkeys(make_line(one, max_chars=MAX_NAME_CHARS) for one in case.in_use.get(node_id, ())))
    if used:
        more = f" and {len(used) - MAX_NAMED} more" if len(used) > MAX_NAMED else ""
        yield (
            f"SparkDesk signs in to {case.reading(node_id).name} anew: what goes through it to "
            f"{', '.join(used[:MAX_NAMED])}{more} is cut for a moment, and an answer under way is lost. "
            "What runs there goes on."
        )
