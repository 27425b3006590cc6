"""Taking a job over writes one file beside it, and its plan is read from what its folder keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.job_takeover import read_plan, takeover_playbook
from sparkdesk.core.step import Playbook, PutFile

JOB = "abcdefghijklmnop"
ENDPOINT = Endpoint("n1", "127.0.0.1", 8080, "tiny")
STOP = Playbook("Stop", ())
REQUEST = LaunchRequest(engine="echo", model="tiny", nodes=("their-name-of-it",), served_name="tiny", port=8080)


def read(**spec: Any) -> object:
    return read_plan(json.dumps(spec).encode(), JOB, ENDPOINT, "tiny", STOP)


def test_the_job_itself_is_not_touched() -> None:
    playbook = takeover_playbook(JOB, "n1", "tiny", "anna@there")
    (step,) = playbook.steps()
    (action,) = step.apply
    assert isinstance(action, PutFile)
    assert action.path == f"~/.local/state/sparkdesk/jobs/{JOB}/holder.json"
    assert json.loads(action.content) == {"schema": 1, "holder": "anna@there"}
    assert action.mode == 0o600
    assert not playbook.needs_lock, "it changes neither network nor packages nor docker"


def test_the_plan_has_nothing_left_to_do_and_names_the_node_as_it_is_called_here() -> None:
    plan = read_plan(json.dumps({"request": REQUEST.model_dump(mode="json")}).encode(), JOB, ENDPOINT, "tiny", STOP)
    assert plan.request == REQUEST.model_copy(update={"nodes": ("n1",)})
    assert list(plan.playbook.steps()) == []
    assert (plan.job_id, plan.endpoint, plan.stop) == (JOB, ENDPOINT, STOP)


@pytest.mark.parametrize("spec", [{}, {"request": 3}, {"request": {}}, {"request": {"engine": "echo"}}])
def test_a_folder_that_does_not_keep_the_request_is_refused_with_a_next_step(spec: dict[str, Any]) -> None:
    with pytest.raises(PlanError) as caught:
        read(**spec)
    assert caught.value.remedy
