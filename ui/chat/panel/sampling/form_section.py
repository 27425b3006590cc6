"""What shape the answer shall have: thinking before it, JSON in it, and how sure the model was of it.

The one rule: what this server does not do is off with the reason beside it, and nothing of it is sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.chat.message import AnswerForm, Thinking
from sparkdesk.core.chat.request.form_support import FormSupport, Wish
from ui.chat.panel.sampling.schema_dialog import SchemaDialog
from ui.chat.panel.sampling.schema_text import describe_schema
from ui.chat.panel.sampling.thinking import ThinkingRow
from ui.chat.panel.section import ResetDot, Section, row
from ui.text import count
from ui.widgets.button import Button
from ui.widgets.fold import FoldHead
from ui.widgets.label import Label
from ui.widgets.toggle import Switch

FIRST_LOGPROBS: Final = 5
"""Ours: how many alternatives are asked for when the switch is put on; servers allow 20 or more."""


class FormSection(Section):
    """`changed` carries a whole AnswerForm."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__(is_folding=True)
        self._form = AnswerForm()
        self._dialog: SchemaDialog | None = None
        self.head = FoldHead("Answer")
        self.inner = QWidget()
        self.thinking = ThinkingRow()
        self.schema = Button("Add...", is_small=True)
        self.schema_words = Label("", "dense", "text3")
        self.schema_dot = ResetDot("JSON schema")
        self.logprobs = Switch("Show how sure the model was of each token")
        self.reason = Label("", "label", "text3", is_wrapped=True)
        self._build()
        self.head.toggled.connect(self.inner.setVisible)
        self.thinking.changed.connect(
            lambda form: self._take(thinking=form.thinking, budget=form.thinking_budget_tokens)
        )
        self.schema.clicked.connect(self.open_schema)
        self.schema_dot.clicked.connect(lambda: self._take(schema=""))
        self.logprobs.clicked.connect(lambda is_on: self._take(logprobs=FIRST_LOGPROBS if is_on else 0))
        self.show_form(self._form)

    def _build(self) -> None:
        self.column.addWidget(self.head)
        inner = QVBoxLayout(self.inner)
        inner.setContentsMargins(0, 0, 0, 4)
        inner.setSpacing(6)
        inner.addWidget(self.thinking)
        schema = row(Label("JSON schema", "dense", "text2"), self.schema_dot, self.schema_words, self.schema)
        inner.addLayout(schema)
        inner.addLayout(row(Label("Sureness of each token", "dense", "text2"), self.logprobs))
        inner.addWidget(self.reason)
        self.reason.setVisible(False)
        self.inner.setVisible(False)
        self.column.addWidget(self.inner)

    def show_form(self, form: AnswerForm) -> None:
        """Show what is set."""
        self._form = form
        self.thinking.show_form(form)
        self.schema.setText("Edit..." if form.json_schema else "Add...")
        self.schema.updateGeometry()
        self.schema_words.setText(describe_schema(form.json_schema))
        self.schema_dot.show_changed(is_changed=bool(form.json_schema), default="free text")
        self.logprobs.setChecked(form.top_logprobs > 0)
        self.head.set_summary(_summary(form))

    def show_support(self, support: FormSupport) -> None:
        """Say what of this the server does not do, and what must be known of what it does."""
        self.thinking.show_support(support)
        no_schema, no_sureness = support.why_not(Wish.JSON_SCHEMA), support.why_not(Wish.LOGPROBS)
        self.schema.set_disabled_reason(no_schema)
        self.logprobs.setEnabled(not no_sureness)
        said = (
            no_schema or support.caveat(Wish.JSON_SCHEMA),
            no_sureness or support.caveat(Wish.LOGPROBS),
        )
        words = "\n".join(dict.fromkeys(each for each in said if each))
        self.logprobs.setAccessibleDescription(said[1])
        self.reason.setText(words)
        self.reason.setVisible(bool(words))

    def forget_typing(self) -> None:
        """Drop what was typed and not taken: another chat is shown."""
        self.thinking.forget_typing()
        if self._dialog is not None:
            self._dialog.close()

    def open_schema(self) -> None:
        """Open the schema beside the chat; once only."""
        if self._dialog is None:
            self._dialog = SchemaDialog(self._form.json_schema, self)
            self._dialog.used.connect(lambda schema: self._take(schema=schema))
            self._dialog.finished.connect(self._forget_dialog)
        self._dialog.show()
        self._dialog.raise_()
        self._dialog.editor.setFocus()

    def _forget_dialog(self) -> None:
        self._dialog = None

    def dialog(self) -> SchemaDialog | None:
        """The schema's window while it is open."""
        return self._dialog

    def _take(
        self,
        *,
        thinking: Thinking | None = None,
        budget: int | None = None,
        schema: str | None = None,
        logprobs: int | None = None,
    ) -> None:
        form = self._form
        if thinking is not None:
            form = replace(form, thinking=thinking, thinking_budget_tokens=budget)
        if schema is not None:
            form = replace(form, json_schema=schema)
        if logprobs is not None:
            form = replace(form, top_logprobs=logprobs)
        has_changed = form != self._form
        self.show_form(form)
        if has_changed:
            self.changed.emit(form)


def _summary(form: AnswerForm) -> str:
    budget = form.thinking_budget_tokens
    said = []
    if form.thinking is not Thinking.DEFAULT:
        more = f", {count(budget)} tokens" if budget is not None and form.thinking is Thinking.ON else ""
        said.append(f"thinking {form.thinking.value}{more}")
    if form.json_schema:
        said.append("JSON")
    if form.top_logprobs:
        said.append("sureness")
    return ", ".join(said) or "free text, thinking as the model does"
