"""The figures of an answer, what can be done with it, and on demand all that is known of how it came.

Rule: nothing is told by a tooltip alone; the arrow opens the same lines under the row.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from ui import theme
from ui.chat.column import RowWidget
from ui.chat.row import StatsRow
from ui.chat.turn.figure import Part, details_of, details_text, figures_of
from ui.chat.turn.sibling import SiblingPicker
from ui.font import Role
from ui.theme import Token, color
from ui.widgets.button import IconButton
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import box, pen, text_width, write

ROW_PX: Final = 28


class Figures(QWidget):
    """Short figures in one line: label, value, unit."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[Part] = []
        theme.notifier.changed.connect(self.update)

    def set_parts(self, parts: list[Part]) -> None:
        """Show (words before, value, words after)."""
        if parts != self._parts:
            self._parts = parts
            self.setAccessibleName(", ".join(_as_words(part) for part in parts))
            self.update()

    def text(self) -> str:
        """All of it as words."""
        return self.accessibleName()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left = 0.0
        for part in self._parts:
            placed = _place(part, left)
            # A figure is whole or not there: a number without its unit is another number.
            if placed and placed[-1][0] + text_width(placed[-1][1], placed[-1][2]) > self.width() + 1:
                return
            for at, word, role, tint in placed:
                left = at + text_width(word, role) + 4
                write(painter, QRectF(at, 0, left - at, self.height()), word, role=role, tint=tint)
            left += 9


def _place(part: Part, left: float) -> list[tuple[float, str, Role, Token]]:
    """Where each word of a figure begins, and how it looks."""
    looks: tuple[tuple[Role, Token], ...] = (("label", "text3"), ("label_medium", "text"), ("label", "text3"))
    placed = []
    for word, (role, tint) in zip(part, looks, strict=True):
        if word:
            left -= 4 if word.startswith(",") else 0
            placed.append((left, word, role, tint))
            left += text_width(word, role) + 4
    return placed


def _as_words(part: Part) -> str:
    return " ".join(word for word in part if word).replace(" ,", ",")


class StatsLine(RowWidget):
    """The figures of a whole answer, and what can be done with it."""

    asked = Signal(str)
    """copy, regenerate, branch or choices."""
    sibling_chosen = Signal(int)
    opened = Signal(bool)
    gap_px = 16

    def __init__(self, row: StatsRow, *, is_open: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = row
        self.figures = Figures()
        if row.of.timing is not None and row.of.message.parts:
            self.figures.set_parts(figures_of(row.of))
            self.figures.setToolTip(plain_tooltip(details_text(row.of)))
        self.details: QWidget | None = None
        self.buttons: dict[str, IconButton] = {}
        self._head = QWidget(self)
        line = QHBoxLayout(self._head)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(2)
        line.addWidget(self.figures, 1)
        if row.siblings.is_choice:
            picker = SiblingPicker(row.siblings, "answer")
            picker.chosen.connect(self.sibling_chosen)
            line.addWidget(picker)
        self._add_buttons(line)
        self.set_open(is_open)
        theme.notifier.changed.connect(self.update)

    def _add_buttons(self, line: QHBoxLayout) -> None:
        more = IconButton("chevron-down", "All figures of this answer", size=26)
        more.clicked.connect(lambda: self.set_open(self.details is None))
        self.buttons["details"] = more
        line.addWidget(more)
        names = [("copy", "copy", "Copy the answer"), ("regenerate", "refresh-cw", "Answer again, beside this one")]
        names.append(("branch", "git-fork", "Go on from here in a branch"))
        if self._row.of.choices:
            title = "Show the text" if self._row.shows_choices else "Show how sure the model was of each token"
            names.insert(0, ("choices", "gauge", title))
        for key, icon, title in names:
            button = IconButton(icon, title, size=26)
            button.clicked.connect(lambda _is_on=False, key=key: self.asked.emit(key))
            self.buttons[key] = button
            line.addWidget(button)

    def set_answering(self, is_answering: bool) -> None:
        """While an answer is written no other is asked for. The button with the keyboard stays: it would lose it."""
        for key in ("regenerate", "branch"):
            self.buttons[key].setEnabled(not is_answering or self.buttons[key].hasFocus())

    def set_open(self, is_open: bool) -> None:
        """Show or hide all figures."""
        if is_open == (self.details is not None):
            return
        if self.details is not None:
            self.details.deleteLater()
            self.details = None
        else:
            self.details = _detail_grid(self._row, self)
            self.details.setVisible(True)
        title = "Fewer figures" if is_open else "All figures of this answer"
        self.buttons["details"].setAccessibleName(title)
        self.buttons["details"].setToolTip(title)
        self.opened.emit(is_open)
        self.height_changed.emit()

    def height_at(self, width: int) -> int:
        """The height at this width."""
        self._head.setGeometry(0, 0, width, ROW_PX)
        if self.details is None:
            return ROW_PX
        self.details.setGeometry(12, ROW_PX + 12, width - 24, 10)
        layout = self.details.layout()
        height = 0
        if layout is not None:
            layout.activate()
            height = layout.heightForWidth(width - 24) if layout.hasHeightForWidth() else layout.sizeHint().height()
        self.details.setGeometry(12, ROW_PX + 12, width - 24, height)
        return ROW_PX + height + 24

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.details is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(0, ROW_PX + 2, self.width(), self.height() - ROW_PX - 2)
        box(painter, frame, theme.RADIUS_CONTROL, color("surface"), pen(color("border")))


def _detail_grid(row: StatsRow, parent: QWidget) -> QWidget:
    holder = QWidget(parent)
    grid = QGridLayout(holder)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(16)
    grid.setVerticalSpacing(3)
    grid.setColumnStretch(2, 1)
    for line, detail in enumerate(details_of(row.of)):
        grid.addWidget(Label(detail.title, "label", "text3"), line, 0, Qt.AlignmentFlag.AlignTop)
        value = Label(detail.value, "label_medium", "text", is_wrapped=True, is_selectable=True)
        grid.addWidget(value, line, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(Label(detail.words, "label", "text3", is_wrapped=True), line, 2, Qt.AlignmentFlag.AlignTop)
    grid.setColumnMinimumWidth(1, 150)
    return holder
