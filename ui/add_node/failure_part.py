"""A failure inside a row: what happened, what to do, the evidence behind a button, and the ways on.

Rule: no failure without a next step; the evidence is plain text and bounded.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from ui.font import font
from ui.widgets.button import Button
from ui.widgets.label import Label


class FailurePart(QWidget):
    """`retried`: the same again. `edited`: back to who."""

    retried = Signal()
    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message = Label("", "strong", "text", is_wrapped=True, is_selectable=True)
        self._remedy = Label("", "body", "text2", is_wrapped=True, is_selectable=True)
        self._detail = QPlainTextEdit()
        self.detail_button = Button("Details", kind="text", icon="chevron-right")
        self.copy_button = Button("Copy", kind="text", icon="copy")
        self.edit_button = Button("Change who")
        self.retry_button = Button("Try again", kind="primary", icon="refresh-cw")
        self._detail.setReadOnly(True)
        self._detail.setFont(font("mono"))
        self._detail.setProperty("tone", "well")
        self._detail.setFixedHeight(120)
        self._detail.setAccessibleName("Details of the failure")
        self._detail.setVisible(False)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.detail_button)
        buttons.addWidget(self.copy_button)
        buttons.addStretch(1)
        buttons.addWidget(self.edit_button)
        buttons.addWidget(self.retry_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self._message, self._remedy, self._detail):
            column.addWidget(part)
        column.addLayout(buttons)
        self.detail_button.clicked.connect(lambda: self._unfold(is_unfolded=self._detail.isHidden()))
        self.copy_button.clicked.connect(self._copy)
        self.edit_button.clicked.connect(self.edited)
        self.retry_button.clicked.connect(self.retried)

    def show_failure(self, message: str, remedy: str, detail: str) -> None:
        """Show a failure; the same one again leaves the fold as it is."""
        is_new = (message, detail) != (self._message.text(), self._detail.toPlainText())
        self._message.setText(message)
        self._remedy.setText(remedy)
        if is_new:
            self._detail.setPlainText(detail)
            self._unfold(is_unfolded=False)
        self.detail_button.setVisible(bool(detail))

    def _unfold(self, *, is_unfolded: bool) -> None:
        self._detail.setVisible(is_unfolded)
        self.detail_button.set_icon("chevron-down" if is_unfolded else "chevron-right")

    def _copy(self) -> None:
        parts = (self._message.text(), self._remedy.text(), self._detail.toPlainText())
        QGuiApplication.clipboard().setText("\n".join(part for part in parts if part))
