"""One number of sampling: a slider for the hand, a field for the exact value, a dot for the way back.

The one rule: the value is what was set, exactly. A slider between whose steps it lies stands near it and changes
nothing until it is moved.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QGridLayout, QSlider

from ui.chat.panel.sampling.value import Limits, read_number
from ui.chat.panel.section import ResetDot
from ui.widgets.field import TextInput, restyle
from ui.widgets.label import Label

DEFAULT_WORDS: Final = "default"
_FIELD_PX: Final = 62


@dataclass(frozen=True, slots=True)
class KnobKind:
    """What a knob is for: the field of Sampling, its name on screen, the slider's steps (rising) and the limits."""

    key: str
    title: str
    steps: tuple[float, ...]
    limits: Limits
    why: str = ""
    """What it does, as a tooltip."""


class _Slider(QSlider):
    def __init__(self, what: str, steps: int) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0, steps)
        self.setAccessibleName(what)
        self.setMinimumHeight(24)

    def wheelEvent(self, event: QWheelEvent) -> None:
        # Else scrolling through the panel would turn what it passes over.
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Knob(QObject):
    """`changed` comes when a person set another value; `value()` is None for the model's own default."""

    changed = Signal()

    def __init__(self, kind: KnobKind, parent: QObject) -> None:
        super().__init__(parent)
        self.kind = kind
        self._value: float | None = None
        self._default: float | None = None
        self.name = Label(kind.title, "dense", "text2")
        self.name.setToolTip(kind.why)
        self.dot = ResetDot(kind.title)
        self.slider = _Slider(kind.title, len(kind.steps))
        self.field = TextInput(placeholder=DEFAULT_WORDS, is_small=True)
        self.field.setAccessibleName(f"{kind.title}, exact value")
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.field.setProperty("tone", "quiet")
        self.field.setFixedWidth(_FIELD_PX)
        self.problem = Label("", "label", "crit", is_wrapped=True)
        self.problem.setVisible(False)
        self.slider.valueChanged.connect(self._on_slid)
        self.slider.sliderReleased.connect(self.changed)
        self.field.editingFinished.connect(self._on_typed)
        self.dot.clicked.connect(lambda: self._take(self._default))

    def place(self, grid: QGridLayout, at: int) -> None:
        """Lay it out in two rows of a grid of four columns, the second for what is wrong."""
        for column, part in enumerate((self.name, self.dot, self.slider, self.field)):
            grid.addWidget(part, at, column)
        grid.addWidget(self.problem, at + 1, 0, 1, 4)

    def value(self) -> float | None:
        """The value set."""
        return self._value

    def set_value(self, value: float | None, default: float | None) -> None:
        """Show a value and what its default is, and tell nobody. What is being typed or slid stays."""
        self._default = default
        if not self.slider.isSliderDown() and not self.field.isModified():
            self._value = value
            self._show()

    def forget_typing(self) -> None:
        """Drop what was typed and not taken: another chat is shown."""
        self.field.setModified(False)

    def set_disabled_reason(self, reason: str) -> None:
        """Take it away with a reason, or give it back with ""."""
        for part in (self.slider, self.field):
            part.setEnabled(not reason)
            part.setToolTip(reason)
            part.setAccessibleDescription(reason)
        self.name.setToolTip(reason or self.kind.why)

    def _take(self, value: float | None) -> None:
        has_changed, self._value = value != self._value, value
        self._show()
        if has_changed:
            self.changed.emit()

    def _on_slid(self, step: int) -> None:
        self._value = self.kind.steps[step - 1] if step else None
        self._show()
        if not self.slider.isSliderDown():
            self.changed.emit()

    def _on_typed(self) -> None:
        if not self.field.isModified():
            return
        read = read_number(self.field.text(), self.kind.limits)
        self._say(read.problem)
        if not read.problem:
            self.field.setModified(False)
            self._take(read.value)

    def _show(self) -> None:
        value = self._value
        steps = self.kind.steps
        at = 0
        if value is not None:
            after = min(bisect_left(steps, value), len(steps) - 1)
            before = max(after - 1, 0)
            at = 1 + (before if abs(steps[before] - value) < abs(steps[after] - value) else after)
        if not self.slider.isSliderDown():
            self.slider.blockSignals(True)
            self.slider.setValue(at)
            self.slider.blockSignals(False)
        # At the left end of the slider, but no number: it must not look like the least one.
        restyle(self.slider, "state", "unset" if value is None else "")
        if self.slider.isEnabled():
            self.slider.setAccessibleDescription("not set: the model's own default" if value is None else "")
        self.field.setText("" if value is None else self.kind.limits.shown(value))
        self.field.setModified(False)
        self._say("")
        default = "the model's own" if self._default is None else self.kind.limits.shown(self._default)
        self.dot.show_changed(is_changed=value != self._default, default=default)

    def _say(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.field.set_error(bool(problem))
        self.field.setAccessibleDescription(problem)
