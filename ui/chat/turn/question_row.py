"""What the person said, in a bubble at the right with what went along; or in an editor, to ask it otherwise.

Rule: to change a question is to ask anew beside it; what stood there stays, one arrow away.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QRectF, Qt, Signal
from PySide6.QtGui import QEnterEvent, QFontMetricsF, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QWidget

from ui import theme
from ui.chat.column import RowWidget
from ui.chat.compose.attachment_row import AttachmentRow
from ui.chat.row import ALONE, Siblings
from ui.chat.turn.sibling import SiblingPicker
from ui.chat.words.markdown import lay_out_plain
from ui.chat.words.text_row import MAX_SHOWN_CHARS, Words, hard_wrapped
from ui.font import LINE_HEIGHT, font
from ui.text import cut
from ui.theme import color
from ui.widgets.button import Button, IconButton
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

_BUBBLE_SHARE: Final = 0.78
_PAD_X: Final = 12
_PAD_Y: Final = 8
_ICON_PX: Final = 26
_EDIT_LINES: Final = 12


class Question(RowWidget):
    """The bubble. Its buttons are seen while the mouse is over it or the keyboard is at it."""

    asked = Signal(str)
    """copy or edit."""
    sibling_chosen = Signal(int)
    gap_px = 12

    def __init__(
        self,
        text: str,
        siblings: Siblings = ALONE,
        attached: AttachmentRow | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._text = hard_wrapped(cut(text, MAX_SHOWN_CHARS))
        self._words = Words("You said", self)
        lay_out_plain(self._words.document(), self._text)
        self._words.setVisible(bool(self._text))
        self._attached = attached
        if attached is not None:
            attached.setParent(self)
            attached.setVisible(True)
        self._picker: SiblingPicker | None = None
        if siblings.is_choice:
            self._picker = SiblingPicker(siblings, "question", self)
            self._picker.chosen.connect(self.sibling_chosen)
        self.buttons = {
            "copy": IconButton("copy", "Copy the question", size=_ICON_PX, parent=self),
            "edit": IconButton("pencil", "Change the question and ask anew", size=_ICON_PX, parent=self),
        }
        for key, button in self.buttons.items():
            button.clicked.connect(lambda _is_on=False, key=key: self.asked.emit(key))
        self._is_marked = False
        self._bubble = QRectF()
        self._show_buttons()
        theme.notifier.changed.connect(self.update)

    def text(self) -> str:
        """What is shown."""
        return self._words.toPlainText()

    def set_marked(self, is_marked: bool) -> None:
        """Show the buttons because the keyboard is here."""
        self._is_marked = is_marked
        self._show_buttons()

    def _show_buttons(self) -> None:
        for button in self.buttons.values():
            button.setVisible(self._is_marked or self.underMouse())

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self._show_buttons()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._show_buttons()

    def _inner_width(self, width: int) -> int:
        room = round(width * _BUBBLE_SHARE) - 2 * _PAD_X
        metrics = QFontMetricsF(font("body"))
        longest = max((metrics.horizontalAdvance(line) for line in self._text.split("\n")[:200]), default=0.0)
        wanted = round(longest) + 4
        if self._attached is not None:
            wanted = max(wanted, self._attached.sizeHint().width())
        return min(room, wanted)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        inner = self._inner_width(width)
        left, top = width - inner - _PAD_X, _PAD_Y
        if self._attached is not None:
            height = self._attached.height_at(inner)
            self._attached.setGeometry(left, top, inner, height)
            top += height + (6 if self._text else 0)
        if self._text:
            height = self._words.height_at(inner)
            self._words.setGeometry(left, top, inner, height)
            top += height
        bottom = top + _PAD_Y
        self._bubble = QRectF(left - _PAD_X, 0, inner + 2 * _PAD_X, bottom)
        for place, button in enumerate(self.buttons.values()):
            button.move(round(self._bubble.left()) - (2 - place) * (_ICON_PX + 2) - 4, 5)
        if self._picker is not None:
            self._picker.move(width - self._picker.sizeHint().width(), bottom + 2)
            self._picker.resize(self._picker.sizeHint())
            bottom += 30
        return bottom

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, self._bubble, theme.RADIUS_CARD, color("raised"), pen(color("border")))


class _EditField(QPlainTextEdit):
    sent = Signal()
    left = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
            event.accept()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
            event.accept()
        else:
            super().keyPressEvent(event)


class QuestionEditor(RowWidget):
    """The question's words to change. Enter sends, Esc leaves it as it was."""

    sent = Signal(str)
    left = Signal()
    gap_px = 12

    def __init__(self, text: str, has_attachments: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = _EditField(self)
        self.field.setFrameShape(QFrame.Shape.NoFrame)
        self.field.setFont(font("body"))
        self.field.setPlainText(text)
        self.field.setTabChangesFocus(True)
        self.field.setAccessibleName("The question, to change")
        self.field.moveCursor(self.field.textCursor().MoveOperation.End)
        self.send = Button("Send", kind="default", icon="arrow-up", is_small=True, parent=self)
        self.cancel = Button("Cancel", kind="text", is_small=True, parent=self)
        words = "Asks anew; the old question and its answers stay beside it."
        if has_attachments:
            words = "Asks anew with the same files; the old question and its answers stay beside it."
        self._hint = Label(words, "label", "text3", is_wrapped=True, parent=self)
        self.send.clicked.connect(self._send)
        self.cancel.clicked.connect(self.left)
        self.field.sent.connect(self._send)
        self.field.left.connect(self.left)
        self.field.textChanged.connect(self._on_text)
        self._has_attachments = has_attachments
        self.setFocusProxy(self.field)
        self._lines = 0
        self._on_text()

    def _on_text(self) -> None:
        self.send.setEnabled(bool(self.field.toPlainText().strip()) or self._has_attachments)
        if self.field.document().lineCount() != self._lines:
            self._lines = self.field.document().lineCount()
            self.height_changed.emit()

    def _send(self) -> None:
        if self.send.isEnabled():
            self.sent.emit(self.field.toPlainText())

    def height_at(self, width: int) -> int:
        """The height at this width."""
        self.field.resize(width, self.field.height())
        lines = min(max(self.field.document().lineCount(), 2), _EDIT_LINES)
        height = lines * LINE_HEIGHT["body"] + 18
        self.field.setGeometry(0, 0, width, height)
        self.send.adjustSize()
        self.cancel.adjustSize()
        self.send.move(width - self.send.width(), height + 6)
        self.cancel.move(self.send.x() - self.cancel.width() - 6, height + 6)
        self._hint.setGeometry(2, height + 6, self.cancel.x() - 12, 28)
        return height + 6 + 28
