"""The list of shortcuts, from the registry (?).

Rule: it never knows a shortcut of its own.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QWidget

from ui.action import ActionRegistry
from ui.widgets.label import Label


class ShortcutList(QDialog):
    """Shown with `show`; Esc closes."""

    def __init__(self, registry: ActionRegistry, window: QWidget) -> None:
        super().__init__(window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keyboard shortcuts")
        grid = QGridLayout(self)
        grid.setContentsMargins(20, 16, 20, 16)
        grid.setHorizontalSpacing(28)
        grid.setVerticalSpacing(6)
        grid.addWidget(Label("Keyboard shortcuts", "object_title", "text"), 0, 0, 1, 2)
        row = 1
        for command in registry.commands():
            keys = command.action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            if keys:
                grid.addWidget(Label(command.title, "body", "text2"), row, 0)
                grid.addWidget(Label(keys, "mono", "text"), row, 1)
                row += 1
