"""What of a file or an image goes to the model, or went: its words as they were read, or its pixels.

Rule: beside the chat, never over it; a file's text is hostile, so it is plain, bounded, and control and direction marks
in it are seen.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from sparkdesk.core.chat.message import Attachment, FilePart
from sparkdesk.core.plain_text import make_plain
from ui import theme
from ui.chat.compose.attachment_chip import GONE, estimated_cost, face_of
from ui.chat.words.text_row import hard_wrapped
from ui.font import font
from ui.text import one_line
from ui.theme import color
from ui.widgets.button import Button
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

MAX_SHOWN_CHARS: Final = 200_000
SIDE_PX: Final = 1024
"""Of a shown image, at most."""
_SIZE: Final = QSize(720, 560)


class _Pixels(QWidget):
    """The image, as large as there is room and not larger than it is."""

    def __init__(self, image: QImage) -> None:
        super().__init__()
        self._image = image
        self.setMinimumSize(200, 160)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("sunken"), pen(color("border")))
        inner = self.rect().adjusted(8, 8, -8, -8)
        size = self._image.size()
        if size.width() > inner.width() or size.height() > inner.height():
            size = size.scaled(inner.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF(0, 0, size.width(), size.height())
        place.moveCenter(QRectF(inner).center())
        painter.drawImage(place, self._image)


class PreviewDialog(QDialog):
    """Opened with `show`; Esc closes it. An image that is not there any more is said so."""

    def __init__(self, part: Attachment, image: QImage | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        face = face_of(part, estimated_cost(part))
        self.setWindowTitle(one_line(part.name, 120))
        self.setAccessibleName(f"What goes to the model of {face.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(8)
        column.addWidget(Label(face.name, "object_title", "text", is_wrapped=True))
        column.addWidget(Label(face.detail, "dense", "text3"))
        self.note = Label(face.note, "dense", "warn", is_wrapped=True)
        self.note.setVisible(bool(face.note))
        column.addWidget(self.note)
        self.words = QPlainTextEdit()
        if isinstance(part, FilePart):
            self._show_words(part.text)
            column.addWidget(self.words, 1)
        elif image is not None:
            column.addWidget(_Pixels(image), 1)
        else:
            column.addWidget(Label(f"{GONE}: its bytes are not here any more.", "body", "text2"), 1)
        row = QHBoxLayout()
        row.addStretch(1)
        self.close_button = Button("Close")
        self.close_button.clicked.connect(self.reject)
        row.addWidget(self.close_button)
        column.addLayout(row)
        self.resize(_SIZE)

    def _show_words(self, text: str) -> None:
        shown = make_plain(text.replace("\r\n", "\n"), max_chars=MAX_SHOWN_CHARS)
        if len(text) > MAX_SHOWN_CHARS:
            self.note.setText("; ".join(note for note in (self.note.text(), _only_shown(len(text))) if note))
            self.note.setVisible(True)
        self.words.setFont(font("mono"))
        self.words.setReadOnly(True)
        self.words.setProperty("tone", "well")
        self.words.setAccessibleName("What was read of it")
        self.words.setPlainText(hard_wrapped(shown))


def _only_shown(chars: int) -> str:
    return f"{MAX_SHOWN_CHARS:,} of {chars:,} characters are shown here; all of them go to the model"
