"""SparkDesk is killed at any boundary of a bring-up: the next start offers to continue or to undo, and both work."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.lab.bringup.process import BringUpProcess
from tests.lab.bringup.snapshot import Snapshot, differences_of, take_snapshot
from tests.lab.bringup.spark_lab import PAIR, spark_lab
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

POINTS = 50 if os.environ.get("SPARKDESK_DEEP") else 12
SEED = 8
MOST_EVENTS = 4096
LAST_EVENTS = 8
"""So near its end an apply would be over before a kill that comes a moment later."""
WHOLE: list[int] = []
"""How many events an apply has that nobody ends."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two Sparks and a cable; each test leaves them as it found them, and sees that it did."""
    with spark_lab(PAIR, tmp_path_factory.mktemp("pair")) as (lab, _):
        yield lab


@pytest.fixture
def before(pair: Lab) -> dict[str, Snapshot]:
    """How each node stands before it is touched: out of the box, where no undo takes packages away."""
    for node in pair.nodes:
        node.run("apt-get", "remove", "-y", "perftest")
    return {node.name: take_snapshot(node) for node in pair.nodes}


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
    WHOLE.append(done["events"])
    assert await app.ask("look") == 0
    assert await app.ask("undo") == "undone"
    assert_untouched(pair, before)


def points() -> list[tuple[int, float, bool]]:
    """Where of a whole apply (of MOST_EVENTS), how long after that event, and whether it is then continued."""
    dice = random.Random(SEED)
    share = [(number + dice.random()) / POINTS for number in range(POINTS)]
    return [(round(at * MOST_EVENTS), dice.choice((0.0, 0.0, 0.05, 0.2)), number % 2 == 1)
            for number, at in enumerate(share)]  # fmt: skip


@pytest.mark.parametrize(("at", "after_s", "is_continued"), points())
async def test_a_bring_up_is_continued_or_undone_after_a_kill(
    app: BringUpProcess, pair: Lab, before: dict[str, Snapshot], at: int, after_s: float, is_continued: bool
) -> None:
    if not WHOLE:  # this test alone was asked for
        await test_a_bring_up_that_nobody_ends_is_done_and_undone(app, pair, before)
        await app.quit()
    await app.start()
    await app.ask("look")
    event = at * WHOLE[0] // MOST_EVENTS
    after_s = after_s if event < WHOLE[0] - LAST_EVENTS else 0.0
    assert await app.ask_and_die("apply", kill_at=event, kill_after_s=after_s), "it was over before"
    assert await app.start() == "interrupted"
    offers = await app.ask("offers")
    if "undo" not in offers:  # nothing was begun
        assert_untouched(pair, before)
    if is_continued or "undo" not in offers:
        done = await app.ask("resume")
        assert done["result"] == "done", done["words"]
        assert await app.ask("look") == 0
    assert await app.ask("undo") == "undone"
    assert_untouched(pair, before)
