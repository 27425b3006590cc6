"""Passwords typed into the real window are searched for everywhere they must not be, on both sides, after it ended.

The one rule: the search is the one that other tests show to find what is planted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk import paths
from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState
from tests.app.adding import Adding, click, cluster_page, console_print, first_adding, later_adding
from tests.app.desk import node_in, play, until
from tests.canary import Search, forms_of_key, new_secret
from tests.infra.sshd import Sshd, running_sshd

pytestmark = [
    pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise"),
    pytest.mark.expects_errors,  # the mistake that is made on purpose
    pytest.mark.qt_no_exception_capture,
]
LEAST_PLACES = 200
"""So many files, arguments and environments are looked at, or the search missed its places."""


@pytest.fixture
def log_file(own_home: Path) -> Iterator[Path]:
    """Everything that any logger says while the window is open, at the finest level."""
    path = own_home / "every.log"
    handler = logging.FileHandler(path)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield path
    root.removeHandler(handler)
    root.setLevel(before)
    handler.close()


async def add(adding: Adding, server: Sshd, password: str, *, is_key_wanted: bool) -> None:
    """Show the password while it is typed, as a careful person does, and have it remembered."""
    adding.ask_for(f"{server.user}@127.0.0.1:{server.port}")
    await adding.trust(console_print(server))
    await adding.reach(EnrolStage.NEEDS_PASSWORD)
    part = adding.page.panel.sign_in_row.password_part
    click(part.eye_button)
    part.remember.setChecked(True)
    await adding.give_password(password)
    if adding.desktop.stack.inventory.nodes.value:
        await adding.reach(EnrolStage.SAME_NODE)  # both servers run on this one machine
        click(adding.page.panel.sign_in_row.same_part.other_button)
    await adding.answer_key(is_wanted=is_key_wanted)


def make_mistake(password: str) -> None:
    """A bug in a slot that holds the password; the application writes its report."""

    def fail() -> None:
        raise RuntimeError(f"a bug with {len(password)} characters")

    QTimer.singleShot(0, fail)


def test_no_password_typed_into_the_window_is_left_anywhere(
    app: QApplication, own_home: Path, tmp_path: Path, log_file: Path
) -> None:
    password, wrong, kept = (new_secret().replace("é", "e") for _ in range(3))  # Qt's test keyboard has no é
    search = Search({"password": password, "wrong one": wrong, "kept one": kept})
    key_paths: list[Path] = []
    shown: list[str] = []

    async def first(desktop: Desktop) -> None:
        adding = await first_adding(desktop)
        desktop.stack.fleet.enroller.enrolment.subscribe(lambda now: shown.append(repr(now)))
        adding.ask_for(f"{one.user}@127.0.0.1:{one.port}")
        await adding.trust(console_print(one))
        await adding.give_password(wrong)
        await until(lambda: adding.now.stage is EnrolStage.NEEDS_PASSWORD and adding.now.message, "the refusal")
        click(adding.page.panel.back_button)
        await adding.end()
        await add(adding, one, password, is_key_wanted=True)
        await adding.open_cluster()
        node = await node_in(desktop, 0, NodeState.LIVE)
        key_paths.append(Path(node.record.key_path))
        search.add("private half", forms_of_key(key_paths[0]))
        make_mistake(password)
        await until(lambda: list(paths.log_dir().glob("crash-*.txt")), "the report of the mistake")
        adding = await later_adding(desktop)
        await add(adding, two, kept, is_key_wanted=False)
        await adding.open_cluster()
        await node_in(desktop, 1, NodeState.LIVE)

    async def second(desktop: Desktop) -> None:
        refused = await node_in(desktop, 1, NodeState.REFUSED)
        page = await cluster_page(desktop)
        page.model.select("node", refused.record.id)
        trouble = page.inspector.trouble
        await until(trouble.password.isVisible, "a field for the password")
        QTest.keyClicks(trouble.password, kept)
        click(trouble.sign_in)
        await node_in(desktop, 1, NodeState.LIVE)
        shown.append(trouble.log_text())
        shown.extend(f"{notice.title} {notice.text}" for notice in desktop.window.shell.notices)

    with (
        running_sshd(tmp_path / "one", password=password, options=["LogLevel DEBUG3"]) as one,
        running_sshd(tmp_path / "two", password=kept, options=["LogLevel DEBUG3"]) as two,
    ):
        with search.watching_processes():
            assert play(app, first) == 0
            assert play(app, second) == 0
        search.look_in_files(own_home, tmp_path, but=key_paths)
        search.look("what the page was shown", "\n".join(shown).encode())
        search.look("the clipboard", app.clipboard().text().encode())
        assert "Accepted password" in two.log
    assert log_file.stat().st_size > 0
    assert (own_home / "sparkdesk" / "data" / "app.db").exists()
    assert search.looked_at > LEAST_PLACES
    assert search.hits == set()
