"""The launch page with the keyboard alone: Tab goes as one reads, each stop is seen and shows that it is one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.ui.launch.desk import LaunchDesk, choose_nodes, open_page
from tests.ui.launch.real import answer, catalogue, reference
from ui.launch.view import LaunchPage
from ui.widgets.focus import has_ring

CHAT = next(spec for spec in catalogue() if spec.key == "gpt-oss-120b")
MOST_STOPS = 150
EDGE_PX = 4


@pytest.fixture
def page(qtbot: QtBot, dressed: object) -> LaunchPage:
    """gpt-oss-120b on vLLM, with a draft that the person asked for."""
    page = open_page(qtbot, LaunchDesk(answer, (CHAT,), reference().engines), (1044, 652))
    page.model.pick(CHAT.name)
    choose_nodes(page, 1)
    page.model.set_field("engine", "vllm")
    page.model.recompute()
    QTest.qWait(20)
    return page


def look_of(page: LaunchPage, stop: QWidget) -> QImage:
    """A stop and what is around it."""
    area = QRect(stop.mapTo(page, stop.rect().topLeft()), stop.size())
    return page.grab(area.adjusted(-EDGE_PX, -EDGE_PX, EDGE_PX, EDGE_PX)).toImage()


def stops_of(page: LaunchPage, visit: Callable[[QWidget], None] = lambda _stop: None) -> list[QWidget]:
    """Where Tab goes, from the catalogue's list on, once around; `visit` is called at each stop."""
    page.form.catalogue.setFocus(Qt.FocusReason.TabFocusReason)
    found: list[QWidget] = []
    for _ in range(MOST_STOPS):
        at = QApplication.focusWidget()
        if at is None or at in found:
            break
        found.append(at)
        assert not at.visibleRegion().isEmpty(), f"{at.accessibleName()} has the focus out of sight"
        visit(at)
        QTest.keyClick(at, Qt.Key.Key_Tab)
    return found


def names_of(stops: list[QWidget]) -> list[str]:
    said = (stop.accessibleName() or stop.property("text") for stop in stops)
    return [words.partition(":")[0].partition(",")[0] for words in said]


def test_tab_goes_through_the_form_as_one_reads_it_whenever_its_parts_were_made(page: LaunchPage) -> None:
    for key in ("life", "serving", "chat", "engine"):  # opened in another order than they stand in
        page.form.serving.folds[key].set_open(is_open=True)
    page.model.set_field("speculative", "draft")
    page.model.recompute()
    QTest.qWait(20)
    names = names_of(stops_of(page))
    expected = [
        "Catalogue", "Chat", "Prompt", "Answer", "Users", "Cached %", "Model", "Chat", "Embedding server beside it",
        "Engine", "Quantization", "spark-5c2d", "spark-bd26", "spark-afe0", "spark-3995", "Context per request",
        "Context per request", "Concurrent requests", "Less", "More", "KV cache dtype", "Speculative decoding",
        "Reset", "Build", "Draft model", "Draft tokens", "Served name", "Port", "This node only",
        "Serving", "Tool parser", "Reasoning parser", "Default", "Max batched tokens",
        "Engine", "Attention backend", "MoE backend", "Loader", "Share of memory", "Image", "Code of the model",
        "Running", "Automatic", "Wait for the load", "Restarts at most", "Stop after",
        "New chats", "System prompt of a new chat", "Temperature", "Extra flags", "Environment",
    ]  # fmt: skip
    assert names[: len(expected)] == expected
    assert names.index("Environment") < names.index("Plan") < names.index("Ways to serve it")


def test_the_fields_of_a_custom_server_come_where_they_stand(page: LaunchPage) -> None:
    page.model.set_field("engine", "custom")
    page.model.recompute()
    QTest.qWait(20)
    names = names_of(stops_of(page))
    assert names.index("Engine") < names.index("Command") < names.index("spark-5c2d")


def test_each_stop_shows_that_it_has_the_focus(page: LaunchPage) -> None:
    page.form.serving.folds["engine"].set_open(is_open=True)
    QTest.qWait(20)
    plain: list[str] = []

    def compare(stop: QWidget) -> None:
        with_focus = look_of(page, stop)
        stop.clearFocus()
        if look_of(page, stop) == with_focus and not has_ring(stop):  # the window's ring is the application's
            plain.append(stop.accessibleName())
        stop.setFocus(Qt.FocusReason.TabFocusReason)

    stops = stops_of(page, compare)
    assert len(stops) > 30
    assert ", ".join(plain) == ""


def test_a_fold_opens_and_a_choice_moves_by_keys(page: LaunchPage) -> None:
    head = page.form.serving.folds["life"].head
    head.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(head, Qt.Key.Key_Space)
    assert page.form.serving.folds["life"].is_open()
    QTest.keyClick(head, Qt.Key.Key_Tab)
    at = QApplication.focusWidget()
    assert at is not None
    assert at.accessibleName() == "Automatic"
    QTest.keyClick(at, Qt.Key.Key_Right)
    assert page.model.form.weights_from == "hub"
