"""Changes a launch's playbook as a whole: stop another server first, or wait longer for the load. Pure.

The one rule: what is put before a launch is part of its one playbook, so that it is read before it runs, journalled
with it, and carried on with it; the other's stop is verified before the first command of the launch goes out.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.jobs.timeline import LOAD, SWITCH
from sparkdesk.core.plain_text import lower_first
from sparkdesk.core.playbooks.job import JOBS_FOLDER, job_command
from sparkdesk.core.step import Expect, Playbook, Run, Stage, Step, Wait

_PREFIX = "switch-"
STATUS_TIMEOUT_S = 30.0


def with_stop_first(playbook: Playbook, stop: Playbook, stop_job_id: str) -> Playbook:
    """The launch's playbook with another job's stop before it. A stop that was begun and cut off is begun again."""
    stages = tuple(
        Stage(stage.title, tuple(_stop_step(step, stop_job_id) for step in stage.steps), stage.max_parallel)
        for stage in stop.stages
    )
    return replace(
        playbook,
        title=f"{stop.title}, then {lower_first(playbook.title)}",
        stages=(*stages, *playbook.stages),
        needs_lock=playbook.needs_lock or stop.needs_lock,
    )


def stopped_first(playbook: Playbook) -> str:
    """The job that a playbook stops before its launch; "" when it is none such."""
    step = next((step for step in playbook.steps() if step.phase == SWITCH), None)
    return step.id.removeprefix(_PREFIX).partition("/")[0] if step is not None else ""


def with_load_timeout(playbook: Playbook, timeout_s: float) -> Playbook:
    """The same, waiting so long for the server to load. NaN changes nothing."""
    if not math.isfinite(timeout_s):
        return playbook
    stages = tuple(
        replace(stage, steps=tuple(_wait_longer(step, timeout_s) for step in stage.steps)) for stage in playbook.stages
    )
    return replace(playbook, stages=stages)


def load_timeout_of(playbook: Playbook) -> float:
    """How long a playbook waits for the server to load; NaN when it does not."""
    waits = [action for step in playbook.steps() if step.phase == LOAD for action in step.apply]
    return max((action.timeout_s for action in waits if isinstance(action, Wait)), default=math.nan)


def _stop_step(step: Step, job_id: str) -> Step:
    """The first step of a stop has no look before it, since it may be repeated; in a launch one is wanted."""
    status = job_command(f"{JOBS_FOLDER}/{job_id}", "status")
    is_over = Run(status, Expect(reader="json_field:state", equals="ended"), timeout_s=STATUS_TIMEOUT_S)
    return replace(step, id=f"{_PREFIX}{job_id}/{step.id}", phase=SWITCH, check=step.check or (is_over,))


def _wait_longer(step: Step, timeout_s: float) -> Step:
    if step.phase != LOAD:
        return step
    apply = tuple(replace(action, timeout_s=timeout_s) if isinstance(action, Wait) else action for action in step.apply)
    return replace(step, apply=apply)
