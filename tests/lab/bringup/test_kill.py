"""SparkDesk is killed at any boundary of a bring-up: the next start offers to continue or to undo, and both work."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.lab.bringup.process import MOST_EVENTS, BringUpProcess
from tests.lab.bringup.snapshot import Snapshot, differences_of, take_snapshot
from tests.lab.bringup.spark_lab import PAIR, spark_lab, take_more_away
from tests.lab.lab import Lab, LabNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(420)]

POINTS = 50 if os.environ.get("SPARKDESK_DEEP") else 12
SEED = 8
PARTS = {"apply": POINTS - 2 * (POINTS // 6), "undo": POINTS // 6, "proof": POINTS // 6}
"""How many of them are in which part of a bring-up."""
LAST_EVENTS = 16
"""So near its end a run would be over before a kill that comes a moment later."""
WHOLE: dict[str, int] = {}
"""How many events an apply has that nobody ends, and its undo. Of the proof its own plan tells."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two Sparks and a cable; each test leaves them as it found them, and sees that it did."""
    with spark_lab(PAIR, tmp_path_factory.mktemp("pair")) as (lab, _):
        yield lab


@pytest.fixture
def before(pair: Lab) -> dict[str, Snapshot]:
    """How each node stands before it is touched."""
    for node in pair.nodes:
        unpack(node)
    return {node.name: take_snapshot(node) for node in pair.nodes}


def unpack(node: LabNode) -> None:
    """As out of the box, and with all to do: no undo takes packages away, and the lock of who was killed stands."""
    node.run("sh", "-c", "apt-get purge -y perftest earlyoom; rm -f /tmp/sparkdesk-*")
    take_more_away(node)


@pytest.fixture
async def app(pair: Lab, tmp_path: Path) -> AsyncIterator[BringUpProcess]:
    """A SparkDesk that was never used."""
    process = BringUpProcess(tmp_path / "app", [asdict(node.record()) for node in pair.nodes])
    yield process
    await process.quit()


def assert_untouched(lab: Lab, before: dict[str, Snapshot]) -> None:
    """Nothing of what was done is left on any node."""
    left = {node.name: differences_of(node, before[node.name]) for node in lab.nodes}
    assert left == {node.name: [] for node in lab.nodes}


async def test_a_bring_up_that_nobody_ends_is_done_and_undone(
    app: BringUpProcess, pair: Lab, before: dict[str, Snapshot]
) -> None:
    assert await app.start() == "idle"
    assert await app.ask("look") > 0
    done = await app.ask("apply")
    assert done["result"] == "done", done["words"]
    assert await app.ask("look") == 0
    undone = await app.ask("undo")
    assert undone["phase"] == "undone"
    WHOLE.update(apply=done["events"], undo=undone["events"])
    assert_untouched(pair, before)


def points() -> list[tuple[str, int, float, bool]]:
    """In which part, where of it (of MOST_EVENTS), how long after that event, and whether it is then continued."""
    dice = random.Random(SEED)
    return [
        (part, int((number + dice.random()) / count * MOST_EVENTS), dice.choice((0.0, 0.0, 0.05, 0.2)), number % 2 == 1)
        for part, count in PARTS.items() for number in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(("part", "at", "after_s", "is_continued"), points())
async def test_a_bring_up_is_continued_or_undone_after_a_kill(
    app: BringUpProcess, pair: Lab, before: dict[str, Snapshot], part: str, at: int, after_s: float, is_continued: bool
) -> None:
    if not WHOLE:  # this test alone was asked for
        await test_a_bring_up_that_nobody_ends_is_done_and_undone(app, pair, before)
        await app.quit()
        for node in pair.nodes:
            unpack(node)  # or there would be fewer steps
    await app.start()
    await app.ask("look")
    assert await kill(app, part, at, after_s), "it was over before"
    phase = await app.start()
    if part == "undo" and phase == "idle":  # all was back, and only the journal's last line was missing
        assert_untouched(pair, before)
        await app.ask("look")
        await bring_up(app, "apply")  # at once: the lock that the killed process held is its own
    else:
        assert phase == "interrupted"
        offers = await app.ask("offers")
        if "undo" not in offers:  # nothing was begun
            assert_untouched(pair, before)
        if part == "undo":
            assert offers == ["undo"], "who began to take it back goes on with that"
        elif is_continued or "undo" not in offers:
            await bring_up(app, "resume")
            assert await app.ask("look") == 0
    assert (await app.ask("undo"))["phase"] == "undone"
    assert_untouched(pair, before)


async def bring_up(app: BringUpProcess, do: str) -> None:
    """Apply, or go on, to the end."""
    done = await app.ask(do)
    assert done["result"] == "done", done["words"]


async def kill(app: BringUpProcess, part: str, at: int, after_s: float) -> bool:
    """Apply, and undo where it is to end in that, until the kill; whether it came."""
    if part == "proof":
        after_s = after_s if at < MOST_EVENTS // 2 else 0.0
        return await app.ask_and_die("apply", kill_in=part, kill_at=at, kill_after_s=after_s)
    if part == "undo":
        await app.ask("apply")
    event = at * WHOLE[part] // MOST_EVENTS
    after_s = after_s if event < WHOLE[part] - LAST_EVENTS else 0.0
    return await app.ask_and_die(part, kill_in=part, kill_at=event, kill_after_s=after_s)
