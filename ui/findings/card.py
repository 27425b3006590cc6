"""One finding in full: how bad, where, since when, what was seen, what it costs, what to do, and its buttons.

The one rule: the button says what happens; nothing happens before a plan was shown or a question answered.
"""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.findings.concern import Concern
from ui import text
from ui.findings import words
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.label import Label, plain_tooltip

WIDE_PX = 700
"""From here on what was seen, what it costs and what to do stand side by side."""
_MOST_LABEL_CHARS = 40
"""The button stands beside another in a drawer; its tooltip has all."""
_PART_TITLES = ("Seen", "What it costs", "What to do")


class FindingCard(Card):
    """Shows a finding. Its signals carry nothing: the panel knows whose they are."""

    fix_clicked = Signal()
    accept_clicked = Signal()
    unaccept_clicked = Signal()
    subject_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.concern: Concern | None = None
        self._said: tuple[object, ...] = ()
        self.chip = Chip()
        self.place = Button("", kind="link")
        self.since = Label("", "label", "text3")
        self.title = Label("", "strong", "text", is_wrapped=True, is_selectable=True)
        self.parts = tuple(_Part(title) for title in _PART_TITLES)
        self.note = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.fix = Button("", icon="wrench", is_small=True)
        self.accept = Button(f"Accept{text.ELLIPSIS}", is_small=True)
        self.unaccept = Button("Take back", icon="undo-2", is_small=True)
        self._row = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._build()
        self.fix.clicked.connect(self.fix_clicked)
        self.accept.clicked.connect(self.accept_clicked)
        self.unaccept.clicked.connect(self.unaccept_clicked)
        self.place.clicked.connect(self.subject_clicked)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.chip)
        head.addWidget(self.place)
        head.addStretch(1)
        head.addWidget(self.since)
        self._row.setSpacing(8)
        for part in self.parts:
            self._row.addWidget(part, 1, Qt.AlignmentFlag.AlignTop)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.fix, self.accept, self.unaccept):
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = self.column(spacing=8)
        column.addLayout(head)
        column.addWidget(self.title)
        column.addLayout(self._row)
        column.addWidget(self.note)
        column.addLayout(buttons)

    def stops(self) -> tuple[QWidget, ...]:
        """What Tab reaches, in order of reading."""
        return self.place, self.fix, self.accept, self.unaccept

    def show_finding(self, concern: Concern, names: Mapping[str, str], now_ms: int) -> None:
        """Show this one; what did not change is not touched."""
        since = words.since_text(concern.since_ms, now_ms)
        place = words.place_of(concern, names)
        if (concern, since, place) == self._said:
            return
        self.concern, self._said = concern, (concern, since, place)
        title = wrap_line(words.title_of(concern), 2 * words.MAX_TITLE_CHARS)
        self.chip.set_state(*words.MARKS[concern.severity])
        self._say(self.place, place, f"{place}: show it")
        self.since.setText(f"since {since}" if since else "")
        self.title.setText(title)
        for part, said in zip(self.parts, (concern.evidence, concern.cost, concern.remedy), strict=True):
            part.say(said)
        label = words.fix_label(concern, _MOST_LABEL_CHARS)
        self._say(self.fix, label, f"{words.fix_label(concern)}: {words.title_of(concern)}")
        self.fix.setToolTip(plain_tooltip(words.fix_label(concern)))
        self.fix.set_icon("square" if concern.job_id else "wrench")
        self.fix.set_kind("danger" if concern.job_id else "default")
        self._show(self.fix, is_shown=bool(label))
        self._show(self.accept, is_shown=not concern.is_accepted)
        self.accept.setAccessibleName(f"Accept: {words.title_of(concern)}")
        self._show(self.unaccept, is_shown=concern.is_accepted)
        self.unaccept.setAccessibleName(f"Take back: {words.title_of(concern)}")
        note = wrap_line(concern.note, 500)
        self.note.setText(f"Accepted: {note}" if note else "Accepted, without a note")
        self.note.setVisible(concern.is_accepted)
        self.setAccessibleName(words.spoken(concern, names))

    def _show(self, button: Button, *, is_shown: bool) -> None:
        """A button that goes hands the focus to the card's place, not to another part of the window."""
        if not is_shown and button.hasFocus():
            self.place.setFocus(Qt.FocusReason.OtherFocusReason)
        button.setVisible(is_shown)

    @staticmethod
    def _say(button: Button, label: str, name: str) -> None:
        button.setText(label.replace("&", "&&"))
        button.setAccessibleName(name)
        button.updateGeometry()

    def minimumSizeHint(self) -> QSize:
        return QSize(280, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        is_wide = self.width() >= WIDE_PX
        way = QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom
        if self._row.direction() != way:
            self._row.setDirection(way)
            self._row.setSpacing(20 if is_wide else 8)
        super().resizeEvent(event)


class _Part(QWidget):
    """A heading and its text; not there when there is nothing to say."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.words = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(Label(title, "label", "text3"))
        column.addWidget(self.words)

    def say(self, said: str) -> None:
        """Show this text."""
        self.words.setText(wrap_line(said, 600))
        self.setVisible(bool(said))
