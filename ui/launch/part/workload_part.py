"""What the server will be asked to do: a preset, and its numbers, which stay visible.

The one rule: a preset only fills the numbers; changing one of them makes the load the person's own.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.planning.agent.workload import MOST_TASKS
from sparkdesk.core.planning.workload import PRESETS
from ui.launch.form import CUSTOM, TASK_LOADS, Form
from ui.launch.serving.fields import CHAT_PURPOSES
from ui.widgets.field import Field, NumberInput, TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

MOST_TYPED = 99_999
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
        # Wider than what is possible: what is typed stays, and is wrong beside its field.
        self.users = NumberInput(-MOST_TYPED, MOST_TYPED, 1)
        editors = {
            "prompt_tokens": self.prompt,
            "answer_tokens": self.answer,
            "users": self.users,
            "cached_percent": self.cached,
        }
        self.fields = {name: Field(TITLES[name], editor) for name, editor in editors.items()}
        self.tasks = NumberInput(1, MOST_TASKS, 8)
        self._at_once = Label("", "label", "text3")
        self._heap = self._make_heap()
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
            part.editor.setMinimumWidth(1)  # not that of the longest number
            row.addWidget(part, 0, at)
            row.setColumnStretch(at, 1)
        column.addLayout(row)
        column.addWidget(self._heap)
        column.addWidget(self.wrong)
        self.presets.changed.connect(self.preset_chosen)
        for name, line in (("prompt_tokens", self.prompt), ("answer_tokens", self.answer)):
            line.textEdited.connect(lambda typed, name=name: self.edited.emit(name, typed))
        self.cached.textEdited.connect(lambda typed: self.edited.emit("cached_percent", typed))
        self.users.valueChanged.connect(lambda value: self.edited.emit("users", value))
        self.tasks.valueChanged.connect(lambda value: self.edited.emit("tasks", value))

    def _make_heap(self) -> QWidget:
        """How many tasks there are in all."""
        heap = QWidget()
        self.tasks.setAccessibleName("Tasks in all")
        self.tasks.setFixedWidth(80)
        name = Label("Tasks", "label", "text3")
        name.setBuddy(self.tasks)
        line = QHBoxLayout(heap)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addWidget(name)
        line.addWidget(self.tasks)
        line.addWidget(self._at_once)
        line.addStretch(1)
        return heap

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
        for box, number in ((self.users, form.users), (self.tasks, form.tasks)):
            box.blockSignals(True)
            box.setValue(number)
            box.blockSignals(False)
        self._at_once.setText(f"in all, {form.users:,} at once")
        self._heap.setVisible(form.workload in TASK_LOADS and form.purpose in CHAT_PURPOSES)

    def show_errors(self, errors: dict[str, str]) -> None:
        """Mark the fields that cannot be read; the words stand below all of them, where there is room."""
        for name, part in self.fields.items():
            mark = getattr(part.editor, "set_error", None)
            if callable(mark):
                mark(name in errors)
            part.editor.setAccessibleDescription(errors.get(name, ""))
        self.wrong.setText("; ".join(f"{TITLES[name]}: {words}" for name, words in errors.items()))
        self.wrong.setVisible(bool(errors))
