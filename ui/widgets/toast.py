"""Short messages at the bottom right: something changed while nobody looked there.

Rule: only changes make toasts, never the first reading of anything; critical ones stay until closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import QEnterEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.button import Button, IconButton
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

ToastKind = Literal["ok", "warn", "crit"]

_LOOKS: Final[dict[ToastKind, tuple[Token, str, int]]] = {
    "ok": ("ok", "circle-check", 6000),
    "warn": ("warn", "triangle-alert", 12_000),
    "crit": ("crit", "octagon-alert", 0),
}
_WIDTH: Final = 320
_MOST: Final = 3
_EDGE: Final = 16


class Toast(QFrame):
    """One message. Its time stands still while the pointer or the focus is on it."""

    def __init__(self, kind: ToastKind, title: str, text: str, action: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tint, self._icon, self._stay_ms = _LOOKS[kind]
        self.setFixedWidth(_WIDTH)
        self.setAccessibleName(f"{title}. {text}")
        self.action = Button(action, kind="link")
        self.action.setVisible(bool(action))
        self._close = IconButton("x", "Close this message", size=24)
        self._close.clicked.connect(self.dismiss)
        grid = QGridLayout(self)
        grid.setContentsMargins(40, 10, 8, 12)
        grid.setVerticalSpacing(4)
        grid.addWidget(Label(title, "strong", "text", is_wrapped=True), 0, 0)
        grid.addWidget(self._close, 0, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(Label(text, "dense", "text2", is_wrapped=True), 1, 0)
        grid.addWidget(self.action, 2, 0, Qt.AlignmentFlag.AlignLeft)
        grid.setColumnStretch(0, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismiss)
        for part in (self.action, self._close):
            part.installEventFilter(self)
        self._run()

    def stay_ms(self) -> int:
        """Return how long it stays; 0 is until closed."""
        return self._stay_ms

    def is_counting(self) -> bool:
        """Say whether its time runs."""
        return self._timer.isActive()

    def dismiss(self) -> None:
        """Go away."""
        self.setVisible(False)
        self.deleteLater()

    def _run(self) -> None:
        if self._stay_ms:
            self._timer.start(self._stay_ms)

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._run()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusIn:
            self._timer.stop()
        elif event.type() == QEvent.Type.FocusOut:
            self._run()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("surface"), pen(color("control")))
        draw_icon(painter, QPointF(14, 14), self._icon, self._tint)


class ToastStack(QWidget):
    """Holds at most three toasts over the bottom right of its parent; older ones make room."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._toasts: list[Toast] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        parent.installEventFilter(self)
        self.setVisible(False)

    def show_toast(
        self, kind: ToastKind, title: str, text: str, *, action: str = "", on_action: Callable[[], None] | None = None
    ) -> Toast:
        """Show a message; `action` names a link that calls `on_action` and closes it."""
        toast = Toast(kind, title, text, action, self)
        if on_action is not None:
            toast.action.clicked.connect(on_action)
        toast.action.clicked.connect(toast.dismiss)
        while len(self._toasts) >= _MOST:
            self._first_to_go().dismiss()
            self._toasts = [each for each in self._toasts if each.isVisibleTo(self)]
        self._toasts.append(toast)
        self._column.addWidget(toast)
        toast.installEventFilter(self)
        toast.setVisible(True)
        self._place()
        return toast

    def toasts(self) -> tuple[Toast, ...]:
        """Return what is shown, oldest first."""
        return tuple(self._toasts)

    def _first_to_go(self) -> Toast:
        timed = [toast for toast in self._toasts if toast.stay_ms()]
        return timed[0] if timed else self._toasts[0]

    def _place(self) -> None:
        parent = self.parentWidget()
        self.setVisible(bool(self._toasts))
        if parent is None or not self._toasts:
            return
        self._column.activate()
        height = sum(each.heightForWidth(_WIDTH) for each in self._toasts) + 8 * (len(self._toasts) - 1)
        self.setGeometry(parent.width() - _WIDTH - _EDGE, parent.height() - height - _EDGE, _WIDTH, height)
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Hide and isinstance(watched, Toast) and not watched.isVisibleTo(self):
            self._toasts = [each for each in self._toasts if each is not watched]
            self._column.removeWidget(watched)
            QTimer.singleShot(0, self._place)
        elif event.type() == QEvent.Type.Resize and watched is self.parentWidget():
            self._place()
        return False
