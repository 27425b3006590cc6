"""The column of rows: only those near the window exist, and what is read stays where it is."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from tests.ui.picture import host_page
from ui.chat.column import LazyColumn, RowWidget


@dataclass(frozen=True)
class Line:
    name: str
    height: int = 50


class LineWidget(RowWidget):
    gap_px = 0

    def __init__(self, line: Line, parent: QWidget) -> None:
        super().__init__(parent)
        self.line = line
        self.extra = 0

    def height_at(self, width: int) -> int:
        return self.line.height + self.extra

    def grow(self, by: int) -> None:
        self.extra += by
        self.height_changed.emit()


class PaintCount(QObject):
    """How often a widget was painted."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.count += event.type() is QEvent.Type.Paint
        return False


class Made:
    """A column and how many widgets it has asked for."""

    def __init__(self) -> None:
        self.count = 0
        self.slowness_s = 0.0
        self.column = LazyColumn(self._make, lambda row, width: 30)
        self.host = host_page(self.column, 400, 300)

    def _make(self, row: Hashable, parent: QWidget) -> RowWidget:
        assert isinstance(row, Line)
        self.count += 1
        time.sleep(self.slowness_s)
        return LineWidget(row, parent)

    def show(self, *names: str) -> None:
        self.column.set_rows([Line(name) for name in names])
        QTest.qWait(5)
        self.finish()

    def finish(self) -> None:
        """Wait until all rows near the view are made."""
        end_s = time.monotonic() + 20
        while not self.column.is_complete and time.monotonic() < end_s:
            QTest.qWait(1)
        assert self.column.is_complete

    def top_of(self, name: str) -> int:
        """Where a row's top is in the view."""
        widget = self.column.widget_of(Line(name))
        assert widget is not None
        return widget.y() - self.column.verticalScrollBar().value()


@pytest.fixture
def made(dressed: QApplication) -> Iterator[Made]:
    made = Made()
    yield made
    made.host.close()


def names(count: int, prefix: str = "r") -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def test_rows_below_others_that_take_long_are_made_one_in_a_turn(made: Made) -> None:
    made.show("r0")
    made.slowness_s = 0.003
    made.column.set_rows([Line(name) for name in names(5)])
    assert made.count == 2
    made.finish()
    assert made.count == 5
    assert made.column.widget_of(Line("r4")) is not None


def test_of_ten_thousand_rows_only_those_near_the_window_are_made(made: Made) -> None:
    made.show(*names(10_000))
    assert made.count < 60
    assert made.column.widget_of(Line("r9999")) is not None
    assert made.column.widget_of(Line("r0")) is None
    made.column.jump_to_top()
    QTest.qWait(5)
    assert made.column.widget_of(Line("r0")) is not None
    assert made.column.widget_of(Line("r9999")) is None
    assert made.count < 120


def test_new_rows_keep_the_bottom_in_sight_while_it_is_followed(made: Made) -> None:
    made.show(*names(100))
    made.show(*names(101))
    bar = made.column.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    assert made.column.is_following


def test_rows_that_stay_keep_their_widgets(made: Made) -> None:
    made.show(*names(20))
    before = {row: made.column.widget_of(Line(row)) for row in ("r12", "r19")}
    made.show(*names(15), "x", "r19")
    assert made.column.widget_of(Line("r12")) is before["r12"]
    assert made.column.widget_of(Line("r19")) is before["r19"]
    assert made.column.widget_of(Line("x")) is not None


def test_who_scrolled_up_is_not_moved_by_new_rows_below_or_above(made: Made) -> None:
    made.show(*names(100))
    made.column.verticalScrollBar().setValue(2000)
    QTest.qWait(5)
    assert not made.column.is_following
    seen = next(w.line.name for w in made.column.widgets() if isinstance(w, LineWidget) and w.y() >= 2000)
    place = made.top_of(seen)
    made.show(*names(130))
    assert made.top_of(seen) == place
    made.show(*names(50, "earlier"), *names(130))
    assert made.top_of(seen) == place


def test_a_row_that_grows_above_the_view_moves_nothing_in_it(made: Made) -> None:
    made.show(*names(100))
    made.column.verticalScrollBar().setValue(2000)
    QTest.qWait(5)
    widgets = [w for w in made.column.widgets() if isinstance(w, LineWidget)]
    above = next(w for w in widgets if w.y() + w.height() < 2000)
    seen = next(w for w in widgets if w.y() >= 2010)
    place = made.top_of(seen.line.name)
    above.grow(120)
    QTest.qWait(20)
    assert made.top_of(seen.line.name) == place


def test_scrolling_back_to_the_end_follows_again(made: Made) -> None:
    told: list[bool] = []
    made.column.following_changed.connect(told.append)
    made.show(*names(100))
    bar = made.column.verticalScrollBar()
    bar.setValue(100)
    bar.setValue(bar.maximum())
    assert told == [False, True]
    made.show(*names(110))
    assert bar.value() == bar.maximum()


def test_another_width_keeps_the_end_in_sight(made: Made) -> None:
    made.show(*names(100))
    made.host.resize(300, 500)
    made.column.resize(300, 500)
    QTest.qWait(5)
    bar = made.column.verticalScrollBar()
    assert bar.value() == bar.maximum()


def test_what_stands_above_is_moved_and_not_painted_again_when_the_newest_grows(made: Made) -> None:
    made.show(*"abcdefgh")
    column = made.column
    last, above = (column.widget_of(Line(name)) for name in "hf")
    assert isinstance(last, LineWidget)
    assert above is not None
    QTest.qWait(20)
    watch = PaintCount()
    above.installEventFilter(watch)
    for _ in range(5):
        last.grow(7)
        QTest.qWait(20)
    assert column.verticalScrollBar().value() == column.verticalScrollBar().maximum()
    assert watch.count == 0
