"""The loader: eight steps of 45 degrees, four a second, only while it can be seen.

Rule: with reduced motion it stands still, and nothing else on the screen turns.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.icon import icon_pixmap
from ui.theme import Token, color

_STEP_MS = 250


class Turn:
    """The turning state of one widget, which is repainted at each step."""

    def __init__(self, owner: QWidget) -> None:
        self._owner = owner
        self._timer: QTimer | None = None
        self._step = 0

    def start(self) -> None:
        """Begin to turn."""
        if self._timer is None:
            self._timer = QTimer(self._owner)
            self._timer.setInterval(_STEP_MS)
            self._timer.timeout.connect(self._advance)
        self._timer.start()

    def stop(self) -> None:
        """Stand still; `is_running` is False from now on."""
        if self._timer is not None:
            self._timer.stop()

    def is_running(self) -> bool:
        """Say whether it was started and not stopped."""
        return self._timer is not None and self._timer.isActive()

    def _advance(self) -> None:
        if theme.is_motion_reduced() or not self._owner.isVisible():
            return
        self._step = (self._step + 1) % 8
        self._owner.update()

    def draw(self, painter: QPainter, at: QPointF, ink: QColor, size: int) -> None:
        """Paint the loader with its top left corner at `at`."""
        painter.save()
        half = size / 2
        painter.translate(at.x() + half, at.y() + half)
        painter.rotate(45.0 * self._step)
        pixmap = icon_pixmap("loader", ink, size, painter.device().devicePixelRatioF())
        painter.drawPixmap(QPointF(-half, -half), pixmap)
        painter.restore()


class Loader(QWidget):
    """A loader on its own. Give it a name that says what is being waited for."""

    def __init__(
        self, what: str, *, size: int = theme.ICON_SIZE, tint: Token = "accenttext", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._size = size
        self._tint: Token = tint
        self._turn = Turn(self)
        self.setAccessibleName(what)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._turn.start()

    def set_running(self, is_running: bool) -> None:
        """Turn or stand still."""
        if is_running:
            self._turn.start()
        else:
            self._turn.stop()

    def sizeHint(self) -> QSize:
        return QSize(self._size, self._size)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        at = QPointF((self.width() - self._size) / 2, (self.height() - self._size) / 2)
        self._turn.draw(painter, at, color(self._tint), self._size)
