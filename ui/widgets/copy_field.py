"""A value to take away: an address, a command, a fingerprint.

Rule: one click copies exactly what is shown, and a tick says that it did.
"""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QWidget

from ui.font import font
from ui.widgets.button import IconButton

_COPIED_MS = 1200


class CopyField(QLineEdit):
    """A read-only mono field with a copy button inside."""

    def __init__(self, what: str, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setReadOnly(True)
        self.setFont(font("mono"))
        self.setAccessibleName(what)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._what = what
        self._button = IconButton("copy", f"Copy {what}", size=26, parent=self)
        self._button.clicked.connect(self.copy_text)
        self.setTextMargins(0, 0, 26, 0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COPIED_MS)
        self._timer.timeout.connect(lambda: self._button.set_icon("copy", f"Copy {self._what}", "text2"))

    def setText(self, text: str | None) -> None:  # noqa: N802
        super().setText(text or "")
        self.setCursorPosition(0)

    def copy_text(self) -> None:
        """Put the text on the clipboard and show the tick for 1.2 s."""
        QGuiApplication.clipboard().setText(self.text())
        self._button.set_icon("check", f"{self._what} copied", "ok")
        self._timer.start()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._button.move(self.width() - 29, (self.height() - 26) // 2)
