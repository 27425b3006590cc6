"""Rows of a label and its value, as the inspector shows what is known of a thing.

The one rule: a row whose value is not known says "n/a" and why in its tooltip; it is never left empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from sparkdesk.core.telemetry.sample import Sample
from ui.node.wrap import wrap_line
from ui.theme import Token
from ui.widgets.label import Label, plain_tooltip

LABEL_WIDTH = 92


class Row(NamedTuple):
    """A label, its value and what stands in the tooltip."""

    label: str
    value: str
    hint: str = ""
    tint: Token = "text"


def reader_of(sample: Sample | None) -> Callable[[str], float]:
    """What was measured, by key of the metric table; NaN for all that was not, and where there is no sample."""
    return sample.value if sample is not None else lambda _key: math.nan


class FactRows(QWidget):
    """A grid of rows; it is filled again without being made again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Row, ...] = ()
        self._cells: list[tuple[Label, Label]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        self._grid.setColumnStretch(1, 1)

    def rows(self) -> tuple[Row, ...]:
        """What is shown."""
        return self._rows

    def value(self, label: str) -> str:
        """The value beside a label, "" where there is no such row."""
        return next((row.value for row in self._rows if row.label == label), "")

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows."""
        if tuple(rows) == self._rows:
            return
        self._rows = tuple(rows)
        while len(self._cells) < len(rows):
            self._add_cells()
        for i, (name, value) in enumerate(self._cells):
            is_there = i < len(rows)
            name.setVisible(is_there)
            value.setVisible(is_there)
            if is_there:
                self._fill(name, value, rows[i])

    def _add_cells(self) -> None:
        at = len(self._cells)
        name = Label("", "label", "text3", is_wrapped=True)
        value = Label("", "dense", "text", is_wrapped=True, is_selectable=True)
        self._grid.addWidget(name, at, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, at, 1)
        self._cells.append((name, value))

    @staticmethod
    def _fill(name: Label, value: Label, row: Row) -> None:
        name.setText(row.label)
        value.setText(wrap_line(row.value, 400))
        value.set_tint(row.tint)
        value.setToolTip(plain_tooltip(row.hint) if row.hint else "")
        value.setAccessibleName(f"{row.label} {row.value}")
        value.setAccessibleDescription(row.hint)

    def set_stale(self, is_stale: bool) -> None:
        """Pale the values because they are old."""
        for _, value in self._cells:
            value.set_stale(is_stale)
