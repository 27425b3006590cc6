from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QListView, QPlainTextEdit

from tests.ui.picture import host_page
from ui.widgets.button import Button
from ui.widgets.log_model import LogLine, LogModel
from ui.widgets.log_view import LogView


def add(model: LogModel, count: int, text: str = "line") -> None:
    model.append([LogLine("12:00:00.000", "r0", "INFO", f"{text} {i}") for i in range(count)])
    model.flush()
    QTest.qWait(20)


@pytest.fixture
def view(dressed: QApplication) -> LogView:
    view = LogView(LogModel(max_lines=300))
    host_page(view, 700, 300)
    QTest.qWait(20)
    return view


def rows(view: LogView) -> QListView:
    return view.findChildren(QListView)[-1]


def top_line(view: LogView) -> str:
    # A point inside the first visible row.
    return view.model.line(rows(view).indexAt(rows(view).viewport().rect().topLeft()).row()).text


def follow_button(view: LogView) -> Button:
    return next(
        button for button in view.findChildren(Button) if "jump" in button.text() or "Following" in button.text()
    )


def test_it_follows_the_end(view: LogView) -> None:
    add(view.model, 100)
    bar = rows(view).verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    add(view.model, 50)
    assert bar.value() == bar.maximum()
    assert view.is_following()


def test_a_reader_is_not_moved_and_sees_how_much_came(view: LogView) -> None:
    add(view.model, 100)
    rows(view).verticalScrollBar().setValue(20)
    before = top_line(view)
    add(view.model, 128, "new")
    assert top_line(view) == before
    assert not view.is_following()
    assert follow_button(view).text() == "128 new, jump to end"
    QTest.mouseClick(follow_button(view), Qt.MouseButton.LeftButton)
    assert view.is_following()
    assert follow_button(view).text() == "Following"
    bar = rows(view).verticalScrollBar()
    assert bar.value() == bar.maximum()


def test_a_reader_stays_at_the_same_line_while_old_ones_drop(view: LogView) -> None:
    add(view.model, 300)
    rows(view).verticalScrollBar().setValue(150)
    before = top_line(view)
    add(view.model, 40, "new")
    assert top_line(view) == before


def test_typing_filters_and_the_count_says_of_how_many(view: LogView) -> None:
    add(view.model, 40)
    view.focus_filter()
    QTest.keyClicks(QApplication.focusWidget() or view, "line 3")
    assert view.model.rowCount() == 11
    assert any(label.text() == "11 of 40 lines" for label in view.findChildren(type(view._count)))


def test_copying_takes_the_selected_lines_or_all(view: LogView) -> None:
    add(view.model, 3)
    view.copy_selected()
    assert QGuiApplication.clipboard().text().count("\n") == 2
    rows(view).setCurrentIndex(view.model.index(1))
    view.copy_selected()
    assert QGuiApplication.clipboard().text() == "12:00:00.000 r0 INFO line 1"


def test_enter_opens_the_whole_line_and_escape_closes_it(view: LogView) -> None:
    view.model.append([LogLine("12:00:00.000", "r0", "INFO", "y" * 500)])
    view.model.flush()
    rows(view).setFocus()
    rows(view).setCurrentIndex(view.model.index(0))
    QTest.keyClick(rows(view), Qt.Key.Key_Return)
    whole = view.findChildren(QPlainTextEdit)[0]
    assert whole.isVisible()
    assert whole.toPlainText().endswith("y" * 500)
    QTest.keyClick(rows(view), Qt.Key.Key_Escape)
    assert not whole.isVisible()


def test_hostile_lines_are_painted_without_harm(view: LogView) -> None:
    hostile = ["<b>bold</b><img src='file:///etc/passwd'>", "\x00\x1b[2J", "\u202eabc", "x" * 100_000, "\ud800", ""]
    view.model.append([LogLine("t" * 50, "s" * 50, "L" * 50, text) for text in hostile])
    view.model.flush()
    QTest.qWait(20)
    assert not view.grab().isNull()
    assert view.model.rowCount() == len(hostile)
