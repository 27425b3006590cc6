"""While a network that is tried waits for an answer, every other page of the window says so, and leads there."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.bringup.state import BringUpState, Phase, Trial
from tests.app.adding import click
from tests.app.desk import play, until
from tests.app.picture import take_pictures
from ui import text
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
QUESTION = "SparkDesk could not tell whether spark-1 is reached. Keep it?"


async def go_on_unseen(desktop: Desktop) -> None:
    """It proves, fails, and is done while the launch page is looked at."""
    window, state = desktop.window, desktop.stack.bring_up.state
    item = window.sidebar.item("cluster")
    assert item is not None
    state.set(BringUpState(Phase.PROVING, ("n1",)))
    assert item.badge() == "8/9", "how far it is"
    desktop.pages.cluster_pane.show_badge()
    assert item.badge() == "8/9", "findings do not cover it"
    state.set(BringUpState(Phase.FAILED, ("n1",), message="spark-1 is away", remedy="Look at its power."))
    assert item.badge() == ""
    assert (window.banner().title(), window.shell.notices[0].title) == ("spark-1 is away", "spark-1 is away")
    (button,) = [each for each in window.banner().findChildren(Button) if each.text() == "Show"]
    click(button)
    assert window.page_key() == "bringup"
    assert not window.banner().isVisible(), "the page says it"
    window.show_page("launch")
    assert not window.banner().isVisible(), "it was seen"
    for phase in (Phase.UNDOING, Phase.UNDONE):
        state.set(BringUpState(phase, ("n1",)))
    assert window.shell.notices[0].title == "The bring-up was taken back"


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
        assert f"restores itself at {text.time_of_day(trial.ends_ms)}." in window.banner().accessibleName()
        await take_pictures(desktop, "bringup-call")
        assert window.shell.notices[0].title == QUESTION
        (button,) = [each for each in window.banner().findChildren(Button) if each.text() == "Answer"]
        click(button)
        assert window.page_key() == "bringup"
        assert not window.banner().isVisible(), "the page asks by itself"
        window.show_page("launch")
        assert window.banner().title() == QUESTION
        window.banner().clear()
        window.show_page("cluster")
        assert window.banner().isVisible(), "it stands still"
        state.set(BringUpState(Phase.RUNNING, ("n1",)))
        assert not window.banner().isVisible()
        assert item.badge() != "1"
        await go_on_unseen(desktop)

    assert play(app, story, WindowOptions(is_forgetful=True)) == 0
