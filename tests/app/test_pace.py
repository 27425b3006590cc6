"""Nodes are asked seldom while nobody looks, and as often as before when somebody does."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.pace import UNSEEN_FACTOR, UNSEEN_HZ, is_busy
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import play, until
from tests.ui import rack


def test_only_a_job_that_can_be_looked_after_keeps_the_rate() -> None:
    ready = rack.job("j1", "gpt-oss-120b")
    assert is_busy(ready)
    assert is_busy(replace(ready, state=JobState.STOPPING))
    assert not is_busy(replace(ready, state=JobState.ENDED))
    assert not is_busy(replace(ready, state=JobState.UNKNOWN))
    assert not is_busy(replace(ready, account="somebody"))


def test_nodes_are_asked_seldom_while_the_window_is_hidden(qapp: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await wait_for_value(desktop.is_filled, bool, timeout_s=20)
        telemetry = desktop.stack.telemetry
        assert telemetry.hz == desktop.stack.sample_hz > UNSEEN_HZ
        fleet = desktop.stack.fleet
        rhythms = (fleet.servers.rhythm, fleet.topology.rhythm, desktop.stack.launcher.rhythm)
        desktop.window.hide()
        await until(lambda: telemetry.hz == UNSEEN_HZ, "a slower rate")
        assert {rhythm.factor for rhythm in rhythms} == {UNSEEN_FACTOR}
        desktop.window.show()
        await until(lambda: telemetry.hz == desktop.stack.sample_hz, "the rate of before")
        assert {rhythm.factor for rhythm in rhythms} == {1.0}

    assert play(qapp, story, WindowOptions(is_forgetful=True)) == 0
