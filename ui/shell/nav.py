"""The sidebar: one entry a page, the state of sampling, settings and the fold.

Rule: folded or not, every entry is reachable by key and says its name.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import Token, blend, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, fill, pen, text_width, write


class NavItem(QToolButton):
    """One entry, 36 high. A badge is a short text; `needs_you` makes it amber with a lock."""

    def __init__(
        self, title: str, icon: str, *, keys: str = "", is_page: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._keys = keys
        self._is_page = is_page
        self._is_folded = False
        self._badge = ""
        self._needs_you = False
        self.setText(title)
        self.setCheckable(is_page)
        self.setFixedHeight(theme.NAV_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        # It fills the sidebar's width, so the ring would be cut off; it paints its own.
        self.setProperty("has_focus_ring", False)
        self._describe("")
        theme.notifier.changed.connect(self.update)

    def set_folded(self, is_folded: bool) -> None:
        """Show the icon only."""
        self._is_folded = is_folded
        self._describe(self.accessibleDescription())
        self.update()

    def set_badge(self, text: str, *, needs_you: bool = False) -> None:
        """Show a count, or "" for none."""
        self._badge, self._needs_you = text, needs_you
        self._describe(self.accessibleDescription())
        self.update()

    def badge(self) -> str:
        """Return the badge shown."""
        return self._badge

    def set_reason(self, reason: str) -> None:
        """Disable with a reason, or enable with ""."""
        self.setEnabled(not reason)
        self._describe(reason)

    def _describe(self, reason: str) -> None:
        badge = f", {self._badge}{' waiting for you' if self._needs_you else ''}" if self._badge else ""
        self.setAccessibleName(self.text() + badge)
        self.setAccessibleDescription(reason)
        keys = f" ({self._keys})" if self._keys else ""
        tip = reason or (f"{self.text()}{keys}" if self._is_folded or self._keys else "")
        self.setToolTip(plain_tooltip(tip) if tip else "")

    def sizeHint(self) -> QSize:
        return QSize(theme.SIDE_WIDTH - 16, theme.NAV_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, theme.NAV_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect()).adjusted(8, 0, -8, 0)
        is_on = self.isChecked()
        is_hot = self.isEnabled() and self.underMouse()
        if is_on or is_hot:
            box(painter, rect, theme.RADIUS_CONTROL, color("raised") if is_on else blend("raised", "sidebar", 0.6))
        if self.hasFocus():
            box(painter, rect, theme.RADIUS_CONTROL, None, pen(color("accent"), 2))
        if is_on:
            box(painter, QRectF(0, 8, 3, 20), 1.5, color("accent"))
        ink: Token = "text" if is_on else "text2"
        shade = color(ink) if self.isEnabled() else blend("text2", "sidebar", theme.DISABLED_SHARE)
        icon_shade = color("accenttext") if is_on and self.isEnabled() else shade
        at = QPointF(rect.left() + (12 if self._is_folded else 10), (self.height() - theme.ICON_SIZE) / 2)
        draw_icon(painter, at, self._icon, icon_shade)
        if self._is_folded:
            if self._badge:
                tint: Token = "warn" if self._needs_you else "accent"
                box(painter, QRectF(rect.right() - 12, 6, 7, 7), 3.5, color(tint))
            return
        write(painter, rect.adjusted(38, 0, 0, 0), self.text(), role="body_medium", tint=shade)
        self._draw_right(painter, rect)

    def _draw_right(self, painter: QPainter, rect: QRectF) -> None:
        if self._badge:
            lock = 16 if self._needs_you else 0
            width = max(text_width(self._badge, "label_medium") + 12 + lock, 18)
            pill = QRectF(rect.right() - 10 - width, rect.center().y() - 9, width, 18)
            fill: Token = "warnsoft" if self._needs_you else ("surface" if self.isChecked() else "raised")
            box(painter, pill, 9, color(fill))
            ink: Token = "warn" if self._needs_you else "text2"
            if self._needs_you:
                draw_icon(painter, QPointF(pill.left() + 6, pill.top() + 3), "lock", "warn", 12)
            cell = pill.adjusted(lock, 0, 0, 0)
            write(painter, cell, self._badge, role="label_medium", tint=ink, align=Qt.AlignmentFlag.AlignHCenter)
        elif self._keys and not self._is_page:
            cell = rect.adjusted(0, 0, -10, 0)
            keys = self._keys.replace("+", " ")
            write(painter, cell, keys, role="label", tint="text3", align=Qt.AlignmentFlag.AlignRight)


class _SamplingRow(QWidget):
    """The dot and the words about sampling."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._text = ""
        self._is_on = False
        self._is_folded = False
        self.setFixedHeight(28)
        theme.notifier.changed.connect(self.update)

    def show_state(self, text: str, *, is_on: bool, is_folded: bool) -> None:
        """Show other words."""
        self._text, self._is_on, self._is_folded = text, is_on, is_folded
        self.setAccessibleName(text)
        self.setToolTip(plain_tooltip(text) if is_folded and text else "")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._text:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = 24.0 if self._is_folded else 18.0
        dot = QRectF(left, self.height() / 2 - 3, 6, 6)
        # Full while sampling, a ring while not: the shape says it too.
        if self._is_on:
            box(painter, dot, 3, color("ok"))
        else:
            painter.setPen(color("warn"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(dot)
        if not self._is_folded:
            write(painter, QRectF(32, 0, self.width() - 36, self.height()), self._text, role="label", tint="text3")


class Sidebar(QWidget):
    """Entries in the order they were added; `chosen` carries the key of one."""

    chosen = Signal(str)
    fold_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Pages")
        self._items: dict[str, NavItem] = {}
        self._group = QButtonGroup(self)
        self._is_folded = False
        self._sampling = ("", False)
        self._settings = NavItem("Settings", "settings", keys="Ctrl+,")
        self._fold = NavItem("Collapse", "panel-left", keys="Ctrl+B", is_page=False)
        self._row = _SamplingRow(self)
        self._entries = QVBoxLayout()
        self._entries.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 12, 1, 12)
        column.setSpacing(2)
        column.addLayout(self._entries)
        column.addStretch(1)
        for part in (self._row, self._settings, self._fold):
            column.addWidget(part)
        self._register("settings", self._settings)
        self._fold.clicked.connect(self.fold_clicked)
        self.setFixedWidth(theme.SIDE_WIDTH)
        theme.notifier.changed.connect(self.update)

    def _register(self, key: str, item: NavItem) -> None:
        self._items[key] = item
        self._group.addButton(item)
        item.clicked.connect(lambda: self.chosen.emit(key))

    def add_item(self, key: str, title: str, icon: str, keys: str) -> NavItem:
        """Add an entry at the end."""
        item = NavItem(title, icon, keys=keys)
        item.set_folded(self._is_folded)
        self._register(key, item)
        self._entries.addWidget(item)
        return item

    def item(self, key: str) -> NavItem | None:
        """Return an entry, None when there is none of that key."""
        return self._items.get(key)

    def mark(self, key: str) -> None:
        """Mark the entry of the page shown; a key without an entry leaves the mark where it is."""
        if key in self._items:
            self._items[key].setChecked(True)

    def is_folded(self) -> bool:
        """Say whether only icons are shown."""
        return self._is_folded

    def set_folded(self, is_folded: bool) -> None:
        """Fold to 56 px or open to 208."""
        if is_folded == self._is_folded:
            return
        self._is_folded = is_folded
        self.setFixedWidth(theme.SIDE_WIDTH_FOLDED if is_folded else theme.SIDE_WIDTH)
        for item in (*self._items.values(), self._fold):
            item.set_folded(is_folded)
        self._fold.setText("Expand" if is_folded else "Collapse")
        self.set_sampling(self._sampling[0], is_on=self._sampling[1])

    def set_sampling(self, text: str, *, is_on: bool) -> None:
        """Show the state of sampling at the foot."""
        self._sampling = (text, is_on)
        self._row.show_state(text, is_on=is_on, is_folded=self._is_folded)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        fill(painter, QRectF(self.rect()), color("sidebar"))
        fill(painter, QRectF(self.width() - 1, 0, 1, self.height()), color("border"))
