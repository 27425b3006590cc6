"""How the look at the cables stands, and the buttons that ask for another one or end it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.topology import LookState, Topology
from tests.ui.picture import host_page
from ui.cluster.part.look import DEEPER, LookRow

SEEN = Topology(seen_ms=1_000, state=LookState.DONE)
LISTENING = replace(SEEN, state=LookState.LOOKING, message="Listening on the cables of 4 nodes, 31 s")


@pytest.fixture
def row(qtbot: QtBot) -> LookRow:
    row = LookRow()
    qtbot.addWidget(host_page(row, 300, 80))
    return row


def test_a_look_below_all_addresses_says_how_long_it_takes_and_can_be_stopped(row: LookRow) -> None:
    asked: list[str] = []
    row.deep_look_asked.connect(lambda: asked.append(row.deep.text()))
    row.show_look(SEEN, 4_000)
    QTest.mouseClick(row.deep, Qt.MouseButton.LeftButton)
    row.show_look(LISTENING, 4_000)
    assert "31 s" in row.words.text()
    assert not row.again.isEnabled()
    QTest.mouseClick(row.deep, Qt.MouseButton.LeftButton)
    assert asked == [DEEPER, "Stop listening"]


def test_an_ordinary_look_is_not_offered_to_be_stopped(row: LookRow) -> None:
    row.show_look(replace(SEEN, state=LookState.LOOKING), 4_000)
    assert row.deep.text() == DEEPER
    row.show_look(SEEN, 4_000)
    assert row.again.isEnabled()
