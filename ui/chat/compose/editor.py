"""The text field: what a key does, and what is done with what is pasted or dropped.

Rule: nothing that would hold the window for long gets into it: long words become a file, and a person may take them
back as text.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QGuiApplication, QImage, QKeyEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QPlainTextEdit

from ui.chat.compose.model import MAX_EDITED_CHARS, MAX_LINE_CHARS, is_long
from ui.chat.words.text_row import hard_wrapped
from ui.font import font

_ENTER: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Editor(QPlainTextEdit):
    """Signals what a person wants; it never decides what is sent."""

    sent = Signal()
    stopped = Signal()
    edit_asked = Signal()
    """Up in an empty field: the last question."""
    chips_asked = Signal()
    """Backspace in an empty field: the attachments."""
    files_given = Signal(list)
    image_given = Signal(QImage)
    long_text_given = Signal(str)
    listed = Signal(int)
    """Up (-1) or Down (1) in the list of commands."""
    picked = Signal()
    """Enter or Tab in the list of commands."""
    unlisted = Signal()
    """Esc in the list of commands."""

    def __init__(self) -> None:
        super().__init__()
        self.can_attach = False
        self.has_list = False
        """Whether the list of commands is open: some keys are its then."""
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setProperty("tone", "plain")
        self.setFont(font("body"))
        self.setTabChangesFocus(True)
        self.setAccessibleName("Message")
        self.document().setDocumentMargin(0)
        self.viewport().setAutoFillBackground(False)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:  # noqa: N802
        return source.hasText() or (self.can_attach and (source.hasImage() or source.hasUrls()))

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        self.take(source)

    def take(self, source: QMimeData) -> bool:
        """Take what was pasted or dropped: files, an image, or words. False when there is nothing to take."""
        paths = [url.toLocalFile() for url in source.urls() if url.isLocalFile()]
        if self.can_attach and paths:
            self.files_given.emit(paths)
            return True
        # A table program gives words and a picture of them: the words are meant.
        words = source.text() if source.hasFormat("text/plain") or not source.hasImage() else ""
        if words:
            self.put(words)
            return True
        image = source.imageData() if source.hasImage() and self.can_attach else None
        if isinstance(image, QImage) and not image.isNull():
            self.image_given.emit(image)
            return True
        return False

    def put(self, words: str, *, is_text: bool = False) -> None:
        """Insert words where the cursor is, as plain text; long ones become a file unless `is_text`."""
        words = words.replace("\x00", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")
        if self.can_attach and (self._is_too_much(words) or (not is_text and is_long(words))):
            self.long_text_given.emit(words)
        else:
            self.insertPlainText(hard_wrapped(words[:MAX_EDITED_CHARS], MAX_LINE_CHARS))

    def _is_too_much(self, words: str) -> bool:
        """Whether the field would be slow with it."""
        line = self.textCursor().block().length() + max(len(line) for line in words.split("\n"))
        return line > MAX_LINE_CHARS or self.document().characterCount() + len(words) > MAX_EDITED_CHARS

    def paste_as_text(self) -> None:
        """What is in the clipboard as words, however long they are."""
        words = QGuiApplication.clipboard().text()
        if words:
            self.put(words, is_text=True)

    def set_words(self, words: str) -> None:
        """Replace everything, with the cursor at its end."""
        self.setPlainText(hard_wrapped(words, MAX_LINE_CHARS))
        self.moveCursor(QTextCursor.MoveOperation.End)

    def focusNextPrevChild(self, is_next: bool) -> bool:  # noqa: N802
        """Tab belongs to the list of commands while that is open."""
        return False if self.has_list else super().focusNextPrevChild(is_next)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if (self.has_list and self._press_in_list(event)) or self._press(event):
            event.accept()
        else:
            super().keyPressEvent(event)

    def _press(self, event: QKeyEvent) -> bool:
        key, modifiers = event.key(), event.modifiers()
        is_plain = not modifiers & ~Qt.KeyboardModifier.KeypadModifier
        is_shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        is_empty = self.document().isEmpty()
        if key in _ENTER and not is_shift:
            self.sent.emit()
        elif key == Qt.Key.Key_Escape:
            self.stopped.emit()
        elif key == Qt.Key.Key_Up and is_plain and is_empty:
            self.edit_asked.emit()
        elif key == Qt.Key.Key_Backspace and is_plain and is_empty:
            self.chips_asked.emit()
        elif key == Qt.Key.Key_V and is_shift and modifiers & Qt.KeyboardModifier.ControlModifier:
            self.paste_as_text()
        else:
            return False
        return True

    def _press_in_list(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.listed.emit(-1 if key == Qt.Key.Key_Up else 1)
        elif key == Qt.Key.Key_Escape:
            self.unlisted.emit()
        elif key == Qt.Key.Key_Tab or (key in _ENTER and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier):
            self.picked.emit()
        else:
            return False
        return True
