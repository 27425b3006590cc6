"""The list of all findings, sliding over the right side of the cluster page.

The one rule: it closes with Esc or its cross and changes nothing under it.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.findings.panel import FindingPanel
from ui.widgets.button import IconButton
from ui.widgets.drawer import Drawer

WIDTH = 440


class FindingDrawer(Drawer):
    """`panel` is the list; `open_at` opens it at one finding."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host, width=WIDTH)
        self.panel = FindingPanel()
        self.close_button = IconButton("x", "Close the list of findings", size=24)
        self.close_button.clicked.connect(self.close_drawer)
        inside = QWidget()
        inside.setProperty("tone", "page")
        column = QVBoxLayout(inside)
        column.setContentsMargins(14, 12, 10, 12)
        self.panel.head.addWidget(self.close_button)
        column.addWidget(self.panel, 1)
        self.set_panel(inside)
        self.setAccessibleName("All findings")

    def open_at(self, finding_id: str) -> None:
        """Open the list, at this finding when it is still there."""
        self.open()
        self.raise_()
        if not finding_id or not self.panel.show_finding(finding_id):
            self.close_button.setFocus(Qt.FocusReason.OtherFocusReason)
