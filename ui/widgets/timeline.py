"""The stages of something that takes minutes: done, running, failed, not yet.

Rule: the time of each stage stays visible after it ended; once ready the whole folds to one line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from ui import theme
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import box, elided, pen, text_width, write

StageState = Literal["todo", "current", "done", "failed", "skipped", "degraded", "unknown"]

_WORDS: dict[StageState, str] = {
    "todo": "not yet",
    "current": "running",
    "done": "done",
    "failed": "failed",
    "skipped": "skipped",
    "degraded": "not as it should be",
    "unknown": "not known",
}
_TINTS: dict[StageState, Token] = {"todo": "text3", "skipped": "text3", "failed": "crit", "degraded": "warn"}
_DOT = 14.0
_LEAST_PX = 100.0
"""Of a stage; where all together have less, the ended ones stand as one."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its title, state, time ("2:38") and one line of detail ("30.6 GiB x 2" or the last error line)."""

    title: str
    state: StageState = "todo"
    time_text: str = ""
    detail: str = ""


class StateTimeline(QWidget):
    """Up to about nine stages beside each other, 52 high; folded 20 high."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stages: tuple[Stage, ...] = ()
        self._is_folded = False
        self._summary = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def set_stages(self, stages: tuple[Stage, ...], *, is_folded: bool = False, summary: str = "") -> None:
        """Show stages; folded, one line: the failed or the last one large, then `summary` or the others' times."""
        if (stages, is_folded, summary) == (self._stages, self._is_folded, self._summary):
            return
        is_resized = is_folded != self._is_folded
        self._stages, self._is_folded, self._summary = stages, is_folded, summary
        said = f"{summary}. " if summary else ""
        self.setAccessibleName(f"{said}Stages: " + "; ".join(_sentence(stage) for stage in stages))
        if is_resized:
            self.updateGeometry()
        self.update()

    def stages(self) -> tuple[Stage, ...]:
        """Return the stages shown now."""
        return self._stages

    def columns(self) -> tuple[Stage, ...]:
        """The stages as they stand beside each other: the ended ones as one where not all have room."""
        most = max(3, int(self.width() / _LEAST_PX))
        ended = next((i for i, s in enumerate(self._stages) if s.state not in ("done", "skipped")), len(self._stages))
        over = min(len(self._stages) - most + 1, ended, len(self._stages) - 1)
        if len(self._stages) <= most or over < 2:
            return self._stages
        times = " + ".join(stage.time_text for stage in self._stages[:over] if stage.time_text)
        return (Stage(f"{over} steps", "done", "", times), *self._stages[over:])

    def sizeHint(self) -> QSize:
        return QSize(320, 20 if self._is_folded else 52)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._stages:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._is_folded:
            self._draw_folded(painter)
            return
        stages = self.columns()
        step = self.width() / len(stages)
        for i, stage in enumerate(stages):
            left = i * step
            _draw_dot(painter, QPointF(left, 1), stage)
            if i + 1 < len(stages):
                tint: Token = "ok" if stage.state in ("done", "skipped") else "border"
                painter.setPen(pen(color(tint), 1.5, dash=(2, 3) if stage.state == "skipped" else ()))
                painter.drawLine(QPointF(left + _DOT + 6, 8), QPointF(left + step - 6, 8))
            self._draw_words(painter, stage, left, step - 8)

    def _draw_words(self, painter: QPainter, stage: Stage, left: float, width: float) -> None:
        tint = _TINTS.get(stage.state, "text")
        title = elided(stage.title, "dense_strong", width)
        write(painter, QRectF(left, 18, width, 18), title, role="dense_strong", tint=tint)
        used = text_width(title, "dense_strong") + 5
        has_room = used + text_width(stage.time_text, "dense") <= width + 6
        if has_room:
            rect = QRectF(left + used, 18, width - used + 8, 18)
            write(painter, rect, stage.time_text, role="dense", tint="text2")
        elif stage.time_text:
            # A value is never cut: where it has no room beside its title it takes the line of the words below.
            write(painter, QRectF(left, 35, width + 8, 16), stage.time_text, role="label", tint="text2")
            return
        detail = elided(stage.detail, "label", width)
        detail_tint: Token = "crit" if stage.state == "failed" else "text3"
        write(painter, QRectF(left, 35, width, 16), detail, role="label", tint=detail_tint)

    def _draw_folded(self, painter: QPainter) -> None:
        last = next((stage for stage in self._stages if stage.state == "failed"), self._stages[-1])
        _draw_dot(painter, QPointF(0, 3), last)
        left = _DOT + 8
        write(painter, QRectF(left, 0, self.width(), 20), last.title, role="dense_strong", tint="text")
        left += text_width(last.title, "dense_strong") + 6
        write(painter, QRectF(left, 0, self.width(), 20), last.time_text, role="dense", tint="text2")
        left += text_width(last.time_text, "dense") + 6
        rest = self._summary or " · ".join(
            f"{s.title} {s.time_text}" for s in self._stages if s is not last and s.time_text
        )
        room = self.width() - left - 8
        write(painter, QRectF(left + 8, 0, room, 20), elided(rest, "label", room), role="label", tint="text3")

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._stages:
            columns = self.columns()
            index = int(event.pos().x() / max(self.width() / len(columns), 1))
            is_whole = self._is_folded or (index == 0 and columns is not self._stages)
            shown = self._stages if is_whole else columns[index : index + 1]
            QToolTip.showText(event.globalPos(), plain_tooltip("\n".join(_sentence(s) for s in shown)), self)
            return True
        return super().event(event)


def _sentence(stage: Stage) -> str:
    parts = (f"{stage.title} {_WORDS[stage.state]}", stage.time_text, stage.detail)
    return ", ".join(part for part in parts if part)


def _draw_dot(painter: QPainter, at: QPointF, stage: Stage) -> None:
    rect = QRectF(at.x(), at.y(), _DOT, _DOT)
    inner = QPointF(at.x() + 2, at.y() + 2)
    if stage.state == "done":
        box(painter, rect, _DOT / 2, color("oksoft"))
        draw_icon(painter, inner, "check", "ok", 10)
    elif stage.state == "current":
        box(painter, rect, _DOT / 2, color("accentsoft"), pen(color("accent"), 2))
    elif stage.state == "failed":
        box(painter, rect, _DOT / 2, color("critsoft"), pen(color("crit"), 1.5))
        draw_icon(painter, inner, "x", "crit", 10)
    elif stage.state == "degraded":
        draw_icon(painter, at, "triangle-alert", "warn", round(_DOT))
    elif stage.state == "unknown":
        draw_icon(painter, at, "circle-help", "text2", round(_DOT))
    elif stage.state == "skipped":
        box(painter, rect, _DOT / 2, None, pen(color("control"), 1.2, dash=(2, 2)))
        draw_icon(painter, inner, "minus", "text3", 10)
    else:
        box(painter, rect, _DOT / 2, None, pen(color("control"), 1.2))
    painter.setBrush(Qt.BrushStyle.NoBrush)
