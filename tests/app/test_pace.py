"""Nodes are asked seldom while nobody looks, and as often as before when somebody does."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.pace import UNSEEN_HZ
from sparkdesk.app.window import WindowOptions
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import play, until


def test_nodes_are_asked_seldom_while_the_window_is_hidden(qapp: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await wait_for_value(desktop.is_filled, bool, timeout_s=20)
        telemetry = desktop.stack.telemetry
        assert telemetry.hz == desktop.stack.sample_hz > UNSEEN_HZ
        desktop.window.hide()
        await until(lambda: telemetry.hz == UNSEEN_HZ, "a slower rate")
        desktop.window.show()
        await until(lambda: telemetry.hz == desktop.stack.sample_hz, "the rate of before")

    assert play(qapp, story, WindowOptions(is_forgetful=True)) == 0
