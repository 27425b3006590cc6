"""Pictures of pages, for people to look at: build/shots/NAME-THEME-WIDTHxHEIGHT.png.

The one rule: a picture is evidence, not a test; what is asserted is only that something was painted inside its window.
"""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget

from ui import theme

SHOTS = Path(__file__).resolve().parents[2] / "build" / "shots"
_HOSTS: WeakKeyDictionary[QWidget, QWidget] = WeakKeyDictionary()
SIZES = ((1100, 700), (1440, 900))
"""Of the window; the page is what sidebar and strip leave of it."""


def page_size(width: int, height: int) -> tuple[int, int]:
    """What is left for a page in a window of this size."""
    side = theme.SIDE_WIDTH if width >= 1280 else theme.SIDE_WIDTH_FOLDED
    return width - side, height - theme.TOP_HEIGHT


def host_page(page: QWidget, width: int, height: int) -> QWidget:
    """Show a page inside a plain window, as the main window does. The window lives as long as the page."""
    # A page as a window of its own would ask the platform for size limits, which the offscreen one refuses in words.
    host = QWidget()
    host.setAutoFillBackground(True)
    host.resize(width, height)
    page.setParent(host)
    page.resize(width, height)
    page.show()
    host.show()
    _HOSTS[page] = host
    return host


def take_pictures(page: QWidget, name: str) -> None:
    """Both themes at both sizes."""
    for choice in ("dark", "light"):
        theme.set_theme("dark" if choice == "dark" else "light")
        for size in SIZES:
            take_picture(page, f"{name}-{choice}", size)
    theme.set_theme("dark")


def take_picture(page: QWidget, name: str, window: tuple[int, int], *, rest_ms: int = 150) -> None:
    """The page as it is in a window of this size, in the theme of now, after it came to rest."""
    host, size = page.window(), page_size(*window)
    host.resize(*size)
    page.resize(*size)
    QTest.qWait(rest_ms)
    needed = page.minimumSizeHint()
    assert needed.width() <= size[0], f"the page is {needed.width()} wide at least"
    assert needed.height() <= size[1], f"the page is {needed.height()} high at least"
    assert not cut_labels(page), cut_labels(page)
    SHOTS.mkdir(parents=True, exist_ok=True)
    # Quality 80 is zlib's level 1: a third faster than the default, a sixth larger.
    assert host.grab().save(str(SHOTS / f"{name}-{window[0]}x{window[1]}.png"), "PNG", 80)


def cut_labels(page: QWidget) -> list[str]:
    """Labels of one line that have less room than their text needs (those that elide by themselves apart)."""
    cut = []
    for label in page.findChildren(QLabel):
        if not label.isVisible() or label.wordWrap() or type(label).__name__ == "ElidedLabel" or not label.text():
            continue
        if label.minimumSizeHint().width() > label.width() + 1:
            cut.append(f"{label.text()!r}: {label.width()} of {label.minimumSizeHint().width()} px")
    return cut
