"""Builds the playbook by which a second computer takes a job over, and reads what it needs to know of it.

The one rule: the job itself is not touched; a file in its folder says who looks after it from now on.
"""

from __future__ import annotations

import json

from pydantic import ValidationError

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.job import JOBS_FOLDER
from sparkdesk.core.step import Playbook, PutFile, Stage, Step
from sparkdesk.core.untrusted import parse_object

HOLDER_FILE = "holder.json"
MAX_SPEC_BYTES = 4 << 20


def takeover_playbook(job_id: str, node_id: str, title: str, holder: str) -> Playbook:
    """Note in the job's folder that `holder` (user@computer) looks after it."""
    content = json.dumps({"schema": 1, "holder": holder}).encode() + b"\n"
    step = Step(
        id="take",
        title=f"Take {title} over",
        node=node_id,
        apply=(PutFile(f"{JOBS_FOLDER}/{job_id}/{HOLDER_FILE}", content, 0o600),),
    )
    return Playbook(step.title, (Stage(step.title, (step,)),))


def read_plan(spec: bytes, job_id: str, endpoint: Endpoint, title: str, stop: Playbook) -> LaunchPlan:
    """The plan of a job that runs already, from its folder's spec.json: nothing is left to be done, and it can be
    stopped and launched again. Raises PlanError when the folder does not keep what was asked for.
    """
    fields = parse_object(spec, max_bytes=MAX_SPEC_BYTES, what="spec.json")
    try:
        request = LaunchRequest.model_validate(fields.object("request").data)
    except ValidationError as error:
        raise PlanError(
            "What was asked for when this job was launched cannot be read",
            remedy="It can be stopped from here all the same.",
            detail=str(error)[:1000],
        ) from None
    request = request.model_copy(update={"nodes": (endpoint.node_id,)})
    return LaunchPlan(job_id, request, title, Playbook("Taken over", ()), stop, endpoint, ledgers=(), commands=())
