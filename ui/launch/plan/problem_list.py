"""What to mind before a launch, worst first: what it is, and what to do.

The one rule: a finding is told once, however many of the parts of a plan found it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.jobs.plan import Problem, Severity
from ui import text
from ui.icon import icon
from ui.launch.occasion.mend import Mend, Mends
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.label import Label

ProblemLine = tuple[str, str, str]
"""Severity, what, what to do."""
_SEVERITIES: Final[dict[Severity, tuple[str, Token]]] = {
    Severity.ERROR: ("octagon-alert", "crit"),
    Severity.WARNING: ("triangle-alert", "warn"),
    Severity.NOTE: ("circle-help", "text3"),
}
_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
_LONGEST: Final = 300


class ProblemList(QWidget):
    """Findings, worst first: what, and what to do."""

    mend_asked = Signal(object)
    """The Mend that the person pressed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mends: Mends = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self._rows: list[QWidget] = []
        self._shown: tuple[tuple[str, str, str], ...] = ()
        self.setVisible(False)

    def show_lines(self, lines: tuple[tuple[str, str, str], ...], mends: Mends | None = None) -> None:
        """Show (severity, what, what to do); `mends` are buttons, by what."""
        mends = {text.one_line(what, _LONGEST): each for what, each in (mends or {}).items()}
        if (lines, mends) == (self._shown, self._mends):
            return
        self._shown, self._mends = lines, mends
        for row in self._rows:
            self._column.removeWidget(row)
            row.deleteLater()
        self._rows = [_problem_row(*line) for line in lines]
        for row, line in zip(self._rows, lines, strict=True):
            self._column.addWidget(row)
            self._add_buttons(row, mends.get(line[1], ()))
        self.setVisible(bool(lines))

    def _add_buttons(self, row: QWidget, mends: Sequence[Mend]) -> None:
        layout = row.layout()
        if not mends or not isinstance(layout, QHBoxLayout):
            return
        column = QVBoxLayout()
        column.setSpacing(4)
        for mend in mends:
            button = Button(mend.label, is_small=True)
            button.clicked.connect(partial(self.mend_asked.emit, mend))
            column.addWidget(button)
        column.addStretch(1)
        layout.addLayout(column)

    def lines(self) -> tuple[tuple[str, str, str], ...]:
        """What is shown."""
        return self._shown


def _problem_row(severity: str, message: str, remedy: str) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    name, tint = _SEVERITIES[Severity(severity)]
    sign = Label()
    sign.setPixmap(icon(name, tint).pixmap(QSize(16, 16)))
    sign.setAccessibleName(severity)
    layout.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
    words = QVBoxLayout()
    words.setSpacing(0)
    words.addWidget(Label(message, "dense_medium", "text", is_wrapped=True, is_selectable=True))
    if remedy:
        words.addWidget(Label(remedy, "label", "text2", is_wrapped=True, is_selectable=True))
    layout.addLayout(words, 1)
    return row


def problem_lines(
    problems: Iterable[Problem], errors: Mapping[str, str], notes: Iterable[str] = ()
) -> tuple[ProblemLine, ...]:
    """Findings as lines, worst first. `errors` are those of the form, by field; "" is the whole form."""
    ranked = sorted(problems, key=lambda problem: _ORDER.index(problem.severity))
    told = [(p.severity.value, text.one_line(p.message, _LONGEST), text.one_line(p.remedy, _LONGEST)) for p in ranked]
    lines = list({line[1]: line for line in reversed(told)}.values())[::-1]
    whole = errors.get("", "")
    if whole and not any(line[0] == Severity.ERROR.value for line in lines):
        lines.insert(0, (Severity.ERROR.value, text.one_line(whole, _LONGEST), ""))
    lines += [(Severity.NOTE.value, text.one_line(note, _LONGEST), "") for note in notes]
    return tuple(lines)
