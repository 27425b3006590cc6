"""Where a JSON schema is written: the answer must follow it.

The one rule: what is wrong is said while it is typed, with line and column; what is no JSON cannot be used.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QVBoxLayout, QWidget

from ui import theme
from ui.chat.panel.sampling.schema_text import EXAMPLE, MAX_CHARS, schema_problem
from ui.chat.panel.section import Writing, row
from ui.widgets.button import Button
from ui.widgets.label import Label


class SchemaDialog(QDialog):
    """Beside the chat, not over it. `used` carries the schema; "" takes it away."""

    used = Signal(str)

    def __init__(self, schema: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("JSON schema")
        self.setAccessibleName("JSON schema of the answer")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumSize(440, 380)
        self.resize(520, 460)
        self.editor = Writing("JSON schema", EXAMPLE, 10, is_mono=True)
        self.editor.setMinimumHeight(200)
        self.editor.setMaximumHeight(16_777_215)
        self.editor.setPlainText(schema)
        self.problem = Label("", "dense", "crit", is_wrapped=True)
        self.use = Button("Use it", kind="primary")
        self.remove = Button("Free text again")
        self.example = Button("Insert an example", kind="link")
        self.remove.setVisible(bool(schema))
        self._build()
        self.editor.textChanged.connect(self._judge)
        self.use.clicked.connect(self._use)
        self.remove.clicked.connect(lambda: self._end(""))
        self.example.clicked.connect(lambda: self.editor.put(EXAMPLE))
        self._judge()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label("The answer follows this JSON schema", "object_title", "text"))
        words = "The server lets the model write nothing else. Which parts of the language it knows is its own."
        column.addWidget(Label(words, "dense", "text2", is_wrapped=True))
        column.addWidget(self.editor, 1)
        column.addWidget(self.problem)
        cancel = Button("Cancel")
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        for button in (self.remove, self.example):
            button.setAutoDefault(False)
        column.addLayout(row(self.example, self.remove, cancel, self.use))

    def _judge(self) -> None:
        text = self.editor.toPlainText()
        problem = schema_problem(text) if text.strip() else ""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.editor.setAccessibleDescription(problem)
        self.use.set_disabled_reason(problem or ("" if text.strip() else "Write a schema first"))

    def _use(self) -> None:
        text = self.editor.toPlainText()
        if len(text) <= MAX_CHARS and text.strip() and not schema_problem(text):
            self._end(text)

    def _end(self, schema: str) -> None:
        self.used.emit(schema)
        self.accept()
