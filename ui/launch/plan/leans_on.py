"""What a prediction leans on: the nearest measured case, its figures, and what is not the same there.

The one rule: a prediction without a near case says so; nothing here looks measured that is not.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.planning.prediction import Prediction
from ui import theme
from ui.launch.plan.words import case_words, leans_words
from ui.theme import Token, color
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label, plain_tooltip

_MOST_CASES: Final = 5


class LeansOnStrip(QWidget):
    """A strip over the whole width of the column."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sign = IconLabel("gauge", "s2", size=14)
        self.case = Label("", "label_medium", "text", is_wrapped=True, is_selectable=True)
        self.differs = Label("", "label", "text2", is_wrapped=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 16, 6)
        row.setSpacing(8)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.case)
        words.addWidget(self.differs)
        row.addLayout(words, 1)
        theme.notifier.changed.connect(self.update)

    def show_prediction(self, prediction: Prediction) -> None:
        """Show what this prediction leans on."""
        case, differs = leans_words(prediction)
        self.case.setText(case)
        self.differs.setText(differs)
        is_supported = prediction.is_fitted and bool(prediction.leans_on)
        tint: Token = "s2" if is_supported else "warn"
        self._sign.set_icon("gauge" if is_supported else "triangle-alert", tint)
        others = [case_words(each) for each in prediction.leans_on[1:_MOST_CASES]]
        self.setToolTip(plain_tooltip("Then: " + "\n".join(others)) if others else "")
        self.setAccessibleName(f"{case}. {differs}")

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(self.rect(), color("sunken"))
