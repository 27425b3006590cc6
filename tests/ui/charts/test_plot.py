"""What is painted: nothing in a gap, words where there is room."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from tests.ui.charts.scene import Scene
from tests.ui.picture import host_page
from ui.charts.choice import Choice
from ui.charts.frame import build_frame
from ui.charts.plot import Canvas, PlotPane, Reach, place_labels, tick_digits, tick_text


def open_pane(qtbot: QtBot, scene: Scene) -> PlotPane:
    pane = PlotPane()
    host = host_page(pane, 800, 200)
    qtbot.addWidget(host)
    frame = build_frame(scene.feeds(), Choice(plots=(("gpu_temp_c",),)), scene.sources, scene.now_ms)
    pane.set_plot(frame.plots[0], Reach(frame.start_ms, frame.end_ms))
    QTest.qWait(30)
    return pane


def coloured_columns(canvas: Canvas) -> set[int]:
    """Columns of pixels with something of the first line's colour in them."""
    image = canvas.grab().toImage()
    found = set()
    for x in range(image.width()):
        for y in range(image.height()):
            shade = image.pixelColor(x, y)
            if shade.blue() - shade.red() > 60:
                found.add(x)
                break
    return found


def test_no_line_is_drawn_across_a_gap(qtbot: QtBot, dressed: object) -> None:
    scene = Scene(count=1)
    scene.live(140)
    scene.now_ms += 60_000
    scene.live(100)
    canvas = open_pane(qtbot, scene).canvas
    start, end = (round(canvas.x_of(scene.now_ms - s * 1000)) for s in (159, 101))
    columns = coloured_columns(canvas)
    assert not columns & set(range(start + 1, end))
    before, after = set(range(10, start - 2)), set(range(end + 4, canvas.width() - 4))
    assert len(before - columns) < 9, "only where words lie over the line"
    assert len(after - columns) < 9


def test_words_of_gaps_lie_over_nothing_else(dressed: object) -> None:
    room = QRectF(0, 0, 600, 120)
    taken = [QRectF(0, 0, 200, 20)]
    gaps = [(10.0, 20.0, "SparkDesk was closed"), (30.0, 40.0, "no samples 12:31 to 12:36"), (590.0, 600.0, "now")]
    placed = place_labels(gaps, room, taken, lambda _box: 0)
    assert [words for _, words in placed] == [words for *_, words in gaps]
    boxes = [*taken, *(box for box, _ in placed)]
    assert not any(one.intersects(two) for i, one in enumerate(boxes) for two in boxes[i + 1 :])
    assert all(room.contains(box) for box, _ in placed)


def test_words_go_where_they_hide_the_least(dressed: object) -> None:
    room = QRectF(0, 0, 600, 120)
    (low, _), *_ = place_labels([(300.0, 310.0, "gap")], room, [], lambda box: 5 if box.top() < 60 else 0)
    assert low.bottom() > 100
    assert place_labels([(300.0, 310.0, "gap")], QRectF(0, 0, 600, 9), [], lambda _box: 0) == []


@pytest.mark.parametrize(
    ("ticks", "words"),
    [
        ((0.0, 50.0, 100.0), ["0", "50", "100"]),
        ((0.0, 2.5, 5.0), ["0.0", "2.5", "5.0"]),
        ((-2e6, 0.0), ["−2\u202fM", "0"]),
    ],
)
def test_ticks_are_told_apart_in_little_room(ticks: tuple[float, ...], words: list[str]) -> None:
    assert [tick_text(tick, tick_digits(ticks)) for tick in ticks] == words
