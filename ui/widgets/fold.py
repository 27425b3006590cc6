"""A part of a form that folds into one line, which says what is set inside.

The one rule: folded it hides no error: whoever finds one inside opens it, and the line wears a sign meanwhile.
What is inside is made when it is opened first: most folds of most forms never are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ui import theme
from ui.font import font
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, pen, text_width, write

_LEFT = 22.0
FoldMark = Literal["", "warn", "crit"]
_SIGNS: Final[dict[FoldMark, tuple[str, Token]]] = {
    "warn": ("triangle-alert", "warn"),
    "crit": ("octagon-alert", "crit"),
}
_SAID: Final[dict[FoldMark, str]] = {"": "", "warn": ", a warning inside", "crit": ", an error inside"}


class FoldHead(QToolButton):
    """The line: a chevron, the title, and beside it what is set."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._summary = title, ""
        self._mark: FoldMark = ""
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setProperty("has_focus_ring", False)  # it shows the focus by its own edge
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def set_summary(self, summary: str) -> None:
        """Change what is said beside the title."""
        self._summary = summary
        self.setToolTip(plain_tooltip(summary))
        self._name()

    def set_mark(self, mark: FoldMark) -> None:
        """Show that something inside is wrong ("crit"), or to be minded ("warn"); "" is neither."""
        self._mark = mark
        self._name()

    def mark(self) -> FoldMark:
        """What stands inside: an error, a warning, nothing."""
        return self._mark

    def _name(self) -> None:
        self.setAccessibleName(f"{self._title}{_SAID[self._mark]}: {self._summary}")
        self.update()

    def summary(self) -> str:
        """What is said beside the title."""
        return self._summary

    def sizeHint(self) -> QSize:
        return QSize(round(text_width(self._title, "dense_medium")) + 80, 28)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.hasFocus():
            box(painter, QRectF(self.rect()), theme.RADIUS_CHIP, None, pen(color("accent"), 2))
        name = "chevron-down" if self.isChecked() else "chevron-right"
        draw_icon(painter, QPointF(2, (self.height() - 14) / 2), name, "text2", 14)
        rect = QRectF(_LEFT, 0, self.width() - _LEFT, self.height())
        write(painter, rect, self._title, role="dense_medium", tint="text")
        if self.isChecked():
            return
        left = _LEFT + text_width(self._title, "dense_medium") + 10
        if self._mark:
            draw_icon(painter, QPointF(left, (self.height() - 14) / 2), *_SIGNS[self._mark], 14)
            left += 20
        rect.setLeft(left)
        room = rect.width() - 2
        said = QFontMetricsF(font("label")).elidedText(self._summary, Qt.TextElideMode.ElideRight, room)
        write(painter, rect, said, role="label", tint="text2" if self.underMouse() else "text3")


class Fold(QWidget):
    """A line and what it folds, which `build` puts into a column. `opened` comes when a person folds or opens it."""

    opened = Signal(bool)

    def __init__(self, title: str, build: Callable[[QVBoxLayout], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.head = FoldHead(title, self)
        self._build = build
        self._inner: QWidget | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.head)
        self.head.toggled.connect(self._show)
        self.head.clicked.connect(self.opened)

    def _show(self, is_open: bool) -> None:
        if self._inner is None:
            self._inner = QWidget(self)
            column = QVBoxLayout(self._inner)
            column.setContentsMargins(0, 4, 0, 4)
            column.setSpacing(12)
            layout = self.layout()
            assert layout is not None
            layout.addWidget(self._inner)
            self._build(column)
        self._inner.setVisible(is_open)

    def set_open(self, *, is_open: bool) -> None:
        """Fold or open it."""
        self.head.setChecked(is_open)

    def is_open(self) -> bool:
        """Whether it is open."""
        return self.head.isChecked()
