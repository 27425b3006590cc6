"""Which of several turns that stand beside one another is shown: "‹ 2 / 3 ›".

Rule: the arrows say where they lead, and one that leads nowhere is off.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui.chat.row import Siblings
from ui.widgets.button import IconButton
from ui.widgets.label import Label


class SiblingPicker(QWidget):
    """Two arrows and a place between them."""

    chosen = Signal(int)
    """The number of the turn to show."""

    def __init__(self, siblings: Siblings, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._siblings = siblings
        of = len(siblings.numbers)
        self.back = IconButton("chevron-left", f"{what.capitalize()} before this one", size=24)
        self.place = Label(f"{siblings.at + 1} / {of}", "label_medium", "text2")
        self.on = IconButton("chevron-right", f"{what.capitalize()} after this one", size=24)
        self.setAccessibleName(f"{what} {siblings.at + 1} of {of}")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(1)
        for part in (self.back, self.place, self.on):
            row.addWidget(part)
        self.back.setEnabled(siblings.beside(-1) is not None)
        self.on.setEnabled(siblings.beside(1) is not None)
        self.back.clicked.connect(lambda: self._choose(-1))
        self.on.clicked.connect(lambda: self._choose(1))
        self.setFixedHeight(26)
        self.adjustSize()

    def _choose(self, step: int) -> None:
        number = self._siblings.beside(step)
        if number is not None:
            self.chosen.emit(number)
