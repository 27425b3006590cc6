"""Which message of a conversation the keyboard is at: a ring around it, moved by the arrows; letters act on it.

Rule: one message at a time can be tabbed into, so that Tab goes through its buttons in the order they are read and not
through hundreds.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QWidget

from ui import theme
from ui.chat.column import LazyColumn
from ui.theme import color
from ui.widgets.paint import box, pen

LETTERS: Final = {
    Qt.Key.Key_C: "copy",
    Qt.Key.Key_E: "edit",
    Qt.Key.Key_R: "regenerate",
    Qt.Key.Key_B: "branch",
    Qt.Key.Key_O: "open",
    Qt.Key.Key_D: "details",
    Qt.Key.Key_P: "choices",
    Qt.Key.Key_Left: "older",
    Qt.Key.Key_Right: "newer",
}
"""What a key does to the message."""
_STEP_PX: Final = 60
_ROOM_PX: Final = 7


class _Ring(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD + 2, None, pen(color("accent"), 2))


class MessageCursor(QObject):
    """Lives over a column whose rows have a `turn`."""

    asked = Signal(str, int)
    """A key of LETTERS' values, and the place of the message."""
    earlier_asked = Signal()
    moved = Signal(int)
    """To the message at this place; -1 is none."""
    ring_shown = Signal(bool)

    def __init__(self, column: LazyColumn) -> None:
        super().__init__(column)
        self._column = column
        self._ring = _Ring(column.page())
        self._ring.hide()
        self.at = -1
        column.installEventFilter(self)
        column.placed.connect(self._later)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.refresh)

    def _later(self) -> None:
        if self.at >= 0:
            self._soon.start()

    def messages(self) -> list[int]:
        """The places of the messages that have rows, from the top."""
        return list(dict.fromkeys(turn for row in self._column.rows() if (turn := turn_of(row)) >= 0))

    def move_to(self, at: int) -> None:
        """Put the ring around a message and bring it into sight; -1 takes it away."""
        self.at = at
        if at >= 0:
            first, last = self._span()
            if first >= 0:
                self._column.reveal(first, last)
        self.refresh()
        self.moved.emit(at)

    def say(self, words: str) -> None:
        """Tell a screen reader where the ring is now."""
        self._column.setAccessibleDescription(words)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self._column, words))

    def refresh(self) -> None:
        """Put the ring where its message is now, and let Tab into that one only."""
        first, last = self._span()
        place = self._column.place_of(first, last) if first >= 0 and self._has_keyboard() else QRect()
        if not place.isNull():
            self._ring.setGeometry(place.adjusted(-_ROOM_PX, -_ROOM_PX + 1, _ROOM_PX, _ROOM_PX - 1))
            self._ring.raise_()
        if place.isNull() == self._ring.isVisibleTo(self._column):
            self._ring.setVisible(not place.isNull())
            self.ring_shown.emit(not place.isNull())
        for widget, row in self._column.made():
            let_tab(widget, is_let=turn_of(row) == self.at)

    def _has_keyboard(self) -> bool:
        """Whether keys come here: to the column, or to a button in it; a field has a ring of its own."""
        focused = self._column.window().focusWidget()
        is_inside = isinstance(focused, QAbstractButton) and self._column.isAncestorOf(focused)
        return focused is self._column or is_inside

    def _span(self) -> tuple[int, int]:
        """The first and last row of the message; -1 where it has none."""
        places = [index for index, row in enumerate(self._column.rows()) if turn_of(row) == self.at >= 0]
        return (places[0], places[-1]) if places else (-1, -1)

    def step(self, by: int) -> None:
        """Go to the message before or after."""
        known = self.messages()
        if not known:
            return
        if self.at not in known:
            self.move_to(known[-1])
            return
        place = known.index(self.at) + by
        if place < 0:
            self.earlier_asked.emit()
            known = self.messages()
            place = known.index(self.at) + by if self.at in known else 0
        if 0 <= place < len(known):
            self.move_to(known[place])

    def _scroll_or_step(self, by: int) -> None:
        """Through a message that is higher than the view, else to the next one."""
        first, last = self._span()
        if first >= 0 and self._column.scroll_inside(first, last, by * _STEP_PX):
            return
        self.step(by)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is not self._column:
            return False
        if event.type() is QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._on_key(event)
        if event.type() is QEvent.Type.FocusIn:
            if self.at not in self.messages():
                known = self.messages()
                self.move_to(known[-1] if known else -1)
            self.refresh()
        elif event.type() is QEvent.Type.FocusOut:
            self._soon.start()
        return False

    def _on_key(self, event: QKeyEvent) -> bool:
        key = Qt.Key(event.key())
        is_control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and not event.modifiers() & Qt.KeyboardModifier.AltModifier:
            by = 1 if key is Qt.Key.Key_Down else -1
            if is_control:
                self.step(by)
            else:
                self._scroll_or_step(by)
            return True
        if key in (Qt.Key.Key_Home, Qt.Key.Key_End) and (known := self.messages()):
            self.move_to(known[0] if key is Qt.Key.Key_Home else known[-1])
            return True
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if plain and key in LETTERS and self.at >= 0:
            self.asked.emit(LETTERS[key], self.at)
            return True
        return False


def turn_of(row: object) -> int:
    """The place of the turn that a row belongs to; -1 for none."""
    turn = getattr(row, "turn", -1)
    return turn if isinstance(turn, int) else -1


def let_tab(widget: QWidget, *, is_let: bool) -> None:
    """Let Tab into the buttons of a row, or past them."""
    policy = Qt.FocusPolicy.StrongFocus if is_let else Qt.FocusPolicy.ClickFocus
    for button in widget.findChildren(QAbstractButton):
        if button.focusPolicy() is not policy and not button.hasFocus():
            button.setFocusPolicy(policy)
