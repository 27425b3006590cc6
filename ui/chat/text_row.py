"""Rows of words: what the person said, a closed block of an answer, the open block, and what the model thought.

Rule: rows have no scroll bars of their own; their height follows from the width.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt, QUrl, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QTextCursor, QTextDocument, QWheelEvent
from PySide6.QtWidgets import QFrame, QWidget

from sparkdesk.core.plain_text import reveal_hidden
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.markdown import SafeBrowser, lay_out, lay_out_plain, quote_bars
from ui.font import LINE_HEIGHT, font
from ui.text import cut, duration
from ui.theme import color
from ui.widgets.button import Button
from ui.widgets.paint import box, pen

MAX_SHOWN_CHARS: Final = 20_000
HARD_WRAP_CHARS: Final = 2_000
_BUBBLE_SHARE: Final = 0.78
_BUBBLE_PAD_X: Final = 12
_BUBBLE_PAD_Y: Final = 8


class HardWrap:
    """Breaks the long lines of a text that comes in pieces; the same breaks for every way of cutting it.

    Qt lays out one long line in quadratic time.
    """

    def __init__(self, width: int = HARD_WRAP_CHARS) -> None:
        self._width = width
        self._line_chars = 0
        """How long the line is that is still open."""

    def add(self, text: str) -> str:
        """The next piece, with a line end put in wherever a line would grow past the width."""
        if len(text) + self._line_chars <= self._width:
            end = text.rfind("\n")
            self._line_chars = len(text) - end - 1 if end >= 0 else self._line_chars + len(text)
            return text
        pieces: list[str] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                pieces.append("\n")
                self._line_chars = 0
            start = 0
            while self._line_chars + len(line) - start > self._width:
                room = self._width - self._line_chars
                pieces.extend((line[start : start + room], "\n"))
                start, self._line_chars = start + room, 0
            pieces.append(line[start:])
            self._line_chars += len(line) - start
        return "".join(pieces)


def hard_wrapped(text: str, width: int = HARD_WRAP_CHARS) -> str:
    """A whole text with no line longer than `width`."""
    return HardWrap(width).add(text)


class Words(SafeBrowser):
    """Text to read, select and copy; the wheel belongs to the column."""

    link_clicked = Signal(str)

    def __init__(self, what: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setProperty("tone", "plain")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(what)
        self.viewport().setAutoFillBackground(False)
        self.anchorClicked.connect(self._on_anchor)

    def height_at(self, width: int) -> int:
        """The height of the whole text at this width."""
        document = self.document()
        if self.width() != width:
            # Qt lays the text out at the width of the widget, whatever the document was told first.
            self.resize(width, self.height())
        if document.textWidth() != width:
            document.setTextWidth(width)
        return round(document.size().height() + 0.5)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def _on_anchor(self, url: QUrl) -> None:
        self.link_clicked.emit(url.toString(QUrl.ComponentFormattingOption.FullyEncoded))


class UserText(RowWidget):
    """What the person said, in a bubble at the right."""

    gap_px = 12

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = hard_wrapped(cut(text, MAX_SHOWN_CHARS))
        self._words = Words("You said", self)
        lay_out_plain(self._words.document(), self._text)
        theme.notifier.changed.connect(self.update)

    def text(self) -> str:
        """What is shown."""
        return self._words.toPlainText()

    def _inner_width(self, width: int) -> int:
        room = round(width * _BUBBLE_SHARE) - 2 * _BUBBLE_PAD_X
        metrics = QFontMetricsF(font("body"))
        longest = max((metrics.horizontalAdvance(line) for line in self._text.split("\n")[:200]), default=0.0)
        return min(room, round(longest) + 4)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        inner = self._inner_width(width)
        height = self._words.height_at(inner)
        self._words.setGeometry(width - inner - _BUBBLE_PAD_X, _BUBBLE_PAD_Y, inner, height)
        return height + 2 * _BUBBLE_PAD_Y

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = self._words.x() - _BUBBLE_PAD_X
        bubble = QRectF(left, 0, self.width() - left, self.height())
        box(painter, bubble, theme.RADIUS_CARD, color("raised"), pen(color("border")))


class AnswerText(RowWidget):
    """A closed block of an answer, laid out."""

    link_clicked = Signal(str)
    gap_px = 6

    def __init__(self, markdown: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._markdown = markdown
        self.words = Words("Answer", self)
        self.words.link_clicked.connect(self.link_clicked)
        if markdown:
            lay_out(self.words.document(), markdown)
        theme.notifier.changed.connect(self._wear)

    def set_markdown(self, markdown: str) -> None:
        """Show another block: making a widget costs more than filling one."""
        self._markdown = markdown
        lay_out(self.words.document(), markdown)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        height = self.words.height_at(width)
        self.words.setGeometry(0, 0, width, height)
        return height

    def _wear(self) -> None:
        lay_out(self.words.document(), self._markdown)
        self.height_changed.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        if ">" in self._markdown:
            painter = QPainter(self)
            for bar in quote_bars(self.words.document()):
                painter.fillRect(bar, color("control"))


class RuleLine(RowWidget):
    """A line between two parts of an answer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.notifier.changed.connect(self.update)

    def height_at(self, width: int) -> int:
        """The height at any width."""
        return 9

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(QRectF(0, 4, self.width(), 1), color("border"))


