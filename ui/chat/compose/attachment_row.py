"""Attachments side by side, over as many lines as they need: in the composer, and in the transcript as they were sent.

Rule: a row has no scroll bar of its own; its height follows from its width.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget
from shiboken6 import isValid

from sparkdesk.core.chat.message import Attachment, ImagePart
from sparkdesk.core.errors import SparkDeskError
from ui.bridge import Bridge
from ui.chat.compose.attachment_chip import (
    GONE,
    HEIGHT_PX,
    THUMB_PX,
    AttachmentChip,
    estimated_cost,
    face_of,
)
from ui.chat.compose.picture import make_thumbnail
from ui.chat.compose.preview import SIDE_PX, PreviewDialog

GAP_PX: Final = 6
_THUMBNAIL_PX: Final = 4 * THUMB_PX
"""Enough for a screen of high resolution, and for an image three times as long as wide."""
LoadBytes = Callable[[str], Awaitable[bytes | None]]
"""The bytes of an image by its digest; None when they are gone."""


class ChipRow(QWidget):
    """Lays out chips from the left (or the right), line after line."""

    def __init__(self, parent: QWidget | None = None, *, is_right: bool = False) -> None:
        super().__init__(parent)
        self._is_right = is_right
        self._chips: list[AttachmentChip] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def chips(self) -> tuple[AttachmentChip, ...]:
        """Those that are shown, in order."""
        return tuple(self._chips)

    def set_chips(self, chips: Sequence[AttachmentChip]) -> None:
        """Show these; those that are no longer among them go."""
        for chip in self._chips:
            if chip not in chips:
                chip.hide()
                chip.deleteLater()
        for before, chip in zip((None, *chips), chips, strict=False):
            if chip not in self._chips:
                chip.setParent(self)
                chip.show()
                chip.moved.connect(lambda step, chip=chip: self._move_focus(chip, step))
            if before is not None:
                QWidget.setTabOrder(before, chip)
        self._chips = list(chips)
        self.arrange()

    def arrange(self) -> None:
        """Put each in its place, and take the height that is needed."""
        y, height = 0, 0
        for line in self._lines(self.width()):
            used = sum(chip.width() for chip in line) + GAP_PX * (len(line) - 1)
            x = self.width() - used if self._is_right else 0
            for chip in line:
                chip.move(max(x, 0), y)
                x += chip.width() + GAP_PX
            height = y + HEIGHT_PX
            y = height + GAP_PX
        self.setFixedHeight(height)

    def height_at(self, width: int) -> int:
        """The height at this width; 0 without chips."""
        lines = len(self._lines(width))
        return lines * HEIGHT_PX + max(lines - 1, 0) * GAP_PX

    def sizeHint(self) -> QSize:
        wide = sum(chip.width() + GAP_PX for chip in self._chips) - GAP_PX if self._chips else 0
        return QSize(wide, HEIGHT_PX if self._chips else 0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self.height_at(width)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.arrange()

    def _lines(self, width: int) -> list[list[AttachmentChip]]:
        lines: list[list[AttachmentChip]] = []
        left = 0
        for chip in self._chips:
            if not lines or left + chip.width() > width:
                lines.append([])
                left = 0
            lines[-1].append(chip)
            left += chip.width() + GAP_PX
        return lines

    def _move_focus(self, chip: AttachmentChip, step: int) -> None:
        if chip in self._chips:
            index = self._chips.index(chip) + step
            if 0 <= index < len(self._chips):
                self._chips[index].setFocus(Qt.FocusReason.TabFocusReason)


class AttachmentRow(ChipRow):
    """What went along with a question that was sent. A click or Enter shows it."""

    def __init__(
        self,
        parts: Sequence[Attachment],
        bridge: Bridge | None = None,
        load: LoadBytes | None = None,
        *,
        is_right: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent, is_right=is_right)
        self._bridge, self._load = bridge, load
        self.preview: PreviewDialog | None = None
        chips = []
        for part in parts:
            chip = AttachmentChip(face_of(part, estimated_cost(part)), can_remove=False, fill="surface")
            chip.chosen.connect(lambda part=part: self._open(part))
            chips.append(chip)
            if isinstance(part, ImagePart) and bridge is not None and load is not None:
                bridge.start(show_thumbnail, chip, part, load)
        self.set_chips(chips)

    def _open(self, part: Attachment) -> None:
        if isinstance(part, ImagePart) and self._bridge is not None and self._load is not None:
            self._bridge.start(self._open_image, part, self._load)
        else:
            self._show(PreviewDialog(part, parent=self.window()))

    async def _open_image(self, part: ImagePart, load: LoadBytes) -> None:
        image = await load_image(part, load, SIDE_PX)
        if isValid(self):
            self._show(PreviewDialog(part, image, self.window()))

    def _show(self, preview: PreviewDialog) -> None:
        self.preview = preview
        preview.destroyed.connect(self._forget)
        preview.show()

    def _forget(self) -> None:
        self.preview = None


async def load_image(part: ImagePart, load: LoadBytes, side_px: int) -> QImage | None:
    """The image, made smaller; None when its bytes are gone or damaged."""
    try:
        data = await load(part.digest)
        return None if data is None else await make_thumbnail(data, part.media_type, side_px)
    except SparkDeskError:
        return None


async def show_thumbnail(chip: AttachmentChip, part: ImagePart, load: LoadBytes) -> None:
    """Fetch an image's bytes and show it small; one that is gone or damaged keeps its icon, and says so."""
    image = await load_image(part, load, _THUMBNAIL_PX)
    if not isValid(chip):
        return
    if image is None:
        chip.set_face(face_of(part, reason=GONE))
    chip.set_thumbnail(image)
