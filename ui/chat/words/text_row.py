"""Rows of words: what the person said, a closed block of an answer, the open block, and what the model thought.

Rule: rows have no scroll bars of their own; their height follows from the width.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt, QUrl, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QTextCursor, QWheelEvent
from PySide6.QtWidgets import QFrame, QWidget

from sparkdesk.core.plain_text import reveal_hidden
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.words.markdown import SafeBrowser, lay_out, lay_out_plain, quote_bars
from ui.font import LINE_HEIGHT
from ui.text import duration
from ui.theme import color

MAX_SHOWN_CHARS: Final = 20_000
HARD_WRAP_CHARS: Final = 2_000


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


def duration_words(seconds: float) -> str:
    """6.7 s, 1:12; "" when not known."""
    if seconds != seconds or seconds < 0:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
