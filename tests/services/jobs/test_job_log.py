"""What a node's log channel says is told on in order, with its place in the log, and what was left out is counted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.jobs.job_log import LogPiece, NodeClock, NodeLog
from sparkdesk.services.tasks import Tasks
from tests.fakes.shell import LocalShell

JOB = "abcdefghijklmnop"


def program(*messages: object) -> bytes:
    """A follower that says this and then stays."""
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    return f"import sys\nsys.stdout.write({lines!r})\nsys.stdout.flush()\nsys.stdin.read()\n".encode()


async def hear(home: Path, count: int, *messages: object) -> list[LogPiece]:
    """The pieces that come of these messages."""
    found: list[LogPiece] = []
    enough = asyncio.Event()

    def take(piece: LogPiece) -> None:
        found.append(piece)
        if len(found) >= count:
            enough.set()

    tasks = Tasks()
    log = NodeLog(program(*messages), take)
    log.follow(JOB)
    tasks.start(log.run, LocalShell(home, node="n1"))
    async with asyncio.timeout(20):
        await enough.wait()
    await tasks.close()
    return found


async def test_lines_carry_their_offset_and_a_flood_is_counted(tmp_path: Path) -> None:
    found = await hear(
        tmp_path,
        4,
        {"job": JOB, "offset": 6, "line": "first"},
        {"job": JOB, "dropped": 98_000, "offset": 9_000_000},
        {"job": JOB, "lost": 1_234_567},
        {"job": JOB, "offset": 9_000_010, "line": "later", "cut": 7},
    )
    assert [(piece.line, piece.offset, piece.cut_bytes) for piece in found] == [
        ("first", 6, 0), (None, 9_000_000, 0), (None, -1, 0), ("later", 9_000_010, 7),
    ]  # fmt: skip
    assert found[1].loss == "98,000 lines are not shown here; they lie on the node, where a search goes through all"
    assert found[2].loss == "1,234,567 bytes of the log are gone"
    assert found[0].loss == ""


async def test_nonsense_on_the_channel_is_nothing(tmp_path: Path) -> None:
    found = await hear(
        tmp_path,
        2,
        [1],
        "words",
        {"job": "another", "line": "not ours", "offset": 3},
        {"job": JOB, "line": 7},
        {"job": JOB, "line": "fine", "offset": -5},
        {"job": JOB, "dropped": "many", "offset": 1 << 70},
    )
    assert [(piece.line, piece.offset, piece.dropped_lines) for piece in found] == [("fine", -1, 0), (None, -1, 0)]


async def test_a_line_carries_the_time_of_its_look_if_that_is_known(tmp_path: Path) -> None:
    found = await hear(
        tmp_path,
        5,
        {"job": JOB, "offset": 6, "line": "first"},
        {"job": JOB, "offset": 9, "line": "second", "t": 1_790_000_000_123},
        {"job": JOB, "offset": 12, "line": "third", "t": 1 << 50},
        {"job": JOB, "dropped": 3, "passed": 5_000_000, "offset": 6_000_000},
        {"job": JOB, "dropped": 1, "offset": 6_000_009},
    )
    assert [piece.t_ms for piece in found[:3]] == [0, 1_790_000_000_123, 0]
    words = "not shown here; {} on the node, where a search goes through all"
    assert found[3].loss == "3 lines and 5,000,000 bytes are " + words.format("they lie")
    assert found[4].loss == "1 line is " + words.format("it lies")


def test_a_nodes_clock_is_told_by_ours_whatever_it_shows() -> None:
    clock = NodeClock()
    assert clock.read(0, 50_000) == 0, "not known stays not known"
    assert clock.read(990_000, 50_300) == 50_300
    assert clock.read(991_000, 51_000) == 51_000, "this one came faster: it is nearer to the truth"
    assert clock.read(992_000, 54_000) == 52_000, "and shows how long this one was on its way"
    assert clock.read(993_000, 60_000) == 53_000
    assert clock.read(3_000, 61_000) == 61_000, "the node's clock was set"
    assert clock.read(4_500, 62_500) == 62_500


def test_a_deployments_line_has_the_time_of_its_look_by_our_clock_or_none() -> None:
    status = JobStatus(JOB, "smollm2", "vllm", ("n1",), JobState.STARTING, 0)
    clock = SystemClock()
    deployment = Deployment(status, None, None, clock, lambda: None)
    begun_ms, node_ms = clock.now_ms(), 5_000_000_000  # a node whose clock stands still in 1970
    for t_ms in (0, node_ms + 4000, node_ms + 3000):
        deployment.take_piece(LogPiece(JOB, "words", t_ms=t_ms))
    old, new, late = (line.t_ms for line in deployment.log.past)
    assert old == 0
    assert begun_ms <= new <= clock.now_ms()
    assert new - late == 1000, "it was seen a second before, and was longer on its way"
