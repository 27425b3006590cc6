"""The application's clothes, for every story that has a window."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication

from ui.style import install_style


class _Dressed:
    """Whether the one QApplication of the test run wears the style already."""

    is_done = False


@pytest.fixture
def app(qapp: QApplication) -> QApplication:
    """The application in its dark theme."""
    if not _Dressed.is_done:
        install_style(qapp, "dark")
        _Dressed.is_done = True
    qapp.setQuitOnLastWindowClosed(False)
    return qapp
