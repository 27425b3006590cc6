"""A long column of rows of which only those near the window exist as widgets.

Rule: what the person reads stays where it is. Rows that are made, grow or go above it never move it; at the bottom
the newest stays in sight until the person scrolls up.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate
from typing import Final

from PySide6.QtCore import QRect, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from ui import theme
from ui.theme import color

MAX_TEXT_PX: Final = 760
SIDE_PX: Final = 20
_NARROW_PX: Final = 520
"""Below it, where several columns stand beside each other, only the scroll bar has room at the side."""
_BAR_PX: Final = 14
_TOP_PX: Final = 16
_NEAR: Final = 1.0
"""Rows within this many screens of the view are made."""
_KEPT: Final = 3 * _NEAR
"""Those beyond so many are dropped."""
_BOTTOM_SLACK_PX: Final = 24
_GROWTH_S: Final = 0.002
"""No further row is made after so long where rows came below others; the next ones are made in the loop's next turn."""


class RowWidget(QWidget):
    """A row that knows its height for a width, and says when that changed."""

    height_changed = Signal()
    gap_px = 10
    """Room below it."""

    def height_at(self, width: int) -> int:
        """The height at this width, in pixels."""
        raise NotImplementedError


class _Slot:
    __slots__ = ("gap_px", "height", "measured_px", "row", "widget")

    def __init__(self, row: Hashable, height: int) -> None:
        self.row = row
        self.height = height
        self.gap_px = RowWidget.gap_px
        self.measured_px = 0
        """The width at which the height was measured; 0 when it must be measured again."""
        self.widget: RowWidget | None = None

    def measure(self, width: int) -> bool:
        """Ask the widget for its height, if that may have changed. True when it has."""
        if self.widget is None or self.measured_px == width:
            return False
        before, self.height, self.measured_px = self.height, self.widget.height_at(width), width
        return before != self.height


class _Page(QWidget):
    """What the rows lie on. It fills itself whole, so that Qt moves what was painted instead of painting it anew."""

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAttribute(Qt.WidgetAttribute.WA_StaticContents)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), color("window"))


Make = Callable[[Hashable, QWidget], RowWidget]


