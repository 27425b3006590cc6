"""The documentation's picture of the launch form, drawn anew, and whether the one in docs is of today."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.ui.docs_picture import STRAY, keep, stray
from tests.ui.launch.real import catalogue, open_real, show_model
from tests.ui.picture import cut_labels, page_size
from ui.launch.view import LaunchPage
from ui.widgets.fold import Fold

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
MODEL = "gpt-oss-120b"
SHOWN = (MODEL, "gpt-oss-20b", "llama-3.3-70b", "qwen3.6-35b-a3b", "qwen3-8b", "glm-5")
SET = (("engine", "vllm"), ("tool_parser", "openai"), ("moe_backend", "marlin"), ("stop_after_s", "8 h"))


@pytest.fixture
def page(qtbot: QtBot, dressed: QApplication) -> LaunchPage:
    """The page with this model on the first node."""
    page = open_real(qtbot, tuple(spec for spec in catalogue() if spec.key in SHOWN))
    show_model(page, MODEL, (0,))
    for name, value in SET:
        page.model.set_field(name, value)
    page.model.recompute()
    assert page.model.preview.plan is not None, "it can be launched"
    return page


def check(page: LaunchPage, name: str, window: tuple[int, int]) -> None:
    """The committed picture is of today."""
    page.window().resize(*page_size(*window))
    page.resize(*page_size(*window))
    page.setFocus()  # no ring, and no caret that blinks
    drawn = keep(page.window(), name)
    assert not cut_labels(page), cut_labels(page)
    assert stray(drawn, name) <= STRAY, f"docs/{name}.png is of another day: look at {drawn.name} in build/shots"


def test_the_picture_of_the_launch_page_is_of_today(page: LaunchPage) -> None:
    check(page, "launch", (1440, 900))


def test_the_picture_of_the_open_form_is_of_today(page: LaunchPage) -> None:
    folds = page.findChildren(Fold)
    for fold in (folds[0], folds[2]):
        fold.set_open(is_open=True)
    check(page, "serving/launch", (1440, 1500))
