"""What of a log lies on the node is read back with its offsets, searched there, and saved whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkdesk.core.errors import CommandFailed, PlanError, Unreachable
from sparkdesk.services.jobs.log_archive import LogArchive, LogSearch
from tests.fakes.shell import LocalShell

PROGRAM = (Path(__file__).parents[3] / "sparkdesk/remote/log_search.py").read_bytes()
JOB = "abcdefghijklmnop"
FIRST = b"12:00 INFO begin \x1b[32mgreen\x1b[0m\n[sparkdesk] try 2 begins\nValueError: \xe2\x80\xaebad\n"
LAST = b"10%\r55%\r100%\nover\n"


@pytest.fixture
def archive(tmp_path: Path) -> LogArchive:
    folder = tmp_path / "home/.local/state/sparkdesk/jobs" / JOB
    folder.mkdir(parents=True)
    (folder / f"log-{0:015d}").write_bytes(FIRST)
    (folder / f"log-{len(FIRST):015d}").write_bytes(LAST)
    shell = LocalShell(tmp_path / "home", node="n1")
    return LogArchive(lambda _: shell, PROGRAM)


async def test_older_lines_come_with_offset_source_and_level_as_plain_text(archive: LogArchive) -> None:
    lines = await archive.older(JOB, "n1", len(FIRST) + 1)
    assert [(line.source, line.level, line.text) for line in lines] == [
        ("engine", "info", "12:00 INFO begin green"),
        ("job", "info", "try 2 begins"),
        ("engine", "error", "ValueError: \ufffdbad"),
    ]
    assert (lines[-1].offset, lines[-1].node_id) == (len(FIRST), "n1")
    assert await archive.older(JOB, "n1", lines[0].offset) == ()


async def test_older_lines_can_be_asked_for_piece_by_piece(archive: LogArchive) -> None:
    texts: list[str] = []
    before = len(FIRST) + len(LAST) + 1
    while lines := await archive.older(JOB, "n1", before, max_bytes=16):
        texts[:0] = [line.text for line in lines]
        before = lines[0].offset
    assert [text[:8] for text in texts] == ["12:00 IN", "try 2 be", "ValueErr", "100%", "over"]


async def test_a_search_finds_what_is_not_held_here(archive: LogArchive) -> None:
    found = await archive.search(JOB, "n1", "BEGIN", level="")
    assert [line.text for line in found.lines] == ["12:00 INFO begin green", "try 2 begins"]
    assert (found.is_more, found.problem, found.scanned_bytes) == (False, "", len(FIRST) + len(LAST))
    assert [line.offset for line in (await archive.search(JOB, "n1", "", level="error")).lines] == [len(FIRST)]


async def test_a_search_tells_its_parts_and_ends_when_it_is_wanted_no_more(archive: LogArchive, tmp_path: Path) -> None:
    folder = tmp_path / "home/.local/state/sparkdesk/jobs" / JOB
    start = len(FIRST) + len(LAST)
    line = b"%07d " + b"word " * 30 + b"\n"
    (folder / f"log-{start:015d}").write_bytes(b"".join(line % n for n in range(100_000)))
    heard: list[LogSearch] = []
    found = await archive.search(JOB, "n1", r"(?:0000|begi)(?=7|n)", on_part=lambda part: heard.append(part) is None)
    assert (found.is_more, found.fraction, found.lines[0].text) == (False, 1.0, "12:00 INFO begin green")
    fractions = [part.fraction or 0.0 for part in heard]
    assert fractions == sorted(fractions)
    assert 0.0 < fractions[0] < 1.0
    stopped = await archive.search(JOB, "n1", r"(?:0000|begi)(?=7|n)", on_part=lambda _part: False)
    assert (stopped.is_more, stopped.next_offset > 0, stopped.left_bytes > 0) == (True, True, True)


async def test_a_pattern_with_quotes_and_commands_is_only_a_pattern(archive: LogArchive, tmp_path: Path) -> None:
    assert (await archive.search(JOB, "n1", f"'; touch {tmp_path}/bad; $(touch {tmp_path}/bad)")).lines == ()
    assert not (tmp_path / "bad").exists()
    with pytest.raises(PlanError, match="not a pattern"):
        await archive.search(JOB, "n1", "(")
    with pytest.raises(PlanError, match="longer than 1,000"):
        await archive.search(JOB, "n1", "x" * 1001)
    with pytest.raises(PlanError, match="no job"):
        await archive.search("../../etc", "n1", "x")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"import sys\nsys.exit('the disk went away')", "code 1: the disk went away"),
        (b"print('hello')", "cannot be read"),
        (b"import os\nos.kill(os.getpid(), 9)", "137"),
    ],
)
async def test_a_search_that_breaks_off_says_why(program: bytes, words: str, tmp_path: Path) -> None:
    shell = LocalShell(tmp_path, node="n1")
    with pytest.raises(CommandFailed) as caught:
        await LogArchive(lambda _: shell, program).search(JOB, "n1", "x")
    assert words in f"{caught.value} {caught.value.detail}"


async def test_a_search_whose_line_is_lost_is_not_known_to_have_ended(tmp_path: Path) -> None:
    shell = LocalShell(tmp_path, node="n1")
    program = b"import time\nprint('{\"lines\": []}', flush=True)\ntime.sleep(60)"
    with pytest.raises(Unreachable, match="not known how search ended"):
        await LogArchive(lambda _: shell, program).search(JOB, "n1", "x", on_part=lambda _part: shell.cut() is None)


async def test_a_search_on_a_node_without_python_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to("/bin/sh")
    shell = LocalShell(tmp_path, node="n1", env={"PATH": str(tmp_path / "bin")})
    with pytest.raises(CommandFailed, match="no python3"):
        await LogArchive(lambda _: shell, PROGRAM).search(JOB, "n1", "x")


async def test_the_log_is_saved_whole_or_not_at_all(archive: LogArchive, tmp_path: Path) -> None:
    target = tmp_path / "saved.log"
    assert await archive.save(JOB, "n1", target) == len(FIRST) + len(LAST)
    assert target.read_bytes() == FIRST + LAST
    with pytest.raises(CommandFailed, match="no log"):
        await archive.save("q" * 16, "n1", tmp_path / "none.log")
    with pytest.raises(PlanError, match="cannot be written"):
        await archive.save(JOB, "n1", tmp_path / "nowhere" / "x.log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "saved.log"]
