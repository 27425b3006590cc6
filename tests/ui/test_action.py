from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from tests.ui.picture import host_page
from ui.action import PLAN_NOTE, ActionRegistry
from ui.widgets.palette import CommandPalette

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


@pytest.fixture
def window(dressed: QApplication) -> QWidget:
    return host_page(QWidget(), 900, 600)


@pytest.fixture
def registry(window: QWidget) -> ActionRegistry:
    return ActionRegistry(window)


def test_a_shortcut_that_is_taken_is_refused_with_its_owner(registry: ActionRegistry) -> None:
    registry.add("a", "Go to Cluster", lambda: None, shortcut="Ctrl+1")
    with pytest.raises(ValueError, match="Ctrl\\+1 already belongs to 'Go to Cluster'"):
        registry.add("b", "Other", lambda: None, shortcut="Ctrl+1")
    with pytest.raises(ValueError, match="already an action 'a'"):
        registry.add("a", "Again", lambda: None)


def test_words_are_found_in_any_order_and_titles_that_start_so_come_first(registry: ActionRegistry) -> None:
    registry.add("logs", "Deployment: Logs of gpt-oss-120b", lambda: None)
    registry.add("stop", "Deployment: Stop gpt-oss-120b...", lambda: None, note=PLAN_NOTE)
    registry.add("stop-all", "Stop everything", lambda: None)
    assert [command.key for command in registry.find("oss stop")] == ["stop"]
    assert [command.key for command in registry.find("stop")] == ["stop-all", "stop"]
    assert registry.find("nothing like it") == []


def test_a_disabled_action_is_not_offered(registry: ActionRegistry) -> None:
    action = registry.add("a", "Launch", lambda: None)
    action.setEnabled(False)
    assert registry.find("launch") == []


def test_an_action_that_is_gone_frees_its_shortcut(registry: ActionRegistry) -> None:
    registry.add("a", "One", lambda: None, shortcut="Ctrl+9")
    registry.remove("a")
    registry.remove("a")
    registry.add("b", "Two", lambda: None, shortcut="Ctrl+9")
    assert [command.key for command in registry.commands()] == ["b"]


def test_the_palette_runs_what_the_keyboard_chooses(window: QWidget, registry: ActionRegistry) -> None:
    done: list[str] = []
    for name in ("first", "second", "third"):
        registry.add(name, f"Do the {name}", lambda name=name: done.append(name))
    palette = CommandPalette(registry, window)
    palette.open_palette()
    QTest.keyClick(palette, Qt.Key.Key_Down)
    QTest.keyClick(palette, Qt.Key.Key_Down)
    QTest.keyClick(palette, Qt.Key.Key_Up)
    QTest.keyClick(palette, Qt.Key.Key_Return)
    assert done == ["second"]
    assert not palette.isVisible()


def test_the_palette_narrows_as_words_are_typed(window: QWidget, registry: ActionRegistry) -> None:
    registry.add("a", "Go to Chat", lambda: None)
    registry.add("b", "Go to Launch", lambda: None)
    palette = CommandPalette(registry, window)
    palette.open_palette()
    QTest.keyClicks(palette.focusProxy() or palette._input, "cha")
    assert palette.titles() == ["Go to Chat"]
    QTest.keyClicks(palette._input, "xyz")
    assert palette.titles() == []
    QTest.keyClick(palette, Qt.Key.Key_Return)
    assert palette.isVisible()
    QTest.keyClick(palette, Qt.Key.Key_Escape)
    assert not palette.isVisible()


def test_pages_come_first_whenever_they_were_added(registry: ActionRegistry) -> None:
    registry.add("quit", "Quit", lambda: None)
    registry.add("go.chat", "Go to Chat", lambda: None)
    assert [command.key for command in registry.commands()] == ["go.chat", "quit"]
    assert [command.key for command in registry.find("")] == ["go.chat", "quit"]
