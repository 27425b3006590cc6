"""A log that lies on a node is read back by offsets and searched there, bounded whatever the pattern and the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.remote.python_version import PYTHONS
from tests.remote.test_jobs import PYTHON, SOURCE, Follower, put_job


def ask(verb: str, *words: object, python: str = PYTHON) -> dict[str, Any]:
    """What jobs.py answers."""
    done = subprocess.run(
        [python, "-I", "-S", "-", verb, *map(str, words)], input=SOURCE, capture_output=True, timeout=60, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def texts(answer: dict[str, Any]) -> list[str]:
    return [row[1] for row in answer["lines"]]


@pytest.mark.parametrize("python", PYTHONS)
def test_a_range_gives_whole_lines_with_the_offsets_behind_them(python: str, tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"first\nsecond\n\nthird\n")
    whole = ask("range", job, 0, 1000, python=python)
    assert whole == {"lines": [[6, "first", 0], [13, "second", 0], [20, "third", 0]], "more": False}
    assert texts(ask("range", job, 0, 20)) == ["first", "second"], "what ends at the end of the range is not older"
    assert texts(ask("range", job, 8, 12)) == ["second"], "a line is whole although the range begins within it"


def test_older_lines_are_found_over_the_ends_of_files_and_of_blocks(tmp_path: Path) -> None:
    lines = [b"line %06d %s\n" % (number, b"x" * (number % 700)) for number in range(3000)]
    data = b"".join(lines)
    cut = len(data) // 2 + 3
    put_job(tmp_path, "one", data[:cut])
    job = put_job(tmp_path, "one", data[cut:], start=cut)
    found: list[list[Any]] = []
    before = len(data) + 1
    while before > 0:
        answer = ask("range", job, before - 300_000, 300_000)
        found = answer["lines"] + found
        before = answer["lines"][0][0] if answer["more"] else 0
    assert [row[1] for row in found] == [line.decode().rstrip("\n") for line in lines]
    assert found[0][0] == len(lines[0])


def test_a_line_of_ten_megabytes_is_cut_and_does_not_hide_its_neighbours(tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"before\n" + b"y" * 10_000_000 + b"\nafter\n")
    rows = ask("range", job, 0, 4 << 20)["lines"] + ask("range", job, 4 << 20, 4 << 20)["lines"]
    rows += ask("range", job, 8 << 20, 4 << 20)["lines"]
    assert [(row[1][:6], len(row[1])) for row in rows] == [("before", 6), ("yyyyyy", 8192), ("after", 5)]
    assert rows[1][2] > 0


@pytest.mark.parametrize("python", PYTHONS)
def test_a_search_goes_back_from_the_end_and_on_from_where_it_stopped(python: str, tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"".join(b"request %d took %d ms\n" % (n, n % 7) for n in range(2000)))
    answer = ask("search", job, r"REQUEST \d+ took 3 ms", python=python)
    assert len(texts(answer)) == 286
    assert (answer["more"], answer["problem"]) == (False, "")
    assert answer["scanned"] == sum(path.stat().st_size for path in job.glob("log-*"))
    many = ask("search", job, "request")
    assert (len(many["lines"]), many["more"]) == (500, True)
    rest = ask("search", job, "request", "", many["lines"][0][0])
    assert texts(rest)[-1] == "request 1499 took 1 ms"


def test_a_search_can_want_a_level_or_worse(tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"INFO fine\nWARNING slow\nERROR broken\n12.3450 E low\nValueError: no\n")
    assert texts(ask("search", job, "", "error")) == ["ERROR broken", "12.3450 E low", "ValueError: no"]
    assert texts(ask("search", job, "", "warning")) == [
        "WARNING slow",
        "ERROR broken",
        "12.3450 E low",
        "ValueError: no",
    ]
    assert len(texts(ask("search", job, "", "info"))) == 5


@pytest.mark.parametrize("python", PYTHONS)
def test_a_pattern_that_never_ends_is_ended(python: str, tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"a" * 60 + b"!\n" + b"fine aab\n")
    answer = ask("search", job, "(a+)+b", python=python)
    assert texts(answer) == ["fine aab"]
    assert "took too long" in answer["problem"]
    assert answer["more"] is True


def test_a_pattern_that_is_none_is_said(tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"a\n")
    assert ask("search", job, "(unclosed")["problem"].startswith("the pattern is not understood: ")


def test_no_log_has_no_lines(tmp_path: Path) -> None:
    assert ask("range", tmp_path / "none", 0, 1000) == {"lines": [], "more": False}
    assert ask("search", tmp_path / "none", "x")["lines"] == []


def test_of_a_flood_the_head_the_errors_and_the_end_come_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    count = 300_000
    flood = [b"token %07d of an engine that says too much about it all\n" % number for number in range(count)]
    flood[100_000] = b"ERROR the one line that matters\n"
    job = put_job(tmp_path, "one", b"".join(flood))
    follower = Follower(sys.executable, f"{job}:0")
    lines, dropped, offset = 0, 0, 0
    try:
        until = time.monotonic() + 30
        has_error = False
        while dropped == 0 or offset < sum(map(len, flood)) - (9 << 20) or not has_error:
            assert time.monotonic() < until
            follower.write(b"\n")
            message = follower.message()
            assert message["offset"] >= offset
            offset = message["offset"]
            lines += "line" in message
            dropped += message.get("dropped", 0)
            has_error = has_error or "the one line" in message.get("line", "")
    finally:
        follower.close()
    assert lines < 60_000
    assert lines + dropped <= count
    assert dropped > 50_000
    assert os.path.getsize(job / "log-000000000000000") == sum(map(len, flood)), "the node keeps it all"
