from __future__ import annotations

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QRectF
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from ui import theme
from ui.icon import icon, icon_pixmap
from ui.svg import read_outline

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "resources" / "icons").glob("*.svg"))
SIZE = 48


def ink(image: QImage) -> list[int]:
    grey = image.convertToFormat(QImage.Format.Format_Grayscale8)
    return [255 - byte for y in range(SIZE) for byte in bytes(grey.constScanLine(y))[:SIZE]]


def drawn_by_qt(path: Path) -> QImage:
    source = path.read_text("utf-8").replace("currentColor", "black").replace('stroke-width="2"', 'stroke-width="1.6"')
    image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor("white"))
    painter = QPainter(image)
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, SIZE, SIZE))
    painter.end()
    return image


def drawn_by_us(path: Path) -> QImage:
    image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(QColor("white"))
    painter = QPainter(image)
    painter.drawPixmap(0, 0, icon_pixmap(path.stem, QColor("black"), SIZE))
    painter.end()
    return image


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_our_outline_is_the_one_that_qt_draws(dressed: QApplication, path: Path) -> None:
    theirs, ours = ink(drawn_by_qt(path)), ink(drawn_by_us(path))
    assert sum(theirs) > 0
    assert sum(abs(a - b) for a, b in zip(theirs, ours, strict=True)) < 0.02 * sum(theirs)


def test_an_icon_takes_the_colour_of_its_token(dressed: QApplication) -> None:
    image = icon_pixmap("square", "crit", 24, 2.0).toImage()
    assert image.width() == 48
    shades = {
        image.pixelColor(x, y).name().upper()
        for x in range(48)
        for y in range(48)
        if image.pixelColor(x, y).alpha() == 255
    }
    assert shades == {theme.hex_of("crit")}


def test_an_unknown_icon_is_an_error_not_a_blank(dressed: QApplication) -> None:
    with pytest.raises(ValueError, match="no icon named 'nothing'"):
        icon("nothing")


@pytest.mark.parametrize("source", ["<svg/>", '<path d="M1 1 X 3"/>', '<path d="3 4"/>', '<path d="M1 1z 3 4"/>'])
def test_an_outline_that_is_not_understood_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_outline(source)


def test_every_icon_that_the_face_names_exists() -> None:
    """A string next to the word icon, or first in a call of an icon's function, is the name of a file."""
    names = {path.stem for path in FILES}
    wrong: list[str] = []
    for path in (ROOT / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = [keyword.value for keyword in node.keywords if keyword.arg in ("icon", "icon_name", "tail_icon")]
            if called in ("IconButton", "IconLabel", "IconTile", "EmptyState") and node.args:
                given.append(node.args[0])
            for value in given:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value not in names | {""}:
                    wrong.append(f"{path.relative_to(ROOT)}:{value.lineno} {value.value!r}")
    assert wrong == []
