"""The text of a plan, to be read and copied: headings, commands, the lines of files.

The one rule: a file's new lines have a sign and a ground of their own; colour alone says nothing.
"""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtGui import QFont, QGuiApplication, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from ui.font import font
from ui.playbook.plan_text import ADDED, PlanText
from ui.theme import color
from ui.widgets.code_view import CommandColors

_HEADING: Final = re.compile(r"\d{1,4}\. ")


class PlanColors(CommandColors):
    """As for commands; added lines lie on green, headings are strong."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)

    def highlightBlock(self, text: str) -> None:  # noqa: N802
        look = QTextCharFormat()
        if text.startswith(ADDED):
            look.setBackground(color("oksoft"))
            look.setForeground(color("text"))
        elif _HEADING.match(text):
            look.setFontWeight(QFont.Weight.DemiBold)
            look.setForeground(color("text"))
        else:
            super().highlightBlock(text)
            return
        self.setFormat(0, len(text), look)


class PlanView(QPlainTextEdit):
    """Read-only. `show_plan` keeps the place while the text is the same."""

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plan = PlanText("", ())
        self.setReadOnly(True)
        self.setFont(font("mono"))
        self.setProperty("tone", "well")
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setAccessibleName(what)
        self._colors = PlanColors(self.document())

    def show_plan(self, plan: PlanText) -> None:
        """Show a plan's text."""
        if plan.text != self.toPlainText():
            self.setPlainText(plan.text)
        self._plan = plan

    def show_output(self, text: str) -> None:
        """Show what was printed so far, and stay at its end while the person is there."""
        before = self.toPlainText()
        if text == before:
            return
        bar = self.verticalScrollBar()
        was_at_end = bar.value() >= bar.maximum() - 2
        if before and text.startswith(before):
            cursor = QTextCursor(self.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(text[len(before) :])
        else:
            self.setPlainText(text)
        if was_at_end:
            bar.setValue(bar.maximum())

    def show_step(self, step_id: str) -> None:
        """Bring a step's heading to the top."""
        block = self.document().findBlockByNumber(self._plan.line_of(step_id))
        cursor = QTextCursor(block)
        self.setTextCursor(cursor)
        self.verticalScrollBar().setValue(block.firstLineNumber())

    def copy_text(self) -> None:
        """Put the whole text on the clipboard."""
        QGuiApplication.clipboard().setText(self.toPlainText())
