"""Colours on the lines of a shown code, while it grows and after.

The one rule: what a token costs does not depend on how long the code is. A growing code is read anew only when it has
grown by a quarter; between two readings a new line is coloured as if it stood alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QTextCharFormat, QTextDocument, QTextLayout

from ui import theme
from ui.theme import Token, color

if TYPE_CHECKING:
    from ui.chat.words.highlight import Reading, Span

_SLICE_S: Final = 0.003
_PAUSE_MS: Final = 8
"""Between two slices: without it Qt runs them all before it comes back to whoever asked it to paint."""
_GROWTH: Final = 1.25


class CodeColors(QObject):
    """Colours the lines of a plain document."""

    note_changed = Signal(str)
    """Why the code, or its end, is plain; "" while nothing is amiss."""

    def __init__(self, document: QTextDocument, language: str, parent: QObject) -> None:
        super().__init__(parent)
        self._document = document
        self._language = language
        self._is_known: bool | None = None if language else False
        self._reading: Reading | None = None
        self._lines: dict[int, list[Span]] = {}
        self.total_chars = 0
        """How much was read over all readings of the whole."""
        self._read_chars = 0
        self._read_lines = 0
        self._ending: Token | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._advance)
        theme.notifier.changed.connect(self._wear)

    @property
    def is_reading(self) -> bool:
        """Whether colours are still to come."""
        return self._timer.isActive()

    def use_language(self, language: str) -> None:
        """Take the document for code of another language from the next reading on."""
        if language != self._language:
            self._language = language
            self._is_known = None if language else False

    def read(self) -> None:
        """Colour all of the document, the first lines at once and the rest in slices."""
        self._lines.clear()
        self._read_chars = self._read_lines = 0
        self._reading, self._ending = None, None
        self._timer.stop()
        self._begin(self._document.toPlainText())

    def grow(self) -> None:
        """The document has more at its end: colour the lines that are complete now."""
        if self._reading is not None or not self._can_read():
            return
        complete = self._document.blockCount() - 1
        chars = self._document.lastBlock().position()
        if complete > self._read_lines and chars >= _GROWTH * self._read_chars:
            self._begin(self._document.toPlainText()[: max(chars - 1, 0)])
        elif complete > self._read_lines:
            self._color_alone(range(self._read_lines, complete))

    def _can_read(self) -> bool:
        """Whether the language is known; Pygments is imported with the first code that names one."""
        if self._is_known is None:
            from ui.chat.words.highlight import lexer_of

            self._is_known = lexer_of(self._language) is not None
        return self._is_known

    def _begin(self, text: str) -> None:
        if not self._can_read():
            return
        from ui.chat.words.highlight import Reading, lexer_of

        lexer = lexer_of(self._language)
        self.total_chars += len(text)
        self._reading = Reading(lexer, text) if lexer is not None else None
        self._advance()
        if self._reading is not None:
            self._timer.start()

    def _advance(self) -> None:
        reading = self._reading
        if reading is None:
            return
        self._show(dict(reading.advance(_SLICE_S)))
        if reading.is_done or reading.is_given_up:
            self._timer.stop()
            self._reading = None
            self._read_chars = reading.chars
            self._read_lines = max(self._read_lines, reading.lines)
            self._ending = reading.ending
            self.note_changed.emit(reading.why_plain)

    def _color_alone(self, numbers: range) -> None:
        from ui.chat.words.highlight import line_spans, whole_line

        found: dict[int, list[Span]] = {}
        for number in numbers:
            text = self._document.findBlockByNumber(number).text()
            found[number] = whole_line(text, self._ending) if self._ending else line_spans(self._language, text)
        self._read_lines = numbers.stop
        self._show(found)

    def _show(self, lines: dict[int, list[Span]]) -> None:
        """Colour the lines that look other than they did."""
        changed = [number for number, spans in lines.items() if self._lines.get(number, []) != spans]
        self._lines.update(lines)
        self._paint(changed)

    def _wear(self) -> None:
        self._paint(sorted(self._lines))

    def _paint(self, numbers: list[int]) -> None:
        if not numbers:
            return
        looks: dict[Token, QTextCharFormat] = {}
        for number in numbers:
            block = self._document.findBlockByNumber(number)
            if block.isValid():
                block.layout().setFormats(_formats(block.text(), self._lines[number], looks))
        first = self._document.findBlockByNumber(numbers[0])
        last = self._document.findBlockByNumber(min(numbers[-1], self._document.blockCount() - 1))
        self._document.markContentsDirty(first.position(), last.position() + last.length() - first.position())


def _formats(text: str, spans: list[Span], looks: dict[Token, QTextCharFormat]) -> list[QTextLayout.FormatRange]:
    ranges: list[QTextLayout.FormatRange] = []
    is_wide = not text.isascii()
    for start, length, tint in spans:
        if tint not in looks:
            looks[tint] = QTextCharFormat()
            looks[tint].setForeground(color(tint))
        piece = QTextLayout.FormatRange()
        # Qt counts in UTF-16 units.
        piece.start = _units(text[:start]) if is_wide else start
        piece.length = _units(text[start : start + length]) if is_wide else length
        piece.format = looks[tint]
        ranges.append(piece)
    return ranges


def _units(text: str) -> int:
    return len(text) + sum(letter > "\uffff" for letter in text)
