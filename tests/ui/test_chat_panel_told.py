"""What the panel says of a value: whose it is, that it is none, and what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from tests.ui.test_chat_panel import Desk, endpoint

LEFT = Qt.MouseButton.LeftButton


def test_what_is_wrong_with_a_seed_stands_right_below_it(dressed: QApplication) -> None:
    desk = Desk()
    part = desk.panel.sampling
    desk.type_into(part.seed, "many")
    QApplication.processEvents()
    top = part.problems[part.seed].mapTo(part, QPoint()).y()
    assert part.problems[part.seed].isVisible()
    assert part.seed.mapTo(part, QPoint()).y() < top < part.stops.mapTo(part, QPoint()).y()
    assert not part.problems[part.stops].isVisible()


def test_a_knob_that_is_not_set_does_not_look_like_one_at_its_least_value(dressed: QApplication) -> None:
    desk = Desk()
    knobs = desk.panel.sampling.knobs
    knobs["min_p"].slider.setValue(1)
    at_least, unset = knobs["min_p"].slider, knobs["top_k"].slider
    assert at_least.property("state") == ""
    assert unset.property("state") == "unset"
    assert "default" in unset.accessibleDescription()
    knobs["min_p"].dot.click()
    assert at_least.property("state") == "unset"


def test_a_prompt_of_the_launch_form_says_whence_it_is_and_can_be_cleared(dressed: QApplication) -> None:
    desk = Desk()
    prompt = desk.panel.prompt
    assert not prompt.clear.isVisible(), "this one was written here"
    given = replace(endpoint(), system_prompt="Be careful.")
    desk.panel.show_models((given,), given, "")
    assert prompt.clear.isVisible()
    assert prompt.origin.isVisible()
    QTest.mouseClick(prompt.clear, LEFT)
    assert desk.told == [{"system_prompt": ""}]
    assert prompt.prompt.toPlainText() == ""
    assert not prompt.clear.isVisible()


def test_of_a_model_that_is_known_not_to_think_that_is_said(dressed: QApplication) -> None:
    desk = Desk()
    thinking = desk.panel.form.thinking
    for thinks, is_said in ((True, False), (None, False), (False, True)):
        server = replace(endpoint(), thinks=thinks)
        desk.panel.show_models((server,), server, "")
        assert ("does not think" in thinking.reason.text()) is is_said
    assert all(part.isEnabled() for part in thinking.choice._parts.values())
