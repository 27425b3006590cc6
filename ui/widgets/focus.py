"""The focus ring: 2 px in accent, 1 px off the control, wherever the keyboard is.

Rule: focus is always visible; fields and lists show it by their own edge, everything else gets the ring.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
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
    """Say whether a widget shows its focus by the ring: buttons, sliders, and panels that can be clicked."""
    if isinstance(widget, QAbstractButton | QSlider):
        return True
    return bool(widget.property("has_focus_ring"))


class FocusRings:
    """Moves one ring after the keyboard focus of the whole application. Keep a reference to it."""

    def __init__(self, app: QApplication) -> None:
        self._ring: FocusRing | None = None
        app.focusChanged.connect(self._on_focus)

    def widget(self) -> QWidget | None:
        """Return the widget that wears the ring now."""
        return self._ring.widget() if self._ring is not None else None

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        if new is not None and has_ring(new):
            if self._ring is None:
                self._ring = FocusRing()
            self._ring.setWidget(new)
        elif self._ring is not None:
            self._ring.setWidget(None)  # type: ignore[arg-type]
