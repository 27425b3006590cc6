"""The focus ring: 2 px in accent, 1 px off the control, wherever the keyboard is.

Rule: focus is always visible; fields and lists show it by their own edge, everything else gets the ring.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFocusFrame,
    QFrame,
    QProxyStyle,
    QSlider,
    QStyle,
    QStyleHintReturn,
    QStyleOption,
    QWidget,
)
from shiboken6 import isValid

from ui import theme
from ui.theme import color
from ui.widgets.paint import box, pen

_MARGIN = 3
_MARGINS = (QStyle.PixelMetric.PM_FocusFrameHMargin, QStyle.PixelMetric.PM_FocusFrameVMargin)


class _RingStyle(QProxyStyle):
    """Gives the ring its distance. Worn by rings only, so nobody else pays for a style in Python."""

    def pixelMetric(  # noqa: N802
        self, metric: QStyle.PixelMetric, option: QStyleOption | None = None, widget: QWidget | None = None
    ) -> int:
        return _MARGIN if metric in _MARGINS else super().pixelMetric(metric, option, widget)

    def styleHint(  # noqa: N802
        self,
        hint: QStyle.StyleHint,
        option: QStyleOption | None = None,
        widget: QWidget | None = None,
        returned: QStyleHintReturn | None = None,
    ) -> int:
        if hint == QStyle.StyleHint.SH_FocusFrame_AboveWidget:
            return 1
        return 0 if hint == QStyle.StyleHint.SH_FocusFrame_Mask else super().styleHint(hint, option, widget, returned)


class FocusRing(QFocusFrame):
    """A ring that keeps to one widget; `setWidget` moves it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._style = _RingStyle("Fusion")
        self._style.setParent(self)
        self.setStyle(self._style)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        radius = theme.RADIUS_CARD if isinstance(self.widget(), QFrame) else theme.RADIUS_CONTROL
        box(painter, QRectF(self.rect()), radius + 2, None, pen(color("accent"), 2))


def has_ring(widget: QWidget) -> bool:
    """Say whether a widget shows its focus by the ring: buttons and sliders, unless its own property says otherwise."""
    wish = widget.property("has_focus_ring")
    return isinstance(widget, QAbstractButton | QSlider) if wish is None else bool(wish)


class FocusRings(QObject):
    """Moves one ring after the keyboard focus of the whole application. Made by `install_focus_rings`."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._ring: FocusRing | None = None
        app.focusChanged.connect(self._on_focus)

    def widget(self) -> QWidget | None:
        """Return the widget that wears the ring now."""
        ring = self._living_ring()
        return ring.widget() if ring is not None else None

    def _living_ring(self) -> FocusRing | None:
        """Return the ring, unless it went with the page that it lay over: Qt makes it a child of that page."""
        if self._ring is not None and not isValid(self._ring):
            self._ring = None
        return self._ring

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        ring = self._living_ring()
        if new is not None and has_ring(new):
            if ring is None:
                ring = self._ring = FocusRing()
            ring.setWidget(new)
        elif ring is not None:
            ring.setWidget(None)  # type: ignore[arg-type]


def install_focus_rings(app: QApplication) -> FocusRings:
    """Give the application its ring; a second call returns the first one's."""
    found = app.findChild(FocusRings)
    return found if isinstance(found, FocusRings) else FocusRings(app)
