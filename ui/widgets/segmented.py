"""A few choices in one row, exactly one of them on.

Rule: a choice that is off says why; arrow keys move between the others.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QSizePolicy, QToolButton, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import blend, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, pen, text_width, write

_PAD = 10


class _Part(QToolButton):
    def __init__(self, key: str, text: str, icon: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.key = key
        self._icon = icon
        self.setText(text)
        self.setAccessibleName(text)
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        icon_width = 20 if self._icon else 0
        return QSize(round(text_width(self.text(), "dense_medium") + 0.5) + icon_width + 2 * _PAD, 24)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.isChecked():
            box(painter, QRectF(self.rect()), theme.RADIUS_CHIP, color("raised"))
        is_strong = self.isChecked() or (self.underMouse() and self.isEnabled())
        ink = color("text" if is_strong else "text2")
        if not self.isEnabled():
            ink = blend("text2", "sunken", theme.DISABLED_SHARE)
        icon_width = 20 if self._icon else 0
        left = (self.width() - text_width(self.text(), "dense_medium") - icon_width) / 2
        if self._icon:
            draw_icon(painter, QPointF(round(left), (self.height() - 14) / 2), self._icon, ink, 14)
        rect = QRectF(left + icon_width, 0, self.width(), self.height())
        write(painter, rect, self.text(), role="dense_medium", tint=ink)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Up: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Down: 1}
        step = steps.get(Qt.Key(event.key()))
        parent = self.parentWidget()
        if step is not None and isinstance(parent, Segmented):
            parent.move_on(self.key, step)
            event.accept()
            return
        super().keyPressEvent(event)


class Segmented(QWidget):
    """Options are (key, text) or (key, text, icon), in rows of `columns` (0: all in one).

    `changed` carries a key the person chose.
    """

    changed = Signal(str)

    def __init__(
        self,
        options: list[tuple[str, ...]],
        *,
        what: str,
        chosen: str = "",
        columns: int = 0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(what)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._group = QButtonGroup(self)
        self._parts: dict[str, _Part] = {}
        self._columns = columns
        self._row = QGridLayout(self)
        self._row.setContentsMargins(3, 3, 3, 3)
        self._row.setSpacing(2)
        self.set_options(options, chosen)
        self._group.buttonClicked.connect(self._on_clicked)
        theme.notifier.changed.connect(self.update)

    def set_options(self, options: list[tuple[str, ...]], chosen: str = "") -> None:
        """Show other options; `chosen` or else the one chosen before or else the first is on."""
        kept = chosen or self.key()
        for part in self._parts.values():
            self._group.removeButton(part)
            self._row.removeWidget(part)
            part.deleteLater()
        self._parts = {}
        columns = self._columns or max(1, len(options))
        for at, option in enumerate(options):
            part = _Part(option[0], option[1], option[2] if len(option) > 2 else "", self)
            self._parts[part.key] = part
            self._group.addButton(part)
            self._row.addWidget(part, at // columns, at % columns)
        if self._parts:
            self._parts.get(kept, next(iter(self._parts.values()))).setChecked(True)

    def key(self) -> str:
        """Return the key that is on, "" when there is none."""
        return next((key for key, part in self._parts.items() if part.isChecked()), "")

    def set_key(self, key: str) -> None:
        """Choose without emitting `changed`."""
        if key in self._parts:
            self._parts[key].setChecked(True)

    def set_text(self, key: str, text: str) -> None:
        """Change an option's words, e.g. its count; which one is on and has the focus stays."""
        part = self._parts[key]
        if text != part.text():
            part.setText(text)
            part.setAccessibleName(text)
            part.updateGeometry()
            part.update()

    def set_disabled_reason(self, key: str, reason: str) -> None:
        """Take an option away with a reason, or give it back with ""."""
        part = self._parts[key]
        part.setEnabled(not reason)
        part.setToolTip(plain_tooltip(reason) if reason else "")
        part.setAccessibleDescription(reason)

    def move_on(self, key: str, step: int) -> None:
        """Choose the next enabled option in a direction."""
        keys = [each for each, part in self._parts.items() if part.isEnabled() or each == key]
        part = self._parts[keys[(keys.index(key) + step) % len(keys)]]
        part.setFocus(Qt.FocusReason.TabFocusReason)
        part.click()

    def _on_clicked(self, part: QToolButton) -> None:
        if isinstance(part, _Part):
            self.changed.emit(part.key)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, color("sunken"), pen(color("border")))
