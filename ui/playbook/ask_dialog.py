"""Asks before something is done on nodes: names what changes and shows the commands.

The one rule: the safe answer is the default, and it is never modal in a way that stops the application.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.widgets.button import Button
from ui.widgets.code_view import CodeView
from ui.widgets.label import Label


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: `loss` says what changes, `script` what will run, `action` and `keep` are the answers."""

    title: str
    loss: str
    script: str
    action: str
    keep: str = "Keep running"
    is_dangerous: bool = True


class AskDialog(QDialog):
    """Open it with `open()`; `accepted` is the answer that changes something."""

    def __init__(self, question: Question, parent: QWidget) -> None:
        super().__init__(parent)
        title, loss, script = question.title, question.loss, question.script
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(loss)
        self.setMinimumSize(560, 320)
        self.keep = Button(question.keep)
        self.go = Button(question.action)
        if question.is_dangerous:
            self.go.set_kind("danger")
            self.go.set_icon("square")
        self.keep.setDefault(True)
        self.go.setAutoDefault(False)
        self.keep.clicked.connect(self.reject)
        self.go.clicked.connect(self.accept)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(title, "object_title", "text", is_wrapped=True))
        column.addWidget(Label(loss, "body", "text2", is_wrapped=True))
        self.commands = CodeView("commands", title="What will run")
        self.commands.set_pages([("all", "All steps", script)])
        column.addWidget(self.commands, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.keep)
        row.addWidget(self.go)
        column.addLayout(row)
        self.keep.setFocus()
