"""The sentence on top of the page.

The one rule: one line of words that changes at most once a second, with one link that leads to what it says.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ui import theme
from ui.cluster.sentence import Sentence, Tone
from ui.icon import draw_icon
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.label import ElidedLabel

TONE_SIGNS: dict[Tone, tuple[str, Token]] = {
    "ok": ("circle-check", "ok"),
    "busy": ("loader", "accenttext"),
    "note": ("circle-help", "text3"),
    "warn": ("triangle-alert", "warn"),
    "crit": ("octagon-alert", "crit"),
}
"""By how a cluster stands: icon and ink."""


class _Sign(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(20, 20)
        self.tone: Tone = "note"
        theme.notifier.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        name, tint = TONE_SIGNS[self.tone]
        draw_icon(QPainter(self), QPointF(2, 2), name, tint, 16)


class StateSentence(QWidget):
    """Icon, sentence and one link. `pressed` carries what the link leads to: kind and target."""

    pressed = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sentence = Sentence("note", "")
        self._sign = _Sign()
        self._words = ElidedLabel("", "body_medium", "text")
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
