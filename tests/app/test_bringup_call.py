"""While a network that is tried waits for an answer, every other page of the window says so, and leads there."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.bringup.state import BringUpState, Phase, Trial
from tests.app.adding import click
from tests.app.desk import play, until
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
QUESTION = "SparkDesk could not tell whether spark-1 is reached. Keep it?"


def test_a_question_calls_a_person_back_from_every_other_page(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        desktop.pages.add_all()
        window, state = desktop.window, desktop.stack.bring_up.state
        window.show_page("launch")
        trial = Trial("n1", "network-n1", desktop.stack.clock.now_ms() + 60_000, 60.0)
        state.set(BringUpState(Phase.RUNNING, ("n1",), trials=(trial,)))
        assert not window.banner().isVisible(), "SparkDesk decides by itself"
        asking = Trial("n1", "network-n1", trial.ends_ms, 60.0, QUESTION)
        state.set(BringUpState(Phase.RUNNING, ("n1",), trials=(asking,)))
        item = window.sidebar.item("cluster")
        assert item is not None
        assert (window.banner().title(), item.badge()) == (QUESTION, "1")
        assert window.shell.notices[0].title == QUESTION
        (button,) = [each for each in window.banner().findChildren(Button) if each.text() == "Answer"]
        click(button)
        assert window.page_key() == "bringup"
        assert not window.banner().isVisible(), "the page asks by itself"
        window.show_page("launch")
        assert window.banner().title() == QUESTION
        state.set(BringUpState(Phase.RUNNING, ("n1",)))
        assert not window.banner().isVisible()
        assert item.badge() != "1"

    assert play(app, story, WindowOptions(is_forgetful=True)) == 0
