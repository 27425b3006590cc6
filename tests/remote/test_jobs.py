"""Logs of several jobs come over one channel, complete and resumable, and the follower leaves when nobody listens."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.program import python_command
from tests.remote.python_version import PYTHONS

PYTHON = sys.executable
REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"
SOURCE = (REMOTE / "jobs.py").read_bytes()


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


def grow(folder: Path, data: bytes) -> None:
    """The log goes on."""
    with (folder / "log-000000000000000").open("ab") as log:
        log.write(data)


def hear_end(follower: Follower, job: str) -> list[dict[str, Any]]:
    """What comes of a job until its end is told; of the others nothing is kept."""
    found: list[dict[str, Any]] = []
    while not found or "ended" not in found[-1]:
        message = follower.message()
        found += [message] if message["job"] == job else []
    return found


FLOOD = 300_000


def flood_lines() -> bytes:
    return b"".join(b"flood of lines %06d\n" % number for number in range(FLOOD))


def test_a_flood_is_told_by_its_head_and_its_newest_lines_and_every_line_is_counted(
    python: str, tmp_path: Path, followers: list[Follower]
) -> None:
    job = put_job(tmp_path, "one", flood_lines())
    end_job(job)
    followers.append(Follower(python, f"{job}:0"))
    found = hear_end(followers[0], "one")
    lines = [message["line"] for message in found if "line" in message]
    gaps = [message for message in found if "dropped" in message]
    assert lines[0] == "flood of lines 000000"
    assert lines[-1] == f"flood of lines {FLOOD - 1:06d}"
    assert len(gaps) == 1, "one gap, however long the log"
    assert 2000 < len(lines) < 5000
    assert len(lines) + gaps[0]["dropped"] == FLOOD
    after = found[found.index(gaps[0]) + 1]
    assert after["line"] == f"flood of lines {gaps[0]['offset'] // 22:06d}", "it goes on where the gap ends"


def test_the_end_and_the_words_of_another_job_do_not_wait_behind_a_flood(
    tmp_path: Path, followers: list[Follower]
) -> None:
    loud = put_job(tmp_path, "loud", flood_lines())
    quiet = put_job(tmp_path, "quiet", b"one\ntwo\n")
    end_job(quiet)
    followers.append(Follower(PYTHON, f"{loud}:0", f"{quiet}:0"))
    first = [followers[0].message() for _ in range(3)]
    assert [message["job"] for message in first] == ["quiet"] * 3, "who says little comes first"
    assert [message.get("line") for message in first] == ["one", "two", None]


def test_two_that_flood_share_what_can_be_shown(tmp_path: Path, followers: list[Follower]) -> None:
    data = flood_lines()
    jobs = [put_job(tmp_path, name, data) for name in ("one", "two")]
    for job in jobs:
        end_job(job)
    followers.append(Follower(PYTHON, *(f"{job}:0" for job in jobs)))
    shown = {"one": 0, "two": 0}
    ended = 0
    while ended < 2:
        message = followers[0].message()
        ended += "ended" in message
        shown[message["job"]] += "line" in message
    assert min(shown.values()) > 1000
    assert sum(shown.values()) < 5000, "the bound is one of the node"


def test_a_flood_that_goes_on_is_told_in_few_gaps_and_never_from_behind(
    tmp_path: Path, followers: list[Follower]
) -> None:
    job = put_job(tmp_path, "one", b"")
    followers.append(Follower(PYTHON, f"{job}:0"))
    followers[0].is_silent()

    def write() -> None:
        for number in range(30):
            grow(job, b"".join(b"%02d %05d more of it\n" % (number, n) for n in range(2000)))
            time.sleep(0.05)
        end_job(job)

    writer = threading.Thread(target=write)  # what nobody reads would hold up the follower
    writer.start()
    found = hear_end(followers[0], "one")
    writer.join()
    lines = [message for message in found if "line" in message]
    gaps = [message["dropped"] for message in found if "dropped" in message]
    assert lines[-1]["line"].startswith("29 01999")
    assert len(lines) + sum(gaps) == 60_000
    looks_ms = [message["t"] for message in lines if "t" in message]
    assert len(gaps) <= 2 + (max(looks_ms) - min(looks_ms)) / 1000, "one in a second, besides the first and the last"
    assert len(lines) < 30_000


def test_of_what_is_left_out_the_lines_that_tell_of_an_error_come(tmp_path: Path, followers: list[Follower]) -> None:
    rows = [b"so much of it %06d\n" % number for number in range(FLOOD // 3)]
    rows[30_000:30_500] = [b"INFO 11-22 there was no error: none\n"] * 500
    rows[40_000] = b"ERROR 11-22 03:01:02 [core.py:1] no room\n"
    rows[60_000] = b"torch.OutOfMemoryError: no room either\n"
    job = put_job(tmp_path, "one", b"".join(rows))
    end_job(job)
    followers.append(Follower(PYTHON, f"{job}:0"))
    found = hear_end(followers[0], "one")
    errors = [message for message in found if "no room" in message.get("line", "")]
    assert [message["line"] for message in errors] == [rows[n].decode().strip() for n in (40_000, 60_000)]
    for message in errors:
        assert b"".join(rows)[: message["offset"]].endswith(message["line"].encode() + b"\n")
    assert sum("line" in message for message in found) + sum(m.get("dropped", 0) for m in found) == len(rows)


def test_what_is_too_much_to_be_looked_through_is_passed_over_in_bytes(
    tmp_path: Path, followers: list[Follower]
) -> None:
    job = put_job(tmp_path, "one", b"")
    with (job / "log-000000000000000").open("ab") as log:
        log.write(b"first\n")
        log.truncate(400 << 20)  # a hole reads as zeros: no lines
        log.seek(0, os.SEEK_END)
        log.write(b"\nlast\n")
    end_job(job)
    followers.append(Follower(PYTHON, f"{job}:0"))
    found = hear_end(followers[0], "one")
    gap = next(message for message in found if "dropped" in message)
    assert gap["passed"] > 100 << 20
    assert [message["line"] for message in found if "line" in message][-1] == "last"


def test_a_line_has_the_time_of_its_look_and_one_that_may_be_old_has_none(
    tmp_path: Path, followers: list[Follower]
) -> None:
    old = put_job(tmp_path, "old", b"from yesterday\n")
    new = put_job(tmp_path, "new", b"just said\n")
    (new / "job.json").write_text(json.dumps({"schema": 1, "run": "r1", "started_ms": int(time.time() * 1000)}))
    begun = time.time() * 1000
    followers.append(Follower(PYTHON, f"{old}:0", f"{new}:0", f"{old.parent}/none:0"))
    first = {message["job"]: message for message in (followers[0].message() for _ in range(2))}
    assert "t" not in first["old"]
    assert begun - 1 <= first["new"]["t"] <= time.time() * 1000, "all of a job that began just now is new"
    grow(old, b"and now\nand again\n")
    lines = [followers[0].message() for _ in range(2)]
    assert lines[0]["t"] == lines[1]["t"], "lines of one read share it"
    assert lines[0]["t"] >= first["new"]["t"]


def test_both_programs_know_the_same_signs_of_an_error() -> None:
    signs = []
    for name in ("jobs", "log_search"):
        program: dict[str, Any] = {"__name__": name}
        exec((REMOTE / f"{name}.py").read_text(), program)
        signs.append(program["SIGNS"])
    assert signs[0] == signs[1]
