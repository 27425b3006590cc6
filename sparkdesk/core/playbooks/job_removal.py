"""Builds the playbook that removes an ended job's folder from its node. The one rule: remote/job.py itself decides
whether the job is over, and removes only files that are its own."""

from __future__ import annotations

from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.job import JOBS_FOLDER, job_command, tidy_step
from sparkdesk.core.step import Expect, Playbook, Run, Stage, Step


def removal_playbook(job_id: str, node_id: str, title: str) -> Playbook:
    """Remove the container and the folder of a job that has ended; nothing to do where there is none."""
    folder = f"{JOBS_FOLDER}/{job_id}"
    relative = folder.removeprefix("~/")
    step = Step(
        id="remove",
        title=f"Remove the folder of {title}",
        node=node_id,
        check=(Run(Command(("sh", "-c", f'test ! -e "$HOME/{relative}"'))),),
        apply=(Run(job_command(folder, "remove"), Expect(reader="json_field:removed", equals="true")),),
    )
    tidy = tidy_step(job_id, node_id)
    return Playbook(title=step.title, stages=(Stage(tidy.title, (tidy,)), Stage(step.title, (step,))))
