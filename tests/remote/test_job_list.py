"""The list of jobs tells who has a job, and of other accounts' jobs that they run and whose they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.jobs.report import UNKNOWN_ACCOUNT, read_foreign_reports
from tests.infra.sshd import require
from tests.remote.python_version import PYTHONS

SOURCE = (Path(__file__).parents[2] / "sparkdesk" / "remote" / "jobs.py").read_bytes()
OWN, GUARDED, CONTAINED = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"
GUARD = """import os, sys
os.setgroups([]); os.setgid(1902); os.setuid(1902)
print("ready", flush=True)
sys.stdin.read()
"""
"""Makes itself a process of another account; its command line is a guard's."""


def list_jobs(home: Path, python: str = sys.executable, path: str = "") -> dict[str, Any]:
    """What `jobs.py list` says in this home."""
    env = {"HOME": str(home), "PATH": f"{path}:{os.environ['PATH']}"}
    done = subprocess.run([python, "-", "list"], input=SOURCE, env=env, capture_output=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def put_job(home: Path, job_id: str, **more: object) -> Path:
    """A folder that was never started."""
    folder = home / ".local/state/sparkdesk/jobs" / job_id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps({"schema": 1, "owner": "me@here", "argv": ["true"], **more}))
    return folder


def put_docker(folder: Path, script: str) -> str:
    """A docker that behaves so; gives the folder to look it up in."""
    tool = folder / "bin" / "docker"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return str(tool.parent)


@pytest.fixture(params=["guard.py", "job.py"], ids=["guard", "of_the_release_before"])
def guard(request: pytest.FixtureRequest) -> Iterator[None]:
    """A guard of another account's job runs on this machine."""
    require(os.geteuid() == 0, "another account needs root")
    folder = f"/home/eve/.local/state/sparkdesk/jobs/{GUARDED}"
    words = [sys.executable, "-c", GUARD, f"{folder}/{request.param}", "guard", folder]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
        process.kill()


@pytest.mark.parametrize("python", PYTHONS)
def test_who_took_a_job_over_is_told_and_nonsense_is_nobody(python: str, tmp_path: Path) -> None:
    folder = put_job(tmp_path, OWN)
    (said,) = list_jobs(tmp_path, python)["jobs"]
    assert (said["owner"], said["holder"]) == ("me@here", "")
    (folder / "holder.json").write_text(json.dumps({"schema": 1, "holder": "anna@there" + "x" * 500}))
    (said,) = list_jobs(tmp_path, python)["jobs"]
    assert said["holder"].startswith("anna@therex")
    assert len(said["holder"]) == 200


@pytest.mark.parametrize("python", PYTHONS)
def test_a_guard_of_another_account_is_told_with_the_account(python: str, guard: None, tmp_path: Path) -> None:
    others = {row["job_id"]: row for row in list_jobs(tmp_path, python)["others"]}
    assert others[GUARDED]["account"] == "1902"


def test_containers_that_run_for_a_job_of_nobody_here_are_told(tmp_path: Path) -> None:
    put_job(tmp_path, OWN)
    lines = f"{OWN} ours:1\\n{CONTAINED} theirs:2\\n../../etc evil:3\\n"
    path = put_docker(tmp_path, f'echo "$*" > {tmp_path}/asked; printf "{lines}"')
    found = {row["job_id"]: row for row in list_jobs(tmp_path, path=path)["others"]}
    assert found[CONTAINED] == {"job_id": CONTAINED, "account": "", "title": "theirs:2"}
    assert OWN not in found, "its folder is ours"
    assert not any("etc" in job_id for job_id in found)
    assert (tmp_path / "asked").read_text().startswith("ps --filter label=sparkdesk.job ")
    report = next(r for r in read_foreign_reports({"others": list(found.values())}, "n1") if r.job_id == CONTAINED)
    assert (report.account, report.title, report.state) == (UNKNOWN_ACCOUNT, "theirs:2", "running")


def test_one_job_that_is_seen_twice_is_one(guard: None, tmp_path: Path) -> None:
    path = put_docker(tmp_path, f"echo {GUARDED} image:4")
    rows = [row for row in list_jobs(tmp_path, path=path)["others"] if row["job_id"] == GUARDED]
    assert [(row["account"], row["title"]) for row in rows] == [("1902", "image:4")]


@pytest.mark.parametrize("script", ["exit 1", "echo permission denied >&2; exit 1", "exec sleep 600"])
def test_a_docker_that_does_not_answer_us_keeps_no_job_from_the_list(script: str, tmp_path: Path) -> None:
    put_job(tmp_path, OWN)
    answer = list_jobs(tmp_path, path=put_docker(tmp_path, script))
    assert [row["job_id"] for row in answer["jobs"]] == [OWN]
    assert CONTAINED not in [row["job_id"] for row in answer["others"]]
