from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from tests.ui.picture import host_page
from ui.widgets.button import Button
from ui.widgets.log_filter import LogLine
from ui.widgets.log_model import LogModel
from ui.widgets.log_view import LogView


def add(model: LogModel, count: int, text: str = "line") -> None:
    model.append([LogLine("12:00:00.000", "r0", "INFO", f"{text} {i}") for i in range(count)])
    model.flush()
    QTest.qWait(20)


def settle(view: LogView) -> None:
    while view.model.is_filtering():
        QTest.qWait(5)


@pytest.fixture
def view(dressed: QApplication) -> LogView:
    view = LogView(LogModel(max_lines=300))
    host_page(view, 700, 300)
    QTest.qWait(20)
    return view


def top_line(view: LogView) -> str:
    return view.model.line(view.area.top_row()).text


def follow_button(view: LogView) -> Button:
    return next(
        button for button in view.findChildren(Button) if "jump" in button.text() or "Following" in button.text()
    )


def test_it_follows_the_end(view: LogView) -> None:
    add(view.model, 100)
    bar = view.area.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    add(view.model, 50)
    assert bar.value() == bar.maximum()
    assert view.is_following()


def test_a_reader_is_not_moved_and_sees_how_much_came(view: LogView) -> None:
    add(view.model, 100)
    view.area.verticalScrollBar().setValue(20)
    before = top_line(view)
    add(view.model, 128, "new")
    assert top_line(view) == before
    assert not view.is_following()
    assert follow_button(view).text() == "128 new, jump to end"
    QTest.mouseClick(follow_button(view), Qt.MouseButton.LeftButton)
    assert view.is_following()
    assert follow_button(view).text() == "Following"
    bar = view.area.verticalScrollBar()
    assert bar.value() == bar.maximum()


def test_a_reader_stays_at_the_same_line_while_old_ones_drop(view: LogView) -> None:
    add(view.model, 300)
    view.area.verticalScrollBar().setValue(150)
    before = top_line(view)
    add(view.model, 40, "new")
    assert top_line(view) == before


def test_typing_filters_and_the_count_says_of_how_many(view: LogView) -> None:
    add(view.model, 40)
    view.focus_filter()
    QTest.keyClicks(QApplication.focusWidget() or view, "line 3")
    settle(view)
    assert view.model.rowCount() == 11
    assert view.head.counted.text() == "11 of 40 lines"


def test_copying_takes_the_selected_lines_or_all(view: LogView) -> None:
    add(view.model, 3)
    view.copy_selected()
    assert QGuiApplication.clipboard().text().count("\n") == 2
    view.area.select(1)
    view.copy_selected()
    assert QGuiApplication.clipboard().text() == "12:00:00.000 r0 INFO line 1"


def test_enter_opens_the_whole_line_and_escape_closes_it(view: LogView) -> None:
    view.model.append([LogLine("12:00:00.000", "r0", "INFO", "y" * 500)])
    view.model.flush()
    view.area.setFocus()
    view.area.select(0)
    QTest.keyClick(view.area, Qt.Key.Key_Return)
    whole = view.findChildren(QPlainTextEdit)[0]
    assert whole.isVisible()
    assert whole.toPlainText().endswith("y" * 500)
    QTest.keyClick(view.area, Qt.Key.Key_Escape)
    assert not whole.isVisible()


def test_hostile_lines_are_painted_without_harm(view: LogView) -> None:
    hostile = ["<b>bold</b><img src='file:///etc/passwd'>", "\x00\x1b[2J", "\u202eabc", "x" * 100_000, "\ud800", ""]
    view.model.append([LogLine("t" * 50, "s" * 50, "L" * 50, text) for text in hostile])
    view.model.flush()
    QTest.qWait(20)
    assert not view.grab().isNull()
    assert view.model.rowCount() == len(hostile)


def test_rows_are_chosen_by_mouse_and_keyboard(view: LogView) -> None:
    add(view.model, 100)
    area = view.area
    QTest.mouseClick(area.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(50, 2))
    top = area.top_row()
    assert list(area.selected()) == [top]
    QTest.keyClick(area, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(area, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert list(area.selected()) == [top, top + 1, top + 2]
    QTest.keyClick(area, Qt.Key.Key_Home)
    assert (list(area.selected()), area.top_row()) == ([0], 0)
    assert not view.is_following()
    QTest.keyClick(area, Qt.Key.Key_PageDown)
    assert area.selected()[0] == area.verticalScrollBar().pageStep()
    QTest.keyClick(area, Qt.Key.Key_End)
    assert view.is_following()
    QTest.keyClick(area, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert len(area.selected()) == 100
    QTest.keyClick(area, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)


def test_the_chosen_row_is_still_the_same_line_after_old_ones_dropped(view: LogView) -> None:
    add(view.model, 300)
    view.area.select(120)
    add(view.model, 100, "new")
    assert [view.model.line(row).text for row in view.area.selected()] == ["line 120"]
    add(view.model, 100, "newer")
    assert list(view.area.selected()) == []


def test_keys_in_an_empty_log_do_nothing(view: LogView) -> None:
    for key in (Qt.Key.Key_Up, Qt.Key.Key_End, Qt.Key.Key_Return, Qt.Key.Key_A):
        QTest.keyClick(view.area, key, Qt.KeyboardModifier.ControlModifier)
    assert list(view.area.selected()) == []


def test_the_count_says_that_it_filters_until_it_is_done(dressed: QApplication) -> None:
    long = LogView(LogModel())
    host_page(long, 900, 300)
    add(long.model, 30_000)
    QTest.keyClicks(long.head.words, r"line \d+7$")
    assert long.head.counted.text() == "Filtering…"
    settle(long)
    assert long.head.counted.text() == "2,999 of 30,000 lines"
