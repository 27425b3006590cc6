"""Builds the playbook that gives a running job a new guard when its own was ended by somebody.

The one rule: the engine is not touched; remote/job.py's `watch` leaves a guard beside what runs, and starts nothing.
"""

from __future__ import annotations

from sparkdesk.core.playbooks.job import JOBS_FOLDER, START_TIMEOUT_S, job_command
from sparkdesk.core.step import Expect, Playbook, Run, Stage, Step

PHASE = "guard"


def guard_playbook(job_id: str, node_id: str, title: str) -> Playbook:
    """Leave a new guard beside a job that runs; nothing to do where one is at work."""
    folder = f"{JOBS_FOLDER}/{job_id}"
    step = Step(
        id="guard",
        title=f"Start a new guard for {title}",
        node=node_id,
        phase=PHASE,
        check=(Run(job_command(folder, "status"), Expect(reader="json_field:guarded", equals="true")),),
        apply=(
            Run(
                job_command(folder, "watch"),
                Expect(reader="json_field:started", equals="true"),
                timeout_s=START_TIMEOUT_S,
            ),
        ),
        verify=(Run(job_command(folder, "status"), Expect(reader="json_field:guarded", equals="true")),),
    )
    return Playbook(title=step.title, stages=(Stage(step.title, (step,)),))
