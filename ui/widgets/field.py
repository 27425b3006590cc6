"""Form fields: a label above, an editor, and one line for what is wrong with it.

Rule: an error says the reason and, where there is one, the way out; it sits under the field it belongs to.
"""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QResizeEvent, QStandardItemModel, QWheelEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QSizePolicy, QSpinBox, QVBoxLayout, QWidget

from ui import theme
from ui.font import font
from ui.icon import draw_icon, icon
from ui.theme import blend, color
from ui.widgets.button import IconButton
from ui.widgets.label import Label, plain_tooltip

_Editor = TypeVar("_Editor", bound=QWidget)
_OCTAGON_WIDTH = 110
"""From this width on a field has room for the octagon beside what was typed."""


def restyle(widget: QWidget, name: str, value: str) -> None:
    """Set a property that the style sheet asks about and make it look again."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


class TextInput(QLineEdit):
    """A line of text. `is_mono` for addresses and commands; `is_small` for headers of panels."""

    def __init__(
        self,
        text: str = "",
        *,
        placeholder: str = "",
        is_small: bool = False,
        is_mono: bool = False,
        icon_name: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self.setPlaceholderText(placeholder)
        self.setFont(font("mono" if is_mono else "dense" if is_small else "body"))
        if is_small:
            self.setProperty("density", "small")
        self._has_error = False
        self._error_action: QAction | None = None
        self._icon_name = icon_name
        self._icon_action: QAction | None = None
        if icon_name:
            self._icon_action = self.addAction(icon(icon_name, "text3"), QLineEdit.ActionPosition.LeadingPosition)
            self._icon_action.setText(placeholder)
        theme.notifier.changed.connect(self._wear)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge and the octagon inside the field."""
        self._has_error = has_error
        restyle(self, "state", "error" if has_error else "")
        self._show_octagon()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_octagon()

    def _show_octagon(self) -> None:
        """In a narrow field the octagon would cover what was typed: there the red edge and the words are the mark."""
        has_error = self._has_error and self.width() >= _OCTAGON_WIDTH
        if has_error and self._error_action is None:
            trailing = QLineEdit.ActionPosition.TrailingPosition
            self._error_action = self.addAction(icon("octagon-alert", "crit"), trailing)
        elif not has_error and self._error_action is not None:
            self.removeAction(self._error_action)
            self._error_action = None

    def _wear(self) -> None:
        if self._error_action is not None:
            self._error_action.setIcon(icon("octagon-alert", "crit"))
        if self._icon_action is not None:
            self._icon_action.setIcon(icon(self._icon_name, "text3"))


class NumberInput(QSpinBox):
    """A whole number. No arrows inside; the wheel works only while it has the focus."""

    def __init__(
        self, low: int, high: int, value: int, *, is_small: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setRange(low, high)
        self.setValue(value)
        self.setFont(font("dense" if is_small else "body"))
        self.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.setGroupSeparatorShown(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if is_small:
            self.setProperty("density", "small")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_text()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self._place_text()

    def _place_text(self) -> None:
        # With a style sheet and no buttons, Qt 6.11 gives the text a width of one pixel.
        self.lineEdit().setGeometry(10, 1, max(self.width() - 20, 1), self.height() - 2)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        restyle(self, "state", "error" if has_error else "")

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Stepper(QWidget):
    """A number with a minus and a plus button beside it."""

    changed = Signal(int)

    def __init__(self, low: int, high: int, value: int, *, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.input = NumberInput(low, high, value)
        self.input.setAccessibleName(what)
        less, more = IconButton("minus", f"Less: {what}"), IconButton("plus", f"More: {what}")
        less.clicked.connect(self.input.stepDown)
        more.clicked.connect(self.input.stepUp)
        self.input.valueChanged.connect(self.changed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.input, 1)
        row.addWidget(less)
        row.addWidget(more)
        self.setFocusProxy(self.input)

    def value(self) -> int:
        """Return the number shown."""
        return self.input.value()

    def set_value(self, value: int) -> None:
        """Show another number."""
        self.input.setValue(value)


class Select(QComboBox):
    """One of a few. Keys are kept beside the texts; the wheel works only while it has the focus."""

    def __init__(self, *, is_small: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFont(font("dense" if is_small else "body"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        if is_small:
            self.setProperty("density", "small")
        theme.notifier.changed.connect(self.update)

    def set_options(self, options: list[tuple[str, str]]) -> None:
        """Show (key, text) options; the chosen key stays chosen when it is still there."""
        chosen = self.key()
        self.blockSignals(True)
        self.clear()
        for key, text in options:
            self.addItem(text, key)
        self.setCurrentIndex(max(self.findData(chosen), 0) if options else -1)
        self.blockSignals(False)
        if self.key() != chosen:
            self.currentIndexChanged.emit(self.currentIndex())

    def key(self) -> str:
        """Return the key chosen, "" when there is none."""
        data = self.currentData()
        return data if isinstance(data, str) else ""

    def set_key(self, key: str) -> None:
        """Choose by key; an unknown key changes nothing."""
        index = self.findData(key)
        if index >= 0:
            self.setCurrentIndex(index)

    def set_disabled_reason(self, key: str, reason: str) -> None:
        """Take an option away with a reason, or give it back with ""."""
        index, model = self.findData(key), self.model()
        item = model.item(index) if index >= 0 and isinstance(model, QStandardItemModel) else None
        if item is not None:
            item.setEnabled(not reason)
            item.setToolTip(plain_tooltip(reason) if reason else "")
            item.setAccessibleDescription(reason)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        restyle(self, "state", "error" if has_error else "")

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        size = theme.ICON_SIZE_BUTTON
        ink = color("text2") if self.isEnabled() else blend("text2", "surface", theme.DISABLED_SHARE)
        at = QPointF(self.width() - size - 9, round((self.height() - size) / 2))
        draw_icon(painter, at, "chevron-down", ink, size)


class Field(QWidget):
    """A labelled editor with room for one error line. `hint` stands at the right of the label."""

    def __init__(self, label: str, editor: QWidget, *, hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.editor = editor
        self._label = Label(label, "label", "text3")
        self._hint = Label(hint, "label", "text3")
        self._error = Label("", "label", "crit", is_wrapped=True)
        self._error.setVisible(False)
        self._label.setBuddy(editor)
        if not editor.accessibleName():
            editor.setAccessibleName(label)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self._head = QHBoxLayout()
        self._head.addWidget(self._label)
        self._head.addStretch(1)
        self._head.addWidget(self._hint)
        if label or hint:
            column.addLayout(self._head)
        column.addWidget(editor)
        column.addWidget(self._error)
        column.addStretch(1)

    def set_hint(self, hint: str) -> None:
        """Change the words at the right of the label."""
        self._hint.setText(hint)

    def set_error(self, reason: str) -> None:
        """Say what is wrong, or clear it with ""."""
        self._error.setText(reason)
        self._error.setVisible(bool(reason))
        self.editor.setAccessibleDescription(reason)
        mark = getattr(self.editor, "set_error", None)
        if callable(mark):
            mark(bool(reason))

    def add_after_label(self, part: QWidget) -> None:
        """Put a part right after the label's words."""
        self._head.insertWidget(1, part)

    def error_label(self) -> QWidget:
        """The error line, to be laid out elsewhere where the field is too narrow for it."""
        return self._error

    def error(self) -> str:
        """Return the reason shown, "" when there is none."""
        return self._error.text()
