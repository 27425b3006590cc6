"""The presets of system prompts: used, kept, renamed, removed.

The one rule: a preset is replaced or removed only by a second press, on a button that then says so.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from ui import theme
from ui.chat.panel.model import PanelModel
from ui.chat.panel.section import row
from ui.font import font
from ui.text import one_line
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label, plain_tooltip

_NAME = Qt.ItemDataRole.UserRole


class PresetDialog(QDialog):
    """Beside the chat, not over it. `prompt` gives what the chat's own prompt is now."""

    def __init__(self, model: PanelModel, prompt: Callable[[], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._prompt = prompt
        self._to_remove = ""
        self._names: tuple[str, ...] = ()
        self.setWindowTitle("Presets")
        self.setAccessibleName("Presets of system prompts")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(460, 440)
        self.list = QListWidget()
        self.list.setAccessibleName("Presets")
        self.list.setFont(font("body"))
        self.empty = Label("None yet. Write a system prompt in the chat, then save it here.", "dense", "text3",
                           is_wrapped=True)  # fmt: skip
        self.room = QWidget()
        """Takes the list's room while there is none, so that what is below stays together."""
        self.use = Button("Use in this chat", is_small=True)
        self.rename = Button("Rename", is_small=True)
        self.remove = Button("Remove", is_small=True)
        self.name = TextInput(placeholder="Rust reviewer")
        self.name_field = Field("Save the prompt of this chat as", self.name)
        self.save = Button("Save")
        self.problem = Label("", "dense", "crit", is_wrapped=True)
        self._build()
        self._wire()
        self._show()
        model.list_presets()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label("Presets of system prompts", "object_title", "text"))
        where = Label("Each is a text file, which any editor may change.", "dense", "text2", is_wrapped=True)
        where.setToolTip(plain_tooltip(self._model.presets_path))
        column.addWidget(where)
        column.addWidget(self.empty)
        column.addWidget(self.list, 1)
        column.addLayout(row(self.remove, self.rename, self.use))
        line = row(self.name_field, self.save, widest=0)
        line.setAlignment(self.save, Qt.AlignmentFlag.AlignBottom)
        column.addLayout(line)
        column.addWidget(self.problem)
        column.addWidget(self.room, 1)
        close = Button("Close")
        close.clicked.connect(self.reject)
        column.addLayout(row(close, stretch_after=0))
        for button in (close, self.use, self.rename, self.remove, self.save):
            button.setAutoDefault(False)

    def _wire(self) -> None:
        self.list.currentItemChanged.connect(lambda *_: self._show())
        self.list.itemChanged.connect(self._on_renamed)
        self.list.itemActivated.connect(lambda _: self._use())
        self.use.clicked.connect(self._use)
        self.rename.clicked.connect(lambda: self.list.editItem(self.list.currentItem()))
        self.remove.clicked.connect(self._remove)
        self.name.textChanged.connect(lambda _: self._show())
        self.name.returnPressed.connect(self._save)
        self.save.clicked.connect(self._save)
        self._model.presets_listed.connect(self._on_listed)
        self._model.failed.connect(self._on_failed)

    def chosen(self) -> str:
        """The name chosen in the list, "" when there is none."""
        chosen = self.list.selectedItems()
        return str(chosen[0].data(_NAME)) if chosen else ""

    def _on_listed(self, names: tuple[str, ...]) -> None:
        kept = self.chosen()
        self._names = names
        self.list.blockSignals(True)
        self.list.clear()
        for name in names:
            item = QListWidgetItem(one_line(name, 200))
            item.setData(_NAME, name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            self.list.addItem(item)
            if name == kept:
                self.list.setCurrentItem(item)
        if self.list.currentItem() is None and names:
            self.list.setCurrentRow(0)
        self.list.blockSignals(False)
        self._show()

    def _on_renamed(self, item: QListWidgetItem) -> None:
        old, new = str(item.data(_NAME)), item.text().strip()
        if new != one_line(old, 200):
            self._say("")
            self._model.rename_preset(old, new)

    def _use(self) -> None:
        if self.chosen():
            self._say("")
            self._model.read_preset(self.chosen())

    def _remove(self) -> None:
        name = self.chosen()
        if name and self._to_remove == name:
            self._model.remove_preset(name)
            self._to_remove = ""
        else:
            self._to_remove = name
        self._show()

    def _save(self) -> None:
        if self.save.isEnabled():
            self._say("")
            self._model.save_preset(self.name.text().strip(), self._prompt(), is_replacing=self._is_taken())

    def _is_taken(self) -> bool:
        """Whether the button says that it replaces."""
        return self.name.text().strip().casefold() in {name.casefold() for name in self._names}

    def _show(self) -> None:
        name = self.chosen()
        if self._to_remove != name:
            self._to_remove = ""
        self.empty.setVisible(not self._names)
        self.list.setVisible(bool(self._names))
        self.room.setVisible(not self._names)
        for button in (self.use, self.rename, self.remove):
            button.set_disabled_reason("" if name else "Choose a preset first")
        self.remove.setText("Remove for good" if self._to_remove else "Remove")
        self.remove.set_kind("danger" if self._to_remove else "default")
        why = "" if self._prompt().strip() else "The chat has no system prompt to save"
        self.save.set_disabled_reason(why or ("" if self.name.text().strip() else "Write a name first"))
        self.save.setText("Replace" if self._is_taken() else "Save")
        self.save.updateGeometry()

    def _on_failed(self, part: str, error: SparkDeskError) -> None:
        if part == "preset":
            self._say(one_line(error.sentence(), 400))

    def _say(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
