"""What the parts of the panel share: a section's margins, its heading row, and the dot of a changed value.

The one rule: a value that is not the default has a dot, and the dot is the way back.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from ui import theme
from ui.font import font
from ui.theme import color
from ui.widgets.field import restyle
from ui.widgets.label import Label, plain_tooltip

WIDTH_PX: Final = 300
PAD_PX: Final = 14


class Section(QWidget):
    """A part of the panel; what it shows is added to `column`. One that folds to a line has less air around it."""

    def __init__(self, *, is_folding: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(PAD_PX, 4 if is_folding else 9, PAD_PX, 4 if is_folding else 10)
        self.column.setSpacing(6)


def heading(text: str) -> Label:
    """The heading of a section."""
    return Label(text, "dense_strong", "text")


def row(*parts: QWidget, stretch_after: int = 1, widest: int = -1) -> QHBoxLayout:
    """The parts in one line. The room that is left lies after the first `stretch_after`, or `widest` takes it."""
    line = QHBoxLayout()
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(8)
    for i, part in enumerate(parts):
        if i == stretch_after and widest < 0:
            line.addStretch(1)
        line.addWidget(part, 1 if i == widest else 0)
    if len(parts) <= stretch_after and widest < 0:
        line.addStretch(1)
    return line


class ResetDot(QToolButton):
    """A dot beside what was changed from its default; a click gives the default back. Its room stays when hidden."""

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._what = what
        self.setFixedSize(QSize(20, 24))
        self.setAccessibleName(f"Reset {what}")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        policy = self.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.setSizePolicy(policy)
        self.setVisible(False)
        theme.notifier.changed.connect(self.update)

    def show_changed(self, *, is_changed: bool, default: str) -> None:
        """Show the dot or not; `default` says what a click goes back to."""
        self.setToolTip(plain_tooltip(f"Changed. Click to go back to {default}"))
        self.setAccessibleName(f"Reset {self._what} to {default}")
        self.setVisible(is_changed)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color("text" if self.underMouse() or self.hasFocus() else "accent"))
        painter.drawEllipse(self.rect().center(), 3, 3)


class Writing(QPlainTextEdit):
    """Some lines that a person writes; Tab leaves them. `rows` is how many are seen at once."""

    def __init__(self, what: str, placeholder: str, rows: int, *, is_mono: bool = False) -> None:
        super().__init__()
        self.setFont(font("mono" if is_mono else "dense"))
        self.setFixedHeight(rows * theme.ICON_SIZE + 14)
        self.setTabChangesFocus(True)
        self.setAccessibleName(what)
        self.setPlaceholderText(placeholder)

    def put(self, text: str) -> None:
        """Replace the text in one step that Ctrl+Z takes back."""
        if text != self.toPlainText():
            cursor = self.textCursor()
            cursor.select(cursor.SelectionType.Document)
            cursor.insertText(text)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        restyle(self, "state", "error" if has_error else "")
