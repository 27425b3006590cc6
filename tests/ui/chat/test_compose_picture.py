"""Images on their way to a model: made small, written anew, and refused when they are not what they say."""

from __future__ import annotations

import asyncio
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QColor, QImage, QImageWriter
from PySide6.QtWidgets import QApplication

from sparkdesk.core.errors import SettingsError
from sparkdesk.services.chat.attaching import Picture
from ui.chat.compose.picture import MAX_SIDE_PX, make_picture, make_picture_of, make_thumbnail

SECRET = b"GPS 51.5 N"


def painted(width: int, height: int, kind: QImage.Format = QImage.Format.Format_RGB32) -> QImage:
    """An image whose left half is red and whose right half is blue."""
    result = QImage(width, height, kind)
    result.fill(QColor("blue"))
    for x in range(width // 2):
        for y in range(height):
            result.setPixelColor(x, y, QColor("red"))
    return result


def written(image: QImage, kind: bytes, quality: int = -1) -> bytes:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QImageWriter(buffer, QByteArray(kind))
    writer.setQuality(quality)
    assert writer.write(image)
    return bytes(buffer.data().data())


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """The same JPEG with EXIF: how it is turned, and where it was taken."""
    entry = (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big")
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01" + entry + orientation.to_bytes(2, "big") + b"\x00" * 6 + SECRET
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def make(data: bytes, media_type: str) -> Picture:
    return asyncio.run(make_picture(data, media_type))


def test_where_a_photo_was_taken_does_not_go_along_and_it_stands_upright(dressed: QApplication) -> None:
    photo = with_exif(written(painted(80, 40), b"JPEG", 95), orientation=6)
    picture = make(photo, "image/jpeg")
    assert SECRET in photo
    assert SECRET not in picture.data
    assert b"Exif" not in picture.data
    assert (picture.width_px, picture.height_px, picture.media_type) == (40, 80, "image/jpeg")
    shown = QImage.fromData(picture.data)
    assert shown.pixelColor(20, 5).red() > 200
    assert shown.pixelColor(20, 75).blue() > 200


@pytest.mark.parametrize(("kind", "media_type"), [(b"PNG", "image/png"), (b"WEBP", "image/webp")])
def test_words_in_an_image_do_not_go_along(dressed: QApplication, kind: bytes, media_type: str) -> None:
    image = painted(20, 10)
    image.setText("Author", SECRET.decode())
    data = written(image, kind)
    picture = make(data, media_type)
    assert SECRET not in picture.data
    assert picture.media_type == "image/png"
    shown = QImage.fromData(picture.data)
    assert (shown.size(), shown.pixelColor(2, 2).red()) == (image.size(), 255)


def test_a_large_image_is_made_smaller_and_keeps_its_shape(dressed: QApplication) -> None:
    image = QImage(3 * MAX_SIDE_PX, MAX_SIDE_PX, QImage.Format.Format_RGB32)
    image.fill(QColor("teal"))
    for picture in (make(written(image, b"PNG"), "image/png"), asyncio.run(make_picture_of(image))):
        assert picture.width_px == MAX_SIDE_PX
        assert abs(picture.height_px - MAX_SIDE_PX / 3) <= 1
        assert QImage.fromData(picture.data).width() == MAX_SIDE_PX


def test_what_can_be_seen_through_stays_so(dressed: QApplication) -> None:
    image = QImage(10, 10, QImage.Format.Format_ARGB32)
    image.fill(QColor(255, 0, 0, 80))
    picture = make(written(image, b"PNG"), "image/png")
    assert QImage.fromData(picture.data).pixelColor(5, 5).alpha() == 80


def test_a_screenful_of_noise_goes_as_jpeg(dressed: QApplication) -> None:
    import random

    noise = random.Random(1).randbytes(1200 * 900 * 4)
    image = QImage(noise, 1200, 900, QImage.Format.Format_RGB32)
    assert asyncio.run(make_picture_of(image)).media_type == "image/jpeg"


def test_an_image_that_unpacks_to_a_city_of_pixels_is_refused(dressed: QApplication) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = (50_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    bomb += chunk(b"IDAT", zlib.compress(b"\x00" * 2_000_000)) + chunk(b"IEND", b"")
    with pytest.raises(SettingsError, match="too large"):
        make(bomb, "image/png")
    with pytest.raises(SettingsError, match="too large"):
        asyncio.run(make_thumbnail(bomb, "image/png", 64))


@pytest.mark.qt_log_ignore("Not a JPEG file")
def test_bytes_are_read_only_as_what_they_were_found_to_be(dressed: QApplication) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='file:///etc/passwd'/></svg>"
    for media_type in ("image/png", "image/svg+xml", "image/x-xpixmap"):
        with pytest.raises(SettingsError):
            make(svg, media_type)
    with pytest.raises(SettingsError):
        make(written(painted(8, 8), b"PNG"), "image/jpeg")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.integers(0, 255))
@pytest.mark.qt_log_ignore(".")  # the decoders say what they stumble over
def test_a_damaged_image_gives_a_picture_or_words(dressed: QApplication, cut: int, at: int, byte: int) -> None:
    for kind, media_type in ((b"PNG", "image/png"), (b"JPEG", "image/jpeg")):
        data = bytearray(written(painted(24, 24), kind))
        data[min(at, len(data) - 1)] = byte
        try:
            picture = make(bytes(data[: len(data) - cut]), media_type)
        except SettingsError:
            continue
        assert max(picture.width_px, picture.height_px) <= MAX_SIDE_PX
