"""A window that is hidden or minimised is out of sight after a while, and in sight again at once."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from ui.sight import Sight


def test_a_hidden_window_is_out_of_sight_and_in_sight_again_when_it_is_shown(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    sight = Sight(window)
    seen: list[bool] = []
    sight.changed.connect(seen.append)
    assert sight.is_seen
    window.hide()
    qtbot.waitUntil(lambda: not sight.is_seen, timeout=20_000)
    window.show()
    qtbot.waitUntil(lambda: sight.is_seen, timeout=20_000)
    window.showMinimized()
    qtbot.waitUntil(lambda: not sight.is_seen, timeout=20_000)
    assert seen == [False, True, False]


def test_a_window_that_is_hidden_for_a_moment_stays_in_sight(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    sight = Sight(window)
    seen: list[bool] = []
    sight.changed.connect(seen.append)
    window.hide()
    window.show()
    qtbot.wait(50)
    assert sight.is_seen
    assert seen == []
