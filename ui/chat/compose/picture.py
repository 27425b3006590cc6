"""Images decoded within limits and written anew: what goes to a server is pixels, never the file as it was.

The one rule: a file's metadata (where a photo was taken, with what, by whom) is left behind, because only pixels are
copied; nothing is decoded that says it is larger than the limit. Large images are made smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt, QThreadPool
from PySide6.QtGui import QColorSpace, QImage, QImageReader, QImageWriter, QPainter

from sparkdesk.core.chat.message import MAX_IMAGE_PIXELS
from sparkdesk.core.errors import SettingsError
from sparkdesk.services.aside import run_aside
from sparkdesk.services.chat.attaching import Picture

T = TypeVar("T")

MAX_SIDE_PX: Final = 2048
"""The longer side of what is sent; vision models look at less."""
JPEG_QUALITY: Final = 90
_LARGE_PNG_BYTES: Final = 2 << 20
_FORMATS: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp", "image/gif": "gif"}
_ERRORS: Final = (SettingsError, MemoryError, ValueError, RuntimeError)
_REMEDY: Final = "Open it in an image viewer and save it as PNG or JPEG, then attach that."


async def make_picture(data: bytes, media_type: str) -> Picture:
    """Decode, make smaller where needed, and write anew. Raises SettingsError."""
    return await _in_pool(lambda: _encode(_decode(data, media_type, MAX_SIDE_PX), is_photo=media_type == "image/jpeg"))


async def make_picture_of(image: QImage) -> Picture:
    """The same of an image from the clipboard. Raises SettingsError."""
    if image.isNull() or image.width() * image.height() > MAX_IMAGE_PIXELS:
        raise SettingsError("The pasted image is empty or too large", remedy="Paste a smaller one.")
    return await _in_pool(lambda: _encode(_smaller(image, MAX_SIDE_PX), is_photo=False))


async def make_thumbnail(data: bytes, media_type: str, side_px: int) -> QImage:
    """A small image to show. Raises SettingsError."""
    return await _in_pool(lambda: _decode(data, media_type, side_px))


def _decode(data: bytes, media_type: str, side_px: int) -> QImage:
    kind = _FORMATS.get(media_type)
    if kind is None:
        raise SettingsError(f"Images of the kind {media_type!r} are not shown", remedy=_REMEDY)
    buffer = QBuffer()
    buffer.setData(QByteArray(data))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer, QByteArray(kind.encode()))
    # The bytes must be what they say: Qt would try a dozen other readers on them.
    reader.setAutoDetectImageFormat(False)
    reader.setAutoTransform(True)
    size = reader.size()
    if not size.isValid() or size.width() * size.height() > MAX_IMAGE_PIXELS:
        raise SettingsError("The image is damaged or too large", remedy=_REMEDY)
    if max(size.width(), size.height()) > side_px:
        reader.setScaledSize(size.scaled(QSize(side_px, side_px), Qt.AspectRatioMode.KeepAspectRatio).expandedTo(_ONE))
    image = reader.read()
    if image.isNull():
        raise SettingsError("The image is damaged", remedy=_REMEDY, detail=reader.errorString())
    return _smaller(image, side_px)


_ONE: Final = QSize(1, 1)


def _smaller(image: QImage, side_px: int) -> QImage:
    if max(image.width(), image.height()) <= side_px:
        return image
    size = image.size().scaled(QSize(side_px, side_px), Qt.AspectRatioMode.KeepAspectRatio).expandedTo(_ONE)
    return image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)


def _encode(image: QImage, *, is_photo: bool) -> Picture:
    """PNG, which keeps letters sharp; JPEG for a photo and for what is large without being see-through."""
    if image.colorSpace().isValid():
        image = image.convertedToColorSpace(QColorSpace(QColorSpace.NamedColorSpace.SRgb))
    has_alpha = image.hasAlphaChannel()
    # Only pixels are painted over: words, profiles and resolutions of the file stay with the old image.
    clean = QImage(image.size(), QImage.Format.Format_ARGB32 if has_alpha else QImage.Format.Format_RGB32)
    clean.fill(Qt.GlobalColor.transparent if has_alpha else Qt.GlobalColor.black)
    painter = QPainter(clean)
    image.setDevicePixelRatio(1.0)
    painter.drawImage(0, 0, image)
    painter.end()
    data, media_type = b"", "image/png"
    if not is_photo or has_alpha:
        data = _written(clean, b"PNG", -1)
    if not has_alpha and (is_photo or len(data) > _LARGE_PNG_BYTES):
        data, media_type = _written(clean, b"JPEG", JPEG_QUALITY), "image/jpeg"
    return Picture(data, media_type, clean.width(), clean.height())


def _written(image: QImage, kind: bytes, quality: int) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, QByteArray(kind))
    writer.setQuality(quality)
    if not writer.write(image):
        raise SettingsError("The image cannot be written anew", remedy=_REMEDY)
    return bytes(buffer.data().data())


async def _in_pool(work: Callable[[], T]) -> T:
    """Run beside the window: a large image takes a second to decode."""
    return await run_aside(work, start=QThreadPool.globalInstance().start, errors=_ERRORS)
