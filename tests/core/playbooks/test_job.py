"""The playbooks of a job: what is written on the node, in which order, and what is told to nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sparkdesk.core.jobs.backend import PlanContext
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.timeline import Timeline
from sparkdesk.core.playbooks.job import JobSpec, build_plan, stop_playbook
from sparkdesk.core.step import PutFile, PutSecrets, Run, Stage, Step

SPEC = JobSpec(
    job_id="abcdefghijklmnop",
    node_id="n1",
    title="tiny",
    engine="vLLM",
    owner="ada@desk",
    argv=("docker", "run", "image", "--config", "{folder}/a b.yaml"),
    endpoint=Endpoint("n1", "127.0.0.1", 8000, "tiny"),
)
REQUEST = LaunchRequest(engine="vllm", model="tiny", nodes=("n1",), served_name="tiny", restart_limit=2)
CONTEXT = PlanContext("abcdefghijklmnop", "ada@desk", (), job_program=b"job", programs={"guard": b"g", "proof": b"p"})
LEDGER = MemoryLedger("n1", None, None, None, None, None)
FOLDER = "~/.local/state/sparkdesk/jobs/abcdefghijklmnop"


def plan_of(spec: JobSpec, **request: object) -> LaunchPlan:
    asked = REQUEST.model_copy(update=request)
    return build_plan(asked, CONTEXT, spec, ledger=LEDGER, command_title="docker run")


def written_spec(plan: LaunchPlan) -> dict[str, Any]:
    put = next(step for step in plan.playbook.steps() if step.id == "put")
    content = next(action.content for action in put.apply if getattr(action, "path", "").endswith("spec.json"))  # type: ignore[union-attr]
    spec: dict[str, Any] = json.loads(content)
    return spec


def test_the_folder_gets_the_programs_the_jobs_own_files_and_secrets_by_name() -> None:
    spec = replace(
        SPEC,
        files=(("a b.yaml", b"x: 1\n", 0o600),),
        secrets=(("VLLM_API_KEY", "api_key:abc"),),
        key_env="VLLM_API_KEY",
    )
    plan = plan_of(spec)
    put = next(step for step in plan.playbook.steps() if step.id == "put")
    files = [(action.path.removeprefix(FOLDER), action.mode) for action in put.apply if isinstance(action, PutFile)]
    assert files == [
        ("/job.py", 0o700), ("/guard.py", 0o700), ("/proof.py", 0o700), ("/a b.yaml", 0o600), ("/spec.json", 0o600),
    ]  # fmt: skip
    assert put.apply[-1] == PutSecrets(f"{FOLDER}/secrets.json", (("VLLM_API_KEY", "api_key:abc"),))
    written = written_spec(plan)
    assert (written["files"], written["secrets"]) == (["a b.yaml"], ["VLLM_API_KEY"])
    assert written["ready"]["key_env"] == written["token"]["key_env"] == "VLLM_API_KEY"


def test_what_comes_before_stands_before_the_folder_and_the_proof_comes_last() -> None:
    image = Stage("Image", (Step("image", "Pull the image", "n1", (), phase="image"),))
    plan = plan_of(replace(SPEC, before=(image,)))
    assert [step.phase for step in plan.playbook.steps()] == ["image", "put", "start", "load", "token"]


def test_the_request_says_what_proves_it_how_often_it_may_die_and_how_long_it_may_run() -> None:
    written = written_spec(plan_of(SPEC, purpose="embed", stop_after_s=3600))
    assert (written["token"]["proof"], written["restart_limit"], written["stop_after_s"]) == ("embed", 2, 3600)
    own = written_spec(plan_of(replace(SPEC, proof="none", restart_limit=0, stop_after_s=60)))
    assert (own["token"]["proof"], own["restart_limit"], own["stop_after_s"]) == ("none", 0, 60)


def test_a_server_can_be_ready_by_a_line_of_its_log_or_its_port() -> None:
    said = written_spec(plan_of(replace(SPEC, ready_kind="log", ready_value="model is up")))["ready"]
    assert (said["kind"], said["words"]) == ("log", "model is up")
    assert written_spec(plan_of(replace(SPEC, ready_kind="port", ready_value="")))["ready"]["kind"] == "port"


def test_a_container_is_removed_by_a_step_of_its_own_after_the_stop() -> None:
    assert [step.id for step in stop_playbook(SPEC).steps()] == ["stop"]
    boxed = list(stop_playbook(replace(SPEC, container="sparkdesk-abcdefghijklmnop")).steps())
    assert [(step.id, step.title) for step in boxed] == [("stop", "Stop tiny"), ("tidy", "Remove the container")]
    found = list(stop_playbook(replace(SPEC, argv=())).steps())
    assert [step.id for step in found] == ["stop", "tidy"], "of one that was found nobody knows whether it has one"
    (tidy,) = boxed[1].apply
    assert isinstance(tidy, Run)
    assert (tidy.expect.reader, tidy.expect.equals) == ("json_field:tidied", "true")


def test_a_person_reads_the_folders_path_and_the_node_fills_it_in() -> None:
    plan = plan_of(SPEC)
    assert f"{FOLDER}/a b.yaml" in plan.commands[0].text
    assert written_spec(plan)["argv"][-1] == "{folder}/a b.yaml"


def test_a_server_that_no_token_can_be_asked_of_has_no_first_token_among_its_phases() -> None:
    phases = {step.id: step.phase for step in plan_of(replace(SPEC, proof="none")).playbook.steps()}
    assert phases["token"] == "ready"
    assert [phase.key for phase in Timeline(plan_of(replace(SPEC, proof="none")).playbook).phases(0.0)] == [
        "preflight", "put", "start", "load", "warmup", "ready",
    ]  # fmt: skip
    assert {step.id: step.phase for step in plan_of(SPEC).playbook.steps()}["token"] == "token"
