"""Code in an answer: its language, a button that copies it as it was sent, and a few colours.

Rule: colour is a hint; what cannot be coloured cheaply stays plain.
"""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import (
    QGuiApplication,
    QPainter,
    QPaintEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from ui import theme
from ui.chat.column import RowWidget
from ui.chat.text_row import hard_wrapped
from ui.font import LINE_HEIGHT, font
from ui.text import one_line
from ui.theme import Token, color
from ui.widgets.button import Button
from ui.widgets.paint import box, pen, write

_HEAD_PX: Final = 30
_PAD_PX: Final = 12
_COPIED_MS: Final = 1200
_LONGEST_COLORED: Final = 2000
_KEYWORD_TEXT: Final = """
    and as assert async await begin bool break case catch char class const continue def default del delete do done
    double elif else end enum esac except export extends extern false fi final finally float fn for from func function
    global go if impl import in include int interface is lambda let long loop match mod module mut namespace new nil
    none None not null or package pass private protected pub public raise ref return select self Self static string
    struct super switch then this throw trait true True False try type typedef typeof undefined unsafe use using var
    void where while with yield
"""
_KEYWORDS: Final = frozenset(_KEYWORD_TEXT.split())
_HASH_TEXT: Final = "python py sh bash shell zsh console yaml yml toml ruby rb perl r make makefile dockerfile ini conf"
_HASH_LANGUAGES: Final = frozenset(_HASH_TEXT.split())
_PLAIN_LANGUAGES: Final = frozenset({"text", "txt", "plain", "diff", "log", "output", "markdown", "md", "csv"})
_STRING: Final = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`"
_WORD: Final = r"\b[A-Za-z_]\w*\b"
_HASH_RULE: Final = re.compile(rf"(?P<comment>(?:^|(?<=\s))#.*$)|(?P<string>{_STRING})|(?P<word>{_WORD})")
_SLASH_RULE: Final = re.compile(rf"(?P<comment>//.*$|/\*.*?\*/|--\s.*$)|(?P<string>{_STRING})|(?P<word>{_WORD})")


class CodeColors(QSyntaxHighlighter):
    """Keywords, names of types, strings and comments to the end of the line."""

    def __init__(self, document: QTextDocument, language: str) -> None:
        super().__init__(document)
        name = language.lower()
        self._is_plain = name in _PLAIN_LANGUAGES or not name
        self._rule = _HASH_RULE if name in _HASH_LANGUAGES else _SLASH_RULE
        theme.notifier.changed.connect(self.rehighlight)

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        if self._is_plain or len(text) > _LONGEST_COLORED:
            return
        for match in self._rule.finditer(text):
            token = self._token(match)
            if token is not None:
                look = QTextCharFormat()
                look.setForeground(color(token))
                self.setFormat(match.start(), match.end() - match.start(), look)

    @staticmethod
    def _token(match: re.Match[str]) -> Token | None:
        if match["comment"]:
            return "text3"
        if match["string"]:
            return "ok"
        word = match["word"]
        if word in _KEYWORDS:
            return "syntax_keyword"
        return "syntax_type" if word[0].isupper() and any(letter.islower() for letter in word) else None


_WIDEST_CHARS = 1000
"""More characters than any window is wide."""


class _CodeText(QPlainTextEdit):
    """Lines that scroll sideways; the wheel goes to the column unless it is turned sideways."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        is_sideways = abs(event.angleDelta().x()) > abs(event.angleDelta().y())
        if is_sideways and self.horizontalScrollBar().maximum() > 0:
            super().wheelEvent(event)
        else:
            event.ignore()


class CodeBlock(RowWidget):
    """A fenced block, closed or still growing."""

    gap_px = 10

    def __init__(
        self, code: str, language: str, title: str = "", *, is_open: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._code = code
        self._language = one_line(language or "code", 24)
        self._title = one_line(title, 60)
        self._lines = 0
        self.is_open = is_open
        self._copy = Button("Copy", kind="text", icon="copy", is_small=True, parent=self)
        self._copy.setAccessibleName(f"Copy {self._language}")
        self._copy.setVisible(not is_open)
        self._text = _CodeText(self)
        self._build_text()
        self._colors = None if is_open else CodeColors(self._text.document(), language)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COPIED_MS)
        self._timer.timeout.connect(self._forget_copy)
        self._copy.clicked.connect(self.copy_code)
        self.reset(code)
        theme.notifier.changed.connect(self.update)

    def _build_text(self) -> None:
        text = self._text
        text.setReadOnly(True)
        text.setUndoRedoEnabled(False)
        text.setFrameShape(QFrame.Shape.NoFrame)
        text.setProperty("tone", "plain")
        text.setFont(font("mono"))
        text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        text.setWordWrapMode(QTextOption.WrapMode.NoWrap)
        text.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        text.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        text.setAccessibleName(f"Code, {self._language}")
        text.document().setDocumentMargin(0)
        text.viewport().setAutoFillBackground(False)

    def reset(self, code: str) -> None:
        """Show this code in place of all there was."""
        self._code = code
        self._text.setPlainText(hard_wrapped(code))
        self._tell_height()

    def append(self, code: str) -> None:
        """Add code at the end."""
        self._code += code
        if len(self._code) - self._code.rfind("\n") > _LONGEST_COLORED:
            self.reset(self._code)
            return
        cursor = QTextCursor(self._text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(code)
        self._tell_height()

    def text(self) -> str:
        """The code as it was sent."""
        return self._code

    def copy_code(self) -> None:
        """Put the code on the clipboard, as it was sent, and say so for a moment."""
        QGuiApplication.clipboard().setText(self._code)
        self._copy.set_icon("check")
        self._copy.setText("Copied")
        self._place_copy()
        self._timer.start()

    def _forget_copy(self) -> None:
        self._copy.set_icon("copy")
        self._copy.setText("Copy")
        self._place_copy()

    def _tell_height(self) -> None:
        if self._text.blockCount() != self._lines:
            self._lines = self._text.blockCount()
            self.height_changed.emit()

    def _place_copy(self) -> None:
        self._copy.adjustSize()
        self._copy.move(self.width() - self._copy.width() - 6, 2)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        line_px = self._text.fontMetrics().lineSpacing()
        rows_px = self._text.blockCount() * max(line_px, LINE_HEIGHT["mono"] - 3)
        # A plain document does not tell its ideal width; in this font the longest line is the widest.
        longest = max(self._text.toPlainText().splitlines(), key=len, default="")
        is_wide = self._text.fontMetrics().horizontalAdvance(longest[:_WIDEST_CHARS]) > width - 2 * _PAD_PX
        bar_px = self._text.horizontalScrollBar().sizeHint().height() + 2 if is_wide else 0
        height = round(rows_px + 2) + bar_px
        self._text.setGeometry(_PAD_PX, _HEAD_PX + 9, width - 2 * _PAD_PX, height)
        self.resize(width, self.height())
        self._place_copy()
        return _HEAD_PX + 9 + height + 9

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("sunken"), pen(color("border")))
        painter.fillRect(QRectF(1, _HEAD_PX, self.width() - 2, 1), color("border"))
        head = QRectF(_PAD_PX, 0, self.width() - 110, _HEAD_PX)
        write(painter, head, f"{self._language}  {self._title}".strip(), role="mono", tint="text3")
