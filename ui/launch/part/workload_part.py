"""What the server will be asked to do: a preset, and its numbers, which stay visible.

The one rule: a preset only fills the numbers; changing one of them makes the load the person's own.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from sparkdesk.core.planning.workload import PRESETS
from ui.launch.form import CUSTOM, Form
from ui.widgets.field import Field, NumberInput, TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

TITLES = {"prompt_tokens": "Prompt", "answer_tokens": "Answer", "users": "Users", "cached_percent": "Cached %"}
_TIPS = {
    "prompt_tokens": "Tokens of one prompt, what is cached included",
    "answer_tokens": "Tokens of one answer",
    "users": "Requests that run at once",
    "cached_percent": "Of each prompt, how much the server has read before (prefix cache)",
}


class WorkloadPart(QWidget):
    """`preset_chosen` carries a key; `edited` a field's name and its value."""

    preset_chosen = Signal(str)
    edited = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        options = [(preset.key, preset.title) for preset in PRESETS]
        self.presets = Segmented([*options, (CUSTOM, "Custom")], what="Workload")
        self.prompt, self.answer, self.cached = (TextInput() for _ in range(3))
        self.users = NumberInput(1, 4096, 1)
        editors = {
            "prompt_tokens": self.prompt,
            "answer_tokens": self.answer,
            "users": self.users,
            "cached_percent": self.cached,
        }
        self.fields = {name: Field(TITLES[name], editor) for name, editor in editors.items()}
        self.wrong = Label("", "label", "crit", is_wrapped=True)
        self.wrong.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.presets)
        row = QGridLayout()
        row.setHorizontalSpacing(8)
        for at, (name, part) in enumerate(self.fields.items()):
            part.setToolTip(_TIPS[name])
            part.editor.setMinimumWidth(0)
            row.addWidget(part, 0, at)
            row.setColumnStretch(at, 1)
        column.addLayout(row)
        column.addWidget(self.wrong)
        self.presets.changed.connect(self.preset_chosen)
        for name, line in (("prompt_tokens", self.prompt), ("answer_tokens", self.answer)):
            line.textEdited.connect(lambda typed, name=name: self.edited.emit(name, typed))
        self.cached.textEdited.connect(lambda typed: self.edited.emit("cached_percent", typed))
        self.users.valueChanged.connect(lambda value: self.edited.emit("users", value))

    def fill(self, form: Form) -> None:
        """Show what the form says."""
        self.presets.set_key(form.workload)
        lines = (
            (self.prompt, form.prompt_tokens),
            (self.answer, form.answer_tokens),
            (self.cached, form.cached_percent),
        )
        for line, value in lines:
            if line.text() != value:
                line.setText(value)
        self.users.blockSignals(True)
        self.users.setValue(form.users)
        self.users.blockSignals(False)

    def show_errors(self, errors: dict[str, str]) -> None:
        """Mark the fields that cannot be read; the words stand below all of them, where there is room."""
        for name, part in self.fields.items():
            mark = getattr(part.editor, "set_error", None)
            if callable(mark):
                mark(name in errors)
            part.editor.setAccessibleDescription(errors.get(name, ""))
        self.wrong.setText("; ".join(f"{TITLES[name]}: {words}" for name, words in errors.items()))
        self.wrong.setVisible(bool(errors))
