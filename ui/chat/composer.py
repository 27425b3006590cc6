"""Where a question is written: Enter sends, Shift+Enter begins a line, Esc stops the answer.

Rule: what is typed is never lost; it leaves only when it is sent.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QWidget

from ui.chat.text_row import hard_wrapped
from ui.font import LINE_HEIGHT, font
from ui.text import one_line
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.label import ElidedLabel, Label

_MIN_LINES: Final = 2
_MAX_LINES: Final = 9
_MAX_PASTE_CHARS: Final = 400_000
_MAX_PASTE_LINE_CHARS: Final = 5_000
PLACEHOLDER: Final = "Message. Enter sends, Shift+Enter begins a new line."
PLACEHOLDER_BUSY: Final = "Enter queues while the model is writing."


class _Editor(QPlainTextEdit):
    sent = Signal()
    stopped = Signal()

    def insertFromMimeData(self, source: QMimeData) -> None:  # noqa: N802
        # Plain text only, and no line so long that laying it out would hold the window for minutes.
        if source.hasText():
            self.insertPlainText(hard_wrapped(source.text()[:_MAX_PASTE_CHARS], _MAX_PASTE_LINE_CHARS))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
            event.accept()
        elif event.key() == Qt.Key.Key_Escape:
            self.stopped.emit()
            event.accept()
        else:
            super().keyPressEvent(event)


class Composer(Card):
    """`sent` carries the text; the field is emptied by `clear` when it is on its way."""

    sent = Signal(str)
    stopped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, fill="surface")
        self.editor = _Editor()
        self.send = IconButton("arrow-up", "Send", size=32, is_filled=True)
        self.stop = Button("Stop", icon="square")
        self.queue = ElidedLabel("", "label", "text3")
        self.context = Label("", "label", "text3")
        self._reason = ""
        self._is_answering = False
        self._build()
        self.show_state(is_answering=False, queued=(), reason="")

    def _build(self) -> None:
        self.editor.setFrameShape(QFrame.Shape.NoFrame)
        self.editor.setProperty("tone", "plain")
        self.editor.setFont(font("body"))
        self.editor.setTabChangesFocus(True)
        self.editor.setAccessibleName("Message")
        self.editor.document().setDocumentMargin(0)
        self.editor.viewport().setAutoFillBackground(False)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.queue, 1)
        row.addWidget(self.context)
        row.addWidget(self.stop)
        row.addWidget(self.send)
        column = self.column(spacing=6, margins=(12, 10, 8, 8))
        column.addWidget(self.editor)
        column.addLayout(row)
        self.editor.textChanged.connect(self._on_text)
        self.editor.sent.connect(self._send)
        self.editor.stopped.connect(self.stopped)
        self.send.clicked.connect(self._send)
        self.stop.clicked.connect(self.stopped)
        self.setFocusProxy(self.editor)
        self._fit()

    def show_state(self, *, is_answering: bool, queued: tuple[str, ...], reason: str) -> None:
        """Show whether an answer is being written, what waits in line, and why nothing can be asked."""
        self._reason, self._is_answering = reason, is_answering
        self.stop.setVisible(is_answering)
        self.editor.setPlaceholderText(reason or (PLACEHOLDER_BUSY if is_answering else PLACEHOLDER))
        waiting = "; ".join(one_line(text, 60) for text in queued[:3])
        more = f" and {len(queued) - 3} more" if len(queued) > 3 else ""
        self.queue.setText(f"In line: {waiting}{more}" if queued else "")
        self._on_text()

    def set_context(self, words: str) -> None:
        """Say how full the context is."""
        self.context.setText(words)

    def text(self) -> str:
        """What is written."""
        return self.editor.toPlainText()

    def clear(self) -> None:
        """Empty the field: what stood there is on its way."""
        self.editor.clear()

    def restore(self, text: str) -> None:
        """Put back what could not be sent, unless something new was written meanwhile."""
        if not self.text():
            self.editor.setPlainText(text)

    def _send(self) -> None:
        if self.text().strip() and not self._reason:
            self.sent.emit(self.text())

    def _on_text(self) -> None:
        self.send.setEnabled(bool(self.text().strip()) and not self._reason)
        self.send.setToolTip(self._reason or ("Queue" if self._is_answering else "Send"))
        self._fit()

    def _fit(self) -> None:
        lines = min(max(self.editor.document().lineCount(), _MIN_LINES), _MAX_LINES)
        self.editor.setFixedHeight(lines * LINE_HEIGHT["body"] + 2)
