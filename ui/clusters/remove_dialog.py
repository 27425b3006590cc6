"""Asks before a node or a cluster is removed from SparkDesk: says what that means, and offers to undo first.

The one rule: the safe answer is the default; removing here never deletes anything on a node by itself.
"""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.widgets.button import Button
from ui.widgets.label import Label
from ui.widgets.toggle import CheckBox


class RemoveDialog(QDialog):
    """Open it with `open()`; `accepted` is the dangerous answer. `offer` is the text of a tick, "" for none."""

    def __init__(self, title: str, *, loss: str, kept: str, offer: str = "", parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{loss} {kept}")
        self.setFixedWidth(460)
        self.keep = Button("Keep")
        self.remove = Button("Remove", kind="danger", icon="x")
        self.undo = CheckBox(offer)
        self.undo.setVisible(bool(offer))
        self.keep.setDefault(True)
        self.remove.setAutoDefault(False)
        self.keep.clicked.connect(self.reject)
        self.remove.clicked.connect(self.accept)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(title, "object_title", "text", is_wrapped=True))
        column.addWidget(Label(loss, "body", "text2", is_wrapped=True))
        column.addWidget(Label(kept, "body", "text2", is_wrapped=True))
        column.addWidget(self.undo)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.keep)
        row.addWidget(self.remove)
        column.addLayout(row)
        self.keep.setFocus()

    def wants_undo(self) -> bool:
        """Whether what SparkDesk installed is undone first."""
        return self.undo.isChecked()
