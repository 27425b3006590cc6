"""The reasoning of an answer, folded under one line that says how long it took and how many tokens it was.

Rule: folded it costs one line however long it is; its text is laid out when it is opened.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QWidget

from sparkdesk.core.chat.window.estimate import Estimate
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.words.markdown import lay_out_plain
from ui.chat.words.text_row import MAX_SHOWN_CHARS, Words, duration_words, hard_wrapped
from ui.icon import draw_icon
from ui.text import count, cut
from ui.theme import color
from ui.widgets.paint import box, elided, pen, text_width, write

HEAD_PX: Final = 28


class RowHead(QAbstractButton):
    """A line of the whole width that opens what is under it: arrow, icon, title, and words at its right."""

    def __init__(self, icon: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._icon = icon
        self._words = ""
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def say(self, title: str, words: str = "") -> None:
        """Show a title and what stands at the right."""
        if (title, words) != (self.text(), self._words):
            self._words = words
            self.setText(title)
            self.setAccessibleName(f"{title}, {words}" if words else title)
            self.update()

    def words(self) -> str:
        """What stands at the right."""
        return self._words

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_hot = self.underMouse() or self.isDown()
        middle = (self.height() - theme.ICON_SIZE_BUTTON) / 2
        arrow = "chevron-down" if self.isChecked() else "chevron-right"
        draw_icon(painter, QPointF(10, middle), arrow, "text2" if is_hot else "text3", theme.ICON_SIZE_BUTTON)
        draw_icon(painter, QPointF(31, middle), self._icon, "text3", theme.ICON_SIZE_BUTTON)
        right = text_width(self._words, "label") + 24 if self._words else 12
        title = QRectF(52, 0, self.width() - 52 - right, self.height())
        shown = elided(self.text(), "dense", title.width())
        write(painter, title, shown, role="dense", tint="text" if is_hot else "text2")
        place = QRectF(self.width() - right, 0, right - 12, self.height())
        write(painter, place, self._words, role="label", tint="text3", align=Qt.AlignmentFlag.AlignRight)


class Thought(RowWidget):
    """The reasoning. `tokens` None is not told: then their number is estimated by the length of the text."""

    folded = Signal(bool)

    def __init__(
        self,
        text: str,
        seconds: float,
        tokens: int | None = None,
        *,
        is_open: bool,
        is_live: bool,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.is_live = is_live
        self._tokens = tokens
        self.head = RowHead("brain", self)
        self._words = Words("Reasoning", self)
        self._shown = ""
        self.head.toggled.connect(self._on_toggled)
        self.set_text(text, seconds)
        self.head.setChecked(is_open)
        self._words.setVisible(is_open)
        theme.notifier.changed.connect(self.update)

    def set_text(self, text: str, seconds: float, *, is_over: bool = False) -> None:
        """Show more reasoning and how long it has taken; `is_over`: the answer itself is being written now."""
        said = duration_words(seconds)
        if self.is_live and not is_over:
            title = f"Thinking, {said}" if said else "Thinking"
        else:
            title = f"Thought for {said}" if said else "Thought"
        self.head.say(title, self._length(text, is_over=is_over or not self.is_live))
        shown = hard_wrapped(cut(text, MAX_SHOWN_CHARS))
        if shown != self._shown:
            self._shown = shown
            if self.head.isChecked():
                self._fill()

    def _length(self, text: str, *, is_over: bool) -> str:
        """How much was thought: by the server's count, else by the length of the text, which is said to be a guess."""
        if self._tokens is not None:
            return f"{count(self._tokens)} token{'s' if self._tokens != 1 else ''}"
        guessed = Estimate().tokens(text) if is_over else 0
        return f"about {count(guessed)} token{'s' if guessed != 1 else ''} by its length" if guessed else ""

    def unfold(self) -> None:
        """Show the reasoning."""
        self.head.setChecked(True)

    def toggle(self) -> None:
        """Show or fold the reasoning."""
        self.head.toggle()

    def _fill(self) -> None:
        lay_out_plain(self._words.document(), self._shown)
        self.height_changed.emit()

    def _on_toggled(self, is_open: bool) -> None:
        self._words.setVisible(is_open)
        if is_open:
            self._fill()
        self.folded.emit(is_open)
        self.height_changed.emit()

    def height_at(self, width: int) -> int:
        """The height at this width."""
        self.head.setGeometry(0, 0, width, HEAD_PX)
        if not self.head.isChecked():
            return HEAD_PX
        height = self._words.height_at(width - 28)
        self._words.setGeometry(14, HEAD_PX + 4, width - 28, height)
        return HEAD_PX + 4 + height + 10

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("surface"), pen(color("border")))
