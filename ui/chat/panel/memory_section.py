"""The memory of the project that a chat belongs to: a text file that goes along with each question.

The one rule: the file is the person's own. It is read anew whenever it is looked at, and where another editor changed
it meanwhile, the person says which text stays.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.plain_text import reveal_hidden
from sparkdesk.services.chat.context.memory import MAX_SENT_BYTES, clip
from ui.chat.panel.model import MemoryFile, PanelModel
from ui.chat.panel.prompt_section import KeptWriting
from ui.chat.panel.section import Section, row
from ui.text import count, cut, one_line
from ui.widgets.button import Button
from ui.widgets.fold import FoldHead
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.toggle import Switch

NO_PROJECT = "Put this chat into a folder to give it a memory that all chats of the folder share."
_SHOWN_CHARS = 600
_HINT = "What every chat of this project should know: names, decisions, conventions."


class MemorySection(Section):
    """`switched` carries whether the memory goes along, `file_asked` a path for the person's editor."""

    switched = Signal(bool)
    file_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__(is_folding=True)
        self._model: PanelModel | None = None
        self._folder = ""
        self._has_memory = True
        self._base: str | None = None
        self._theirs: str | None = None
        self._kept: str | None = None
        self.head = FoldHead("Memory")
        self.inner = QWidget()
        self.why = Label(NO_PROJECT, "dense", "text3", is_wrapped=True)
        self.switch = Switch("Send the memory along")
        self.editor = KeptWriting("Project memory", _HINT, 5, rest_ms=0)
        self.open_file = Button("Open in editor", kind="link")
        self.said = Label("", "label", "text3")
        self.problem = Label("", "label", "crit", is_wrapped=True)
        self.keep_mine = Button("Keep mine", is_small=True)
        self.take_theirs = Button("Take the file's", is_small=True)
        self.file = QWidget()
        self.choice = QWidget()
        self._build()
        self._wire()
        self._show()

    def _build(self) -> None:
        self.column.addWidget(self.head)
        inner = QVBoxLayout(self.inner)
        inner.setContentsMargins(0, 0, 0, 4)
        inner.setSpacing(6)
        inner.addWidget(self.why)
        column = QVBoxLayout(self.file)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(row(Label("Send along with each question", "dense", "text2"), self.switch))
        column.addWidget(self.editor)
        column.addLayout(row(self.said, self.open_file))
        self.choice.setLayout(row(self.keep_mine, self.take_theirs, stretch_after=2))
        column.addWidget(self.problem)
        column.addWidget(self.choice)
        inner.addWidget(self.file)
        self.inner.setVisible(False)
        self.column.addWidget(self.inner)

    def _wire(self) -> None:
        self.head.toggled.connect(self._on_fold)
        self.switch.clicked.connect(self._on_switch)
        self.editor.kept.connect(self.keep)
        self.editor.entered.connect(self.look)
        self.editor.textChanged.connect(self._show_said)
        self.open_file.clicked.connect(self._open)
        self.keep_mine.clicked.connect(self._keep_mine)
        self.take_theirs.clicked.connect(self._take_theirs)

    def attach(self, model: PanelModel) -> None:
        """From now on there are memories."""
        self._model = model
        model.memory_read.connect(self._on_read)
        model.memory_conflict.connect(self._on_conflict)
        model.place_found.connect(self.file_asked)
        model.failed.connect(self._on_failed)
        self.look()
        self._show()

    def show_project(self, folder: str, *, has_memory: bool) -> None:
        """The chat shown belongs to this project ("" is none). What was written for another one is kept first."""
        if folder != self._folder:
            self.keep()
            self._folder, self._base, self._theirs = folder, None, None
            self.editor.blockSignals(True)
            self.editor.clear()
            self.editor.blockSignals(False)
            self._say("")
            self.look()
        self._has_memory = has_memory
        self._show()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        # Back from another program, which may have been an editor.
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow() and self.head.isChecked():
            self.look()

    def is_changed(self) -> bool:
        """Whether what is shown is not what was read."""
        return self.editor.toPlainText() != (self._base or "")

    def _on_fold(self, is_open: bool) -> None:
        self.inner.setVisible(is_open)
        if is_open:
            self.look()

    def _on_switch(self, is_on: bool) -> None:
        self._has_memory = is_on
        self._show()
        self.switched.emit(is_on)

    def look(self) -> None:
        """Read the file again: somebody else may have changed it."""
        if self._model is not None and self._folder and not self.is_changed():
            self._model.read_memory(self._folder)

    def keep(self) -> None:
        """Write what was changed, if it is not written yet and no question about it is open."""
        if self._model is not None and self._folder and self.is_changed() and self._theirs is None:
            self._kept = self.editor.toPlainText()
            self._model.save_memory(self._folder, self._kept, self._base)

    def _on_read(self, memory: MemoryFile) -> None:
        if memory.folder != self._folder:
            return
        is_ours = memory.text == self.editor.toPlainText()
        if self.is_changed() and not is_ours and self.editor.hasFocus():
            # Typed on meanwhile: what is typed stays. It follows on the text that was kept last; held against any
            # other it will be told as a conflict when it is kept.
            if memory.text == self._kept:
                self._base = memory.text
            return
        self._base, self._theirs = memory.text, None
        if not is_ours:
            self.editor.put(memory.text or "")
        self._say("")
        self._show()

    def _on_conflict(self, memory: MemoryFile) -> None:
        if memory.folder == self._folder:
            self._theirs = memory.text or ""
            shown = reveal_hidden(cut(self._theirs, _SHOWN_CHARS)) or "The file is empty"
            self.take_theirs.setToolTip(plain_tooltip(shown))
            self._say("Another program changed the file meanwhile. Nothing was written yet.")
            self._show()

    def _keep_mine(self) -> None:
        self._base, self._theirs = self._theirs, None
        self.keep()
        self._show()

    def _take_theirs(self) -> None:
        theirs, self._theirs = self._theirs or "", None
        self._base = theirs
        self.editor.put(theirs)
        self._say("")
        self._show()

    def _open(self) -> None:
        self.keep()
        if self._model is not None:
            self._model.find_memory(self._folder)

    def _on_failed(self, part: str, error: SparkDeskError) -> None:
        if part == "memory":
            self._say(one_line(error.sentence(), 400))
            self.head.set_mark("crit")

    def _say(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.editor.set_error(bool(problem))
        self.head.set_mark("warn" if problem else "")

    def _show(self) -> None:
        has_file = bool(self._folder) and self._model is not None
        self.why.setVisible(not has_file)
        self.file.setVisible(has_file)
        self.choice.setVisible(self._theirs is not None)
        self.switch.setChecked(self._has_memory)
        name = one_line(self._folder, 60)
        text = self._base or ""
        what = "not sent" if not self._has_memory else f"{count(len(text))} characters" if text else "empty"
        self.head.set_summary(f"{name}: {what}" if self._folder else "chat is in no folder")
        self._show_said()

    def _show_said(self) -> None:
        if self.is_changed():
            said = "Not saved yet: Ctrl+S"
        elif self._base is None:
            said = "No file yet"
        else:
            said = f"Saved; the first {MAX_SENT_BYTES // 1024} KiB are sent" if clip(self._base).cut_bytes else "Saved"
        self.said.setText(said)
