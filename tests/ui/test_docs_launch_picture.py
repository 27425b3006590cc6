"""The documentation's picture of the launch form, drawn anew, and whether the one in docs is of today."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.ui.docs_picture import STRAY, keep, stray
from tests.ui.launch.real import catalogue, open_real, show_model
from tests.ui.picture import cut_labels, page_size
from ui.launch.part.fold import Fold

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
MODEL = "gpt-oss-120b"
NAME = "serving/launch"
SET = (("engine", "vllm"), ("tool_parser", "openai"), ("moe_backend", "marlin"), ("stop_after_s", "8 h"))


def test_the_picture_of_the_launch_form_is_of_today(qtbot: QtBot, dressed: QApplication) -> None:
    page = open_real(qtbot, tuple(spec for spec in catalogue() if spec.key in (MODEL, "gpt-oss-20b")))
    show_model(page, MODEL, (0,))
    width, height = page_size(1440, 1500)
    page.window().resize(width, height)
    page.resize(width, height)
    for name, value in SET:
        page.model.set_field(name, value)
    page.model.recompute()
    folds = page.findChildren(Fold)
    assert len(folds) >= 3
    for fold in (folds[0], folds[2]):
        fold.set_open(is_open=True)
    assert page.model.preview.plan is not None, "it can be launched"
    page.setFocus()  # no ring, and no caret that blinks
    drawn = keep(page.window(), NAME)
    assert not cut_labels(page), cut_labels(page)
    assert stray(drawn, NAME) <= STRAY, f"docs/{NAME}.png is of another day: look at {drawn.name} in build/shots"
