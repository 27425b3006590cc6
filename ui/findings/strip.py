"""The findings in one strip under the map: the three worst with their time, how many there are, and the way to all.

The one rule: a strip that was told nothing says so; it never claims that all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QDateTime, Signal
from PySide6.QtGui import QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QWidget

from sparkdesk.core.findings.concern import Concern, worst_first
from ui import text
from ui.findings import words
from ui.node.mark import tint_of
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label, plain_tooltip
from ui.widgets.paint import text_width

HEIGHT = 76
HEIGHT_LOW = 36
SHOWN = 3
CELL_WIDTH = 250
"""A cell is not made narrower: there are fewer of them."""
_HEAD_WIDTH = 116
_SHORTEST_LABEL = 12
_FIX_SHARE_LOW = 0.42
"""Of a cell in one line, for its fix."""
_DOWN, _ACROSS = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight


class FindingCell(Card):
    """One finding. A click or Enter opens it; its link starts the fix."""

    fix_asked = Signal(str)
    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, is_clickable=True)
        self.finding_id = ""
        self._concern: Concern | None = None
        self._icon = IconLabel("")
        self.title = ElidedLabel("", "dense_strong", "text")
        self.time = Label("", "label", "text3")
        self.evidence = ElidedLabel("", "label", "text2")
        self.more = ElidedLabel("", "label", "text3")
        self.fix = Button("", kind="link")
        self.fix.clicked.connect(lambda: self.fix_asked.emit(self.finding_id))
        self.clicked.connect(lambda: self.opened.emit(self.finding_id))
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._icon)
        head.addWidget(self.title, 1)
        head.addWidget(self.time)
        self._foot = QBoxLayout(_DOWN)
        self._foot.setSpacing(0)
        self._foot.addWidget(self.evidence, 1)
        self._foot.addWidget(self.more, 1)
        self._foot.addWidget(self.fix)
        self._foot.addStretch(0)
        for label in (self.evidence, self.more):
            label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._column = QBoxLayout(_DOWN, self)
        self._column.addLayout(head)
        self._column.addLayout(self._foot, 1)
        self.set_low(False)

    def set_low(self, is_low: bool) -> None:
        """Everything in one line, or in three."""
        for layout in (self._column, self._foot):
            layout.setDirection(_ACROSS if is_low else _DOWN)
        self._column.setContentsMargins(12, *((0, 12, 0) if is_low else (8, 12, 6)))
        self._column.setSpacing(12 if is_low else 0)
        self._foot.setContentsMargins(0 if is_low else 24, 0, 0, 0)
        self._foot.setSpacing(12 if is_low else 0)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """As much of the fix's words as there is room for: in three lines all of the last one."""
        if self._concern is None:
            return
        is_low = self._column.direction() == _ACROSS
        room = self.width() * _FIX_SHARE_LOW if is_low else self.width() - 60
        label = words.fix_label(self._concern)
        for chars in range(len(label), _SHORTEST_LABEL, -1):
            if text_width(label, "dense_medium") <= room:
                break
            label = words.fix_label(self._concern, chars)
        if label.replace("&", "&&") != self.fix.text():
            self.fix.setText(label.replace("&", "&&"))
            self.fix.updateGeometry()

    def paintEvent(self, event: QPaintEvent) -> None:
        """No frame of its own: it lies in the strip's."""

    def show_finding(self, concern: Concern, names: Mapping[str, str], now_ms: int) -> None:
        """Show this one."""
        self.finding_id = concern.id
        mark = words.MARKS[concern.severity]
        self._icon.set_icon(mark.icon or "", tint_of(mark))
        self.title.setText(f"{words.place_of(concern, names)}: {words.title_of(concern)}")
        self.time.setText(words.since_text(concern.since_ms, now_ms))
        self.evidence.setText(text.one_line(concern.evidence, 400))
        label = words.fix_label(concern)
        self._concern = concern
        self._fit()
        self.fix.setToolTip(plain_tooltip(words.fix_label(concern)))
        self.fix.setVisible(bool(label))
        self.more.setText("" if label else text.one_line(concern.cost or concern.remedy, 400))
        self.more.setVisible(not label)
        self.fix.updateGeometry()
        self.fix.setAccessibleName(f"{words.fix_label(concern)}: {words.title_of(concern)}")
        self.setAccessibleName(words.spoken(concern, names))


