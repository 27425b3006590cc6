"""Logs of several jobs come over one channel, complete and resumable, and the follower leaves when nobody listens."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.program import python_command
from tests.remote.python_version import PYTHONS

PYTHON = sys.executable
SOURCE = (Path(__file__).parents[2] / "sparkdesk" / "remote" / "jobs.py").read_bytes()


class Follower:
    """`follow`, as it runs behind a channel."""

    def __init__(self, python: str, *targets: str) -> None:
        command = python_command([SOURCE], "follow", *targets)
        self.process = subprocess.Popen([python, *command.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self._bytes = b""
        self.write(SOURCE)

    def write(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def say(self, **value: str) -> None:
        self.write(json.dumps(value).encode() + b"\n")

    def message(self) -> dict[str, Any]:
        until = time.monotonic() + 20
        while b"\n" not in self._bytes:
            assert time.monotonic() < until, "nothing came"
            if select.select([self.stdout], [], [], 0.2)[0]:
                self._bytes += os.read(self.stdout.fileno(), 65536)
        line, _, self._bytes = self._bytes.partition(b"\n")
        value: dict[str, Any] = json.loads(line)
        return value

    def is_silent(self) -> bool:
        return not self._bytes and not select.select([self.stdout], [], [], 0.7)[0]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdin.close()
        self.stdout.close()


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def followers() -> Iterator[list[Follower]]:
    started: list[Follower] = []
    yield started
    for follower in started:
        follower.close()


def put_job(root: Path, name: str, log: bytes, *, start: int = 0) -> Path:
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / f"log-{start:015d}").write_bytes(log)
    return folder


def end_job(folder: Path, run: str = "r1") -> None:
    (folder / "job.json").write_text(json.dumps({"schema": 1, "run": run}))
    (folder / "exit.json").write_text(
        json.dumps({"schema": 1, "run": run, "code": 3, "reason": "ended with exit code 3"})
    )


def test_lines_of_several_jobs_come_with_their_offsets_and_the_end(
    python: str, tmp_path: Path, followers: list[Follower]
) -> None:
    one = put_job(tmp_path, "one", b"first\nsecond\n\npart")
    two = put_job(tmp_path, "two", b"other\n")
    follower = Follower(python, f"{one}:0", str(two))
    followers.append(follower)
    found = [follower.message() for _ in range(3)]
    lines = {(message["job"], message["line"], message["offset"]) for message in found}
    assert lines == {("one", "first", 6), ("one", "second", 13), ("two", "other", 6)}
    assert follower.is_silent()
    with (one / "log-000000000000000").open("ab") as log:
        log.write(b"ial\nlast word")
    assert follower.message()["line"] == "partial"
    end_job(one)
    assert follower.message()["line"] == "last word"
    assert follower.message()["ended"]["code"] == 3
    assert follower.is_silent()


def test_following_goes_on_behind_the_last_line_that_came(tmp_path: Path, followers: list[Follower]) -> None:
    job = put_job(tmp_path, "one", b"first\nsecond\nthird\n")
    first = Follower(PYTHON, f"{job}:0")
    followers.append(first)
    first.message()
    offset = first.message()["offset"]
    again = Follower(PYTHON, f"{job}:{offset}")
    followers.append(again)
    assert again.message()["line"] == "third"


def test_a_negative_offset_counts_from_the_end(tmp_path: Path, followers: list[Follower]) -> None:
    job = put_job(tmp_path, "one", b"first\nsecond\nthird\n")
    followers.append(Follower(PYTHON, f"{job}:-6"))
    assert followers[0].message()["line"] == "third"


def test_what_was_rotated_away_is_counted_and_the_rest_comes(tmp_path: Path, followers: list[Follower]) -> None:
    job = put_job(tmp_path, "one", b"second\n", start=100)
    put_job(tmp_path, "one", b"third\n", start=107)
    followers.append(Follower(PYTHON, f"{job}:40"))
    assert followers[0].message() == {"job": "one", "lost": 60}
    assert [followers[0].message()["line"] for _ in range(2)] == ["second", "third"]


def test_a_long_line_is_cut_and_counted_and_of_a_progress_bar_the_last_state_comes(
    tmp_path: Path, followers: list[Follower]
) -> None:
    job = put_job(tmp_path, "one", b"x" * 1_000_000 + b"\n10%\r20%\r\nbad \xff\xfe\n")
    followers.append(Follower(PYTHON, f"{job}:0"))
    long = followers[0].message()
    assert (len(long["line"]), long["cut"]) == (8192, 1_000_000 - 8192)
    assert [followers[0].message()["line"] for _ in range(2)] == ["20%", "bad \ufffd\ufffd"]


def test_a_progress_bar_that_goes_on_is_told_now_and_then(tmp_path: Path, followers: list[Follower]) -> None:
    job = put_job(tmp_path, "one", b"10%\r20%\r30%\r")
    followers.append(Follower(PYTHON, f"{job}:0"))
    assert followers[0].message()["line"] == "30%"
    with (job / "log-000000000000000").open("ab") as log:
        log.write(b"40%\r100%\ndone\n")
    assert [followers[0].message()["line"] for _ in range(2)] == ["100%", "done"]


def test_jobs_are_added_and_dropped_while_it_runs(python: str, tmp_path: Path, followers: list[Follower]) -> None:
    one, two = put_job(tmp_path, "one", b""), put_job(tmp_path, "two", b"here\n")
    follower = Follower(python, f"{one}:0")
    followers.append(follower)
    follower.write(b"not json\n{}\n[]\n")
    follower.say(follow=f"{two}:0")
    assert follower.message()["line"] == "here"
    follower.say(drop=str(two))
    time.sleep(0.5)
    with (two / "log-000000000000000").open("ab") as log:
        log.write(b"unheard\n")
    assert follower.is_silent()


def test_a_second_run_of_a_job_has_an_end_of_its_own(tmp_path: Path, followers: list[Follower]) -> None:
    job = put_job(tmp_path, "one", b"a\n")
    end_job(job)
    followers.append(Follower(PYTHON, f"{job}:0"))
    assert followers[0].message()["line"] == "a"
    assert followers[0].message()["ended"]["run"] == "r1"
    end_job(job, "r2")
    assert followers[0].message()["ended"]["run"] == "r2"


def test_a_job_that_is_not_there_yet_is_waited_for(tmp_path: Path, followers: list[Follower]) -> None:
    followers.append(Follower(PYTHON, f"{tmp_path}/late:0"))
    assert followers[0].is_silent()
    put_job(tmp_path, "late", b"come\n")
    assert followers[0].message()["line"] == "come"


def test_the_end_of_the_channel_ends_the_follower(python: str, tmp_path: Path, followers: list[Follower]) -> None:
    follower = Follower(python, f"{tmp_path}/none:0")
    followers.append(follower)
    follower.stdin.close()
    assert follower.process.wait(10) == 0


def test_silence_ends_it_even_when_nobody_reads(python: str, tmp_path: Path, followers: list[Follower]) -> None:
    job = put_job(tmp_path, "one", b"many lines\n" * 100_000)
    follower = Follower(python, f"{job}:0")
    followers.append(follower)
    begun = time.monotonic()
    assert follower.process.wait(20) == -signal.SIGALRM
    assert time.monotonic() - begun < 15
