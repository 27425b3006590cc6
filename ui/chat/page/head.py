"""The head of the chat page: the title, which can be changed in place, how long the chat is, compare and export.

Rule: Enter keeps a new title, Esc the old one; what is empty is the title it had by itself.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QStackedWidget, QWidget

from sparkdesk.core.chat.session import MAX_TITLE_CHARS
from ui import theme
from ui.text import count, one_line
from ui.widgets.button import Button, IconButton
from ui.widgets.field import TextInput
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.toggle import Switch

_FIELD_PX: Final = 360

PANEL_TITLE: Final = "Model and settings"
"""The button's name; words elsewhere send a person to it."""


class TitleField(QStackedWidget):
    """The title; a click or `begin` makes a field of it."""

    renamed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.label = ElidedLabel("New chat", "object_title", "text")
        self.label.setCursor(Qt.CursorShape.IBeamCursor)
        self.label.setMinimumHeight(theme.CONTROL_HEIGHT)
        self.field = TextInput()
        self.field.setMaxLength(MAX_TITLE_CHARS)
        self.field.setAccessibleName("Title of this chat")
        self.addWidget(self.label)
        self.addWidget(self.field)
        self.label.installEventFilter(self)
        self.field.installEventFilter(self)
        self.field.returnPressed.connect(self._keep)

    def show_title(self, title: str) -> None:
        """Show another title."""
        self.label.setText(one_line(title, MAX_TITLE_CHARS))
        self.label.setAccessibleName(f"{self.label.text()}, press F2 to rename")

    def begin(self) -> None:
        """Let the title be changed."""
        self.field.setText(self.label.text())
        self.setMinimumWidth(_FIELD_PX)
        self.setCurrentWidget(self.field)
        self.field.selectAll()
        self.field.setFocus()

    def _leave(self) -> None:
        self.setMinimumWidth(0)
        self.setCurrentWidget(self.label)

    def _keep(self) -> None:
        if self.currentWidget() is self.field:
            text = self.field.text()
            self._leave()
            self.renamed.emit(text)

    def sizeHint(self) -> QSize:
        shown = self.currentWidget()
        return shown.sizeHint() if shown is not None else super().sizeHint()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.label and event.type() is QEvent.Type.MouseButtonRelease and isinstance(event, QMouseEvent):
            self.begin()
            return True
        if watched is self.field and isinstance(watched, QLineEdit):
            if event.type() is QEvent.Type.FocusOut:
                self._keep()
            elif isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
                self._leave()
                return True
        return False


class ChatHead(QWidget):
    """`panel_button` opens the settings where they are a drawer."""

    renamed = Signal(str)
    compare_asked = Signal(bool)
    export_asked = Signal()
    panel_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.title = TitleField()
        self.turns = Label("", "dense", "text3")
        self.model = ElidedLabel("", "dense", "text3")
        """Who is talked to, where nothing else says it."""
        self.compare = Switch("Compare models", text="Compare")
        self.export = Button("Export", kind="text", icon="share-2")
        self.export.setAccessibleName("Export this chat")
        self.panel_button = IconButton("panel-left", PANEL_TITLE, size=32)
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(self.title)
        row.addWidget(self.turns)
        row.addWidget(self.model, 1)
        row.addStretch(0)
        row.addWidget(self.compare)
        row.addSpacing(4)
        row.addWidget(self.export)
        row.addWidget(self.panel_button)
        self.panel_button.setVisible(False)
        self.title.renamed.connect(self.renamed)
        self.compare.toggled.connect(self.compare_asked)
        self.export.clicked.connect(self.export_asked)
        self.panel_button.clicked.connect(self.panel_asked)

    def show_chat(self, title: str, turns: int, model: str = "") -> None:
        """Show a chat's title, how many turns it has (a question with its answer is one) and who is talked to."""
        self.title.show_title(title)
        self.turns.setText(f"{count(turns)} turn{'s' if turns != 1 else ''}" if turns else "")
        self.model.setText(f"· {one_line(model, 120)}" if model and turns else one_line(model, 120))
        self.export.set_disabled_reason("" if turns else "There is nothing to export yet.")
