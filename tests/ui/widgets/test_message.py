"""Banners, toasts, drawers, code and stages: what lies over or beside a page."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QTabBar, QWidget

from tests.ui.picture import host_page
from tests.ui.walk import guessing_labels
from ui.widgets.banner import Banner
from ui.widgets.button import Button, IconButton
from ui.widgets.chart import ChartFrame, LiveChart, Series, span_text, tick_text
from ui.widgets.code_view import CodeView
from ui.widgets.drawer import Drawer
from ui.widgets.empty_state import EmptyState
from ui.widgets.timeline import Stage, StateTimeline
from ui.widgets.toast import ToastStack

HOSTILE = "<b>x</b><img src='file:///etc/passwd'>\x1b[2J"


def button(part: QWidget, text: str) -> Button:
    return next(each for each in part.findChildren(Button) if each.text() == text)


def test_a_banner_names_the_node_once_and_keeps_the_evidence_behind_a_button(dressed: QApplication) -> None:
    banner = Banner()
    host_page(banner, 700, 60)
    banner.show_error("Load stopped.", "Lower the context.", detail="exit 137", node="spark-bd26")
    assert banner.title() == "spark-bd26: Load stopped."
    banner.show_error("Load stopped on spark-bd26.", "Lower the context.", detail="exit 137", node="spark-bd26")
    assert banner.title() == "Load stopped on spark-bd26."
    QTest.mouseClick(button(banner, "Copy"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "Load stopped on spark-bd26.\nLower the context.\nexit 137"


def test_a_banner_shows_its_details_on_demand_and_closes(dressed: QApplication) -> None:
    banner = Banner()
    host_page(banner, 700, 200)
    closed: list[None] = []
    banner.closed.connect(lambda: closed.append(None))
    banner.show_error("It stopped.", "Try again.", detail=HOSTILE)
    assert not banner._details.isVisible()
    QTest.mouseClick(button(banner, "Details"), Qt.MouseButton.LeftButton)
    assert banner._details.isVisible()
    assert banner._details.toPlainText() == HOSTILE
    QTest.mouseClick(banner.findChildren(IconButton)[0], Qt.MouseButton.LeftButton)
    assert not banner.isVisible()
    assert closed == [None]


def test_messages_read_no_markup(dressed: QApplication) -> None:
    host = QWidget()
    banner, stack = Banner(host), ToastStack(host)
    banner.show_error(HOSTILE, HOSTILE, detail=HOSTILE, node=HOSTILE)
    stack.show_toast("warn", HOSTILE, HOSTILE)
    assert guessing_labels(host) == []


def test_at_most_three_toasts_stay_and_critical_ones_go_last(dressed: QApplication) -> None:
    host = QWidget()
    stack = ToastStack(host)
    host_page(host, 800, 600)
    stack.show_toast("crit", "Load stopped", "Memory fell to 3.8 GiB.")
    for number in range(4):
        stack.show_toast("ok", f"Ready {number}", "First token.")
    QTest.qWait(20)
    assert [toast.accessibleName() for toast in stack.toasts()] == [
        "Load stopped. Memory fell to 3.8 GiB.",
        "Ready 2. First token.",
        "Ready 3. First token.",
    ]
    assert stack.geometry().right() <= host.width()
    assert stack.geometry().bottom() <= host.height()


def test_a_toast_waits_while_the_pointer_is_on_it(dressed: QApplication) -> None:
    host = QWidget()
    stack = ToastStack(host)
    host_page(host, 800, 600)
    toast = stack.show_toast("ok", "Ready", "First token.")
    assert (toast.stay_ms(), toast.is_counting()) == (6000, True)
    QTest.mouseMove(toast)
    QApplication.sendEvent(toast.action, QEvent(QEvent.Type.FocusIn))
    assert not toast.is_counting()
    QApplication.sendEvent(toast.action, QEvent(QEvent.Type.FocusOut))
    assert toast.is_counting()
    critical = stack.show_toast("crit", "Stopped", "Memory.")
    assert (critical.stay_ms(), critical.is_counting()) == (0, False)


def test_the_action_of_a_toast_is_done_and_closes_it(dressed: QApplication) -> None:
    host = QWidget()
    stack = ToastStack(host)
    host_page(host, 800, 600)
    done: list[str] = []
    toast = stack.show_toast("ok", "Ready", "First token.", action="Chat", on_action=lambda: done.append("chat"))
    QTest.mouseClick(toast.action, Qt.MouseButton.LeftButton)
    assert done == ["chat"]
    assert stack.toasts() == ()


def test_what_an_empty_page_says_fits_into_a_drawer(dressed: QApplication) -> None:
    page = EmptyState("radar", "Not looked yet", "What is wrong shows here as soon as a node has sent enough to tell.")
    host_page(page, 300, 300)
    assert page.width() == 300
    assert all(page.rect().contains(label.geometry()) for label in page.findChildren(QLabel))


@pytest.mark.parametrize("said", ["Short.", "What is wrong shows here as soon as a node has sent enough to tell. " * 3])
def test_what_an_empty_page_says_stands_below_the_middle_of_its_title(dressed: QApplication, said: str) -> None:
    page = EmptyState("radar", "Not looked yet", said)
    host_page(page, 900, 400)
    title, text = (label.geometry() for label in page.findChildren(QLabel))
    assert abs(title.center().x() - text.center().x()) <= 1
    assert text.width() == 420, "lines are as long as may be"
    assert text.top() > title.bottom()


def test_a_scale_ends_at_its_least_top_where_next_to_nothing_goes_on(dressed: QApplication) -> None:
    chart = LiveChart("Rate", frame=ChartFrame(least_high=1000.0))
    chart.set_series([Series("", (0.0, 1.0), (4e-06, 0.0))], now_s=1.0, value_text="0.0")
    wide = chart.ticks_width()
    chart.set_frame(ChartFrame())
    assert chart.ticks_width() > wide, "the ticks of so small a figure are long"


def test_a_drawer_keeps_to_the_right_edge_and_escape_closes_it(dressed: QApplication) -> None:
    host = QWidget()
    host_page(host, 800, 600)
    drawer = Drawer(host)
    panel = QWidget()
    drawer.set_panel(panel)
    drawer.open()
    assert drawer.geometry().right() == 799
    host.resize(700, 500)
    assert (drawer.geometry().right(), drawer.height()) == (699, 500)
    closed: list[None] = []
    drawer.closed.connect(lambda: closed.append(None))
    QTest.keyClick(drawer, Qt.Key.Key_Escape)
    assert not drawer.isVisible()
    assert closed == [None]
    assert drawer.take_panel() is panel


def test_commands_have_a_tab_a_node_and_the_chosen_one_stays(dressed: QApplication) -> None:
    view = CodeView("Commands")
    host_page(view, 500, 200)
    view.set_pages([("a", "spark-5c2d", "docker run --gpus all"), ("b", "spark-bd26 & co", "sleep 1")])
    view.findChildren(QTabBar)[0].setCurrentIndex(1)
    assert (view.key(), view.text()) == ("b", "sleep 1")
    view.set_pages([("b", "spark-bd26", "sleep 2"), ("c", "spark-3995", "true")])
    assert (view.key(), view.text()) == ("b", "sleep 2")
    view.copy_text()
    assert QGuiApplication.clipboard().text() == "sleep 2"
    view.set_pages([])
    assert (view.key(), view.text()) == ("", "")


def test_code_shows_markup_and_a_very_long_line_as_they_are(dressed: QApplication) -> None:
    view = CodeView("Commands")
    host_page(view, 500, 200)
    text = f"{HOSTILE[:-4]}\n" + "x" * 200_000
    view.set_pages([("a", "a", text)])
    assert view.text() == text
    assert not view.grab().isNull()


def test_stages_are_read_out_with_state_and_time(dressed: QApplication) -> None:
    line = StateTimeline()
    line.set_stages((Stage("Load", "failed", "2:38", "Memory fell to 3.8 GiB"), Stage("Ready")))
    assert line.accessibleName() == "Stages: Load failed, 2:38, Memory fell to 3.8 GiB; Ready not yet"
    height = line.sizeHint().height()
    line.set_stages((Stage("Load", "done", "2:38"), Stage("Ready", "done", "3 h 12 min")), is_folded=True)
    assert line.sizeHint().height() < height


@pytest.mark.parametrize("count", [0, 1, 6, 12])
def test_any_number_of_stages_can_be_painted(dressed: QApplication, count: int) -> None:
    states = ("done", "current", "failed", "skipped", "todo")
    line = StateTimeline()
    host_page(line, 300, 60)
    for is_folded in (False, True):
        stages = tuple(Stage("Pre-flight checks", states[i % 5], "0:04", HOSTILE) for i in range(count))
        line.set_stages(stages, is_folded=is_folded)
        assert not line.grab().isNull()


def test_a_chart_without_data_says_so_and_never_zero(dressed: QApplication) -> None:
    chart = LiveChart("GPU power", unit="W")
    host_page(chart, 300, 110)
    chart.set_series([Series("power", [0.0, 1.0], [float("nan"), float("nan")])], now_s=1.0, value_text="n/a")
    assert not chart.has_data()
    assert chart.accessibleName() == "GPU power n/a"
    assert not chart.grab().isNull()


@pytest.mark.parametrize("is_stacked", [False, True])
def test_a_chart_paints_live_stale_and_hostile_figures(dressed: QApplication, is_stacked: bool) -> None:
    chart = LiveChart("Rate", unit="Gb/s", frame=ChartFrame(limit=100, limit_text="limit", is_stacked=is_stacked))
    host_page(chart, 300, 110)
    times = [float(i) for i in range(700)]
    wild = [(-1.0) ** i * 10.0 ** (i % 30) for i in range(700)]
    wild[5:9] = [float("nan"), float("inf"), float("-inf"), -0.0]
    chart.set_series([Series("rx", times, wild), Series("tx", times, wild)], now_s=699, value_text="0.3")
    live = chart.grab().toImage()
    chart.set_stale_text("14 s ago")
    assert chart.grab().toImage() != live


def test_ticks_and_spans_are_short() -> None:
    assert [tick_text(value) for value in (0, 50, 7.5, 1500, 48000)] == ["0", "50", "7.5", "1.5\u202fK", "48\u202fK"]
    assert [tick_text(value) for value in (0.05, 4e-06)] == ["0.05", "0.000004"]
    assert [span_text(window) for window in (60, 300, 86_400)] == ["\u221260 s", "\u22125 min", "\u221224 h"]
