"""Find my Sparks: a range is typed, what answers is chosen, and the three rows follow, up to the live node."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState
from tests.app.adding import Adding, click, console_print, first_adding, words_on
from tests.app.desk import node_in, play, type_into, until
from tests.app.picture import take_pictures
from tests.infra.sshd import running_sshd

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PASSWORD = "correct horse"
HOST = "127.88.0.4"
"""A range is asked at SSH's own port only, so the server listens there."""


@pytest.fixture
def free_host() -> str:
    """An address of this computer at whose port 22 nobody listens."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, 22))
        except OSError as error:
            pytest.skip(f"port 22 of {HOST} cannot be had: {error}")
    return HOST


async def choose(adding: Adding, name: str) -> None:
    """Tick the row of this machine, once it is on the list."""
    rows = adding.page.find_panel.list

    def place() -> int:
        found = [candidate.address for candidate in adding.desktop.search.candidates]
        return found.index(name) if name in found else -1

    await until(lambda: place() >= 0, f"{name} on the list")
    middle = rows.visualRect(rows.model().index(place(), 0)).center()
    QTest.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)


def test_a_typed_range_leads_to_a_spark_and_its_live_node(
    app: QApplication, own_home: Path, tmp_path: Path, free_host: str
) -> None:
    (own_home / ".ssh").mkdir(mode=0o700)
    (own_home / ".ssh" / "config").write_text("Host lab\n  HostName 127.88.0.20\n  User nvidia\n")

    async def story(desktop: Desktop) -> None:
        desktop.window.resize(1440, 900)
        with running_sshd(tmp_path / "sshd", password=PASSWORD, options=[f"ListenAddress {free_host}:22"]) as server:
            adding = await first_adding(desktop)
            await take_pictures(desktop, "first-run")
            click(adding.page.cards.find_button)
            panel = adding.page.find_panel
            type_into(panel.sources.range, "127.88.0.9-2")
            assert "ends before it begins" in panel.sources.range_error()
            type_into(panel.sources.range, "127.88.0.2-9")
            click(panel.sources.range_button)
            await choose(adding, free_host)
            (lab,) = [each for each in desktop.search.candidates if each.address == "127.88.0.20"]
            assert (lab.name, lab.user) == ("lab", "nvidia")
            # Nothing but the greeting was exchanged.
            assert "publickey" not in server.log
            assert "password" not in server.log
            await take_pictures(desktop, "find")
            click(panel.add_button)
            assert "answers on port 22" in words_on(adding.page.panel.who_row)
            click(adding.page.panel.who_row.check_button)
            await adding.reach(EnrolStage.TRUST)
            await take_pictures(desktop, "add-trust")
            await adding.trust(console_print(server))
            await adding.reach(EnrolStage.NEEDS_PASSWORD)
            await take_pictures(desktop, "add-password")
            await adding.give_password(PASSWORD)
            await adding.reach(EnrolStage.IDENTIFYING, has_choice=True)
            await take_pictures(desktop, "add-key")
            await adding.answer_key(is_wanted=True)
            await adding.reach(EnrolStage.DONE)
            await take_pictures(desktop, "add-done")
            await adding.open_cluster()
            node = await node_in(desktop, 0, NodeState.LIVE)
            assert (node.record.address, node.record.port) == (free_host, 22)

    assert play(app, story) == 0
