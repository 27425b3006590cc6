"""Builds the playbook that ends what a launch was fetching when it was stopped.

The one rule: a fetch goes on apart from any channel, also after this program died; so a stop tells it to end, whether
this run of the program began it or another. What came stays, for the next try.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparkdesk.core.jobs.start_time import FETCHING
from sparkdesk.core.step import Playbook, Stage, Step


def halt_playbook(title: str, begun: Sequence[Step]) -> Playbook:
    """End the fetches among these steps of a launch; without stages when there are none."""
    steps = [
        Step(f"halt_{step.id}", f"End: {step.title}", step.node, phase="stop", apply=step.undo)
        for step in begun
        if step.phase in FETCHING and step.undo
    ]
    return Playbook(f"Stop what {title} fetches", tuple(Stage(step.title, (step,)) for step in steps))
