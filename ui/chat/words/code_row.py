"""Code in an answer: its language and name, buttons that copy and save it as it was sent, and its colours.

Rule: what is copied or saved is what was sent, character for character; what is shown has hidden characters written
out and says so.
"""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent, QTextCursor, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from sparkdesk.core.plain_text import reveal_hidden
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.words.code_color import CodeColors
from ui.chat.words.text_row import HardWrap
from ui.font import LINE_HEIGHT, font
from ui.text import one_line
from ui.theme import Token, color
from ui.widgets.button import Button
from ui.widgets.paint import box, pen, text_width, write

_HEAD_PX: Final = 30
_NARROW_PX: Final = 320
"""Below it the head has no room for all its words."""
_PAD_PX: Final = 12
_COPIED_MS: Final = 1200
_WIDEST_CHARS: Final = 1000
"""More characters than any window is wide."""
_FILE_NAME: Final = re.compile(r"[\w][\w.+-]{0,60}\.[A-Za-z0-9]{1,10}(?![\w.])|Makefile|Dockerfile|CMakeLists\.txt")
_HIDDEN_NOTE: Final = "hidden characters are written out"


def suggested_name(title: str, language: str) -> str:
    """A plain file name for this code: the one its title tells, else "code" with the language's ending.

    Never a path: the last part of what the model wrote, and no name that starts with a dot.
    """
    told = _FILE_NAME.findall(re.split(r"[/\\]", title)[-1])
    if told:
        return str(told[0])
    from ui.chat.words.highlight import file_ending

    return f"code{file_ending(language)}"


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

    save_asked = Signal(str, str)
    """The code as it was sent, and a file name to offer for it."""
    gap_px = 10

    def __init__(
        self, code: str, language: str, title: str = "", *, is_open: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._pieces: list[str] = [""]
        self._language = self._title = self._words = self._note = ""
        self._has_hidden = False
        self._lines = 0
        self._longest = ""
        self.is_open = is_open
        self._copy = Button("Copy", kind="text", icon="copy", is_small=True, parent=self)
        self._save = Button("Save as…", kind="text", icon="save", is_small=True, parent=self)
        self._save.setToolTip("Save as…")
        self._text = _CodeText(self)
        self._build_text()
        self._wrap = HardWrap()
        self._colors = CodeColors(self._text.document(), language, self)
        self._colors.note_changed.connect(self._on_note)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COPIED_MS)
        self._timer.timeout.connect(self._forget_copy)
        self._copy.clicked.connect(self.copy_code)
        self._save.clicked.connect(self.save_code)
        self.show_code(code, language, title, is_open=is_open)
        theme.notifier.changed.connect(self.update)

    def show_code(self, code: str, language: str, title: str = "", *, is_open: bool = False) -> None:
        """Show another code, or the same one closed: making a widget costs more than filling one."""
        is_same = language == self._language and code == self.text()
        self._language, self._title, self.is_open = language, title, is_open
        self._words = "  ".join(word for word in (one_line(language or "code", 24), one_line(title, 60)) if word)
        what = one_line(language or "code", 24)
        self._copy.setAccessibleName(f"Copy {what}")
        self._save.setAccessibleName(f"Save {what} as a file")
        self._text.setAccessibleName(f"Code, {what}")
        for button in (self._copy, self._save):
            button.setVisible(not is_open)
        if self._timer.isActive():
            self._timer.stop()
            self._forget_copy()
        if not is_same:
            self._has_hidden, self._note = False, ""
            self._text.moveCursor(QTextCursor.MoveOperation.Start)
            self._text.horizontalScrollBar().setValue(0)
            self._colors.use_language(language)
            self.reset(code)
        elif not is_open:
            self._colors.read()  # while it grew, its last line was not known to be whole
        self.update()

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
        text.document().setDocumentMargin(0)
        text.viewport().setAutoFillBackground(False)

    def reset(self, code: str) -> None:
        """Show this code in place of all there was."""
        self._pieces, self._wrap, self._longest = [code], HardWrap(), ""
        self._text.setPlainText(self._shown(code))
        self._colors.read()
        self._tell_height()

    def append(self, code: str) -> None:
        """Add code at the end."""
        self._pieces.append(code)
        cursor = QTextCursor(self._text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText(self._shown(code))
        self._longest = max(self._longest, self._text.document().lastBlock().text(), key=len)
        self._colors.grow()
        self._tell_height()

    def _shown(self, code: str) -> str:
        plain = reveal_hidden(code, is_code=True)
        if plain != code and not self._has_hidden and plain != code.replace("\r\n", "\n"):
            self._has_hidden = True
            self.update()
        shown = self._wrap.add(plain)
        self._longest = max((self._longest, *shown.split("\n")), key=len)
        return shown

    def text(self) -> str:
        """The code as it was sent."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    @property
    def is_reading(self) -> bool:
        """Whether colours are still to come."""
        return self._colors.is_reading

    def note(self) -> str:
        """What the head says about the code, "" when there is nothing to say."""
        return "; ".join(word for word in (_HIDDEN_NOTE if self._has_hidden else "", self._note) if word)

    def copy_code(self) -> None:
        """Put the code on the clipboard, as it was sent, and say so for a moment."""
        QGuiApplication.clipboard().setText(self.text())
        self._copy.set_icon("check")
        self._copy.setText("Copied")
        self._place_buttons()
        self._timer.start()

    def save_code(self) -> None:
        """Ask for the code to be saved, under a name that its title or its language suggests."""
        self.save_asked.emit(self.text(), suggested_name(self._title, self._language))

    def _forget_copy(self) -> None:
        self._copy.set_icon("copy")
        self._copy.setText("Copy")
        self._place_buttons()

    def _on_note(self, note: str) -> None:
        self._note = note
        self.update()

    def _tell_height(self) -> None:
        if self._text.blockCount() != self._lines:
            self._lines = self._text.blockCount()
            self.height_changed.emit()

    def _place_buttons(self) -> None:
        right = self.width() - 6
        self._save.setText("Save as…" if self.width() >= _NARROW_PX else "")
        for button in (self._save, self._copy):
            button.adjustSize()
            button.move(right - button.width(), 2)
            right -= button.width() + 2

    def height_at(self, width: int) -> int:
        """The height at this width."""
        metrics = self._text.fontMetrics()
        rows_px = self._text.blockCount() * max(metrics.lineSpacing(), LINE_HEIGHT["mono"] - 3)
        # A plain document does not tell its ideal width; in this font the longest line is the widest.
        is_wide = metrics.horizontalAdvance(self._longest[:_WIDEST_CHARS]) > width - 2 * _PAD_PX
        bar_px = self._text.horizontalScrollBar().sizeHint().height() + 2 if is_wide else 0
        height = round(rows_px + 2) + bar_px
        self._text.setGeometry(_PAD_PX, _HEAD_PX + 9, width - 2 * _PAD_PX, height)
        self.resize(width, self.height())
        self._place_buttons()
        return _HEAD_PX + 9 + height + 9

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("sunken"), pen(color("border")))
        painter.fillRect(QRectF(1, _HEAD_PX, self.width() - 2, 1), color("border"))
        right = self.width() - _PAD_PX if self.is_open else self._copy.x() - 8
        write(painter, QRectF(_PAD_PX, 0, right - _PAD_PX, _HEAD_PX), self._words, role="mono", tint="text3")
        note = self.note()
        if note:
            left = _PAD_PX + text_width(self._words, "mono") + 16
            tint: Token = "warn" if self._has_hidden else "text3"
            write(painter, QRectF(left, 0, max(right - left, 0), _HEAD_PX), note, role="label", tint=tint)
