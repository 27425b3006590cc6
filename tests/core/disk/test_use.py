"""Who uses a row of Models on disk: plans tell for certain, names of others tell sometimes, and the rest is a doubt."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.disk.use import Use, find_use
from sparkdesk.core.disk.view import DiskCell, DiskKey, Holding, Kind
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobState, JobStatus

MODEL = DiskKey(Kind.MODEL, "openai/gpt-oss-120b")
IMAGE = DiskKey(Kind.IMAGE, "nvcr.io/nvidia/vllm:26.05-py3")
FILE = DiskKey(Kind.FILE, "/home/spark/models/tiny-q8.gguf")
ADOPTED = JobStatus("j", "chat", "vllm", ("n1",), JobState.READY, 0, is_adopted=True)
FOUND = FoundServer("n1:8000", "n1", "127.0.0.1", 8000, "openai", "vllm", "found one")


def use(key: DiskKey, *, jobs: tuple[JobStatus, ...] = (), found: tuple[FoundServer, ...] = ()) -> Use:
    """On n1, where no plan of a job is known."""
    return find_use(key, "n1", DiskCell(Holding.WHOLE, containers=()), jobs, lambda _id: None, found)


def served(model: str) -> JobStatus:
    """An adopted server that says what it serves."""
    return replace(ADOPTED, endpoint=Endpoint("n1", "127.0.0.1", 8000, model))


def test_an_adopted_server_without_a_plan_is_a_user_by_its_model_and_else_a_doubt() -> None:
    assert use(MODEL, jobs=(served("openai/gpt-oss-120b"),)) == Use(("chat",))
    assert use(MODEL, jobs=(served("gpt-oss-120b"),)) == Use(("chat",))
    assert use(MODEL, jobs=(served("assistant"),)) == Use((), ("chat",))
    assert use(IMAGE, jobs=(ADOPTED,)) == Use((), ("chat",))
    assert use(MODEL, jobs=(replace(ADOPTED, node_ids=("n2",)),)) == Use()
    assert use(MODEL, jobs=(replace(ADOPTED, state=JobState.STOPPED),)) == Use()


def test_a_server_of_somebody_else_is_a_user_by_its_models_and_else_a_doubt() -> None:
    assert use(MODEL, found=(replace(FOUND, models=("openai/gpt-oss-120b",)),)) == Use(("found one",))
    assert use(MODEL, found=(replace(FOUND, models=("Qwen/Qwen3-8B",)),)) == Use(), "a hub id is no other model"
    assert use(MODEL, found=(FOUND,)) == Use((), ("found one",)), "it asks for a key: nobody knows"
    assert use(FILE, found=(replace(FOUND, models=("tiny-q8.gguf",)),)) == Use(("found one",))
    assert use(MODEL, found=(replace(FOUND, node_id="n2"),)) == Use()


def test_a_container_that_runs_from_an_image_uses_it() -> None:
    cell = DiskCell(Holding.WHOLE, containers=("box",))
    assert find_use(IMAGE, "n1", cell, (), lambda _id: None, ()) == Use(("container box",))
