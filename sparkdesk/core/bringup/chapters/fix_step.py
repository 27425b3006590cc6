"""A fix of the doctor's as a step of a bring-up: the same commands, under the bring-up's name and with a check.

The one rule: what mends something has one home; where the doctor can mend it, a chapter takes that.
"""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.step import Playbook, Step


def step_of(fix: Playbook, chapter: Chapter, what: str, title: str) -> Step:
    """The one step of a fix. Its verification is its check, too: where that passes there is nothing to do."""
    (step,) = fix.steps()
    return replace(
        step, id=f"{chapter.value}-{what}-{step.node}", title=title, phase=chapter.value, check=step.verify
    )  # fmt: skip
