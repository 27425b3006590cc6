"""The documentation's pictures of serving, drawn anew: build/shots/docs-*.png, and whether those in docs are of today.

To renew one: look at it, then copy it from build/shots over the one in docs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.ui.docs_picture import STRAY, keep, stray
from tests.ui.jobs import example
from tests.ui.picture import cut_labels
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage
from ui.main_window import MainWindow, MemoryStore
from ui.shell.model import LeastFree, ShellModel
from ui.text import GIB
from ui.total import Total
from ui.widgets.empty_state import EmptyState

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
PAGES = (
    ("cluster", "Cluster", "network"),
    ("launch", "Launch", "rocket"),
    ("disk", "Models on disk", "save"),
    ("models", "What can run", "list"),
    ("deployments", "Deployments", "layers"),
    ("chat", "Chat", "message-square"),
)


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same hour in all pictures, wherever they are drawn."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def page(qtbot: QtBot, dressed: QApplication, hour: None) -> DeploymentsPage:
    """The page in the whole window, as after five minutes."""
    desk = example.ExampleDesk()
    desk.open()
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    shell = ShellModel()
    window = MainWindow(shell, MemoryStore())
    qtbot.addWidget(window)
    for key, title, icon in PAGES:
        window.add_page(key, title, icon, lambda key=key: page if key == "deployments" else EmptyState("list", key, ""))
    window.resize(1440, 900)
    window.show()
    window.show_page("deployments")
    window.set_badge("deployments", "2")
    shell.set_cluster("example-4", is_simulated=False)
    shell.set_nodes(4, 4)
    least = LeastFree("spark-5c2d", 29.6 * GIB, 121.6 * GIB)
    shell.set_figures(least_free=least, tokens_per_s=Total(231.0, 2, 2), gpu_power_w=Total(189, 4, 4))
    shell.set_sampling("Sampling every 1.0 s · 4 SSH", is_sampling=True)
    QTest.qWait(300)
    return page


def check(widget: QWidget, name: str) -> None:
    """Nothing is cut, and the committed picture is of today."""
    if isinstance(widget, MainWindow):
        widget.setFocus()  # no ring around what a person did not choose
    drawn = keep(widget, name)
    assert not cut_labels(widget), cut_labels(widget)
    assert stray(drawn, name) <= STRAY, f"docs/{name}.png is of another day: look at {drawn.name} in build/shots"


def test_the_picture_of_deployments_is_of_today(page: DeploymentsPage) -> None:
    assert page.detail.head.verdict.mark().kind == "ok"
    assert page.detail.change.isVisible()
    assert {entry.job_id for entry in page.model.entries()} >= {example.COMING, example.BROKEN}
    check(page.window(), "deployments")


def test_the_picture_of_a_failed_launch_is_of_today(page: DeploymentsPage) -> None:
    page.model.select(example.BROKEN)
    assert example.FIX.words in page.detail.banner.accessibleName()
    check(page.window(), "serving/failed")


def test_the_picture_of_a_slow_server_is_of_today(page: DeploymentsPage) -> None:
    page.model.select(example.SLOW)
    page.detail.head.verdict.click()
    assert page.detail.speed.causes() == [cause.words for cause in example.VERDICTS[example.SLOW].causes]
    check(page.window(), "serving/slow")


def test_the_picture_of_a_measurement_is_of_today(page: DeploymentsPage) -> None:
    page.detail.head.measure_button.click()
    dialog = page.detail.measure
    assert dialog is not None
    assert len(dialog.table.cells.table.rows) == len(example.POINTS)
    check(dialog, "serving/measure")
