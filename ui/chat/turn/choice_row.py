"""The tokens of an answer, coloured by how sure the model was of each, with what might have stood there instead.

Rule: colour is a hint only. The token under the cursor is told in words: its probability, its rank and the others.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import Final

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QWidget

from sparkdesk.core.chat.event import TokenChoice
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.turn.problem_row import place_text
from ui.chat.words.markdown import lay_out_plain
from ui.chat.words.text_row import Words
from ui.text import THIN_SPACE, count
from ui.theme import Token, blend, color
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

MAX_TOKENS: Final = 4000
_SURE: Final = 0.9
_UNSURE: Final = 0.5
_PAD_PX: Final = 12


def probability_text(logprob: float) -> str:
    """A natural logarithm as percent, with digits where they matter: 99.97 %, 63 %, 0.2 %."""
    share = math.exp(min(0.0, logprob)) if not math.isnan(logprob) else math.nan
    if math.isnan(share):
        return "n/a"
    hundred = share * 100
    if hundred < 0.01:
        return f"< 0.01{THIN_SPACE}%"
    digits = 2 if hundred > 99 or hundred < 1 else 0
    return f"{hundred:.{digits}f}{THIN_SPACE}%"


def shown_token(token: str) -> str:
    """A token so that its blanks and line ends can be seen."""
    kept = token.replace("\n", "\u21b5").replace("\t", "\u21e5").replace(" ", "\u2423")
    return "".join(c if c.isprintable() else "\ufffd" for c in kept[:60])


def choice_words(choice: TokenChoice, place: int, total: int) -> str:
    """One token in words, with the alternatives."""
    others = [(token, logprob) for token, logprob in choice.others if token != choice.token]
    instead = ", ".join(f"{shown_token(token)} {probability_text(logprob)}" for token, logprob in others[:8])
    rest = f"; instead: {instead}" if instead else "; no alternatives were asked for"
    name = f"Token {count(place + 1)} of {count(total)}"
    return f"{name}: {shown_token(choice.token)} {probability_text(choice.logprob)}{rest}"


def sureness(logprob: float) -> Token | None:
    """The colour behind a token: none when it was sure."""
    share = math.exp(min(0.0, logprob)) if not math.isnan(logprob) else 0.0
    if share >= _SURE:
        return None
    return "warn" if share >= _UNSURE else "crit"


class ChoiceText(RowWidget):
    """The text of an answer, token for token. Left and Right move over the tokens, Home and End to the ends."""

    left = Signal()
    """Esc: the person wants the text back."""

    def __init__(self, choices: tuple[TokenChoice, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices = choices[:MAX_TOKENS]
        self._total = len(choices)
        # Qt counts in UTF-16.
        self._ends = list(accumulate(len(_plain(each.token).encode("utf-16-le")) // 2 for each in self._choices))
        self._at = 0
        self._words = Words("Tokens of the answer", self)
        self._words.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._words.viewport().setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._words.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.told = Label("", "dense", "text2", is_wrapped=True, parent=self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty("has_focus_ring", True)
        self._fill()
        theme.notifier.changed.connect(self._fill)

    def _fill(self) -> None:
        document = self._words.document()
        lay_out_plain(document, "")
        cursor = QTextCursor(document)
        for place, choice in enumerate(self._choices):
            cursor.insertText(_plain(choice.token), self._look(place))
        self._tell()

    def _look(self, place: int) -> QTextCharFormat:
        look = QTextCharFormat()
        tint = sureness(self._choices[place].logprob)
        is_here = place == self._at
        look.setForeground(color("accenttext" if is_here else "text"))
        if is_here:
            look.setBackground(color("accentsoft"))
        elif tint is not None:
            look.setBackground(blend(tint, "window", 0.28))
        return look

    def _tell(self) -> None:
        if self._choices:
            self.told.setText(choice_words(self._choices[self._at], self._at, self._total))
            self.setAccessibleName(self.told.text())
        self.height_changed.emit()

    def move_to(self, place: int) -> None:
        """Tell of another token."""
        place = max(0, min(place, len(self._choices) - 1))
        if self._choices and place != self._at:
            before, self._at = self._at, place
            for each in (before, place):
                self._place(each).setCharFormat(self._look(each))
            self._tell()

    def _place(self, place: int) -> QTextCursor:
        """A token where it stands, selected."""
        cursor = QTextCursor(self._words.document())
        cursor.setPosition(self._ends[place - 1] if place else 0)
        cursor.setPosition(self._ends[place], QTextCursor.MoveMode.KeepAnchor)
        return cursor

    def marked(self) -> str:
        """The token that is told of, as it stands in the text."""
        return self._place(self._at).selectedText() if self._choices else ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Left: self._at - 1, Qt.Key.Key_Right: self._at + 1}
        steps.update({Qt.Key.Key_Home: 0, Qt.Key.Key_End: len(self._choices) - 1})
        key = Qt.Key(event.key())
        if key in steps:
            self.move_to(steps[key])
        elif key is Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        place = event.position().toPoint() - self._words.pos()
        at = self._words.cursorForPosition(place).position()
        self.move_to(bisect_right(self._ends, at))
        event.accept()

    def height_at(self, width: int) -> int:
        """The height at this width."""
        inner = width - 2 * _PAD_PX
        height = self._words.height_at(inner)
        self._words.setGeometry(_PAD_PX, 8, inner, height)
        told = place_text(self.told, _PAD_PX, height + 20, inner)
        return height + told + 30

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, None, pen(color("border")))
        painter.fillRect(QRectF(1, self.told.y() - 8, self.width() - 2, 1), color("border"))


def _plain(token: str) -> str:
    """As many letters as the token has, none of which turns the direction or ends a paragraph otherwise than \\n."""
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in token)
