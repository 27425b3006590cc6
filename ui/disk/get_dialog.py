"""Get a model or an image: its name, which file of it, and which nodes.

The one rule: it only asks; the steps are shown before anything is fetched.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from PySide6.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.disk.view import DiskKey, Kind
from sparkdesk.core.jobs.request import MODEL_PATTERN
from ui import text
from ui.disk import words
from ui.disk.model import DiskModel
from ui.widgets.button import Button
from ui.widgets.field import Field, TextInput
from ui.widgets.label import Label

_IMAGE: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/@-]{0,254}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")


ASK_SIZE: Final = "Ask its size"
SHOW_STEPS: Final = "Show the steps…"


class GetDialog(QDialog):
    """Open it with `show()`."""

    def __init__(self, model: DiskModel, kind: Kind, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._kind = kind
        is_model = kind is Kind.MODEL
        title = "Get a model" if is_model else "Get an image"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setMinimumWidth(460)
        self.name = TextInput(placeholder="owner/name" if is_model else "registry/name:tag")
        self.file = TextInput(placeholder="all files")
        self.name_field = Field("Id on the hub" if is_model else "Image", self.name)
        self.file_field = Field("One file only", self.file, hint="for GGUF")
        self.nodes = {node.node_id: QCheckBox(text.one_line(node.name, 64)) for node in model.nodes if node.is_live}
        self.problem = Label("", "label", "crit", is_wrapped=True)
        self.cancel = Button("Cancel")
        self.go = Button(ASK_SIZE if is_model else SHOW_STEPS, kind="primary")
        self.size_label = Label("", "dense", "text2", is_wrapped=True)
        self._is_open = True
        self._asked = self._sized = ("", "")
        """Name and file whose size was asked for last, and is told."""
        self._build(title)
        self.cancel.clicked.connect(self.reject)
        self.finished.connect(self._shut)
        self.go.clicked.connect(self._ask)
        self.name.returnPressed.connect(self._ask)
        self.name.textChanged.connect(self._forget_size)
        self.file.textChanged.connect(self._forget_size)
        for box in self.nodes.values():
            box.toggled.connect(self._forget_size)

    def _build(self, title: str) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(10)
        column.addWidget(Label(title, "object_title", "text"))
        column.addWidget(self.name_field)
        column.addWidget(self.file_field)
        self.file_field.setVisible(self._kind is Kind.MODEL)
        column.addWidget(Label("To these nodes", "label", "text3"))
        free = {node.node_id: words.free_words(node) for node in self._model.nodes}
        for at, (node_id, box) in enumerate(self.nodes.items()):
            box.setText(f"{box.text()}, {free[node_id]}")
            box.setChecked(at == 0)
            column.addWidget(box)
        column.addWidget(self.size_label)
        column.addWidget(self.problem)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.cancel, self.go):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        column.addLayout(buttons)

    def _ask(self) -> None:
        name, file = self.name.text().strip(), self.file.text().strip()
        is_model = self._kind is Kind.MODEL
        is_name = bool(MODEL_PATTERN.fullmatch(name)) and "/" in name if is_model else bool(_IMAGE.fullmatch(name))
        wrong = "Write it as owner/name." if is_model else "Write it as registry/name:tag."
        self.name_field.set_error("" if is_name else wrong)
        is_file = not file or (bool(_FILE.fullmatch(file)) and ".." not in file)
        self.file_field.set_error("" if is_file else "That is no file of a repository.")
        chosen = tuple(node_id for node_id, box in self.nodes.items() if box.isChecked())
        self.problem.setText("" if chosen else "Choose a node." if self.nodes else "No node is live.")
        if not (is_name and is_file and chosen):
            return
        if not is_model or self._sized == (name, file):
            self._fetch(name, file, chosen)
            return
        self._asked = (name, file)
        self.size_label.setText("Asking the hub for its size")
        self.go.setEnabled(False)
        self._model.actions.ask_size(name, file, chosen[0], partial(self._take_size, (name, file), chosen))

    def _take_size(self, asked: tuple[str, str], chosen: tuple[str, ...], size_bytes: int | None, why: str) -> None:
        """The size as the hub told it; what does not fit is an error, what nobody knows stands there with why."""
        if asked != self._asked or not self._is_open:
            return
        self.go.setEnabled(True)
        self._sized = asked
        self.go.setText(SHOW_STEPS)
        if size_bytes is None:
            self.size_label.setText(f"Its size is not known: {text.one_line(why, 300)}")
            return
        self.size_label.setText(f"It takes {words.size_words(size_bytes)} on each node.")
        free = {node.node_id: node for node in self._model.nodes if node.node_id in chosen}
        small = [node for node in free.values() if node.free_bytes is not None and node.free_bytes < size_bytes]
        if small:
            told = "; ".join(f"{text.one_line(node.name, 64)} has {words.free_words(node)}" for node in small)
            self.problem.setText(f"Not enough room: it takes {words.size_words(size_bytes)}; {told}.")
            self._sized = ("", "")
            self.go.setText(ASK_SIZE)

    def _shut(self, _code: int) -> None:
        self._is_open = False

    def _forget_size(self) -> None:
        """Another name or file: what was told is of something else."""
        self._asked = self._sized = ("", "")
        self.size_label.setText("")
        self.problem.setText("")
        self.go.setEnabled(True)
        self.go.setText(ASK_SIZE if self._kind is Kind.MODEL else SHOW_STEPS)

    def _fetch(self, name: str, file: str, chosen: tuple[str, ...]) -> None:
        self.accept()
        self._model.actions.fetch(DiskKey(self._kind, name), chosen, file)
