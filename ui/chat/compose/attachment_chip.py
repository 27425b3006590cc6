"""One file or image that goes along with a question, or went: its name, its size, what it costs, what is missing.

Rule: what will not be sent says why on its face, and everything here is done with the keyboard too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QWidget

from sparkdesk.core.chat.message import Attachment, FilePart, ImagePart
from sparkdesk.core.chat.window.estimate import Estimate
from sparkdesk.core.transfer import size_words
from sparkdesk.services.chat.context.token_count import TokenCount
from ui import theme
from ui.icon import draw_icon
from ui.text import count, grouped, one_line
from ui.theme import Token, blend, color
from ui.widgets.button import IconButton
from ui.widgets.label import plain_tooltip
from ui.widgets.loader import Turn
from ui.widgets.paint import box, elided, pen, rounded_clip, text_width, write

HEIGHT_PX: Final = 44
THUMB_PX: Final = 32
_PAD: Final = 6
_MAX_TEXT_PX: Final = 340
_MAX_NAME_PX: Final = 240
_LEAST_IMAGE_PX: Final = 116
"""Room for `GONE`, so that a chip in a transcript whose height is known already never grows."""
GONE: Final = "The image is gone"


@dataclass(frozen=True, slots=True)
class ChipFace:
    """What a chip shows."""

    name: str
    detail: str
    icon: str = "file-text"
    is_busy: bool = False
    reason: str = ""
    """Why it is not sent; it is pale then."""
    note: str = ""
    """What of it is missing."""


def cost_words(cost: TokenCount | None) -> str:
    """Tokens, and that they are estimated where they are."""
    if cost is None:
        return ""
    words = f"{count(cost.tokens)} token{'s' if cost.tokens != 1 else ''}"
    return words if cost.is_counted else f"about {words}"


def estimated_cost(part: Attachment) -> TokenCount | None:
    """About how many tokens a file has, where no server is asked; an image's are not known."""
    return TokenCount(Estimate().tokens(part.text), False) if isinstance(part, FilePart) else None


def face_of(part: Attachment, cost: TokenCount | None = None, *, reason: str = "") -> ChipFace:
    """The face of a file or an image."""
    name = one_line(part.name, 200)
    if isinstance(part, ImagePart):
        size = f"{grouped(part.width_px)} × {grouped(part.height_px)} · {size_words(part.size_bytes)}"
        return ChipFace(name, size, "image", reason=reason)
    words = (size_words(part.size_bytes), cost_words(cost))
    return ChipFace(name, " · ".join(w for w in words if w), reason=reason, note=one_line(part.note, 300))


