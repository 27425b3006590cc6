"""What else is known of the chosen plan: longest context, most users, quality, power, cost.

The one rule: every column that the table hides for want of room stands here, for the form's own row.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from ui.launch.plan.figure_pane import pale
from ui.widgets.label import Label

_COLUMNS: Final = 2


class FactGrid(QWidget):
    """What, how much; two pairs a line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(16, 8, 16, 8)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(2)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(2 * column + 1, 1)
        self.facts: tuple[tuple[str, str], ...] = ()
        self._labels: list[tuple[Label, Label]] = []

    def show_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Show these."""
        self.facts = facts
        while len(self._labels) < len(facts):
            line, column = divmod(len(self._labels), _COLUMNS)
            pair = (Label("", "label", "text3"), Label("", "label", "text", is_wrapped=True, is_selectable=True))
            for i, label in enumerate(pair):
                self._grid.addWidget(label, line, 2 * column + i, Qt.AlignmentFlag.AlignTop)
            self._labels.append(pair)
        for i, (name, value) in enumerate(self._labels):
            for label in (name, value):
                label.setVisible(i < len(facts))
            if i < len(facts):
                name.setText(facts[i][0])
                value.setText(facts[i][1])
                value.setAccessibleName(f"{facts[i][0]}: {facts[i][1]}")

    def set_stale(self, is_stale: bool) -> None:
        """Pale them because the form has moved on."""
        pale(self, is_stale=is_stale)
