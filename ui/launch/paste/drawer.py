"""The drawer for pasted text: what it says is read while it is typed, and nothing of it is run.

The one rule: the form changes only on the one button in the foot, which names the approval where it gives one; what
stays out of the form is listed with its reason.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from ui.font import font
from ui.launch.paste.approval_strip import ApprovalStrip
from ui.launch.paste.model import Line, PasteModel, Section, sections_of
from ui.theme import Token
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Separator
from ui.widgets.chip import Chip, ChipKind
from ui.widgets.drawer import Drawer
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label

WIDTH = 460
_TINTS: dict[str, Token] = {"octagon-alert": "crit", "triangle-alert": "warn", "check": "ok", "lock": "warn"}
_HINT = (
    "A hub id or URL, a docker, vLLM, SGLang, trtllm-serve or llama-server command, a recipe (YAML or TOML), or the "
    "path of a GGUF. It is read here; nothing of it is run or fetched."
)


class PasteDrawer(Drawer):
    """`fill_asked` carries the Imported whose fields belong into the form."""

    fill_asked = Signal(object)

    def __init__(self, model: PasteModel, host: QWidget) -> None:
        super().__init__(host, width=WIDTH)
        self.model = model
        self.setAccessibleName("Paste anything")
        self.input = QPlainTextEdit()
        self.input.setFont(font("mono"))
        self.input.setAccessibleName("Text to read")
        self.input.setPlaceholderText("vllm serve owner/model --tensor-parallel-size 2 …")
        self.input.setTabChangesFocus(True)
        self.input.setFixedHeight(170)
        self.chip = Chip()
        self.approval = ApprovalStrip()
        self.fill = Button("Fill the form", kind="primary")
        self.close_button = IconButton("x", "Close")
        self._found = QVBoxLayout()
        self._shown: tuple[Section, ...] = ()
        self._parts: list[QWidget] = []
        panel = QWidget()
        self._build(panel)
        self.set_panel(panel)
        self.input.textChanged.connect(lambda: model.set_text(self.input.toPlainText()))
        self.fill.clicked.connect(self._give)
        self.close_button.clicked.connect(self.close_drawer)
        model.changed.connect(self._show)
        self._show()

    def _build(self, panel: QWidget) -> None:
        column = QVBoxLayout(panel)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        top = QVBoxLayout()
        top.setContentsMargins(16, 12, 12, 12)
        top.setSpacing(10)
        head = QHBoxLayout()
        head.addWidget(Label("Paste anything", "object_title", "text"))
        head.addStretch(1)
        head.addWidget(self.close_button)
        top.addLayout(head)
        top.addWidget(Label(_HINT, "dense", "text3", is_wrapped=True))
        top.addWidget(self.input)
        inner = QWidget()
        inner.setProperty("tone", "page")
        inner.setLayout(self._found)
        self._found.setContentsMargins(16, 12, 16, 14)
        self._found.setSpacing(6)
        self._found.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 10)
        foot.addWidget(self.chip)
        foot.addStretch(1)
        foot.addWidget(self.fill)
        column.addLayout(top)
        column.addWidget(Separator())
        column.addWidget(area, 1)
        column.addWidget(Separator())
        column.addWidget(self.approval)
        column.addLayout(foot)

    def open_with(self, text: str = "", *, is_recipe: bool = False) -> None:
        """Slide in; a text replaces what stands there. `is_recipe`: it is a recipe file's."""
        if text:
            self.input.setPlainText(text)
            # As it came: the input turns the ends of lines into its own, and the digest is of the file's bytes.
            self.model.set_text(text, is_recipe=is_recipe)
            self.model.recompute()
        self.open()
        self.input.setFocus(Qt.FocusReason.PopupFocusReason)
        if text:
            self.input.moveCursor(QTextCursor.MoveOperation.End)
        else:
            # The next paste replaces what was read before.
            self.input.selectAll()

    def sections(self) -> tuple[Section, ...]:
        """What is listed."""
        return self._shown

    def _give(self) -> None:
        imported = self.model.give()
        if imported is not None:
            self.close_drawer()
            self.fill_asked.emit(imported)

    def _show(self) -> None:
        words, kind = self.model.verdict()
        self.chip.set_state(words, _chip_kind(kind))
        self.chip.setVisible(bool(words))
        digest = self.model.imported.digest if self.model.imported else ""
        self.chip.setToolTip(f"SHA-256 of the text: {digest}" if digest else "")
        self.fill.set_disabled_reason(self.model.blocker())
        self.fill.setText(self.model.action())
        self.approval.show_approval(self.model.approval())
        sections = sections_of(self.model.imported)
        if sections == self._shown:
            return
        self._shown = sections
        for part in self._parts:
            self._found.removeWidget(part)
            part.deleteLater()
        self._parts = []
        for section in sections:
            title = Label(section.title, "dense_strong", "text")
            title.setContentsMargins(0, 8 if self._parts else 0, 0, 2)
            self._add(title)
            for line in section.lines:
                self._add(_line_part(line))

    def _add(self, part: QWidget) -> None:
        self._found.insertWidget(len(self._parts), part)
        self._parts.append(part)


def _chip_kind(kind: str) -> ChipKind:
    kinds: dict[str, ChipKind] = {"ok": "ok", "warn": "warn", "crit": "crit"}
    return kinds.get(kind, "neutral")


def _line_part(line: Line) -> QWidget:
    part = QWidget()
    row = QHBoxLayout(part)
    row.setContentsMargins(0, 0, 0, 2)
    row.setSpacing(8)
    sign = IconLabel(line.icon, _TINTS.get(line.icon, "text3"), size=14)
    row.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
    words = QVBoxLayout()
    words.setSpacing(0)
    said = f"{line.title}: {line.words}" if line.title else line.words
    words.addWidget(Label(said, "dense", "text", is_wrapped=True, is_selectable=True))
    if line.note:
        words.addWidget(Label(line.note, "label", "text3", is_wrapped=True))
    row.addLayout(words, 1)
    return part
