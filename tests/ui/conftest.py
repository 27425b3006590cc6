"""The application's clothes, for every test that shows a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from ui import theme
from ui.style import install_style


class _Dressed:
    """Whether the one QApplication of the test run wears the style already."""

    is_done = False


@pytest.fixture
def dressed(qapp: QApplication) -> Iterator[QApplication]:
    """The application in its dark theme, without movement; another theme that a test puts on is taken off again."""
    if not _Dressed.is_done:
        install_style(qapp, "dark")
        _Dressed.is_done = True
    theme.set_theme("dark")
    theme.set_motion(is_reduced=True)
    yield qapp
    # Windows that stay alive are dressed again with every later change of theme.
    for window in qapp.topLevelWidgets():
        window.hide()
        window.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.set_theme("dark")
