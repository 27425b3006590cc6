"""What stood in place of older turns in the prompt of an answer: a quiet line that opens to all of it.

Rule: nothing that was left out is hidden: each turn is named by its first words, each excerpt by where it is from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.chat.context import Excerpt, SentContext
from sparkdesk.core.plain_text import reveal_hidden
from ui import theme
from ui.chat.column import RowWidget
from ui.chat.turn.thought_row import HEAD_PX, RowHead
from ui.chat.words.text_row import MAX_SHOWN_CHARS, hard_wrapped
from ui.text import count, cut, one_line
from ui.theme import color
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

_TURNS_NAMED: Final = 200
TurnWords = Callable[[int], str]
"""The first words of a turn, by its number."""
MemoryText = Callable[[SentContext], str | None]
"""The memory that was sent; None is not kept any more. Asked when it is opened: an earlier answer may have it."""
_NOT_KEPT: Final = "It is not kept any more."


def sent_title(sent: SentContext) -> str:
    """What was done with the older messages, in a few words."""
    dropped = len(set(sent.left_out) - set(sent.summed_up))
    parts = []
    if sent.summary and sent.summed_up:
        parts.append(f"{_messages(len(sent.summed_up))} summed up")
    elif sent.summary:
        parts.append("older messages were summed up")
    if dropped:
        parts.append(f"{_messages(dropped)} left out")
    if sent.excerpts:
        found = len(sent.excerpts)
        parts.append(f"{count(found)} excerpt{'s' if found != 1 else ''} went along")
    words = ", ".join(parts) or one_line(sent.note, 160)
    return words[:1].upper() + words[1:]


def _messages(number: int) -> str:
    return f"{count(number)} older message{'s were' if number != 1 else ' was'}"


class Sent(RowWidget):
    """The line and what it opens to."""

    folded = Signal(bool)

    def __init__(
        self,
        sent: SentContext,
        words_of: TurnWords,
        *,
        is_open: bool,
        memory_of: MemoryText = lambda sent: sent.memory,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._sent = sent
        self._memory_of = memory_of
        self._words_of = words_of
        self.inside: QWidget | None = None
        self.head = RowHead("layers", self)
        self.head.setChecked(is_open)
        self._say()
        if is_open:
            self._fill()
        self.head.toggled.connect(self._on_toggled)
        theme.notifier.changed.connect(self.update)

    def toggle(self) -> None:
        """Show or fold it."""
        self.head.toggle()

    def _say(self) -> None:
        self.head.say(sent_title(self._sent), "Hide" if self.head.isChecked() else "Show")

    def _on_toggled(self, is_open: bool) -> None:
        self._say()
        if is_open:
            self._fill()
        elif self.inside is not None:
            self.inside.deleteLater()
            self.inside = None
        self.folded.emit(is_open)
        self.height_changed.emit()

    def _fill(self) -> None:
        self.inside = QWidget(self)
        column = QVBoxLayout(self.inside)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        sent, memory = self._sent, self._memory_of(self._sent)
        memories = [_NOT_KEPT if memory is None else memory] if memory != "" else []
        for title, texts in (
            ("What must be known", [one_line(sent.note, 400)] if sent.note else []),
            ("Sent for them, in the model's own words", [sent.summary] if sent.summary else []),
            ("Excerpts that were sent, the nearest first", [_excerpt(each) for each in sent.excerpts]),
            ("Turns that it stands for", self._named(self._sent.summed_up)),
            ("Turns that were left out", self._named(self._dropped())),
            ("The project's memory as it was sent", memories),
        ):
            if texts:
                column.addWidget(Label(title, "label_medium", "text3"))
            for text in texts:
                shown = hard_wrapped(reveal_hidden(cut(text, MAX_SHOWN_CHARS)))
                column.addWidget(Label(shown, "dense", "text2", is_wrapped=True, is_selectable=True))
        self.inside.setVisible(True)

    def _dropped(self) -> tuple[int, ...]:
        summed_up = set(self._sent.summed_up)
        return tuple(number for number in self._sent.left_out if number not in summed_up)

    def _named(self, numbers: tuple[int, ...]) -> list[str]:
        """The first words of each turn; all of it still stands in the chat."""
        named = [self._words_of(number) for number in numbers[:_TURNS_NAMED]]
        more = len(numbers) - len(named)
        return [*named, *([f"and {count(more)} more"] if more else [])]

    def text(self) -> str:
        """All that is shown now."""
        parts = [self.head.text()]
        if self.inside is not None:
            parts.extend(label.text() for label in self.inside.findChildren(Label))
        return "\n".join(parts)

    def height_at(self, width: int) -> int:
        """The height at this width."""
        self.head.setGeometry(0, 0, width, HEAD_PX)
        if self.inside is None:
            return HEAD_PX
        layout = self.inside.layout()
        inner = width - 28
        # Given the width first: a wrapped label knows its height at its own width only.
        self.inside.resize(inner, self.inside.height())
        height = 0
        if layout is not None:
            layout.activate()
            height = layout.heightForWidth(inner)
        self.inside.setGeometry(14, HEAD_PX + 4, inner, height)
        return HEAD_PX + height + 16

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CONTROL, None, pen(color("border"), dash=(3, 3)))


def _excerpt(excerpt: Excerpt) -> str:
    source = one_line(excerpt.source, 80) or f"turn {excerpt.turn + 1}"
    return f"{source}, nearness {excerpt.nearness:.2f}: {excerpt.text}"
