"""Says whether a pasted text is approved on this computer, and by which of its bytes.

The one rule: it only says so; the one action stands in the drawer's foot.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.launch.paste.model import Approval
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label


class ApprovalStrip(QWidget):
    """An icon, the state in one line, and what it means. Hidden where nothing needs an approval."""

    def __init__(self) -> None:
        super().__init__()
        self._icon = IconLabel("", size=16)
        self._words = Label("", "dense_strong", "text", is_wrapped=True)
        self._note = Label("", "label", "text3", is_wrapped=True)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._words)
        words.addWidget(self._note)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 10, 16, 0)
        row.setSpacing(8)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)

    def show_approval(self, approval: Approval | None) -> None:
        """Say it, or go away."""
        self.setVisible(approval is not None)
        if approval is None:
            return
        self._icon.set_icon("shield-check" if approval.is_given else "lock", "ok" if approval.is_given else "warn")
        self._words.setText(approval.words)
        self._note.setText(approval.note)
        self.setAccessibleName(f"{approval.words}. {approval.note}")

    def words(self) -> str:
        """What is said."""
        return self._words.text()
