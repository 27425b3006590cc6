"""The sentence on top of the page, and the strip of deployments below the map.

The one rule: each is one line or one row of words that change at most once a second, and each leads somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.cluster.sentence import Sentence
from ui.icon import draw_icon
from ui.jobs.mark import Mark
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.label import ElidedLabel, Label

_LOOKS: dict[str, tuple[str, Token]] = {
    "ok": ("circle-check", "ok"),
    "busy": ("loader", "accenttext"),
    "note": ("circle-help", "text3"),
    "warn": ("triangle-alert", "warn"),
    "crit": ("octagon-alert", "crit"),
}


class _Sign(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(20, 20)
        self.tone = "note"
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        name, tint = _LOOKS[self.tone]
        draw_icon(QPainter(self), QPointF(2, 2), name, tint, 16)


class StateSentence(QWidget):
    """Icon, sentence and one link. `pressed` carries what the link leads to: kind and target."""

    pressed = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sentence = Sentence("note", "")
        self._sign = _Sign()
        self._words = Label("", "body_medium", "text")
        self.button = Button("", kind="link")
        self.button.clicked.connect(lambda: self.pressed.emit(self._sentence.kind, self._sentence.target))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for part in (self._sign, self._words, self.button):
            row.addWidget(part)
        row.addStretch(1)
        self.setAccessibleName("State of the cluster")

    def set_sentence(self, sentence: Sentence) -> None:
        """Say another sentence."""
        if sentence == self._sentence:
            return
        self._sentence = sentence
        self._sign.tone = sentence.tone
        self._sign.update()
        self._words.setText(sentence.words)
        self.button.setText(sentence.action)
        self.button.setVisible(bool(sentence.action))
        self.button.updateGeometry()
        self.setAccessibleDescription(sentence.words)

    def words(self) -> str:
        """The sentence shown."""
        return self._sentence.words


@dataclass(frozen=True, slots=True)
class StripItem:
    """One deployment as the strip shows it."""

    job_id: str
    title: str
    mark: Mark
    where: str
    figures: str


class JobCard(Card):
    """One deployment of the strip."""

    def __init__(self) -> None:
        super().__init__(is_clickable=True)
        self.job_id = ""
        self._title = ElidedLabel("", "dense_strong", "text")
        self._chip = Chip()
        self._where = ElidedLabel("", "label", "text3")
        self._figures = Label("", "dense", "text2")
        column = self.column(spacing=2, margins=(12, 8, 12, 8))
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._title, 1)
        head.addWidget(self._chip)
        column.addLayout(head)
        column.addWidget(self._where)
        column.addWidget(self._figures)
        self.setMinimumWidth(180)
        self.setMaximumWidth(320)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_item(self, item: StripItem, *, is_low: bool) -> None:
        """Show a deployment."""
        self.job_id = item.job_id
        self._title.setText(item.title)
        self._chip.set_state(*item.mark)
        self._where.setText(item.where)
        self._figures.setText(item.figures)
        self._where.setVisible(not is_low)
        self._figures.setVisible(not is_low)
        self.setAccessibleName(f"{item.title}, {item.mark.text}, {item.where}, {item.figures}")


class JobStrip(QWidget):
    """Up to `LIMIT` deployments beside each other, "+n more" behind; or one line that there are none."""

    LIMIT = 4
    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: tuple[StripItem, ...] = ()
        self._is_low = False
        self._cards = [JobCard() for _ in range(self.LIMIT)]
        self._empty = Label("Nothing was launched yet. What you launch shows here.", "dense", "text3")
        self._more = Button("", kind="link")
        self._more.clicked.connect(lambda: self.opened.emit(""))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        for card in self._cards:
            row.addWidget(card, 1)
            card.clicked.connect(lambda card=card: self.opened.emit(card.job_id))
            card.setVisible(False)
        row.addWidget(self._empty)
        row.addWidget(self._more, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        self._more.setVisible(False)
        self.setAccessibleName("Deployments")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def cards(self) -> tuple[JobCard, ...]:
        """The cards, also those that show nothing now."""
        return tuple(self._cards)

    def set_low(self, is_low: bool) -> None:
        """One line a deployment, where the window is low."""
        if is_low != self._is_low:
            self._is_low = is_low
            self._show()

    def set_items(self, items: Sequence[StripItem]) -> None:
        """Show these deployments."""
        if tuple(items) != self._items:
            self._items = tuple(items)
            self._show()

    def _show(self) -> None:
        for card, item in zip(self._cards, self._items, strict=False):
            card.show_item(item, is_low=self._is_low)
        for i, card in enumerate(self._cards):
            card.setVisible(i < len(self._items))
        self._empty.setVisible(not self._items)
        rest = len(self._items) - self.LIMIT
        self._more.setText(f"{rest} more")
        self._more.setVisible(rest > 0)
        self._more.updateGeometry()
