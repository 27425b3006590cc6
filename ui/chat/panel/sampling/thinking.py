"""Whether the model thinks before it speaks, and for how long.

The one rule: what the server has no switch for is off with the reason; nothing is sent that it would not understand.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.chat.message import AnswerForm, Thinking
from sparkdesk.core.chat.request.form_support import FormSupport, Wish
from ui.chat.panel.sampling.value import Limits, read_number
from ui.chat.panel.section import row
from ui.widgets.field import TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

BUDGET: Final = "budget"
NO_THINKER: Final = "By the catalogue this model does not think: the choice may change nothing."
FIRST_BUDGET: Final = 2048
"""Ours: what a budget begins with."""
_LIMITS: Final = Limits(1, 1_000_000)
_OPTIONS: Final = [
    (Thinking.DEFAULT.value, "Default"),
    (Thinking.OFF.value, "Off"),
    (Thinking.ON.value, "On"),
    (BUDGET, "Budget"),
]


class ThinkingRow(QWidget):
    """`changed` carries a whole AnswerForm."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._form = AnswerForm()
        self._support = FormSupport()
        self._thinks: bool | None = None
        self.choice = Segmented(list(_OPTIONS), what="Thinking")
        self.budget = TextInput(is_small=True)
        self.budget.setAccessibleName("Thinking budget in tokens")
        self.budget.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.budget.setFixedWidth(72)
        self.problem = Label("", "label", "crit", is_wrapped=True)
        self.reason = Label("", "label", "text3", is_wrapped=True)
        self.budget_row = QWidget()
        ends = Label("At most", "dense", "text2"), Label("tokens", "dense", "text3")
        self.budget_row.setLayout(row(ends[0], self.budget, ends[1], stretch_after=3))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for part in (Label("Thinking", "dense", "text2"), self.choice, self.budget_row, self.problem, self.reason):
            column.addWidget(part)
        self.problem.setVisible(False)
        self.reason.setVisible(False)
        self.choice.changed.connect(self._on_choice)
        self.budget.editingFinished.connect(self._on_budget)
        self.show_form(self._form)

    def show_form(self, form: AnswerForm) -> None:
        """Show what is set."""
        self._form = form
        has_budget = form.thinking_budget_tokens is not None and form.thinking is not Thinking.OFF
        self.choice.set_key(BUDGET if has_budget else form.thinking.value)
        self.budget_row.setVisible(has_budget)
        if not self.budget.isModified():
            self.budget.setText(_LIMITS.shown(form.thinking_budget_tokens or FIRST_BUDGET))
        self._explain()

    def show_support(self, support: FormSupport) -> None:
        """Say what of this the server does not do, and of what it does what must be known."""
        self._support = support
        switch, budget = support.why_not(Wish.THINKING), support.why_not(Wish.THINKING_BUDGET)
        reasons = {Thinking.OFF.value: switch, Thinking.ON.value: switch, BUDGET: budget}
        for key, reason in reasons.items():
            self.choice.set_disabled_reason(key, reason)
        self._explain()

    def show_thinks(self, thinks: bool | None) -> None:
        """Whether the model is known to think; None is not known."""
        self._thinks = thinks
        self._explain()

    def _explain(self) -> None:
        """The reasons for what is off stay; what must be known stands there for the choice that it is about."""
        support = self._support
        refused = [support.why_not(wish) for wish in (Wish.THINKING, Wish.THINKING_BUDGET)]
        caveats = {Thinking.OFF.value: Wish.THINKING, Thinking.ON.value: Wish.THINKING, BUDGET: Wish.THINKING_BUDGET}
        wish = caveats.get(self.choice.key())
        said = [*refused, support.caveat(wish) if wish is not None else ""]
        if self._thinks is False and support.takes(Wish.THINKING):
            said.append(NO_THINKER)
        words = "\n".join(dict.fromkeys(each for each in said if each))
        self.reason.setText(words)
        self.reason.setVisible(bool(words))

    def forget_typing(self) -> None:
        """Drop what was typed and not taken: another chat is shown."""
        self._say("")

    def _on_choice(self, key: str) -> None:
        self._say("")
        budget = (self._form.thinking_budget_tokens or FIRST_BUDGET) if key == BUDGET else None
        thinking = Thinking.ON if key == BUDGET else Thinking(key)
        self._take(replace(self._form, thinking=thinking, thinking_budget_tokens=budget))

    def _on_budget(self) -> None:
        if not self.budget.isModified():
            return
        read = read_number(self.budget.text(), _LIMITS)
        problem = read.problem or ("" if read.value is not None else "A whole number of tokens")
        self._say(problem)
        if not problem and read.value is not None:
            self._take(replace(self._form, thinking_budget_tokens=round(read.value)))

    def _take(self, form: AnswerForm) -> None:
        has_changed = form != self._form
        self.show_form(form)
        if has_changed:
            self.changed.emit(form)

    def _say(self, problem: str) -> None:
        if not problem:
            self.budget.setModified(False)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.budget.set_error(bool(problem))
        self.budget.setAccessibleDescription(problem)
