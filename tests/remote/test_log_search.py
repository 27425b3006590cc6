"""A log that lies on a node is read back by offsets and searched there, bounded whatever the pattern and the log."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.remote.python_version import PYTHONS
from tests.remote.test_jobs import PYTHON, put_job

SEARCH = (Path(__file__).resolve().parents[2] / "sparkdesk/remote/log_search.py").read_bytes()


def parts(verb: str, *words: object, python: str = PYTHON, program: bytes = SEARCH) -> list[dict[str, Any]]:
    """What log_search.py answers, in its parts."""
    argv = [python, "-I", "-S", "-", verb, *map(str, words)]
    done = subprocess.run(argv, input=program, capture_output=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask(verb: str, *words: object, python: str = PYTHON) -> dict[str, Any]:
    """What it answers as one: the lines of all parts, oldest first, and how it ended."""
    found = parts(verb, *words, python=python)
    return dict(found[-1], lines=[row for part in reversed(found) for row in part["lines"]])


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
    job = put_job(tmp_path, "two", b"".join(b"request %d took %d ms\n" % (n, n % 7) for n in range(8000)))
    many = ask("search", job, "request")
    assert (len(many["lines"]), many["more"]) == (5000, True)
    rest = ask("search", job, "request", "", many["next"])
    assert texts(rest)[-1] == "request 2999 took 3 ms", "not one line is lost between two searches"
    assert (texts(rest)[0], rest["more"], rest["left"]) == ("request 0 took 0 ms", False, 0)


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


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("needle", 40), ("NEEDLE 1", 11), (r"needle \d$", 10), (r"^x+ needle 7", 1), (r"needle 1\b", 1),
        ("n(?=eedle 3)", 11),
        (r"needle 5(?!\s)", 1), (r"\Ax+ needle 8\Z", 1), ("nee[^x]*le 2$", 1), (r"a\.b", 40), ("état", 40),
        ("ÉTAT", 40),
        (r"seen\ last", 40), ("seen first", 0), ("", 4080),
    ],
)  # fmt: skip
def test_the_quick_look_at_a_block_hides_no_line(pattern: str, count: int, tmp_path: Path) -> None:
    """Needles over many blocks and files; of a line that is written over only the last state counts."""
    rows = [f"{'x' * (n % 900 + 1)} straw {n}" for n in range(4000)]
    for n in range(40):
        rows[n * 97] = f"xx needle {n}"
        rows[n * 97 + 1] = f"seen first\rseen last a.b état {n}"
    data = ("\n".join([*rows, *(f"end {n}" for n in range(80))]) + "\n").encode()
    cut = data.index(b"needle 20") + 3
    put_job(tmp_path, "one", data[:cut])
    job = put_job(tmp_path, "one", data[cut:], start=cut)
    answer = ask("search", job, pattern)
    assert (len(answer["lines"]), answer["more"], answer["scanned"]) == (count, False, len(data))
    slow = [
        row for row in data.decode().split("\n") if row and re.search(pattern, row.rpartition("\r")[2], re.IGNORECASE)
    ]
    assert texts(answer) == [row.rpartition("\r")[2] for row in slow]


def test_a_search_tells_how_far_it_is_and_ends_when_nobody_reads(tmp_path: Path) -> None:
    line = b"%07d " + b"word " * 30 + b"\n"
    job = put_job(tmp_path, "one", b"".join(line % n for n in range(100_000)))
    eager = SEARCH.replace(b", TELL_S = 5000, 4 << 20, 120.0, 5.0, 0.3", b", TELL_S = 5000, 4 << 20, 120.0, 5.0, 0.0")
    assert eager != SEARCH
    found = parts("search", job, r"0(?=[13]\d*7 word)", program=eager)
    assert len(found) > 1
    assert all(one["scanned"] + one["left"] == 100_000 * len(line % 1) for one in found)
    assert [one["scanned"] for one in found] == sorted(one["scanned"] for one in found)
    argv = [sys.executable, "-I", "-S", "-", "search", str(job), r"0(?=[13]\d*7 word)"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(eager)
        process.stdin.close()
        assert b"left" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=20) == 0


PAGES = """
import random

def pages_of(folder, limit):
    found, before = [], -1
    while True:
        globals()["SEARCH_LINES"] = limit
        *_, last = parts = list(search(folder, "x", "", before))
        found = [row for part in reversed(parts) for row in part["lines"]] + found
        if not last["more"]:
            return found
        assert last["next"] != before, before
        before = last["next"]

def write_log(folder, data, cuts):
    os.mkdir(folder)
    for start, end in zip([0, *cuts], [*cuts, len(data)]):
        with open(os.path.join(folder, "log-%015d" % start), "wb") as file:
            file.write(data[start:end])

dice = random.Random(7)
for number in range(150):
    rows = [dice.choice(["", "y" * dice.randrange(9), "x" * dice.randrange(1, 30) + str(at)]) for at in range(40)]
    data = "\\n".join(rows).encode() + dice.choice([b"", b"\\n"])
    folder = os.path.join(sys.argv[1], str(number))
    write_log(folder, data, sorted(dice.sample(range(1, len(data)), 2)))
    for size in (1, 2, dice.randrange(3, 30), dice.randrange(30, 300), 1 << 19):
        BLOCK_BYTES, told = size, [row for row in rows if "x" in row]
        for limit in (1, 2, dice.randrange(3, 20), 5000):
            found = [row[1] for row in pages_of(folder, limit)]
            assert found == told, (data, size, limit, found)
print('{"is_same": true}')
"""


def changed(tail: str) -> bytes:
    """log_search.py with other last lines in place of its `main`."""
    head, sign, _ = SEARCH.decode().rpartition('\n\nif __name__ == "__main__":')
    assert sign
    return (head + "\n" + tail).encode()


def test_all_pages_of_a_search_are_the_whole_search_whatever_the_blocks_and_the_limits(tmp_path: Path) -> None:
    argv = [PYTHON, "-I", "-S", "-", str(tmp_path)]
    done = subprocess.run(argv, input=changed(PAGES), capture_output=True, timeout=60, check=False)
    assert done.stdout == b'{"is_same": true}\n', done.stderr.decode()[-2000:]


def test_a_file_that_is_rotated_away_meanwhile_holds_no_older_lines(tmp_path: Path) -> None:
    put_job(tmp_path, "one", b"gone\n")
    put_job(tmp_path, "one", b"a\nbegun ", start=5)
    job = put_job(tmp_path, "one", b"here\nlast\n", start=13)
    tail = """
listed = list_log_files(sys.argv[2])
list_log_files = lambda folder: listed
for file in listed[:2]:
    os.remove(file[1])
sys.exit(main(sys.argv[1:]))
"""
    assert texts(parts("range", job, 0, 1000, program=changed(tail))[-1]) == ["here", "last"]
    put_job(tmp_path, "one", b"gone\n")
    put_job(tmp_path, "one", b"a\nbegun ", start=5)
    found = parts("search", job, "", program=changed(tail))
    assert [row[1] for part in reversed(found) for row in part["lines"]] == ["here", "last"]
    assert (found[-1]["problem"], found[-1]["more"]) == ("", False)


def test_a_pattern_that_is_too_long_is_refused_in_plain_words(tmp_path: Path) -> None:
    job = put_job(tmp_path, "one", b"a" * 2000 + b"\n")
    assert len(texts(ask("search", job, "a" * 1000))) == 1
    answer = ask("search", job, "a" * 1001)
    assert (texts(answer), answer["problem"]) == ([], "the pattern is longer than 1,000 characters")
