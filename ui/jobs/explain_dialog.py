"""Asks whether a failure may be explained by a model: shows all that would be sent, and to which model.

The one rule: nothing is sent before the person has seen it; what comes back is called an opinion here already.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.services.chat.endpoint import ChatEndpoint
from ui import theme
from ui.text import one_line
from ui.widgets.button import Button
from ui.widgets.code_view import CodeView
from ui.widgets.field import Select
from ui.widgets.label import Label

EXPLANATION = (
    "The text below goes to the model, and nowhere else. Names, addresses and tokens were taken out of it; read it. "
    "What the model answers is its opinion: SparkDesk's own cause stands at the top of the text."
)
NO_MODEL = "No model is ready that could be asked. Launch one, or connect to a server in the chat."


class ExplainDialog(QDialog):
    """Open it with `open()`; `asked` carries the id of the model's server and the text as it was shown."""

    asked = Signal(str, str)

    def __init__(self, title: str, evidence: str, endpoints: tuple[ChatEndpoint, ...], parent: QWidget) -> None:
        super().__init__(parent)
        self._evidence = evidence
        heading = f"Explain why {one_line(title, 80)} failed?"
        self.setWindowTitle(heading)
        self.setAccessibleName(heading)
        self.setAccessibleDescription(EXPLANATION)
        self.setMinimumSize(720, 520)
        self.models = Select()
        self.models.setAccessibleName("Model that is asked")
        self.models.set_options([(each.id, one_line(each.label, 120)) for each in endpoints])
        self.models.setEnabled(bool(endpoints))
        self.cancel = Button("Do not ask")
        self.ask = Button("Ask this model", kind="primary")
        self.ask.setEnabled(bool(endpoints))
        self.ask.setToolTip("" if endpoints else NO_MODEL)
        self.cancel.setDefault(True)
        self.ask.setAutoDefault(False)
        self.text = CodeView("evidence", title="What is sent", wrap=QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.text.set_pages([("all", "All of it", evidence)])
        self._build(heading, has_models=bool(endpoints))
        self.cancel.clicked.connect(self.reject)
        self.ask.clicked.connect(self._ask)
        self.cancel.setFocus()

    def _build(self, heading: str, *, has_models: bool) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(heading, "object_title", "text", is_wrapped=True))
        column.addWidget(Label(EXPLANATION, "body", "text2", is_wrapped=True))
        column.addWidget(self.text, 1)
        if not has_models:
            column.addWidget(Label(NO_MODEL, "dense", "warn", is_wrapped=True))
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(Label("Model", "dense", "text3"))
        row.addWidget(self.models, 1)
        row.addStretch(1)
        row.addWidget(self.cancel)
        row.addWidget(self.ask)
        column.addLayout(row)

    def _ask(self) -> None:
        key = self.models.key()
        if key:
            self.accept()
            self.asked.emit(key, self._evidence)
