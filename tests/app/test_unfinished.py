"""Changes that an earlier run of the program did not finish: offered where they can be carried on, else said."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.playbooks.keys import key_playbook
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.journal import Journal, RunRecord
from tests.app.adding import add_keyed, console_print, first_adding, keys_on
from tests.app.desk import node_in, play, until
from tests.core.playbooks.test_keys import OURS
from tests.infra.sshd import running_sshd
from ui.playbook.dialog import PlaybookDialog

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PASSWORD = "correct horse"


def shown_dialogs() -> list[PlaybookDialog]:
    """The changes that are offered now."""
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, PlaybookDialog) and w.isVisible()]


def keys_here() -> list[Path]:
    """The private keys in the application's folder."""
    return sorted((paths.data_dir() / "keys").glob("node_*"))


async def begin_run(node_id: str) -> None:
    """What a program leaves that is killed at the first step of a change on this node."""
    store = SqliteStore(paths.data_dir())
    await store.open()
    journal = Journal(store, SystemClock(), f"cut-off-{node_id}", RunRecord(key_playbook(node_id, OURS)))
    await journal.begin()
    await journal.step_started("line", "apply")
    await store.close()


def test_a_killed_key_set_up_of_a_new_node_is_cleared_away_and_said(app: QApplication, tmp_path: Path) -> None:
    copy = tmp_path / "killed"
    with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:

        async def first(desktop: Desktop) -> None:
            adding = await first_adding(desktop)
            adding.ask_for(f"{server.user}@127.0.0.1:{server.port}")
            await adding.trust(console_print(server))
            await adding.give_password(PASSWORD)
            await adding.answer_key(is_wanted=True)
            await until(lambda: any("Add the public key" in line for line in adding.now.log), "the key's line is added")
            shutil.copytree(paths.data_dir(), copy)  # the files as a kill would leave them

        async def second(desktop: Desktop) -> None:
            await until(lambda: desktop.is_filled.value, "the window is filled")
            await asyncio.sleep(0.2)
            assert shown_dialogs() == []
            assert keys_here() == []
            (notice,) = desktop.window.shell.notices
            assert f"{server.user}@127.0.0.1" in notice.title
            assert "authorized_keys" in notice.text
            assert [run.result for run in desktop.stack.runs.runs.value.values()] == []

        async def third(desktop: Desktop) -> None:
            await until(lambda: desktop.is_filled.value, "the window is filled")
            assert desktop.window.shell.notices == ()
            node = await add_keyed(await first_adding(desktop), server, PASSWORD)
            assert node.state is NodeState.LIVE
            assert len(keys_on(server.home)) == 1
            assert len(keys_here()) == 1

        assert play(app, first) == 0
        shutil.rmtree(paths.data_dir())
        shutil.copytree(copy, paths.data_dir(), dirs_exist_ok=True)
        assert play(app, second) == 0
        assert play(app, third) == 0


def test_a_cut_off_change_is_offered_while_its_node_is_known_else_set_aside(app: QApplication, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
        node_id = ""

        async def first(desktop: Desktop) -> None:
            nonlocal node_id
            node_id = (await add_keyed(await first_adding(desktop), server, PASSWORD)).record.id

        async def second(desktop: Desktop) -> None:
            await node_in(desktop, 0, NodeState.LIVE)
            await until(lambda: desktop.window.shell.notices, "what cannot be carried on is said")
            assert "not in SparkDesk any more" in desktop.window.shell.notices[0].text
            (dialog,) = shown_dialogs()
            assert await desktop.stack.store.unfinished_runs() == (f"cut-off-{node_id}",)
            dialog.close()

        assert play(app, first) == 0
        asyncio.run(begin_run(node_id))
        asyncio.run(begin_run("gone"))
        assert play(app, second) == 0
