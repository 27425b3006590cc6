"""The charts page as a person uses it: mouse, keyboard, screen reader, and what it costs when nobody looks."""

from __future__ import annotations

import csv
import io

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.telemetry.series import ChartSource, Gap
from tests.ui import rack
from tests.ui.charts.scene import Scene
from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui.charts.model import ChartsModel
from ui.charts.picker import TickList
from ui.charts.view import ChartsPage
from ui.main_window import MemoryStore
from ui.text import time_of_day

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def open_page(qtbot: QtBot, scene: Scene, store: MemoryStore | None = None) -> ChartsPage:
    page = ChartsPage(ChartsModel(scene.feeds(), store))
    host = host_page(page, 1012, 620)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


@pytest.fixture
def scene(dressed: object) -> Scene:
    """Four nodes, one with a gap, a deployment; a minute and a half of samples."""
    found = Scene()
    found.add(ChartSource("j1", "gpt-oss-120b", "job"))
    found.live(40)
    found.silent = {"node1"}
    start_ms = found.now_ms
    found.live(20)
    found.silent = set()
    found.told["node1"] = [
        Gap(start_ms, found.now_ms, f"no samples {time_of_day(start_ms)} to {time_of_day(found.now_ms)}")
    ]
    found.live(30)
    return found


def row_of(ticks: TickList, key: str) -> QPoint:
    at = next(i for i, row in enumerate(ticks.items.rows) if row.key == key)
    ticks.scrollTo(ticks.items.index(at))
    return ticks.visualRect(ticks.items.index(at)).center()


def click(ticks: TickList, key: str) -> None:
    QTest.mouseClick(ticks.viewport(), Qt.MouseButton.LeftButton, pos=row_of(ticks, key))


def legend(page: ChartsPage, at: int) -> list[tuple[str, str]]:
    return [(entry.name, entry.value) for entry in page.plots.cards[at].legend.entries]


def shown_plots(page: ChartsPage) -> list[str]:
    return [card.accessibleName() for card in page.plots.cards if card.isVisibleTo(page)]


# Choosing ----------------------------------------------------------------------------------------------------------