class AttachmentChip(QFrame):
    """Own-painted. Delete removes it, Enter does what its button does: a paste becomes words, another is `chosen`."""

    removed = Signal()
    text_asked = Signal()
    """A paste shall become words again."""
    chosen = Signal()
    moved = Signal(int)
    """The keyboard goes on to the chip before (-1) or after (1)."""

    def __init__(
        self, face: ChipFace, *, can_remove: bool = True, fill: Token = "raised", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._fill: Token = fill
        self._face = face
        self._is_paste = False
        self._can_remove = can_remove
        self._thumbnail: QImage | None = None
        self._turn = Turn(self)
        self.edit = IconButton("undo-2", "Put it back as text", size=24)
        self.remove = IconButton("x", "Remove", size=24)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, _PAD, 0)
        row.setSpacing(2)
        row.addStretch(1)
        for button in (self.edit, self.remove):
            # The chip itself takes the keyboard: one stop for each, not three.
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            row.addWidget(button)
        self.remove.clicked.connect(self.removed)
        self.edit.clicked.connect(self.text_asked)
        theme.notifier.changed.connect(self.update)
        self.set_face(face)

    @property
    def face(self) -> ChipFace:
        """What is shown."""
        return self._face

    def set_face(self, face: ChipFace, *, is_paste: bool = False) -> None:
        """Show something else."""
        self._face, self._is_paste = face, is_paste
        self.edit.setVisible(is_paste)
        self.remove.setVisible(self._can_remove)
        if face.is_busy:
            self._turn.start()
        else:
            self._turn.stop()
        words = [face.name, face.detail, face.note, face.reason]
        keys = ["Delete removes it" if self._can_remove else "", "Enter puts it back as text" if is_paste else ""]
        self.setAccessibleName(", ".join(word for word in words if word))
        self.setAccessibleDescription(". ".join(word for word in keys if word))
        self.setToolTip(plain_tooltip("\n".join(word for word in words if word)))
        self.setFixedSize(self.sizeHint())
        self.update()

    def set_thumbnail(self, image: QImage | None) -> None:
        """Show the image itself, small."""
        self._thumbnail = image
        self.update()

    def sizeHint(self) -> QSize:
        name = min(text_width(self._face.name, "dense_medium"), _MAX_NAME_PX)
        least = _LEAST_IMAGE_PX if self._face.icon == "image" else 0
        text = min(max(name, text_width(self._second(), "label"), least), _MAX_TEXT_PX)
        buttons = 26 * (int(self._is_paste) + int(self._can_remove))
        return QSize(round(_PAD + THUMB_PX + 8 + text + 8 + buttons + _PAD), HEIGHT_PX)

    def _second(self) -> str:
        face = self._face
        return face.reason or " · ".join(word for word in (face.detail, face.note) if word)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if self._can_remove and key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removed.emit()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            (self.text_asked if self._is_paste else self.chosen).emit()
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.moved.emit(-1 if key == Qt.Key.Key_Left else 1)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.chosen.emit()
            event.accept()
            return
        super().mouseReleaseEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        is_pale = bool(self._face.reason)
        edge = pen(color("control" if is_pale else "border"), dash=(3, 3) if is_pale else ())
        if self.hasFocus():
            # Its own edge: a ring round it would be cut off where the attachments scroll.
            edge = pen(color("accent"), 2)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color(self._fill), edge)
        self._paint_picture(painter, is_pale=is_pale)
        left = _PAD + THUMB_PX + 8
        shown = [button for button in (self.edit, self.remove) if button.isVisibleTo(self)]
        room = (shown[0].geometry().left() if shown else self.width() - 4) - 4 - left
        name = elided(self._face.name, "dense_medium", room, Qt.TextElideMode.ElideMiddle)
        tint = blend("text", self._fill, theme.STALE_SHARE) if is_pale else color("text")
        write(painter, QRectF(left, 4, room, 18), name, role="dense_medium", tint=tint)
        second = elided(self._second(), "label", room)
        shade: Token = "warn" if is_pale or self._face.note else "text3"
        write(painter, QRectF(left, 22, room, 16), second, role="label", tint=shade)

    def _paint_picture(self, painter: QPainter, *, is_pale: bool) -> None:
        place = QRectF(_PAD, (HEIGHT_PX - THUMB_PX) / 2, THUMB_PX, THUMB_PX)
        box(painter, place, theme.RADIUS_CHIP, color("sunken"))
        at = QPointF(place.left() + 8, place.top() + 8)
        if self._face.is_busy:
            self._turn.draw(painter, at, color("text3"), 16)
        elif self._thumbnail is None:
            draw_icon(painter, at, self._face.icon, "text2", 16)
        else:
            painter.save()
            painter.setClipPath(rounded_clip(place, theme.RADIUS_CHIP))
            painter.setOpacity(theme.STALE_SHARE if is_pale else 1.0)
            painter.drawImage(place, self._thumbnail, _middle(self._thumbnail))
            painter.restore()


def _middle(image: QImage) -> QRectF:
    """The largest square in the middle of an image."""
    side = min(image.width(), image.height())
    return QRectF((image.width() - side) / 2, (image.height() - side) / 2, side, side)
