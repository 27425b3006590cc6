"""What the answer that is being written does now: the prompt is read, or so many tokens a second come.

Rule: how much of a prompt is read says where that is known from; a prediction is called one.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.chat.stream.timing import AnswerTiming
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.state.status import Reading, Status
from ui.chat.turn.figure import Part, pieces_word, rate_part
from ui.chat.turn.figure_row import ROW_PX, Figures
from ui.text import count, duration, grouped, is_known, one_line
from ui.theme import color
from ui.widgets.chip import Chip
from ui.widgets.paint import box

_BAR_PX: Final = 4


def short_tokens(tokens: float) -> str:
    """Tokens in thousands where there are many: 940, 12.3 K, 98 K."""
    if not is_known(tokens):
        return "n/a"
    if tokens < 1000:
        return grouped(tokens)
    thousands = tokens / 1000
    return f"{thousands:.0f} K" if thousands >= 99.95 or thousands == round(thousands) else f"{thousands:.1f} K"


def reading_parts(reading: Reading) -> list[Part]:
    """How far the reading is, and about how long it still takes."""
    parts: list[Part] = []
    if is_known(reading.total) and reading.total > 0:
        parts.append(("", short_tokens(reading.read), f"of {short_tokens(reading.total)}"))
    if is_known(reading.left_s):
        left_s = max(1, round(reading.left_s))
        left, unit = (f"{left_s}", "s left") if left_s < 100 else (duration(left_s), "left")
        parts.append(("about", left, unit))
    elif parts:
        parts.append(("time left not known yet", "", ""))
    if reading.source:
        parts.append((one_line(reading.source, 60), "", ""))
    return parts


def writing_parts(timing: AnswerTiming) -> list[Part]:
    """How fast it comes and how much there is. Until the server counts, pieces are counted here, and called so."""
    return [rate_part(timing), ("", count(timing.completion_tokens), pieces_word(timing))]


class _Bar(QWidget):
    """How much is read; nothing while that is not known."""

    def __init__(self) -> None:
        super().__init__()
        self._fraction = float("nan")
        self.setFixedHeight(_BAR_PX)
        theme.notifier.changed.connect(self.update)

    def set_fraction(self, fraction: float) -> None:
        """Show a share."""
        if fraction != self._fraction:
            self._fraction = fraction
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if not is_known(self._fraction):
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        whole = QRectF(0, 0, min(self.width(), 420), _BAR_PX)
        box(painter, whole, _BAR_PX / 2, color("ledger_free"))
        if self._fraction > 0:
            done = QRectF(0, 0, max(_BAR_PX, whole.width() * self._fraction), _BAR_PX)
            box(painter, done, _BAR_PX / 2, color("accent"))


class StatusLine(RowWidget):
    """A chip with the state, its figures, and a bar while the prompt is read."""

    gap_px = 16

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chip = Chip("Waiting", "accent", "")
        self.figures = Figures()
        self._bar = _Bar()
        self._has_bar = False
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(12)
        line.addWidget(self.chip)
        line.addWidget(self.figures, 1)
        self.figures.setMinimumHeight(ROW_PX)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(line)
        column.addWidget(self._bar)
        self._bar.setVisible(False)

    def show_status(self, status: Status) -> None:
        """Show a state and its figures."""
        is_reading = status.phase == "reading"
        if status.phase == "preparing":
            self.chip.set_state(one_line(status.activity, 60), "accent", "")
            self.figures.set_parts([("", f"{status.elapsed_s:.0f}", "s")])
        elif status.phase == "waiting":
            self.chip.set_state("Waiting for the first word", "accent", "")
            self.figures.set_parts([("", f"{status.elapsed_s:.0f}", "s")])
        elif is_reading:
            self.chip.set_state("Reading prompt", "accent", "")
            self.figures.set_parts(reading_parts(status.reading))
            self._bar.set_fraction(status.reading.fraction)
        else:
            self.chip.set_state("Thinking" if status.phase == "thinking" else "Generating", "accent", "")
            self.figures.set_parts(writing_parts(status.timing))
        self.setAccessibleName(self.chip.text())
        self.setAccessibleDescription(self.figures.text())
        has_bar = is_reading and is_known(status.reading.fraction)
        if has_bar != self._has_bar:
            self._has_bar = has_bar
            self._bar.setVisible(has_bar)
            self.height_changed.emit()

    def height_at(self, width: int) -> int:
        """The height at any width."""
        return ROW_PX + (_BAR_PX + 4 if self._has_bar else 0)
