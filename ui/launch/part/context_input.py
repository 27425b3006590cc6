"""The context of one request: typed, or drawn along the powers of two up to what the model was trained for.

The one rule: the field takes any number; the slider only offers the usual ones.
"""

from __future__ import annotations

from bisect import bisect_left

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QWidget

from ui.launch.serving.number import read_whole
from ui.widgets.field import TextInput

LEAST_TOKENS = 1024


def stops_to(limit_tokens: int) -> tuple[int, ...]:
    """What the slider offers: powers of two and halfway between, and the limit itself."""
    found = {limit_tokens}
    step = LEAST_TOKENS
    while step < limit_tokens:
        found |= {step, min(step * 3 // 2, limit_tokens)}
        step *= 2
    return tuple(sorted(found))


class ContextInput(QWidget):
    """A field and a slider. `edited` carries what was typed or drawn, as text."""

    edited = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.input = TextInput()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Context per request, slider")
        self.slider.setPageStep(2)
        self._stops: tuple[int, ...] = ()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.input, 2)
        row.addWidget(self.slider, 3)
        self.setFocusProxy(self.input)
        self.input.textEdited.connect(self.edited)
        self.slider.valueChanged.connect(self._draw)

    def set_value(self, typed: str, limit_tokens: int | None) -> None:
        """Show what the form says; without a known limit there is no slider."""
        if self.input.text() != typed:
            self.input.setText(typed)
        self._stops = stops_to(limit_tokens) if limit_tokens else ()
        self.slider.setVisible(len(self._stops) > 1)
        tokens = read_whole(typed)
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(self._stops) - 1))
        if tokens is not None:
            self.slider.setValue(bisect_left(self._stops, tokens))
        self.slider.blockSignals(False)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        self.input.set_error(has_error)

    def setAccessibleName(self, name: str) -> None:  # noqa: N802
        super().setAccessibleName(name)
        self.input.setAccessibleName(name)

    def _draw(self, at: int) -> None:
        typed = f"{self._stops[at]:,}"
        self.input.setText(typed)
        self.edited.emit(typed)
