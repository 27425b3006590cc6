"""The question before a failure is explained: what is shown is what is sent, and nothing is sent unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.services.chat.endpoint import ChatEndpoint
from tests.services.chat.test_conversation import target
from ui.jobs.explain_dialog import NO_MODEL, ExplainDialog
from ui.widgets.label import Label

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
EVIDENCE = "Cause: no memory\n\tlast line of the log\n"


@pytest.fixture
def window(qtbot: QtBot, dressed: object) -> QWidget:
    window = QWidget()
    qtbot.addWidget(window)
    window.show()
    return window


def opened(window: QWidget, *endpoints: ChatEndpoint) -> tuple[ExplainDialog, list[tuple[str, str]]]:
    dialog = ExplainDialog("tiny", EVIDENCE, endpoints, window)
    asked: list[tuple[str, str]] = []
    dialog.asked.connect(lambda key, evidence: asked.append((key, evidence)))
    dialog.open()
    return dialog, asked


def servers() -> tuple[ChatEndpoint, ChatEndpoint]:
    return replace(target(1), id="first"), replace(target(2), id="second")


def test_what_is_shown_is_sent_to_the_model_that_is_chosen(window: QWidget) -> None:
    dialog, asked = opened(window, *servers())
    assert dialog.text.text() == EVIDENCE
    dialog.models.set_key("second")
    dialog.ask.click()
    assert asked == [("second", EVIDENCE)]
    assert not dialog.isVisible()


def test_without_a_model_nothing_can_be_asked_and_it_says_why(window: QWidget) -> None:
    dialog, asked = opened(window)
    assert not dialog.ask.isEnabled()
    assert dialog.ask.toolTip() == NO_MODEL
    assert NO_MODEL in [label.text() for label in dialog.findChildren(Label)]
    dialog.ask.click()
    dialog._ask()
    assert asked == []


def test_return_and_escape_send_nothing(window: QWidget) -> None:
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Escape):
        dialog, asked = opened(window, *servers())
        assert dialog.cancel.isDefault()
        assert not dialog.ask.autoDefault()
        QTest.keyClick(dialog, key)
        assert not dialog.isVisible()
        assert asked == []