def test_at_first_the_nodes_are_drawn_in_four_plots(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    assert shown_plots(page) == [
        "GPU power (rail) in W",
        "SM clock in MHz",
        "Memory used in GiB",
        "GPU temperature in °C",
    ]
    assert [name for name, _ in legend(page, 0)] == list(rack.NAMES)


def test_a_click_takes_a_source_out_of_all_plots_and_back(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    click(page.picker.sources, "node2")
    assert all([name for name, _ in legend(page, at)] == [*rack.NAMES[:2], rack.NAMES[3]] for at in range(4))
    click(page.picker.sources, "node2")
    assert len(legend(page, 0)) == 4


def test_metrics_are_added_and_removed_with_the_keyboard(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    QTest.mouseClick(page.plots.cards[3].remove, Qt.MouseButton.LeftButton)
    assert len(shown_plots(page)) == 3
    page.picker.search.setFocus()
    QTest.keyClicks(page.picker.search, "cpu")
    assert [row.key for row in page.picker.metrics.items.rows] == ["cpu_util"]
    page.picker.metrics.setFocus()
    QTest.keyClick(page.picker.metrics, Qt.Key.Key_Down)
    QTest.keyClick(page.picker.metrics, Qt.Key.Key_Space)
    assert shown_plots(page)[-1] == "CPU busy in %"
    QTest.keyClick(page.picker.metrics, Qt.Key.Key_Space)
    assert len(shown_plots(page)) == 3


def test_a_fifth_plot_is_refused_in_words(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    row = next(row for row in page.picker.metrics.items.rows if row.key == "cpu_util")
    assert row.reason == "4 plots are shown; remove one first"
    click(page.picker.metrics, "cpu_util")
    assert len(shown_plots(page)) == 4


def test_a_plot_takes_metrics_of_its_own_unit_only(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    page.picker.into.set_key("2")
    reasons = {row.key: row.reason for row in page.picker.metrics.items.rows}
    assert reasons["cpu_util"] == "Plot 3 shows GiB: another unit needs another plot"
    assert reasons["mem_available_bytes"] == ""
    click(page.picker.metrics, "mem_available_bytes")
    assert shown_plots(page)[2] == "Memory used and Memory available in GiB"
    assert len({entry.slot for entry in page.plots.cards[2].legend.entries}) == 8


def test_many_lines_have_a_long_legend_above_their_plot_and_the_rest_is_counted(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=20)
    scene.live(30)
    page = open_page(qtbot, scene)
    for source in scene.sources:
        page.model.set_source(source.id, is_on=True)
    cards = page.plots.cards
    assert [len(card.legend.entries) for card in cards] == [16] * 4
    assert {card.legend.more for card in cards} == {"4 more not drawn"}

    def is_laid_out() -> bool:
        feet = [card.legend.mapTo(card, QPoint(0, card.legend.height())).y() for card in cards]
        tops = [card.pane.mapTo(card, QPoint(0, 0)).y() for card in cards]
        return all(foot <= top for foot, top in zip(feet, tops, strict=True)) and all(
            card.pane.height() >= 150 for card in cards
        )

    qtbot.waitUntil(is_laid_out)


def test_the_choice_is_remembered_for_each_cluster(qtbot: QtBot, scene: Scene) -> None:
    store = MemoryStore()
    page = open_page(qtbot, scene, store)
    page.model.remove_plot(0)
    page.model.set_span(3600.0)
    chosen = page.model.choice
    other = Scene(count=2)
    assert other.cluster is not None
    scene.cluster = rack.cluster(2)
    scene.cluster = type(scene.cluster)("c2", "other", scene.cluster.nodes, False, "pair", "")
    page.model.refresh()
    assert len(page.model.choice.plots) == 4
    scene.cluster = rack.cluster(4)
    page.model.refresh()
    assert page.model.choice == chosen
    again = open_page(qtbot, scene, store)
    assert again.model.choice == chosen
    assert again.spans.key() == "3600"


# Cursor and time ---------------------------------------------------------------------------------------------------


def test_the_mouse_moves_one_cursor_through_all_plots(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    canvas = page.plots.cards[1].pane.canvas
    t_ms = scene.now_ms - 10_000
    QTest.mouseMove(canvas.viewport(), QPoint(round(canvas.x_of(t_ms)), 20))
    assert page.model.cursor_ms == pytest.approx(t_ms, abs=400)
    for at, plot in enumerate(page.model.frame.plots):
        wanted = [line.measure.write(line.at(page.model.cursor_ms)) for line in plot.lines]
        assert [value for _, value in legend(page, at)] == wanted
        assert "n/a" not in wanted
    assert page.cursor_label.text() == f"{time_of_day(page.model.cursor_ms)}, 10 s ago"


def test_in_a_gap_the_cursor_finds_no_value(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    page.model.set_cursor(scene.now_ms - 40_000.0)
    assert legend(page, 0)[1] == ("spark-bd26", "n/a")
    assert legend(page, 0)[0][1] != "n/a"


def test_arrow_keys_step_from_sample_to_sample_and_say_the_values(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    page.plots.setFocus()
    QTest.keyClick(page.plots, Qt.Key.Key_Left)
    newest = page.model.cursor_ms
    assert newest is not None
    assert scene.now_ms - newest < 1000
    for _ in range(3):
        QTest.keyClick(page.plots, Qt.Key.Key_Left)
    assert page.model.cursor_ms == pytest.approx(newest - 3000, abs=250)
    QTest.keyClick(page.plots, Qt.Key.Key_Right)
    assert page.model.cursor_ms == pytest.approx(newest - 2000, abs=250)
    assert f"{time_of_day(page.model.cursor_ms)}. GPU power (rail), spark-5c2d " in page.plots.accessibleDescription()
    QTest.keyClick(page.plots, Qt.Key.Key_Home)
    first = page.model.cursor_ms
    QTest.keyClick(page.plots, Qt.Key.Key_Left)
    assert page.model.cursor_ms == first
    QTest.keyClick(page.plots, Qt.Key.Key_Escape)
    assert page.model.cursor_ms is None


def test_a_cursor_that_the_keys_put_somewhere_stays_when_the_mouse_leaves(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    canvas = page.plots.cards[0].pane.canvas
    page.plots.setFocus()
    QTest.keyClick(page.plots, Qt.Key.Key_Left)
    canvas.hovered.emit(None)
    assert page.model.cursor_ms is not None
    canvas.hovered.emit(scene.now_ms - 20_000.0)
    canvas.hovered.emit(None)
    assert page.model.cursor_ms is None


def test_while_paused_time_stands_still_and_the_cursor_goes_on(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    QTest.mouseClick(page.pause, Qt.MouseButton.LeftButton)
    end_ms, asked = page.model.frame.end_ms, scene.asked
    scene.live(5)
    page.model.refresh()
    assert (page.model.frame.end_ms, scene.asked) == (end_ms, asked)
    assert page.pause.text() == "Continue"
    page.model.set_cursor(end_ms - 5000.0)
    assert "n/a" not in [value for _, value in legend(page, 0)]
    page.model.remove_plot(0)
    assert page.model.frame.end_ms == end_ms, "another part of the same moment"
    QTest.mouseClick(page.pause, Qt.MouseButton.LeftButton)
    assert page.model.frame.end_ms == scene.now_ms


# Looking -----------------------------------------------------------------------------------------------------------


def test_a_source_that_fell_silent_is_grey_with_its_age(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    scene.silent = {"node3"}
    scene.live(14)
    page.model.refresh()
    entries = page.plots.cards[0].legend.entries
    assert [(entry.is_stale, entry.note) for entry in entries] == [(False, "")] * 3 + [(True, "14 s ago")]


def test_nothing_is_read_or_painted_while_hidden(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    page.hide()
    asked = scene.asked
    scene.live(3)
    QTest.qWait(1200)
    assert scene.asked == asked
    page.show()
    assert page.model.frame.end_ms == scene.now_ms


def test_a_sample_by_itself_changes_nothing_on_the_page(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    changed = QSignalSpy(page.model.changed)
    asked = scene.asked
    scene.live(1)
    QTest.qWait(30)
    assert (changed.count(), scene.asked) == (0, asked)


def test_the_plots_can_be_read_as_a_table_and_in_words(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    page.ways.set_key("table")
    page.ways.changed.emit("table")
    table = page.table.cells.table
    assert table.headers[:2] == ("Time", "GPU power (rail) (W), spark-5c2d")
    assert "n/a" in {row[2].text for row in table.rows}
    assert "Gap: spark-bd26: no samples " in page.summary.text()
    assert guessing_labels(page) == []


def test_names_of_strangers_are_shown_letter_by_letter(qtbot: QtBot, scene: Scene) -> None:
    scene.rename(0, "<b>x</b>\u202e\n" + "y" * 300)
    page = open_page(qtbot, scene)
    name = legend(page, 0)[0][0]
    assert name.startswith("<b>x</b>")
    assert len(name) <= 41
    assert "\n" not in name
    assert "\u202e" not in name
    assert guessing_labels(page) == []


def test_without_a_source_or_a_metric_the_page_says_what_to_do(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    for i in range(4):
        click(page.picker.sources, f"node{i}")
    assert "Tick a node" in " ".join(label.text() for label in page.findChildren(type(page.summary)))
    assert not page.save_csv.isEnabled()
    assert page.save_csv.accessibleDescription() == "Nothing is drawn"


# Files -------------------------------------------------------------------------------------------------------------


def test_values_and_picture_go_out_with_the_path_that_was_chosen(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    saved = QSignalSpy(page.save_asked)
    QTest.mouseClick(page.save_csv, Qt.MouseButton.LeftButton)
    assert page.dialog is not None
    assert page.model.file_name("csv").startswith("sparkdesk-rack-4-simulated-charts-")
    asked_ms = page.model.frame.end_ms
    scene.live(3)
    page.model.refresh()
    page.dialog.fileSelected.emit("/tmp/x.csv")
    path, data = saved.at(0)
    rows = list(csv.reader(io.StringIO(bytes(data).decode())))
    assert (path, len(rows[0])) == ("/tmp/x.csv", 2 + 16)
    assert int(rows[-1][1]) <= asked_ms, "what was seen when the button was pressed"
    page.dialog.close()
    QTest.mouseClick(page.save_png, Qt.MouseButton.LeftButton)
    page.dialog.fileSelected.emit("/tmp/x.png")
    image = QImage.fromData(bytes(saved.at(1)[1]))
    assert image.width() == 2 * page.plots.width()
    assert len({image.pixel(x, y) for x in range(0, image.width(), 9) for y in range(0, image.height(), 9)}) > 12
    page.dialog.close()
    assert page.plots.cards[0].remove.isVisible()


def test_pictures_in_both_themes(qtbot: QtBot, scene: Scene) -> None:
    page = open_page(qtbot, scene)
    scene.silent = {"node3"}
    scene.live(14)
    page.model.refresh()
    take_pictures(page, "charts")
