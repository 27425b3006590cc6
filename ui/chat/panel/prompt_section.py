"""The system prompt of this chat, and the presets that it is taken from and kept in.

The one rule: what is written holds when it is left, or after a moment's rest; choosing a preset can be undone.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QPoint, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from sparkdesk.core.errors import SparkDeskError
from ui.chat.panel.model import PanelModel
from ui.chat.panel.preset_dialog import PresetDialog
from ui.chat.panel.section import Section, Writing, heading, row
from ui.text import one_line
from ui.widgets.button import Button
from ui.widgets.label import Label

REST_MS: Final = 500
MAX_LISTED: Final = 40
"""Of presets in the menu; all of them are in the window behind it."""


class KeptWriting(Writing):
    """Lines that are kept when they are left, with Ctrl+S, and after a moment's rest (`rest_ms` 0: not by resting)."""

    kept = Signal()
    entered = Signal()

    def __init__(self, what: str, placeholder: str, rows: int, *, rest_ms: int = REST_MS) -> None:
        super().__init__(what, placeholder, rows)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(rest_ms)
        self._rest.timeout.connect(self.kept)
        if rest_ms:
            self.textChanged.connect(lambda: self._rest.start() if self.hasFocus() else None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.entered.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._rest.stop()
        self.kept.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Save):
            self._rest.stop()
            self.kept.emit()
            event.accept()
            return
        super().keyPressEvent(event)


class PromptSection(Section):
    """`changed` carries the prompt."""

    changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._model: PanelModel | None = None
        self._stored = ""
        self._given = ""
        self._is_menu_wanted = False
        self.dialog: PresetDialog | None = None
        self.presets = Button("Presets", kind="link")
        self.presets.setVisible(False)
        self.prompt = KeptWriting("System prompt", "None: the model's own template decides.", 3)
        self.problem = Label("", "label", "crit", is_wrapped=True)
        self.problem.setVisible(False)
        self.origin = Label("From the deployment's launch form.", "label", "text3", is_wrapped=True)
        self.clear = Button("Clear", kind="link")
        self.clear.setAccessibleName("Clear the system prompt of this chat")
        self.menu: QMenu | None = None
        self.column.addLayout(row(heading("System prompt"), self.presets))
        self.column.addWidget(self.prompt)
        self.column.addLayout(row(self.origin, self.clear, widest=0))
        self.column.addWidget(self.problem)
        self.clear.clicked.connect(self._clear)
        self.prompt.textChanged.connect(self._show_origin)
        self._show_origin()
        self.prompt.kept.connect(self.keep)
        self.presets.clicked.connect(self._ask_menu)

    def attach(self, model: PanelModel) -> None:
        """From now on there are presets."""
        self._model = model
        self.presets.setVisible(True)
        model.presets_listed.connect(self._on_listed)
        model.preset_read.connect(self._on_read)
        model.failed.connect(self._on_failed)

    def show_prompt(self, prompt: str, *, is_other: bool) -> None:
        """Show the prompt of the chat; of the same chat's, what is being written stays."""
        self._stored = prompt
        if is_other:
            self._say("")
        if is_other or not self.prompt.hasFocus():
            self.prompt.blockSignals(True)
            if prompt != self.prompt.toPlainText():
                self.prompt.setPlainText(prompt)
            self.prompt.blockSignals(False)
            self._show_origin()

    def show_given(self, prompt: str) -> None:
        """What the deployment that is asked gives a new chat; "" is nothing."""
        self._given = prompt
        self._show_origin()

    def _show_origin(self) -> None:
        is_given = bool(self._given.strip()) and self.prompt.toPlainText() == self._given
        self.origin.setVisible(is_given)
        self.clear.setVisible(is_given)

    def _clear(self) -> None:
        self.prompt.put("")
        self.keep()
        self.prompt.setFocus()

    def keep(self) -> None:
        """Tell what was written, if it is not told yet."""
        prompt = self.prompt.toPlainText()
        if prompt != self._stored:
            self._stored = prompt
            self.changed.emit(prompt)

    # Presets ---------------------------------------------------------------------------------------------------

    def _ask_menu(self) -> None:
        self._say("")
        self._is_menu_wanted = True
        if self._model is not None:
            self._model.list_presets()

    def _on_listed(self, names: tuple[str, ...]) -> None:
        if self._is_menu_wanted:
            self._is_menu_wanted = False
            self._open_menu(names)

    def _open_menu(self, names: tuple[str, ...]) -> None:
        menu = QMenu(self)
        menu.setAccessibleName("Presets")
        for name in names[:MAX_LISTED]:
            # An ampersand would become a shortcut.
            act = menu.addAction(one_line(name, 80).replace("&", "&&"))
            act.triggered.connect(lambda _=False, name=name: self._choose(name))
        if not names:
            menu.addAction("No presets yet: write a prompt, then save it").setEnabled(False)
        elif len(names) > MAX_LISTED:
            menu.addAction(f"{len(names) - MAX_LISTED} more: manage presets").triggered.connect(self.open_presets)
        menu.addSeparator()
        keep = menu.addAction("Save this prompt as a preset...")
        keep.triggered.connect(self.open_presets)
        keep.setEnabled(bool(self.prompt.toPlainText().strip()))
        menu.addAction("Manage presets...").triggered.connect(self.open_presets)
        menu.aboutToHide.connect(menu.deleteLater)
        self.menu = menu
        menu.destroyed.connect(lambda: setattr(self, "menu", None))
        corner = self.presets.mapToGlobal(QPoint(self.presets.width(), self.presets.height() + 2))
        menu.popup(corner - QPoint(menu.sizeHint().width(), 0))

    def _choose(self, name: str) -> None:
        if self._model is not None:
            self._model.read_preset(name)

    def _on_read(self, _name: str, prompt: str) -> None:
        self.prompt.put(prompt)
        self.keep()

    def _on_failed(self, part: str, error: SparkDeskError) -> None:
        if part == "preset" and self.dialog is None:
            self._is_menu_wanted = False
            self._say(one_line(error.sentence(), 300))

    def open_presets(self) -> None:
        """Open the window of the presets beside the chat; once only."""
        if self._model is None:
            return
        if self.dialog is None:
            self.dialog = PresetDialog(self._model, self.prompt.toPlainText, self.window_for_dialog())
            self.dialog.finished.connect(lambda _code: setattr(self, "dialog", None))
        self.dialog.show()
        self.dialog.raise_()

    def window_for_dialog(self) -> QWidget:
        """Whom a window of this section belongs to."""
        return self

    def _say(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