class OpenText(RowWidget):
    """The open block: plain text that only grows, with a caret at its end."""

    gap_px = 6

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = Words("Answer being written", self)
        self._wrap = HardWrap()
        self._height = 0
        self.reset(text)

    def reset(self, text: str) -> None:
        """Show this text in place of all there was."""
        lay_out_plain(self._words.document(), "")
        self._wrap = HardWrap()
        self.append(text)

    def append(self, text: str) -> None:
        """Add text at the end."""
        cursor = QTextCursor(self._words.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(self._wrap.add(reveal_hidden(text)))
        if self._words.width() > 0 and self._words.height_at(self._words.width()) != self._height:
            self.height_changed.emit()

    def text(self) -> str:
        """What is shown."""
        return self._words.toPlainText()

    def height_at(self, width: int) -> int:
        """The height at this width."""
        self._height = self._words.height_at(width)
        self._words.setGeometry(0, 0, width, self._height)
        return max(self._height, LINE_HEIGHT["body"])

    def paintEvent(self, event: QPaintEvent) -> None:
        document = self._words.document()
        end = QTextCursor(document)
        end.movePosition(QTextCursor.MoveOperation.End)
        place = self._words.cursorRect(end)
        painter = QPainter(self)
        top = place.top() + (place.height() - 15) / 2
        painter.fillRect(QRectF(min(place.left() + 3, self.width() - 7), top, 7, 15), color("accent"))


class Thought(RowWidget):
    """The reasoning, folded under one line that says how long it took."""

    folded = Signal(bool)

    def __init__(
        self, text: str, seconds: float, *, is_open: bool, is_live: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.is_live = is_live
        self._head = Button("", kind="text", icon="chevron-right", is_small=True, parent=self)
        self._head.setCheckable(True)
        self._words = Words("Reasoning", self)
        self._shown = ""
        self._head.toggled.connect(self._on_toggled)
        self.set_text(text, seconds)
        self._head.setChecked(is_open)
        self._words.setVisible(is_open)
        theme.notifier.changed.connect(self.update)

    def set_text(self, text: str, seconds: float) -> None:
        """Show more reasoning and how long it has taken."""
        said = duration_words(seconds)
        if self.is_live:
            title = f"Thinking, {said}" if said else "Thinking"
        else:
            title = f"Thought for {said}" if said else "Thought"
        self._head.setText(title)
        self._head.adjustSize()
        shown = hard_wrapped(cut(text, MAX_SHOWN_CHARS))
        if shown != self._shown:
            self._shown = shown
            if self._head.isChecked():
                self._fill()

    def unfold(self) -> None:
        """Show the reasoning."""
        self._head.setChecked(True)

    def _fill(self) -> None:
        document: QTextDocument = self._words.document()
        lay_out_plain(document, self._shown)
        self.height_changed.emit()

    def _on_toggled(self, is_open: bool) -> None:
        self._head.set_icon("chevron-down" if is_open else "chevron-right")
        self._words.setVisible(is_open)
        if is_open:
            self._fill()
        self.folded.emit(is_open)
        self.height_changed.emit()

    def height_at(self, width: int) -> int:
        """The height at this width."""
        self._head.move(2, 2)
        if not self._head.isChecked():
            return 30
        height = self._words.height_at(width - 28)
        self._words.setGeometry(14, 34, width - 28, height)
        return 34 + height + 10

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("surface"), pen(color("border")))


def duration_words(seconds: float) -> str:
    """6.7 s, 1:12; "" when not known."""
    if seconds != seconds or seconds < 0:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
