"""One column of a comparison: which model, its transcript or its differences, and how it did.

Rule: the figures are those of its last answer, in the same places in every column; none is called better.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.stream.timing import AnswerTiming
from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui import theme
from ui.chat.compare.diff_view import DiffView
from ui.chat.compare.model import Difference
from ui.chat.model import ChatModel
from ui.chat.panel.model_section import ModelSelect
from ui.chat.transcript import Transcript
from ui.text import count, first_token_time, one_line, token_interval, token_rate
from ui.theme import color
from ui.widgets.button import IconButton
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import Label, plain_tooltip

_NONE = "n/a"
LEAST_PX = 240
"""Narrower, a column could not show its figures and its buttons whole."""
FIGURES = ("TTFT", "Speed", "TPOT", "Tokens", "Prompt", "In all")


class CompareColumn(QWidget):
    """`endpoint_chosen` carries an endpoint's id."""

    endpoint_chosen = Signal(str)
    remove_asked = Signal()

    def __init__(self, place: int, model: ChatModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._offered: tuple[tuple[tuple[str, str], ...], str] = ((), "-")
        self._is_filling = False
        self.endpoint = ModelSelect(is_small=True)
        self.endpoint.setAccessibleName(f"Model of column {place + 1}")
        self.remove = IconButton("x", f"Take away column {place + 1}", size=28)
        self.transcript = Transcript(model)
        self.diff = DiffView()
        self.empty = EmptyState("message-square", "", "")
        self.body = QStackedWidget()
        self.note = Label("", "label", "text3", is_wrapped=True)
        self.figures = {name: Label(_NONE, "label_medium", "text") for name in FIGURES}
        self.setAccessibleName(f"Column {place + 1}")
        self.setMinimumWidth(LEAST_PX)
        self._build()
        self.endpoint.currentIndexChanged.connect(self._on_chosen)
        self.remove.clicked.connect(self.remove_asked)
        theme.notifier.changed.connect(self.update)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.endpoint, 1)
        head.addWidget(self.remove)
        for widget in (self.transcript, self.diff, self.empty):
            self.body.addWidget(widget)
        below = QGridLayout()
        below.setHorizontalSpacing(8)
        below.setVerticalSpacing(2)
        for at, (name, value) in enumerate(self.figures.items()):
            label = Label(name, "label", "text3")
            row, side = at % 3, 2 * (at // 3)
            below.addWidget(label, row, side)
            below.addWidget(value, row, side + 1, Qt.AlignmentFlag.AlignRight)
            value.setAccessibleName(name)
            below.setColumnStretch(side + 1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 10)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.note)
        column.addWidget(self.body, 1)
        column.addLayout(below)

    def show_models(self, endpoints: tuple[ChatEndpoint, ...], *, can_remove: bool) -> None:
        """Show which models could be chosen, and which is."""
        target = self.model.target
        conversation = self.model.conversation
        gone = conversation.endpoint_label.value if conversation is not None else ""
        chosen = target.id if target is not None else ""
        none = f"{one_line(gone, 80)} (not ready)" if gone else "None"
        offered = (tuple((each.id, each.label) for each in endpoints), chosen or none)
        if offered != self._offered:
            self._offered = offered
            self._is_filling = True
            self.endpoint.show_models(endpoints, has_none=not chosen, none=none)
            self.endpoint.setCurrentIndex(max(0, self.endpoint.findData(chosen)))
            self._is_filling = False
        self.endpoint.setToolTip(plain_tooltip(one_line(target.label if target is not None else none, 240)))
        self.remove.setVisible(can_remove)
        note = target.endpoint.note if target is not None else ""
        self.note.setText(one_line(note, 200))
        self.note.setVisible(bool(note))
        # Which one stands above already; a name may be wider than its column.
        self.empty.set_words("Nothing was asked yet" if target is not None else "No model", "")

    def _on_chosen(self) -> None:
        if not self._is_filling:
            self.endpoint_chosen.emit(self.endpoint.key())

    def show_answer(self, answer: Turn | None, difference: Difference | None, *, as_diff: bool) -> None:
        """Show the figures of the last answer, and its differences where they were asked for."""
        if as_diff:
            self.diff.show_difference(difference)
        has_turns = bool(self.model.turns)
        self.body.setCurrentWidget(self.diff if as_diff else self.transcript if has_turns else self.empty)
        timing = (answer.timing if answer is not None else None) or AnswerTiming()
        first, rate, all_s = (first_token_time(timing.ttft_s), token_rate(timing.tokens_per_s), timing.total_s)
        between, whole = token_interval(timing.tpot_s), first_token_time(all_s)
        is_told = timing.is_counted_by_server
        tokens = count(timing.completion_tokens) if timing.completion_tokens is not None else _NONE
        values = {
            "TTFT": f"{first.value} {first.unit}".strip(),
            "Speed": f"{rate.value} {rate.unit}".strip(),
            "TPOT": f"{between.value} {between.unit}".strip(),
            "Tokens": tokens if is_told or tokens == _NONE else f"{tokens} pieces",
            "Prompt": count(timing.prompt_tokens) if timing.prompt_tokens is not None else _NONE,
            "In all": f"{whole.value} {whole.unit}".strip(),
        }
        for name, words in values.items():
            self.figures[name].setText(words)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.width() - 1, 0, 1, self.height(), color("border"))
