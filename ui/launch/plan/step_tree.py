"""What a launch will do, step by step, each to be opened down to its commands.

The one rule: commands are never cut; what was open stays open when the plan changes.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from ui.font import font
from ui.jobs.step_text import StepText

IdRole: Final = Qt.ItemDataRole.UserRole


class StepTree(QTreeWidget):
    """What will be done, one row a step; opened, every command of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderHidden(True)
        self.setColumnCount(1)
        self.setIndentation(16)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("What will be done")
        self.setSelectionMode(QTreeWidget.SelectionMode.NoSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Commands are never cut: long ones scroll.
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.itemExpanded.connect(lambda _item: self._fit_height())
        self.itemCollapsed.connect(lambda _item: self._fit_height())

    def show_steps(self, steps: tuple[StepText, ...]) -> None:
        """Show these steps; what was open stays open."""
        opened = {item.data(0, IdRole) for item in self._items() if item.isExpanded()}
        self.clear()
        for number, step in enumerate(steps, 1):
            item = QTreeWidgetItem([f"{number}  {step.title}  ·  {step.node}"])
            item.setFont(0, font("dense"))
            item.setData(0, IdRole, step.step_id)
            for part, command in step.parts:
                child = QTreeWidgetItem([f"{part}:  {command}" if part != "do" else command])
                child.setFont(0, font("mono"))
                item.addChild(child)
            self.addTopLevelItem(item)
            item.setExpanded(step.step_id in opened)
        self._fit_height()

    def _items(self) -> list[QTreeWidgetItem]:
        found = (self.topLevelItem(i) for i in range(self.topLevelItemCount()))
        return [item for item in found if item is not None]

    def _fit_height(self) -> None:
        height = 4
        is_open = False
        for item in self._items():
            height += self.sizeHintForIndex(self.indexFromItem(item)).height()
            if item.isExpanded():
                is_open = True
                children = (item.child(j) for j in range(item.childCount()))
                indexes = (self.indexFromItem(child) for child in children if child is not None)
                height += sum(self.sizeHintForIndex(index).height() for index in indexes)
        # Room for the bar that long commands need.
        self.setFixedHeight(height + (12 if is_open else 0))
