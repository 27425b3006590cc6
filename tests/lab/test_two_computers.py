"""Two computers with stores of their own against one node with a real sshd: no job is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.errors import StepFailed
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.step import Playbook, Run, RunEnded, Stage, Step
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.wait import wait_for_value
from tests.lab.desk import REMOTE, Desk, opened_desk
from tests.lab.engine import make_backend, put_engine, request_on
from tests.lab.lab import Lab

EVE = 1901
FOREIGN = "abcdefghijklmnop"
FOLDER = f"/home/eve/.local/state/sparkdesk/jobs/{FOREIGN}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node, with a server that it can run."""
    with Lab(1, tmp_path_factory.mktemp("lab")) as lab:
        put_engine(lab.nodes[0])
        yield lab


@pytest.fixture
async def desks(workstation: Lab) -> AsyncIterator[tuple[Desk, Desk]]:
    """Two computers that both know the node."""
    async with AsyncExitStack() as stack:
        backends = {"echo": make_backend()}
        made = [
            await stack.enter_async_context(opened_desk(workstation, backends=backends, owner=owner))
            for owner in ("me@here", "anna@there")
        ]
        yield made[0], made[1]


def launcher_of(desk: Desk) -> Launcher:
    """Its launcher."""
    assert desk.launcher is not None
    return desk.launcher


async def job_in(desk: Desk, job_id: str, *states: JobState) -> JobStatus:
    """The job, once it is in one of these states."""
    feed = launcher_of(desk).jobs
    jobs = await wait_for_value(
        feed, lambda jobs: any(job.job_id == job_id and job.state in states for job in jobs), timeout_s=60
    )
    return next(job for job in jobs if job.job_id == job_id)


async def launch(desk: Desk) -> str:
    """Start the small server on the node."""
    launcher, node = launcher_of(desk), desk.lab.nodes[0]
    await wait_for_value(launcher.node_contexts, lambda contexts: any(c.home for c in contexts), timeout_s=30)
    job_id = await launcher.launch(launcher.plan(request_on(node)))
    await job_in(desk, job_id, JobState.READY)
    return job_id


async def test_a_job_of_one_is_used_taken_over_and_ended_by_the_other(desks: tuple[Desk, Desk]) -> None:
    here, there = desks
    job_id = await launch(here)
    status = await job_in(there, job_id, JobState.READY)
    assert (status.title, status.owner, status.account) == ("tiny", "me@here", "")
    theirs = launcher_of(there)
    async with theirs.client(job_id) as client:
        assert (await client.get("/health"))[0] == 200
    await theirs.take_over(job_id)
    heard = await wait_for_value(
        launcher_of(here).jobs, lambda jobs: any(job.holder == "anna@there" for job in jobs), timeout_s=60
    )
    assert [job.state for job in heard] == [JobState.READY]
    await here.close()
    await theirs.stop(job_id)
    stopped = await job_in(there, job_id, JobState.STOPPED)
    assert stopped.stop_error == ""
    await theirs.remove(job_id)
    assert theirs.jobs.value == ()


async def test_of_two_changes_at_once_one_is_applied(desks: tuple[Desk, Desk]) -> None:
    script = "echo x >> ~/changed; while [ ! -e ~/go ]; do sleep 0.05; done"
    step = Step("one", "Change it", "spark-1", (Run(Command(("sh", "-c", script)), timeout_s=60.0),))
    playbook = Playbook("Change packages", (Stage("Change it", (step,)),), needs_lock=True)
    runs: list[asyncio.Task[RunEnded]] = [
        asyncio.ensure_future(desk.runner.run("change", playbook, on_event=lambda _event: None)) for desk in desks
    ]
    home = desks[0].lab.nodes[0].root / "home/nvidia"
    await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED, timeout=30)
    (home / "go").touch()
    ends = await asyncio.gather(*runs)
    assert sorted(end.result for end in ends) == ["done", "failed"]
    winner = "anna@there" if ends[0].result == "failed" else "me@here"
    refused = next(end for end in ends if end.result == "failed")
    assert f"{winner} is at work on spark-1 (Change packages" in refused.message
    assert (home / "changed").read_text() == "x\n"


async def test_a_job_of_another_account_is_seen_with_its_owner_and_left_alone(desks: tuple[Desk, Desk]) -> None:
    node = desks[1].lab.nodes[0]
    put_foreign_job(node.root)
    account = ("setpriv", f"--reuid={EVE}", f"--regid={EVE}", "--clear-groups", "env", "HOME=/home/eve")
    await asyncio.to_thread(node.run, *account, "python3", "-I", f"{FOLDER}/job.py", "start", FOLDER)
    launcher = launcher_of(desks[1])
    (node.root / "home/nvidia/.local/state/sparkdesk/jobs" / ("a" * 16)).mkdir(parents=True)  # have it look now
    status = await job_in(desks[1], FOREIGN, JobState.UNKNOWN)
    assert (status.account, status.endpoint) == ("eve", None)
    assert "the account eve" in status.message
    assert launcher.stop_plan(FOREIGN) is None
    for refused in (launcher.stop, launcher.remove, launcher.take_over):
        with pytest.raises(StepFailed, match="belongs to the account eve"):
            await refused(FOREIGN)
    told = await asyncio.to_thread(node.run, *account, "python3", "-I", f"{FOLDER}/job.py", "status", FOLDER)
    assert json.loads(told)["state"] == "running"
    await asyncio.to_thread(node.run, *account, "python3", "-I", f"{FOLDER}/job.py", "stop", FOLDER)


def put_foreign_job(root: Path) -> None:
    """A job folder of the account eve, closed to everybody else."""
    with (root / "etc/passwd").open("a") as file:
        file.write(f"eve:x:{EVE}:{EVE}::/home/eve:/bin/sh\n")
    folder = root / FOLDER.lstrip("/")
    folder.mkdir(parents=True)
    for name in ("job.py", "guard.py", "gauge.py", "proof.py"):
        (folder / name).write_bytes((REMOTE / name).read_bytes())
    spec = {"schema": 1, "job_id": FOREIGN, "owner": "eve@far", "title": "secret", "argv": ["sleep", "600"]}
    (folder / "spec.json").write_text(json.dumps(spec))
    home = root / "home/eve"
    for path in (home, *home.rglob("*")):
        shutil.chown(path, EVE, EVE)
    home.chmod(0o700)
