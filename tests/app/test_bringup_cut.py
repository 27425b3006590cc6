"""A bring-up that SparkDesk did not see the end of: a later start offers it, and it is carried on or taken back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.state import Phase
from tests.app.adding import buttons_on, words_on
from tests.app.bringup import boxes, from_the_map, lasting, nodes_now, open_boxes, page_by_itself
from tests.app.desk import all_live, play, until

pytestmark = [pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise"), pytest.mark.timeout(480)]
LIMIT_S = 240.0


def test_a_bring_up_that_was_killed_twice_is_carried_on_at_the_next_start_and_taken_back_at_the_one_after(
    app: QApplication, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"

    async def first(desktop: Desktop) -> None:
        await open_boxes(desktop, simulator, lasting(simulator))
        person = await from_the_map(desktop, simulator)
        await person.plan()
        await person.go("apply")
        await person.give()
        await person.until_steps(Chapter.KEYS, "running")
        shutil.copytree(paths.data_dir(), killed)  # the files as a kill would leave them

    async def second(desktop: Desktop) -> None:
        person = await page_by_itself(desktop, simulator)
        await until(person.page.banner.isVisible, "what was interrupted")
        assert person.state.phase is Phase.INTERRUPTED
        assert "interrupted" in words_on(person.page.banner)
        await person.go("resume")
        await person.give()
        await person.until_steps(Chapter.NETWORK, "running")
        shutil.rmtree(killed)
        shutil.copytree(paths.data_dir(), killed)

    async def third(desktop: Desktop) -> None:
        person = await page_by_itself(desktop, simulator)
        assert person.state.phase is Phase.INTERRUPTED
        await person.undo_all()
        assert await nodes_now(simulator) == before

    async def fourth(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        assert desktop.window.page_key() == "cluster", "what was taken back is not offered again"

    def kill() -> None:
        """What the last start wrote after that moment is lost."""
        shutil.rmtree(paths.data_dir())
        shutil.copytree(killed, paths.data_dir(), dirs_exist_ok=True)

    with boxes(tmp_path, "pair") as simulator:
        before = asyncio.run(nodes_now(simulator))
        assert play(app, first, limit_s=LIMIT_S) == 0
        kill()
        assert play(app, second, limit_s=LIMIT_S) == 0
        kill()
        assert play(app, third, limit_s=LIMIT_S) == 0
        assert play(app, fourth, limit_s=LIMIT_S) == 0


def test_a_bring_up_in_the_middle_of_which_the_window_was_closed_waits_on_its_page_and_is_taken_back(
    app: QApplication, tmp_path: Path
) -> None:
    async def first(desktop: Desktop) -> None:
        await open_boxes(desktop, simulator, lasting(simulator))
        person = await from_the_map(desktop, simulator)
        await person.plan()
        await person.go("apply")
        await person.give()
        await person.until_steps(Chapter.DOCKER, "done")

    async def second(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        await all_live(desktop, 2)
        person = await from_the_map(desktop, simulator)
        await until(person.page.banner.isVisible, "what was not finished")
        assert person.state.phase is Phase.FAILED
        said = words_on(person.page.banner)
        assert "not finished" in said
        assert "spark-5c2d" in said
        assert "Continue" in buttons_on(person.page)
        await person.undo_all()
        assert await nodes_now(simulator) == before

    with boxes(tmp_path, "pair") as simulator:
        before = asyncio.run(nodes_now(simulator))
        assert play(app, first, limit_s=LIMIT_S) == 0
        assert asyncio.run(nodes_now(simulator)) != before
        assert play(app, second, limit_s=LIMIT_S) == 0
