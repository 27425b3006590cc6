"""Sparklines: what a line shows of its samples, and that nothing is painted which nobody sees or which did not move."""

from __future__ import annotations

import math

import numpy as np
from pytestqt.qtbot import QtBot

from ui import theme
from ui.widgets.sparkline import NAME_WIDTH, SparklineSheet, SparkQuantity
from ui.widgets.trend import COLUMNS, Raster, TrendTable

NOW_MS = 1_760_000_000_000
STEP_MS = 3000
"""A column of a table over 300 s."""
EVEN_MS = NOW_MS - NOW_MS % STEP_MS


def lit(table: TrendTable, quantity: int = 0, *, width: int = COLUMNS, top: float = 100.0) -> list[list[int]]:
    """The pixel rows, from above, that row 0's line lights in each column of pixels; 11 pixels high."""
    tops = (top,) * table.newest.shape[1]
    pixels = Raster(width, 11, tops).draw(*table.bounds(range(1)))[0, :, quantity, :]
    return [np.flatnonzero(pixels[:, x]).tolist() for x in range(width)]


def test_a_peak_of_one_sample_survives() -> None:
    table = TrendTable(1, 1)
    for second in range(300):
        table.add(0, EVEN_MS + second * 1000, [100.0 if second == 151 else 10.0])
    columns = lit(table)
    assert columns[50] == list(range(10))  # from 100 down to 10
    assert columns[49] == [9]


def test_what_was_not_measured_is_a_gap() -> None:
    table = TrendTable(1, 2)
    for second in range(300):
        table.add(0, EVEN_MS + second * 1000, [50.0, math.nan if 60 <= second < 120 else 50.0])
    assert all(column == [5] for column in lit(table))
    assert [x for x, column in enumerate(lit(table, 1)) if not column] == list(range(20, 40))
    table.move_to(EVEN_MS + 330_000)
    assert [x for x, column in enumerate(lit(table)) if not column] == list(range(89, 100))


def test_samples_that_are_due_seldom_are_joined() -> None:
    table = TrendTable(1, 1, period_s=10.0)
    for second in range(0, 300, 10):
        table.add(0, EVEN_MS + second * 1000, [50.0])
    assert lit(table) == [[]] * 3 + [[5]] * 97
    table.period_s = 1.0
    assert [] in lit(table)


def test_a_node_whose_samples_come_late_keeps_its_place_in_time() -> None:
    table = TrendTable(2, 1)
    table.add(0, EVEN_MS, [50.0])
    table.add(1, EVEN_MS + 30_000, [50.0])
    table.add(0, EVEN_MS - 60_000, [90.0])  # a repeated line: left out
    table.add(0, EVEN_MS + 27_000, [70.0])
    low, _ = table.bounds(range(2))
    assert [int(x) for x in np.flatnonzero(~np.isnan(low[0, 0]))] == [89, 98]
    assert table.newest[0, 0] == 70.0


def test_a_clock_that_was_set_back_begins_anew() -> None:
    table = TrendTable(1, 1)
    table.add(0, EVEN_MS, [50.0])
    table.add(0, EVEN_MS - 3_600_000, [30.0])
    low, _ = table.bounds(range(1))
    assert low[0, 0, -1] == 30.0
    assert np.isnan(low[0, 0, :-1]).all()


def test_a_known_past_is_shown_at_once() -> None:
    table = TrendTable(1, 2)
    table.fill(0, 1, [EVEN_MS, EVEN_MS + 1000, EVEN_MS + 6000], [40.0, 60.0, math.nan])
    table.move_to(EVEN_MS + 6000)
    low, high = table.bounds(range(1))
    assert (low[0, 1, -3], high[0, 1, -3], table.newest[0, 1]) == (40.0, 60.0, 60.0)
    assert np.isnan(low[0, 0]).all()


def sheet_of(qtbot: QtBot, rows: int = 3) -> SparklineSheet:
    quantities = [SparkQuantity("Power", lambda value: f"{value:.0f} W", 140.0), SparkQuantity("Load", str)]
    sheet = SparklineSheet([f"spark-{i}" for i in range(rows)], quantities, TrendTable(rows, 2))
    qtbot.addWidget(sheet)
    sheet.resize(700, sheet.sizeHint().height())
    return sheet


def test_a_hidden_sheet_is_never_painted(qtbot: QtBot) -> None:
    sheet = sheet_of(qtbot)
    for second in range(10):
        sheet.trends.add(0, EVEN_MS + second * 1000, [44.0, 1.0])
        sheet.show_now(EVEN_MS + second * 1000)
        qtbot.wait(1)
    assert sheet.repaints == 0
    assert (sheet.value_text(0, 0), sheet.value_text(1, 0)) == ("44 W", "n/a")


def test_what_is_painted_in_parts_is_what_is_painted_at_once(qtbot: QtBot) -> None:
    sheet = sheet_of(qtbot)
    with qtbot.waitExposed(sheet):
        sheet.show()
    for second in range(40):
        for row in range(3):
            sheet.trends.add(row, EVEN_MS + second * 1000, [40 + 30 * math.sin(second + row), float(second)])
        sheet.show_now(EVEN_MS + second * 1000)
        sheet.repaint() if second == 0 else qtbot.wait(1)
    parts = sheet.grab().toImage()
    other = sheet_of(qtbot)
    other.trends = sheet.trends
    assert other.grab().toImage() == parts
    assert sheet.repaints > 20


def test_an_old_row_is_grey_in_both_themes(qtbot: QtBot) -> None:
    sheet = sheet_of(qtbot)
    for second in range(60):
        sheet.trends.add(0, EVEN_MS + second * 1000, [70.0, math.nan])
    sheet.show_now(EVEN_MS + 60_000)
    for name in ("light", "dark"):
        theme.set_theme(name)
        for stale, token in ((frozenset[int](), "s1"), (frozenset({0}), "control")):
            sheet.set_stale(stale)
            image = sheet.grab().toImage()
            inks = {image.pixelColor(x, y).name() for x in range(NAME_WIDTH, 300) for y in range(24, 46)}
            assert theme.color(token).name() in inks  # type: ignore[arg-type]


def test_a_peak_survives_where_there_are_fewer_pixels_than_columns() -> None:
    table = TrendTable(1, 1)
    for second in range(300):
        table.add(0, EVEN_MS + second * 1000, [100.0 if second == 151 else 10.0])
    for width in (41, 64, 99):
        columns = lit(table, width=width)
        assert columns.count(list(range(10))) == 1
        assert all(columns)
