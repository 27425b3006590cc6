"""Rows about an answer: what it does now, its figures, why it is not whole.

Rule: a figure says who counted it; unknown is "n/a", and an answer that failed says what to do.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.chat.timing import AnswerTiming
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.model import Status
from ui.font import Role
from ui.icon import draw_icon
from ui.text import count, first_token_time, is_known, one_line, percent, pool, token_rate
from ui.theme import Token, color
from ui.widgets.button import Button, IconButton
from ui.widgets.chip import Chip
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.paint import box, pen, text_width, write

_ROW_PX = 26


class Figures(QWidget):
    """Short figures in one line: label, value, unit."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[tuple[str, str, str]] = []
        theme.notifier.changed.connect(self.update)

    def set_parts(self, parts: list[tuple[str, str, str]]) -> None:
        """Show (words before, value, words after)."""
        if parts != self._parts:
            self._parts = parts
            self.setAccessibleName(", ".join(" ".join(word for word in part if word) for part in parts))
            self.update()

    def text(self) -> str:
        """All of it as words."""
        return self.accessibleName()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left = 0.0
        for before, value, after in self._parts:
            words: tuple[tuple[str, Token, bool], ...] = (
                (before, "text3", False),
                (value, "text", True),
                (after, "text3", False),
            )
            for word, tint, is_value in words:
                if word:
                    role: Role = "label_medium" if is_value else "label"
                    width = text_width(word, role)
                    if left + width > self.width() + 1:
                        return
                    write(painter, QRectF(left, 0, width + 2, self.height()), word, role=role, tint=tint)
                    left += width + 4
            left += 9


def figures_of(timing: AnswerTiming) -> list[tuple[str, str, str]]:
    """The figures of an answer as label, value and unit."""
    rate, first = token_rate(timing.tokens_per_s), first_token_time(timing.ttft_s)
    parts = [("TTFT", first.value, first.unit), ("", rate.value, rate.unit or "tok/s")]
    by = "" if timing.is_counted_by_server else " pieces, counted here"
    parts.append(("", count(timing.completion_tokens), "tokens" if not by else by.strip()))
    if timing.prompt_tokens is not None:
        share = ""
        if timing.cached_tokens is not None and timing.prompt_tokens:
            share = f"{percent(timing.cached_tokens / timing.prompt_tokens)} cached"
        parts.append(("prompt", count(timing.prompt_tokens), share))
    if is_known(timing.prefill_tokens_per_s):
        prefill = token_rate(timing.prefill_tokens_per_s)
        parts.append(("prefill", prefill.value, prefill.unit))
    return parts


class StatsLine(RowWidget):
    """The figures of a whole answer, and what can be done with it."""

    copy_asked = Signal()
    retry_asked = Signal()
    gap_px = 16

    def __init__(
        self, timing: AnswerTiming, label: str, note: str, *, is_last: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.figures = Figures()
        self.figures.set_parts(figures_of(timing))
        self.figures.setToolTip("Tokens by the server's own count" if timing.is_counted_by_server else "Counted here")
        said = "counted by the server" if timing.is_counted_by_server else ""
        words = " · ".join(one_line(word, 120) for word in (label, note, said) if word)
        self._by = ElidedLabel(words, "label", "text3")
        copy = IconButton("copy", "Copy the answer", size=26)
        copy.clicked.connect(self.copy_asked)
        head = QHBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.figures, 1)
        head.addWidget(copy)
        if is_last:
            again = IconButton("refresh-cw", "Answer again", size=26)
            again.clicked.connect(self.retry_asked)
            head.addWidget(again)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self._by)

    def height_at(self, width: int) -> int:
        """The height at any width."""
        return _ROW_PX + 16


class StatusLine(RowWidget):
    """What the answer that is being written does now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chip = Chip("Waiting", "accent", "")
        self.figures = Figures()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.chip)
        row.addWidget(self.figures, 1)

    def show_status(self, status: Status) -> None:
        """Show a state and its figures."""
        if status.phase == "waiting":
            self.chip.set_state("Waiting for the first word", "accent", "")
            self.figures.set_parts([("", f"{status.elapsed_s:.0f}", "s")])
        elif status.phase == "reading":
            self.chip.set_state("Reading prompt", "accent", "")
            parts = [("", pool(status.processed), f"of {pool(status.total)}")]
            if is_known(status.left_s):
                parts.append(("about", f"{max(1, round(status.left_s))}", "s left"))
            self.figures.set_parts(parts)
        else:
            self.chip.set_state("Thinking" if status.phase == "thinking" else "Generating", "accent", "")
            rate = token_rate(status.timing.tokens_per_s)
            tokens = count(status.timing.completion_tokens)
            self.figures.set_parts([("", rate.value, rate.unit or "tok/s"), ("", tokens, "tokens")])

    def height_at(self, width: int) -> int:
        """The height at any width."""
        return _ROW_PX


class Note(RowWidget):
    """A plain remark, or a button to more."""

    clicked = Signal()
    gap_px = 8

    def __init__(self, text: str, *, is_button: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        if is_button:
            button = Button(text, kind="link")
            button.clicked.connect(self.clicked)
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        else:
            self.label = Label(text, "dense", "text3", is_wrapped=True)
            row.addWidget(self.label)
        self.is_button = is_button

    def height_at(self, width: int) -> int:
        """The height at this width."""
        return 24 if self.is_button else max(20, self.label.heightForWidth(width))


class Problem(RowWidget):
    """Why an answer is not whole, and what to do."""

    retry_asked = Signal()
    gap_px = 16

    def __init__(
        self, title: str, remedy: str, *, is_error: bool, is_last: bool, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._tint: Token = "crit" if is_error else "warn"
        self._fill: Token = "critsoft" if is_error else "warnsoft"
        self._words = QWidget(self)
        column = QVBoxLayout(self._words)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self._title = Label(one_line(title, 600), "strong", "text", is_wrapped=True, is_selectable=True)
        self._remedy = Label(one_line(remedy, 600), "dense", "text2", is_wrapped=True, is_selectable=True)
        column.addWidget(self._title)
        column.addWidget(self._remedy)
        self.retry = Button("Retry", icon="refresh-cw", is_small=True, parent=self)
        self.retry.setVisible(is_last)
        self.retry.clicked.connect(self.retry_asked)
        self.setAccessibleName(f"{title} {remedy}")
        theme.notifier.changed.connect(self.update)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        button_px = self.retry.sizeHint().width() + 10 if self.retry.isVisibleTo(self) else 0
        inner = width - 38 - 12 - button_px
        height = self._title.heightForWidth(inner) + 2 + self._remedy.heightForWidth(inner)
        self._words.setGeometry(38, 10, inner, height)
        self.retry.adjustSize()
        self.retry.move(width - button_px - 2, 10)
        return height + 20

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color(self._fill), pen(color(self._tint)))
        icon = "octagon-alert" if self._tint == "crit" else "triangle-alert"
        draw_icon(painter, QRectF(13, 12, 16, 16).topLeft(), icon, self._tint)
