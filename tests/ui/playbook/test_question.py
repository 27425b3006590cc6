"""The two questions that a running change may ask, answered as a person does."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.lock import LockHolder
from tests.ui import rack
from tests.ui.picture import SHOTS
from tests.ui.walk import guessing_labels
from ui import theme
from ui.playbook.question import REFUSED, ConfirmDialog, LockDialog, Questions, SudoDialog

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
HOLDER = LockHolder("node0", "spark-5c2d", "t", "anna@laptop", "nvidia", "Bring up 4 nodes", 42.0)


@pytest.fixture
def window(qtbot: QtBot, dressed: QApplication) -> QWidget:
    found = QWidget()
    found.resize(900, 600)
    found.show()
    qtbot.addWidget(found)
    return found


@pytest.fixture
def questions(window: QWidget) -> Questions:
    return Questions(window, Latest(tuple(rack.status(i) for i in range(4))))


async def shown(window: QWidget, kind: type[QWidget]) -> QWidget:
    """The dialog that is open over the window."""
    for _ in range(50):
        await asyncio.sleep(0)
        found = [each for each in window.findChildren(kind) if each.isVisible()]
        if found:
            return found[0]
    raise AssertionError(f"no {kind.__name__} was opened")


def clear(app: QApplication) -> None:
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


async def test_the_password_is_given_once_and_the_field_is_empty(window: QWidget, questions: Questions) -> None:
    asked = asyncio.create_task(questions.ask_password("node0", "To write the guard's unit"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    assert dialog.windowTitle() == "Administrator password of nvidia on spark-5c2d"
    assert dialog.input.echoMode() is dialog.input.EchoMode.Password
    assert not dialog.same.isChecked()
    QTest.keyClicks(dialog.input, "secret word")
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    assert await asked == "secret word"
    assert dialog.input.text() == ""


async def test_an_empty_password_is_not_tried_and_cancel_gives_none(window: QWidget, questions: Questions) -> None:
    asked = asyncio.create_task(questions.ask_password("node0", "why"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    assert dialog.isVisible()
    QTest.mouseClick(dialog.cancel, Qt.MouseButton.LeftButton)
    assert await asked is None


async def test_a_refusal_is_said_when_it_is_asked_again(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    for turn in range(2):
        asked = asyncio.create_task(questions.ask_password("node0", "why"))
        dialog = await shown(window, SudoDialog)
        assert isinstance(dialog, SudoDialog)
        assert dialog.field.error() == (REFUSED if turn else "")
        QTest.keyClicks(dialog.input, f"word{turn}")
        QTest.mouseClick(dialog.give, Qt.MouseButton.LeftButton)
        assert await asked == f"word{turn}"
        clear(dressed)


async def test_the_same_password_goes_to_other_nodes_only_where_it_was_ticked(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    first = asyncio.create_task(questions.ask_password("node0", "why"))
    second = asyncio.create_task(questions.ask_password("node1", "why"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    assert len([each for each in window.findChildren(SudoDialog) if each.isVisible()]) == 1, "one question at a time"
    QTest.keyClicks(dialog.input, "shared")
    QTest.mouseClick(dialog.same, Qt.MouseButton.LeftButton)
    QTest.mouseClick(dialog.give, Qt.MouseButton.LeftButton)
    assert await first == "shared"
    assert await second == "shared"
    clear(dressed)
    questions.forget()
    third = asyncio.create_task(questions.ask_password("node2", "why"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    dialog.reject()
    assert await third is None, "the run has ended: nothing is remembered"


async def test_a_shared_password_that_a_node_refuses_is_asked_for(window: QWidget, questions: Questions) -> None:
    first = asyncio.create_task(questions.ask_password("node0", "why"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    dialog.same.setChecked(True)
    dialog.input.setText("shared")
    dialog.accept()
    await first
    assert await questions.ask_password("node1", "why") == "shared"
    again = asyncio.create_task(questions.ask_password("node1", "why"))
    await asyncio.sleep(0)
    open_ones = [each for each in window.findChildren(SudoDialog) if each.isVisible()]
    assert [each.field.error() for each in open_ones] == [REFUSED]
    open_ones[0].reject()
    assert await again is None


async def test_a_node_with_a_password_of_its_own_is_asked_for_it_without_the_tick_and_the_others_keep_theirs(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    questions.expects_same = True
    for node_id, has_tick, word in (("node0", True, "typo"), ("node0", True, "shared"), ("node1", False, "its own")):
        asked = asyncio.create_task(questions.ask_password(node_id, "why"))
        dialog = await shown(window, SudoDialog)
        assert isinstance(dialog, SudoDialog)
        assert dialog.same.isChecked() is has_tick, (node_id, word)
        dialog.input.setText(word)
        dialog.accept()
        assert await asked == word
        clear(dressed)
        if word == "shared":
            assert await questions.ask_password("node1", "why") == "shared"
    assert await questions.ask_password("node2", "why") == "shared"


async def test_a_tick_that_was_taken_away_is_not_set_again_in_this_run(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    questions.expects_same = True
    for node_id, has_tick in (("node0", True), ("node1", False), ("node2", False)):
        asked = asyncio.create_task(questions.ask_password(node_id, "why"))
        dialog = await shown(window, SudoDialog)
        assert isinstance(dialog, SudoDialog)
        assert dialog.same.isChecked() is has_tick, node_id
        dialog.same.setChecked(False)
        dialog.input.setText(f"of {node_id}")
        dialog.accept()
        assert await asked == f"of {node_id}"
        clear(dressed)
    questions.forget()
    asked = asyncio.create_task(questions.ask_password("node0", "why"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    assert dialog.same.isChecked(), "the next run"
    dialog.reject()
    assert await asked is None


async def test_enter_waits_for_the_other_one_and_breaks_nothing(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    asked = asyncio.create_task(questions.ask_break(HOLDER))
    dialog = await shown(window, LockDialog)
    assert isinstance(dialog, LockDialog)
    assert dialog.windowTitle() == "Break the lock of anna@laptop?"
    assert "Bring up 4 nodes, since 0:42" in dialog.accessibleDescription()
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert await asked is False
    clear(dressed)
    asked = asyncio.create_task(questions.ask_break(HOLDER))
    dialog = await shown(window, LockDialog)
    assert isinstance(dialog, LockDialog)
    QTest.mouseClick(dialog.break_it, Qt.MouseButton.LeftButton)
    assert await asked is True


async def test_a_question_goes_when_the_run_is_cancelled(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    asked = asyncio.create_task(questions.ask_password("node0", "why"))
    await shown(window, SudoDialog)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    clear(dressed)
    assert window.findChildren(SudoDialog) == []


def test_pictures_of_the_questions(window: QWidget) -> None:
    hostile = LockHolder("n", "<b>n</b>", "t", "w" * 500, "\u202e", "x" * 900)
    dialogs = {
        "sudo": SudoDialog(user="nvidia", node="spark-5c2d", why="To restart the node.", others=3, parent=window),
        "sudo-again": SudoDialog(user="nvidia", node="spark-5c2d", why="To restart.", error=REFUSED, parent=window),
        "sudo-simulated": SudoDialog(user="nvidia", node="spark-5c2d", why="To restart.", others=3, parent=window),
        "lock": LockDialog(HOLDER, window),
        "lock-hostile": LockDialog(hostile, window),
    }
    simulated = dialogs["sudo-simulated"]
    assert isinstance(simulated, SudoDialog)
    simulated.show_hint(f"These Sparks are simulated: their password is in /home/{'x' * 80}/password")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for name, dialog in dialogs.items():
        dialog.show()
        assert guessing_labels(dialog) == []
        for choice in ("dark", "light"):
            theme.set_theme("dark" if choice == "dark" else "light")
            QTest.qWait(60)
            assert dialog.grab().save(str(SHOTS / f"question-{name}-{choice}.png"))
        dialog.hide()


async def test_a_change_of_all_nodes_comes_with_the_tick_set_and_its_password_is_asked_for_once(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    questions.expects_same = True
    first = asyncio.create_task(questions.ask_password("node0", "why"))
    dialog = await shown(window, SudoDialog)
    assert isinstance(dialog, SudoDialog)
    assert dialog.same.isVisible()
    assert dialog.same.isChecked()
    QTest.keyClicks(dialog.input, "the word")
    QTest.mouseClick(dialog.give, Qt.MouseButton.LeftButton)
    assert await first == "the word"
    clear(dressed)
    assert await questions.ask_password("node1", "why") == "the word"


async def test_what_a_step_wants_confirmed_is_asked_and_only_a_clear_yes_is_one(
    window: QWidget, questions: Questions, dressed: QApplication
) -> None:
    for press, is_yes in (("refuse", False), ("agree", True)):
        asked = asyncio.create_task(
            questions.ask_confirm("Docker is started anew: every container there stops. Go on?")
        )
        dialog = await shown(window, ConfirmDialog)
        assert isinstance(dialog, ConfirmDialog)
        assert dialog.refuse.isDefault()
        QTest.mouseClick(getattr(dialog, press), Qt.MouseButton.LeftButton)
        assert await asked is is_yes
        clear(dressed)
