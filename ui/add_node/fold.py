"""Text that a person may unfold: what will run, or what a node answered.

Rule: plain text, bounded, selectable; nothing is behind the button when there is no text.
"""

from __future__ import annotations

from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from ui.font import font
from ui.widgets.button import Button


class Fold(QWidget):
    """A small button and, once it is pressed, the text below it."""

    def __init__(self, title: str, *, height: int = 120, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = Button(title, kind="text", icon="chevron-right")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(font("mono"))
        self.text.setProperty("tone", "well")
        self.text.setFixedHeight(height)
        self.text.setAccessibleName(title)
        # Tab leaves the text: it is read, not written.
        self.text.setTabChangesFocus(True)
        self.text.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.button)
        column.addWidget(self.text)
        self.button.clicked.connect(lambda: self._unfold(is_unfolded=self.text.isHidden()))
        self.setVisible(False)

    def show_text(self, text: str) -> None:
        """Show this text, folded; the same one again leaves the fold as it is. No text: nothing is shown."""
        self.setVisible(bool(text))
        if text != self.text.toPlainText():
            self.text.setPlainText(text)
            self._unfold(is_unfolded=False)

    def _unfold(self, *, is_unfolded: bool) -> None:
        self.text.setVisible(is_unfolded)
        self.button.set_icon("chevron-down" if is_unfolded else "chevron-right")
