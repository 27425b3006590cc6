"""Buttons: default, primary, danger and text, with an icon, a busy state and a reason when disabled.

Rule: a disabled button says why in its tooltip; a busy one keeps its width.
"""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QToolButton, QWidget

from ui import theme
from ui.font import Role, font
from ui.icon import draw_icon
from ui.theme import Token, blend, color
from ui.widgets.label import plain_tooltip
from ui.widgets.loader import Turn
from ui.widgets.paint import box, pen, text_width, write

ButtonKind = Literal["default", "primary", "danger", "text", "link"]


class Button(QPushButton):
    """A push button. One `primary` a screen. `link` is accent text without a box."""

    def __init__(
        self,
        text: str,
        *,
        kind: ButtonKind = "default",
        icon: str = "",
        is_small: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self._kind: ButtonKind = kind
        self._icon = icon
        self._is_small = is_small
        self._turn = Turn(self)
        self._tip = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFont(font(self._role()))
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        if kind == "link":
            self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.notifier.changed.connect(self.update)

    def set_kind(self, kind: ButtonKind) -> None:
        """Change the look."""
        self._kind = kind
        self.setFont(font(self._role()))
        self.updateGeometry()
        self.update()

    def set_icon(self, icon: str) -> None:
        """Change the icon; "" takes it away."""
        if icon != self._icon:
            self._icon = icon
            self.updateGeometry()
            self.update()

    def set_busy(self, is_busy: bool) -> None:
        """While busy the loader stands where the icon is, the width stays, and clicks do nothing."""
        if is_busy == self._turn.is_running():
            return
        if is_busy:
            self.setMinimumWidth(self.sizeHint().width())
            self._turn.start()
        else:
            self._turn.stop()
            self.setMinimumWidth(0)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, is_busy)
        self.setAccessibleDescription("Working" if is_busy else "")
        self.updateGeometry()
        self.update()

    def is_busy(self) -> bool:
        """Say whether the loader turns."""
        return self._turn.is_running()

    def set_disabled_reason(self, reason: str) -> None:
        """Disable with a reason, or enable again with ""."""
        parent = self.parentWidget()
        if reason and self.hasFocus() and parent is not None:
            # Else Qt moves the focus on to what comes next, which may be in another part of the window.
            parent.setFocus(Qt.FocusReason.OtherFocusReason)
        self.setEnabled(not reason)
        self.setToolTip(plain_tooltip(reason) if reason else "")
        self.setAccessibleDescription(reason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self.is_busy():
            event.ignore()
            return
        super().keyPressEvent(event)

    def _role(self) -> Role:
        if self._kind == "primary":
            return "dense_strong" if self._is_small else "strong"
        return "dense_medium" if self._is_small or self._kind == "link" else "body_medium"

    def _pad(self) -> int:
        if self._kind == "link":
            return 0
        return 9 if self._is_small else 12

    def sizeHint(self) -> QSize:
        gap = 6 if self._is_small else 7
        width = text_width(self.text(), self._role()) + 2 * self._pad() + 2
        if self._icon or self._turn.is_running():
            width += theme.ICON_SIZE_BUTTON + (gap if self.text() else 0)
        height = theme.CONTROL_HEIGHT_SMALL if self._is_small else theme.CONTROL_HEIGHT
        return QSize(round(width + 0.5), 20 if self._kind == "link" else height)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _colors(self) -> tuple[QColor | None, QColor | None, QColor]:
        """Return fill, edge and text colour of the state shown now."""
        is_hot = self.underMouse() and self.isEnabled()
        if self._kind == "primary":
            fill = color("accent")
            if self.isDown():
                fill = blend("accent", "sunken", 0.8)
            elif is_hot:
                fill = blend("accent", "text", 0.88)
            result: tuple[QColor | None, QColor | None, QColor] = (fill, None, color("accentfg"))
        elif self._kind == "link":
            result = (None, None, color("text" if is_hot else "accenttext"))
        elif self._kind == "text":
            result = (color("raised") if is_hot or self.isDown() else None, None, color("text2"))
        else:
            tint: Token = "crit" if self._kind == "danger" else "text"
            fill = color("sunken" if self.isDown() else "raised")
            result = (fill, color("control" if is_hot else "border"), color(tint))
        return result if self.isEnabled() else self._faded(result)

    def _faded(
        self, colors: tuple[QColor | None, QColor | None, QColor]
    ) -> tuple[QColor | None, QColor | None, QColor]:
        fill = color("raised", theme.DISABLED_SHARE) if colors[0] is not None else None
        edge = color("border", theme.DISABLED_SHARE) if self._kind != "text" and self._kind != "link" else None
        faded: Token = "crit" if self._kind == "danger" else "text"
        return fill, edge, blend(faded, "surface", theme.DISABLED_SHARE)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill, edge, ink = self._colors()
        rect = QRectF(self.rect())
        if fill is not None:
            box(painter, rect, theme.RADIUS_CONTROL, fill, pen(edge) if edge is not None else None)
        size = theme.ICON_SIZE_BUTTON
        has_icon = bool(self._icon) or self._turn.is_running()
        gap = (6 if self._is_small else 7) if self.text() else 0
        shown = text_width(self.text(), self._role()) + (size + gap if has_icon else 0)
        left = (self.width() - shown) / 2
        if has_icon:
            at = QPointF(round(left), round((self.height() - size) / 2))
            if self._turn.is_running():
                self._turn.draw(painter, at, ink, size)
            else:
                draw_icon(painter, at, self._icon, ink, size)
            left += size + gap
        text_rect = QRectF(left, 0, self.width() - left, self.height())
        write(painter, text_rect, self.text().replace("&&", "&"), role=self._role(), tint=ink)


class IconButton(QToolButton):
    """A square button with an icon only; its name is tooltip and accessible name at once."""

    def __init__(
        self,
        icon: str,
        name: str,
        *,
        size: int = 28,
        tint: Token = "text2",
        is_filled: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._tint: Token = tint
        self._is_filled = is_filled
        self.setFixedSize(size, size)
        self.setToolTip(name)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.notifier.changed.connect(self.update)

    def set_icon(self, icon: str, name: str | None = None, tint: Token | None = None) -> None:
        """Change icon, name and colour."""
        self._icon = icon
        if tint is not None:
            self._tint = tint
        if name is not None:
            self.setToolTip(name)
            self.setAccessibleName(name)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_hot = self.isEnabled() and (self.underMouse() or self.isDown() or self.isChecked())
        ink = color("text" if is_hot else self._tint)
        if self._is_filled:
            fill = color("accent") if self.isEnabled() else color("raised")
            box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, fill)
            ink = color("accentfg") if self.isEnabled() else color("text3")
        elif is_hot:
            box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("raised"))
        if not self.isEnabled() and not self._is_filled:
            ink = blend(self._tint, "surface", theme.DISABLED_SHARE)
        size = theme.ICON_SIZE if self.width() >= 28 else theme.ICON_SIZE_BUTTON
        inset = (self.width() - size) / 2
        draw_icon(painter, QPointF(inset, (self.height() - size) / 2), self._icon, ink, size)
