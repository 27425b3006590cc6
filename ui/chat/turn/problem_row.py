"""Why an answer is not whole, with what can be done about it; and plain remarks.

Rule: every problem has a way on, and a server that asks to be left alone for a while is counted down, never hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.chat.column import RowWidget
from ui.chat.state.offer import CONTINUE, RETRY, Offer
from ui.icon import draw_icon
from ui.text import one_line
from ui.theme import Token, color
from ui.widgets.button import Button
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

_INSET_PX: Final = 38
_PAD_PX: Final = 10
_BUTTON_PX: Final = 26


def text_height(label: Label, width: int) -> int:
    """How high a wrapped label is at this width. Not `heightForWidth`: that remembers narrower days."""
    flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft)
    return QFontMetrics(label.font()).boundingRect(QRect(0, 0, width, 100_000), flags, label.text()).height()


def place_text(label: Label, left: int, top: int, width: int) -> int:
    """Put a wrapped label into its place; gives its height."""
    height = text_height(label, width)
    # The least height of a narrower day would keep it higher than it is.
    label.setMinimumHeight(0)
    label.setGeometry(left, top, width, height)
    return height


class Problem(RowWidget):
    """What went wrong, what it means, and buttons for the ways on. `wait_s` is how long the server wants to be left."""

    asked = Signal(str)
    """The key of an offer."""
    gap_px = 16

    def __init__(
        self,
        title: str,
        remedy: str,
        *,
        is_error: bool,
        offers: tuple[Offer, ...] = (),
        wait_s: Callable[[], float] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._tint: Token = "crit" if is_error else "warn"
        self._fill: Token = "critsoft" if is_error else "warnsoft"
        self._wait_s = wait_s
        self._title = Label(one_line(title, 600), "strong", "text", is_wrapped=True, is_selectable=True, parent=self)
        self._remedy = Label(one_line(remedy, 600), "dense", "text2", is_wrapped=True, is_selectable=True, parent=self)
        self.buttons = {offer.key: self._make_button(offer) for offer in offers}
        costs = "\n".join(f"{offer.title}: {offer.cost}" for offer in offers if offer.cost)
        self._costs = Label(costs, "label", "text2", is_wrapped=True, parent=self)
        self.setAccessibleName(f"{title} {remedy}")
        theme.notifier.changed.connect(self.update)
        self._ticks = QTimer(self)
        self._ticks.setInterval(250)
        self._ticks.timeout.connect(self._count_down)
        if wait_s is not None:
            self._ticks.start()
            self._count_down()

    def words(self) -> str:
        """What is said now."""
        return f"{self._title.text()} {self._remedy.text()} {self._costs.text()}".strip()

    def _make_button(self, offer: Offer) -> Button:
        button = Button(offer.title, icon=offer.icon, is_small=True, parent=self)
        button.setAccessibleDescription(offer.cost)
        button.clicked.connect(lambda: self.asked.emit(offer.key))
        if offer.reason:
            button.set_disabled_reason(offer.reason)
        return button

    def _count_down(self) -> None:
        retry = self.buttons.get(RETRY.key)
        left_s = self._wait_s() if self._wait_s is not None else 0.0
        if left_s > 0:
            self._remedy.setText(f"The server asks to be left alone for {left_s:.0f} s more.")
        else:
            self._ticks.stop()
            self._remedy.setText("The time that the server asked for is over.")
        if retry is not None:
            retry.setText("Retry now" if left_s > 0 else "Retry")
            retry.adjustSize()
        self.height_changed.emit()

    def height_at(self, width: int) -> int:
        """The height at this width."""
        inner, top = width - _INSET_PX - 12, _PAD_PX
        for label in (self._title, self._remedy):
            top += place_text(label, _INSET_PX, top, inner) + 2
        if self.buttons:
            top = self._place_buttons(inner, top + 6) + 4
        if self._costs.text():
            top += place_text(self._costs, _INSET_PX, top + 2, inner) + 4
        return top + _PAD_PX - 2

    def _place_buttons(self, inner: int, top: int) -> int:
        """Put the buttons in rows; gives where they end."""
        left = _INSET_PX
        for button in self.buttons.values():
            button.adjustSize()
            if left > _INSET_PX and left + button.width() > _INSET_PX + inner:
                left, top = _INSET_PX, top + _BUTTON_PX + 6
            button.move(left, top)
            left += button.width() + 8
        return top + _BUTTON_PX

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color(self._fill), pen(color(self._tint)))
        icon = "octagon-alert" if self._tint == "crit" else "triangle-alert"
        draw_icon(painter, QRectF(13, 12, 16, 16).topLeft(), icon, self._tint)


class Caution(Problem):
    """Whose opinion the answer below is, and beside it our own."""

    gap_px = 10

    def __init__(self, title: str, words: str, parent: QWidget | None = None) -> None:
        super().__init__(title, words, is_error=False, parent=parent)


class Note(RowWidget):
    """A plain remark, where the answer can go on with a button for that."""

    asked = Signal(str)
    gap_px = 12

    def __init__(self, text: str, *, can_continue: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = Label(text, "dense", "text3", is_wrapped=not can_continue)
        self.resume: Button | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self.label)
        if can_continue:
            self.resume = Button(CONTINUE.title, icon=CONTINUE.icon, is_small=True)
            self.resume.clicked.connect(lambda: self.asked.emit(CONTINUE.key))
            row.addWidget(self.resume)
            row.addStretch(1)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        if self.resume is not None:
            return _BUTTON_PX
        return max(20, text_height(self.label, width))


class More(RowWidget):
    """A button to the turns above or below."""

    clicked = Signal()

    def __init__(self, words: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = Button(words, kind="link")
        self.button.clicked.connect(self.clicked)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)

    def height_at(self, width: int) -> int:
        """The height at any width."""
        return 24
