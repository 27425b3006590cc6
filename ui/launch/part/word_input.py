"""One of an engine's words, or another one that is written: its table may be older than the image.

The one rule: a word that is not in the list is kept as it is and shown in the open.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.launch.choice.option import Offer
from ui.widgets.field import Select, TextInput

ANOTHER = "another word"


class WordInput(QWidget):
    """A list of choice, and below it a line where none of it fits. `edited` carries the word."""

    edited = Signal(str)

    def __init__(self, another: str = "Another one…", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._another = another
        self._offers: tuple[Offer, ...] | None = None
        self.select, self.line = Select(), TextInput(is_mono=True, placeholder="As the engine calls it")
        self.line.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.select)
        column.addWidget(self.line)
        self.select.activated.connect(lambda _at: self._choose())
        self.line.textEdited.connect(self.edited)

    def focusInEvent(self, event: QFocusEvent) -> None:
        # No proxy of Qt's: one stays where it was made in the order of Tab when its parts are placed elsewhere.
        (self.select if self.select.isEnabled() else self.line).setFocus(event.reason())

    def show_word(self, offers: Sequence[Offer], word: str) -> None:
        """Show what is offered, and the word that is chosen."""
        if self._offers != tuple(offers):
            self._offers = tuple(offers)
            self.select.blockSignals(True)
            self.select.set_options([*((each.key, each.title) for each in offers), (ANOTHER, self._another)])
            self.select.blockSignals(False)
        is_writing = self.line.isVisibleTo(self) and (self.line.hasFocus() or not word)
        is_known = any(each.key == word for each in offers) and not is_writing
        self.select.set_key(word if is_known else ANOTHER)
        self.line.setVisible(not is_known)
        if self.line.text() != word:
            self.line.setText(word)

    def set_error(self, has_error: bool) -> None:
        """Show or hide the red edge."""
        self.select.set_error(has_error)
        self.line.set_error(has_error)

    def setAccessibleName(self, name: str) -> None:  # noqa: N802
        super().setAccessibleName(name)
        self.select.setAccessibleName(name)
        self.line.setAccessibleName(f"{name}, written")

    def _choose(self) -> None:
        key = self.select.key()
        self.line.setVisible(key == ANOTHER)
        if key == ANOTHER:
            self.line.setFocus()
            self.line.selectAll()
        else:
            self.edited.emit(key)