class FindingStrip(Card):
    """The strip. `opened` and `fix_asked` carry a finding's id; `all_asked` wants the whole list."""

    opened = Signal(str)
    all_asked = Signal()
    fix_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._findings: tuple[Concern, ...] = ()
        self._is_low = False
        self.heading = Label("Findings", "dense_strong", "text")
        self.counts = Label("", "label", "text3")
        self.all = Button("All", kind="link")
        self.all.clicked.connect(self.all_asked)
        self.state_icon = IconLabel("")
        self.state_words = Label("", "dense", "text2")
        self.cells = tuple(FindingCell() for _ in range(SHOWN))
        self._lines = tuple(Separator(is_vertical=True) for _ in range(SHOWN))
        self.setAccessibleName("Findings")
        self._build()
        self.set_findings((), {}, has_looked=False)

    def _build(self) -> None:
        self._head = QWidget()
        self._head.setProperty("tone", "page")
        self._head_row = QBoxLayout(_DOWN, self._head)
        for part in (self.heading, self.counts, self.all):
            self._head_row.addWidget(part)
        row = QHBoxLayout(self)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        row.addWidget(self._head)
        for line, cell in zip(self._lines, self.cells, strict=True):
            row.addWidget(line)
            row.addWidget(cell, 1)
            cell.opened.connect(self.opened)
            cell.fix_asked.connect(self.fix_asked)
        self._quiet = QHBoxLayout()
        self._quiet.setSpacing(8)
        self._quiet.addWidget(self.state_icon)
        self._quiet.addWidget(self.state_words)
        self._quiet.addStretch(1)
        row.addLayout(self._quiet)

    def set_findings(
        self,
        findings: Sequence[Concern],
        names: Mapping[str, str],
        *,
        has_looked: bool = True,
        unheard: Sequence[str] = (),
        now_ms: int | None = None,
    ) -> None:
        """Show these. `names` gives a node's name by its id.

        `has_looked` False: nothing is known yet. `unheard`: names of nodes of which nothing can be told now.
        """
        now_ms = QDateTime.currentMSecsSinceEpoch() if now_ms is None else now_ms
        self._findings = worst_first(one for one in findings if not one.is_accepted)
        for cell, concern in zip(self.cells, self._findings, strict=False):
            cell.show_finding(concern, names, now_ms)
        self.counts.setText(words.count_words(findings, most=2))
        self.all.setText(f"All {len(findings)}")
        self.all.setAccessibleName(f"All {len(findings)} findings")
        self.all.updateGeometry()
        self.all.setVisible(bool(findings))
        if not self._findings:
            title, explained = words.quiet_words(has_looked, unheard)
            is_well = has_looked and not unheard
            self.state_words.setText(title if is_well or not has_looked else f"{title}. {explained}")
            self.state_icon.set_icon(*(("circle-check", "ok") if is_well else ("circle-help", "text3")))
        self._place()

    def set_low(self, is_low: bool) -> None:
        """Take one line of 36 px, for a low window. With nothing to tell it always does."""
        self._is_low = is_low
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        """As many cells as there is room for."""
        is_low = self._is_low or not self._findings
        self.setFixedHeight(HEIGHT_LOW if is_low else HEIGHT)
        self._head_row.setDirection(_ACROSS if is_low else _DOWN)
        self._head_row.setContentsMargins(12, *((0, 12, 0) if is_low else (8, 12, 6)))
        self._head_row.setSpacing(10 if is_low else 1)
        self.counts.setVisible(bool(self.counts.text()) and (not is_low or not self._findings))
        room = 1 if is_low else max(1, (self.width() - _HEAD_WIDTH) // CELL_WIDTH)
        shown = min(len(self._findings), SHOWN, room)
        for i, (line, cell) in enumerate(zip(self._lines, self.cells, strict=True)):
            cell.set_low(is_low)
            line.setVisible(i < shown)
            cell.setVisible(i < shown)
        # Its margins would keep the last cell off the strip's edge.
        self._quiet.setContentsMargins(*((0, 0, 0, 0) if self._findings else (12, 0, 12, 0)))
        for part in (self.state_icon, self.state_words):
            part.setVisible(not self._findings)
