"""The ranked table: what its cells say, how it is chosen from, what goes where it is narrow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.row import PlanRow
from tests.ui.launch import made
from tests.ui.launch.real import catalogue, open_real, show_model
from tests.ui.picture import host_page, page_size
from ui.launch.plan import words
from ui.launch.plan.rows.model import COLUMNS, NUMBERS, RowsModel, align, seconds_cell
from ui.launch.plan.rows.pane import RowsPane
from ui.launch.plan.rows.table import RowsTable


def cells(table: RowsTable, line: int) -> dict[str, object]:
    return {name: table.rows.index(line, i).data() for i, name in enumerate(COLUMNS)}


def hidden(table: RowsTable) -> set[str]:
    return {name for i, name in enumerate(COLUMNS) if table.isColumnHidden(i)}


@pytest.fixture
def pane(qtbot: QtBot, dressed: object) -> RowsPane:
    pane = RowsPane()
    host = host_page(pane, 608, 400)
    qtbot.addWidget(host)
    host.activateWindow()
    rows = made.rows()
    pane.show_rows(rows, rows[0])
    return pane


def test_a_row_says_its_figures_in_the_units_of_the_headings(pane: RowsPane) -> None:
    first = cells(pane.table, 0)
    assert (first["rank"], first["split"], first["quantization"], first["engine"]) == (
        "1",
        "TP 2",
        "NVFP4",
        "vLLM",
    )
    assert (first["ttft"], first["tpot"], first["total"], first["left"]) == ("15.8", "73", "54.8", "88.0")
    assert pane.table.rows.title("total") == "tok/s @4"
    assert [seconds_cell(s) for s in (0.412, 1.42, 15.8, 125.0, -1.0)] == ["0.41", "1.42", "15.8", "125", "n/a"]


def test_one_that_does_not_fit_has_no_rank_and_says_what_would_make_it_fit(pane: RowsPane) -> None:
    last = cells(pane.table, 3)
    assert last["rank"] == ""
    assert str(last["left"]).startswith("\u2212")
    assert last["why"] == "Too big by 14.4 GiB on spark-5c2d. Take 4 nodes, or a context of 8,192 tokens."
    assert pane.count.text() == "4 compared, 3 fit"


def test_the_band_and_the_case_are_in_the_hint(pane: RowsPane) -> None:
    hint = pane.table.rows.index(0, COLUMNS.index("ttft")).data(Qt.ItemDataRole.ToolTipRole)
    assert "between 13.9 and 17.7" in hint
    assert "Made case" in hint


def test_a_row_is_one_sentence_for_who_cannot_see_the_table(pane: RowsPane) -> None:
    said = pane.table.rows.index(0, 0).data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert said.startswith("Rank 1: TP 2, NVFP4 on vLLM stock; first token 15.8 s, then 73 ms, 54.8 tokens a second")
    last = pane.table.rows.index(3, 0).data(Qt.ItemDataRole.AccessibleDescriptionRole)
    assert last.startswith("Too big: One node")


def test_numbers_stand_right_and_words_left(dressed: object) -> None:
    right = int(Qt.AlignmentFlag.AlignRight)
    assert all(bool(align(column) & right) is (column in NUMBERS) for column in COLUMNS)
    assert {"ttft", "tpot", "total", "left"} <= NUMBERS


def test_a_click_and_a_key_choose_a_row(pane: RowsPane) -> None:
    spy = QSignalSpy(pane.chosen)
    table = pane.table
    at = table.visualRect(table.rows.index(1, COLUMNS.index("split"))).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_Down)
    QTest.keyClick(table, Qt.Key.Key_Return)
    chosen: list[PlanRow] = [spy.at(i)[0] for i in range(spy.count())]
    assert [row.rank for row in chosen] == [2, 3]


def test_where_it_is_narrow_speed_and_memory_stay(pane: RowsPane) -> None:
    gone = hidden(pane.table)
    assert not gone & {"rank", "split", "quantization", "ttft", "tpot", "total", "left"}
    assert gone & {"cost", "power"}
    assert pane.table.has_hidden()
    assert pane.table.horizontalScrollBar().maximum() == 0


def test_the_number_of_nodes_goes_where_all_rows_take_as_many(pane: RowsPane) -> None:
    pane.window().resize(1400, 400)
    pane.resize(1400, 400)
    assert "nodes" not in hidden(pane.table)
    rows = (made.row(1), made.row(2, alone=made.prediction(24.0, 0.14)))
    pane.show_rows(rows, rows[1])
    assert "nodes" in hidden(pane.table)


def test_rows_that_differ_by_the_engine_only_say_which_it_is(pane: RowsPane) -> None:
    first = made.row(1)
    other = replace(first, rank=2, setup=replace(first.setup, engine=replace(made.VLLM, key="sglang", title="SGLang")))
    pane.resize(480, 400)
    pane.show_rows((first, other, *made.rows()[1:]), other)
    assert pane.table.rows.has_twins()
    assert "engine" not in hidden(pane.table)
    assert hidden(pane.table) & {"kv", "quality", "why"}, "something had to go"
    assert pane.table.horizontalScrollBar().maximum() == 0
    unlike = replace(other, setup=replace(other.setup, weights=replace(made.WEIGHTS, key="FP8")))
    pane.show_rows((first, unlike), first)
    assert not pane.table.rows.has_twins()


def test_all_columns_can_be_asked_for(pane: RowsPane) -> None:
    QTest.mouseClick(pane.columns, Qt.MouseButton.LeftButton)
    # Nobody runs here, one engine does it all, and none drafts: those columns would say nothing.
    assert hidden(pane.table) == {"toll", "engine", "speculative"}
    assert pane.table.horizontalScrollBar().maximum() > 0
    assert pane.columns.text() == "Fewer columns"


def test_the_row_under_the_keyboard_says_why_it_stands_there(pane: RowsPane) -> None:
    table = pane.table
    assert not pane.own.isVisible(), "the form's own is the first, which has its sentence"
    table.setFocus()
    for _ in range(3):
        QTest.keyClick(table, Qt.Key.Key_Down)
    assert pane.own.text() == (
        "One node, NVFP4 on vLLM stock: Too big by 14.4 GiB on spark-5c2d. Take 4 nodes, or a context of 8,192 tokens."
    )
    pane.columns.setFocus()
    assert not pane.own.isVisible()


def test_a_wide_table_has_all_columns_and_gives_the_rest_to_the_reasons(pane: RowsPane) -> None:
    pane.window().resize(1400, 400)
    pane.resize(1400, 400)
    table = pane.table
    assert hidden(table) == {"toll", "engine", "speculative", "kv"}, "all rows agree there"
    widths = sum(table.columnWidth(i) for i in range(len(COLUMNS)))
    assert widths == table.viewport().width()
    assert table.columnWidth(COLUMNS.index("why")) > 300


def test_the_row_of_the_form_is_marked(pane: RowsPane) -> None:
    rows = made.rows()
    pane.show_rows(rows, rows[2])
    assert pane.table.own_row() == 2
    pane.show_rows(rows, None)
    assert pane.table.own_row() == -1


def test_the_best_of_each_split_and_format_stands_there_until_all_are_asked_for(pane: RowsPane) -> None:
    other = replace(made.WEIGHTS, key="FP8")
    eight = made.row(6)
    eight = replace(eight, setup=replace(eight.setup, weights=other))
    rows = (*made.rows(), made.row(4, why="As fast as the first"), made.row(5, why="As fast as the first too"), eight)
    pane.show_rows(rows, rows[5])
    assert [row.rank for row in pane.table.rows.rows] == [1, 2, 3, 0, 5, 6], "the best of each, and the form's own"
    assert pane.table.own_row() == 4
    assert pane.count.text() == "7 compared, 6 fit", "what is not shown counts"
    assert pane.every.text() == "All 7 ways"
    QTest.mouseClick(pane.every, Qt.MouseButton.LeftButton)
    assert len(pane.table.rows.rows) == 7  # all
    QTest.mouseClick(pane.every, Qt.MouseButton.LeftButton)
    assert len(pane.table.rows.rows) == 6


def test_there_is_nothing_to_ask_for_where_all_ways_differ(pane: RowsPane) -> None:
    rows = made.rows()[:3]
    pane.show_rows(rows, rows[0])
    assert not pane.every.isVisible()


def test_costs_are_in_the_currency_of_the_settings(pane: RowsPane) -> None:
    rows = made.rows()
    table = pane.table.rows
    assert table.title("cost") == "cost/M tok", "nobody said which"
    pane.show_rows(rows, rows[0], "EUR")
    assert table.title("cost") == "EUR/M tok"
    hint = str(table.index(0, COLUMNS.index("cost")).data(Qt.ItemDataRole.ToolTipRole))
    assert "EUR per million tokens" in hint
    assert dict(words.facts_of(rows[0], currency="EUR"))["Cost"] == "0.38 EUR per million tokens, energy 0.11 EUR"
    pane.show_rows(rows, rows[0], "a\u202every long word")
    assert "\u202e" not in table.title("cost")
    assert len(table.title("cost")) <= 16


def test_the_same_rows_reset_nothing(dressed: object) -> None:
    model = RowsModel()
    spy = QSignalSpy(model.modelReset)
    assert model.set_rows(made.rows())
    assert not model.set_rows(made.rows())
    assert spy.count() == 1


@pytest.mark.parametrize("window", [(1440, 900), (1100, 700)])
def test_loss_and_reason_are_there_without_asking(qtbot: QtBot, dressed: object, window: tuple[int, int]) -> None:
    page = open_real(qtbot, [spec for spec in catalogue() if spec.key == "llama-3.3-70b"])
    size = page_size(*window)
    page.window().resize(*size)
    page.resize(*size)
    show_model(page, "llama-3.3-70b", (0, 1, 2, 3), "chat", "")
    QTest.qWait(30)
    table = page.plan.ways.table
    assert len({row.setup.parallelism for row in table.rows.rows}) > 3
    is_told_apart = "engine" not in hidden(table)
    assert is_told_apart or not hidden(table) & {"quality", "why"}, "only the engine's name may take their room"
    assert "why" in hidden(table) or table.columnWidth(COLUMNS.index("why")) >= 90
    assert "kv" in hidden(table), "all rows agree"
    assert any(row.cells["why"].startswith("1.") and "\u00d7" in row.cells["why"] for row in table.rows.told)
    second = table.rows.index(1, COLUMNS.index("why")).data(Qt.ItemDataRole.ToolTipRole)
    assert " the first" in str(second), "the hint has the whole sentence"
    QTest.mouseClick(page.plan.ways.every, Qt.MouseButton.LeftButton)
    assert not hidden(table) & {"kv", "speculative", "engine"}, "what tells them apart"
