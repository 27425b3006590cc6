"""Editors of the launch form: a field that shows that it was changed, and some lines of mono text.

The one rule: what a person changed has a dot and a way back, beside its own label; what is to be minded about a field
stands below it, and needs no pointing at.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from ui import theme
from ui.font import font
from ui.theme import color
from ui.widgets.button import IconButton
from ui.widgets.field import Field, restyle
from ui.widgets.icon_label import IconLabel


class _Dot(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_fixed = False
        self.set_fixed(is_fixed=False)
        theme.notifier.changed.connect(self.update)

    def set_fixed(self, *, is_fixed: bool) -> None:
        """Whether a fix changed the field, and not the person."""
        self._is_fixed = is_fixed
        self.setToolTip("The fix changed this" if is_fixed else "You changed this")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(10, 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color("warn" if self._is_fixed else "accent"))
        painter.drawEllipse(self.rect().center(), 3, 3)


class Entry(Field):
    """A field that can be given back to its default. `reset_asked` carries its name."""

    reset_asked = Signal(str)

    def __init__(self, name: str, title: str, editor: QWidget, *, hint: str = "") -> None:
        super().__init__(title, editor, hint=hint)
        self._title, self._own_hint = title, hint
        self._reason, self._warning, self._note = "", "", ""
        self._sign: IconLabel | None = None
        self._dot = _Dot()
        self._dot.setFixedSize(10, 10)
        self.reset = IconButton("undo-2", f"Reset: {title}", size=16)
        self.reset.clicked.connect(lambda: self.reset_asked.emit(name))
        self.add_after_label(self.reset)
        self.add_after_label(self._dot)
        self.set_changed(is_changed=False)

    def set_changed(self, *, is_changed: bool, is_fixed: bool = False) -> None:
        """Show or hide the dot and the way back; `is_fixed`: a fix changed it, and nobody edited it since."""
        self._dot.setVisible(is_changed or is_fixed)
        self._dot.set_fixed(is_fixed=is_fixed)
        self.reset.setVisible(is_changed)
        if self._own_hint:
            # Beside the way back there is no room for it in half a row; who wrote the value has seen it.
            self.set_hint("" if is_changed else self._own_hint)
        said = "changed by the fix" if is_fixed else "changed" if is_changed else ""
        self.editor.setAccessibleName(f"{self._title}, {said}" if said else self._title)

    def set_error(self, reason: str) -> None:
        """Say what is wrong, or clear it with "": it takes the place of what else is said below."""
        self._reason = reason
        super().set_error(reason)
        self._show_below()

    def set_remarks(self, warning: str = "", note: str = "") -> None:
        """Say what to mind, or else what is so, below the editor, while nothing is wrong."""
        if (warning, note) != (self._warning, self._note):
            self._warning, self._note = warning, note
            self._show_below()

    def error(self) -> str:
        return self._reason

    def remark(self) -> str:
        """What is said below the editor beside errors."""
        return self._warning or self._note

    def _show_below(self) -> None:
        said = self._reason or self.remark()
        self._error.set_tint("crit" if self._reason else "warn" if self._warning else "text3")
        self._error.setText(said)
        self._error.setVisible(bool(said))
        self.editor.setAccessibleDescription(said)
        is_warned = bool(self._warning) and not self._reason
        if is_warned and self._sign is None:
            self._sign = IconLabel("triangle-alert", "warn", size=12, name="Warning")
            self.add_after_label(self._sign)
        if self._sign is not None:
            self._sign.setVisible(is_warned)

    def add_action(self, part: QWidget) -> None:
        """Put a button at the right end of the label's line."""
        self._head.addWidget(part)

    def set_title(self, title: str) -> None:
        """Call the field by another name."""
        self._title = title
        self._label.setText(title)


class LinesInput(QPlainTextEdit):
    """Some lines of mono text that Tab leaves."""

    def __init__(self, placeholder: str, rows: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(font("mono"))
        self.setPlaceholderText(placeholder)
        self.setTabChangesFocus(True)
        self.setFixedHeight(rows * theme.LOG_ROW_HEIGHT + 14)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        restyle(self, "state", "error" if has_error else "")