class LazyColumn(QScrollArea):
    """`make` gives the widget of a row as a child of a given one, `estimate` its height before it exists.

    `recycle` is offered each widget that is not needed any more, hidden; True means that it was taken back.
    """

    following_changed = Signal(bool)
    keyboard_freed = Signal(object)
    """The row whose widget had the keyboard went, or is another; the column has it now."""
    placed = Signal()
    """Rows may have got another place."""

    def __init__(
        self,
        make: Make,
        estimate: Callable[[Hashable, int], int],
        recycle: Callable[[RowWidget], bool] = lambda _widget: False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._make = make
        self._recycle = recycle
        self._estimate = estimate
        self._slots: list[_Slot] = []
        self._made: dict[_Slot, None] = {}
        """Those that have a widget: a long column has few, and what a token costs must not grow with the others."""
        self._kept: tuple[int, int] | None = None
        """The rows that may have a widget, first and one after the last; None where that is not known."""
        self._tops: list[int] = [0]
        self._page = _Page()
        self._is_placing = False
        self._is_following = True
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setWidget(self._page)
        self.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._later.timeout.connect(self._measure)
        self._more = QTimer(self)
        self._more.setSingleShot(True)
        self._more.setInterval(0)
        self._more.timeout.connect(lambda: self._place(self._anchor(), _GROWTH_S))

    def rows(self) -> tuple[Hashable, ...]:
        """The rows, from the top."""
        return tuple(slot.row for slot in self._slots)

    def widget_of(self, row: Hashable) -> RowWidget | None:
        """The widget of a row, None while it is far away or no row of ours."""
        return next((slot.widget for slot in self._slots if slot.row == row), None)

    def widgets(self) -> list[RowWidget]:
        """The widgets that exist, from the top."""
        return [slot.widget for slot in self._near_slots() if slot.widget is not None]

    def made(self) -> list[tuple[RowWidget, Hashable]]:
        """The widgets that exist with their rows, from the top."""
        return [(slot.widget, slot.row) for slot in self._near_slots() if slot.widget is not None]

    def _near_slots(self) -> list[_Slot]:
        return self._slots if self._kept is None else self._slots[slice(*self._kept)]

    def page(self) -> QWidget:
        """What the rows lie on."""
        return self._page

    def place_of(self, first: int, last: int) -> QRect:
        """Where the rows from one to another lie on the page; nothing when there are none of them."""
        if not 0 <= first <= last < len(self._slots):
            return QRect()
        top, bottom = self._tops[first], self._tops[last] + self._slots[last].height
        return QRect(self._left(), top, self.text_width(), bottom - top)

    def reveal(self, first: int, last: int) -> None:
        """Bring these rows into sight: all of them where they fit, else their beginning."""
        # Twice: rows that are made on the way may be higher or lower than thought.
        for _ in range(2):
            place, bar, room = self.place_of(first, last), self.verticalScrollBar(), self.viewport().height()
            top, bottom = place.top() - _TOP_PX, place.bottom() + _TOP_PX
            if top < bar.value() or bottom - top > room:
                bar.setValue(top)
            elif bottom > bar.value() + room:
                bar.setValue(bottom - room)

    def scroll_inside(self, first: int, last: int, by_px: int) -> bool:
        """Scroll while these rows go on beyond the view in that direction. False when they end in sight."""
        place, bar, room = self.place_of(first, last), self.verticalScrollBar(), self.viewport().height()
        if by_px > 0 and place.bottom() > bar.value() + room and bar.value() < bar.maximum():
            bar.setValue(min(bar.value() + by_px, place.bottom() + _TOP_PX - room))
            return True
        if by_px < 0 and place.top() < bar.value() and bar.value() > 0:
            bar.setValue(max(bar.value() + by_px, place.top() - _TOP_PX))
            return True
        return False

    @property
    def is_following(self) -> bool:
        """Whether the newest row is kept in sight."""
        return self._is_following

    @property
    def is_complete(self) -> bool:
        """Whether all rows near the view are made."""
        return not self._more.isActive()

    def set_rows(self, rows: Sequence[Hashable]) -> None:
        """Show these rows; widgets of rows that stay, at the top and at the bottom, are kept."""
        old = self._slots
        head = _same_run(rows, old)
        tail = min(_same_run(rows[::-1], old[::-1]), len(rows) - head, len(old) - head)
        width = self.text_width()
        new = [_Slot(row, self._estimate(row, width)) for row in rows[head : len(rows) - tail]]
        going = old[head : len(old) - tail]
        freed = next((slot.row for slot in going if _has_keyboard(slot.widget)), None)
        for slot in going:
            self._drop(slot)
        anchor = self._anchor()
        self._kept = None
        self._slots = [*old[:head], *new, *old[len(old) - tail :]]
        self._place(anchor, _GROWTH_S if head else math.inf)
        if freed is not None:
            self.keyboard_freed.emit(freed)

    def jump_to_newest(self) -> None:
        """Go to the bottom and stay there."""
        self._set_following(True)
        self._place(None)

    def jump_to_top(self) -> None:
        """Go to the first row."""
        self._set_following(False)
        self.verticalScrollBar().setValue(0)

    def text_width(self) -> int:
        """The width of a row now, in pixels."""
        # Of the whole column: the scroll bar lies in the room at its side, and nothing moves when it comes.
        sides = 2 * SIDE_PX if self.width() >= _NARROW_PX else _BAR_PX
        return max(200, min(MAX_TEXT_PX, self.width() - sides))

    def _left(self) -> int:
        return max(SIDE_PX, (self.width() - self.text_width()) // 2) if self.width() >= _NARROW_PX else 0

    def _anchor(self) -> tuple[_Slot, int] | None:
        """The first row in sight and how far its top is from the view's."""
        if self._is_following or not self._slots:
            return None
        top = self.verticalScrollBar().value()
        index = min(max(bisect_right(self._tops, top) - 1, 0), len(self._slots) - 1)
        return self._slots[index], self._tops[index] - top

    def _place(self, anchor: tuple[_Slot, int] | None, budget_s: float = math.inf) -> None:
        """Give every row its place, make those in sight, and hold the view where it was.

        Within the budget of time: the rest is made in the next turn of the loop.
        """
        if self._is_placing:
            return
        self._is_placing = True
        self._more.stop()
        end_s = time.perf_counter() + budget_s
        try:
            for _ in range(3):
                self._tops = list(accumulate((slot.height + slot.gap_px for slot in self._slots), initial=_TOP_PX))
                self._page.resize(self.viewport().width(), max(self._tops[-1] + 6, self.viewport().height()))
                self._hold(anchor)
                if not self._make_near(end_s):
                    break
            self._move_widgets()
        finally:
            self._is_placing = False
        if self.window().focusWidget() is self._page:
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _hold(self, anchor: tuple[_Slot, int] | None) -> None:
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, self._page.height() - self.viewport().height()))
        bar.setPageStep(self.viewport().height())
        if self._is_following:
            bar.setValue(bar.maximum())
        elif anchor is not None:
            slot, offset = anchor
            index = next((i for i, each in enumerate(self._slots) if each is slot), -1)
            if index >= 0:
                bar.setValue(self._tops[index] - offset)

    def _span(self, screens: float) -> tuple[int, int]:
        """The rows from so many screens above the view to as many below: first, and one after the last."""
        height = self.viewport().height()
        top = self.verticalScrollBar().value()
        first = max(0, bisect_right(self._tops, top - screens * height) - 1)
        return first, min(len(self._slots), bisect_right(self._tops, top + (1 + screens) * height))

    def _make_near(self, end_s: float) -> bool:
        """Make the rows near the view and drop those far away. True when a height came out other than thought.

        When that takes longer than to `end_s` (of the performance counter), one row is made each time.
        """
        if not self.isVisible():
            return False
        first, end = self._span(_NEAR)
        low, high = self._span(_KEPT)
        width, is_off, has_filled = self.text_width(), False, False
        kept = set(self._slots[low:high])
        for slot in [slot for slot in self._made if slot not in kept]:
            self._drop(slot)
        self._kept = (low, high)
        for slot in self._slots[first:end]:
            if slot.widget is None:
                if (has_filled or self._more.isActive()) and time.perf_counter() > end_s:
                    self._more.start()
                    break
                self._fill(slot)
                has_filled = True
            is_off = slot.measure(width) or is_off
        return is_off

    def _fill(self, slot: _Slot) -> None:
        widget = self._make(slot.row, self._page)
        slot.widget, slot.gap_px, slot.measured_px = widget, widget.gap_px, 0
        self._made[slot] = None
        widget.height_changed.connect(self._on_height)
        widget.show()

    def _on_height(self) -> None:
        grown = self.sender()
        for slot in self._made:
            if slot.widget is grown:
                slot.measured_px = 0
        self._later.start()

    def _drop(self, slot: _Slot) -> None:
        if slot.widget is not None:
            if _has_keyboard(slot.widget):
                # Else it goes to whatever comes next in the window. Not to the column: that would scroll now.
                self._page.setFocus(Qt.FocusReason.OtherFocusReason)
            slot.widget.hide()
            slot.widget.height_changed.disconnect(self._on_height)
            if not self._recycle(slot.widget):
                slot.widget.deleteLater()
            slot.widget = None
            self._made.pop(slot, None)

    def _move_widgets(self) -> None:
        left, width = self._left(), self.text_width()
        first, end = self._kept or (0, len(self._slots))
        for slot, top in zip(self._slots[first:end], self._tops[first:end], strict=True):
            widget = slot.widget
            if widget is not None:
                place = QRect(left, top, width, slot.height)
                if widget.geometry() != place:
                    widget.setGeometry(place)
        self.placed.emit()

    def _measure(self) -> None:
        """A row grew or shrank."""
        anchor = self._anchor()
        width = self.text_width()
        # Each of them: `any` would stop at the first that changed.
        if sum(slot.measure(width) for slot in self._made):
            self._place(anchor)

    def _on_scrolled(self, value: int) -> None:
        if self._is_placing:
            return
        self._set_following(value >= self.verticalScrollBar().maximum() - _BOTTOM_SLACK_PX)
        self._place(self._anchor())

    def _set_following(self, is_following: bool) -> None:
        if is_following != self._is_following:
            self._is_following = is_following
            self.following_changed.emit(is_following)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            width = self.text_width()
            for slot in self._slots:
                if slot.widget is None:
                    slot.height = self._estimate(slot.row, width)
        self._place(self._anchor())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._place(self._anchor())


def _has_keyboard(widget: QWidget | None) -> bool:
    focused = widget.window().focusWidget() if widget is not None else None
    return widget is not None and focused is not None and (focused is widget or widget.isAncestorOf(focused))


def _same_run(rows: Sequence[Hashable], slots: Sequence[_Slot]) -> int:
    """How many rows at the start are the same."""
    count = 0
    for row, slot in zip(rows, slots, strict=False):
        if row is not slot.row and row != slot.row:
            break
        count += 1
    return count
