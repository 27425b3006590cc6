"""The chosen model, image or cache: what each node holds of it, and what can be done there.

The one rule: an action that cannot be taken says why; none runs before its steps were shown.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.disk.view import DiskKey, DiskNode, DiskRow, Holding, Kind
from ui import text, theme
from ui.disk import words
from ui.disk.model import DiskModel, Entry
from ui.node.wrap import wrap_line
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card, Separator
from ui.widgets.label import ElidedLabel, Label

WIDTH = 340


class NodePart(QWidget):
    """One node's share, with its actions. Holds the buttons by the name of their task."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, Button] = {}
        self.name = ElidedLabel("", "dense_medium", "text")
        self.said = Label("", "dense", "text2", is_wrapped=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 4)
        column.setSpacing(4)
        column.addWidget(self.name)
        column.addWidget(self.said)
        self.ways = QHBoxLayout()
        self.ways.setSpacing(4)
        column.addLayout(self.ways)
        column.addWidget(Separator())

    def add(self, task: str, title: str, *, is_danger: bool = False) -> Button:
        """Another action."""
        button = Button(title, is_small=True, kind="danger" if is_danger else "default")
        self.buttons[task] = button
        self.ways.addWidget(button)
        return button


class DiskDrawer(Card):
    """The panel at the side."""

    def __init__(self, model: DiskModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shape: tuple[object, ...] = ()
        self.parts: dict[str, NodePart] = {}
        self.title = Label("", "object_title", "text", is_wrapped=True, is_selectable=True)
        self.summary = Label("", "dense", "text2", is_wrapped=True)
        self.fetch_all = Button("Fetch to all nodes that lack it…", is_small=True, icon="download")
        self.shut = IconButton("x", "Close")
        self.files = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self._inside = QWidget()
        self._list = QVBoxLayout(self._inside)
        self._build()
        self.fetch_all.clicked.connect(self._fetch_all)
        self.shut.clicked.connect(lambda: model.choose_ident(("", "")))
        self.setFixedWidth(WIDTH)
        self.setAccessibleName("The chosen model or image")
        self.setVisible(False)

    def _build(self) -> None:
        column = self.column(spacing=8)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.shut, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(head)
        column.addWidget(self.summary)
        column.addWidget(self.fetch_all)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(theme.GAP // 2)
        self._list.addWidget(self.files)
        self._list.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._inside.setProperty("tone", "page")
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(self._inside)
        column.addWidget(area, 1)

    def refresh(self) -> None:
        """Show the chosen row as it is now."""
        entry = self._model.chosen_entry()
        self.setVisible(entry is not None)
        if entry is None:
            return
        shape = (entry.ident, tuple(node.node_id for node in self._model.nodes))
        if shape != self._shape:
            self._shape = shape
            self._make_parts(entry)
        self.title.setText(wrap_line(text.one_line(entry.ident[1], 200)))
        if entry.row is None:
            self._show_cache(entry)
        else:
            self._show_row(entry.row)

    def _make_parts(self, entry: Entry) -> None:
        for old in self.parts.values():
            old.setVisible(False)
            old.deleteLater()
        self.parts.clear()
        for node in self._model.nodes:
            part = NodePart()
            if entry.row is None:
                part.add("clean", "Clean…").clicked.connect(partial(self._clean, entry.cache, node.node_id))
            else:
                self._add_actions(part, entry.row.key, node.node_id)
            part.ways.addStretch(1)
            self.parts[node.node_id] = part
            self._list.insertWidget(self._list.count() - 1, part)

    def _add_actions(self, part: NodePart, key: DiskKey, node_id: str) -> None:
        part.add("fetch", "Fetch…").clicked.connect(lambda: self._model.actions.fetch(key, (node_id,), ""))
        part.add("copy", "Copy…").clicked.connect(lambda: self._model.actions.copy(key, node_id))
        part.add("verify", "Verify…").clicked.connect(lambda: self._model.actions.verify(key, node_id))
        remove = part.add("remove", "Remove…", is_danger=True)
        remove.clicked.connect(lambda: self._model.actions.remove(key, node_id))

    def _clean(self, cache: str, node_id: str) -> None:
        self._model.actions.clean(cache, node_id)

    def _show_row(self, row: DiskRow) -> None:
        kind = {Kind.MODEL: "Model of the hub", Kind.IMAGE: "Container image", Kind.FILE: "File in ~/models"}[
            row.key.kind
        ]
        same = words.revision_words(row, self._model.nodes)
        files = words.files_words(row, self._model.nodes)
        self.files.setText(f"Files\n{files}" if files else "")
        self.files.setVisible(bool(files))
        self.summary.setText(f"{kind}. {same}".strip())
        lacking = self._model.lacking(row)
        self.fetch_all.setVisible(row.key.kind is not Kind.FILE)
        self.fetch_all.set_disabled_reason("" if lacking else "No live node lacks it, as far as is known")
        for node in self._model.nodes:
            part = self.parts[node.node_id]
            part.name.setText(text.one_line(node.name, 64))
            part.said.setText(self._row_words(row, node))
            for task, button in part.buttons.items():
                button.set_disabled_reason(self._model.obstacle(task, row, node))

    def _row_words(self, row: DiskRow, node: DiskNode) -> str:
        cell = row.cell(node.node_id)
        transfer = words.transfer_of(self._model.view, (row.key.kind, row.key.name), node.node_id)
        shown = words.cell_of(cell, node, row.key.kind, transfer, row.size_bytes())
        if cell.holding is Holding.UNKNOWN:
            return f"Not known: {shown.hint}"
        said = [shown.text[:1].upper() + shown.text[1:]]
        if cell.holding is Holding.WHOLE:
            said.append(words.size_words(cell.size_bytes))
        if cell.revision:
            said.append(f"revision {words.short_revision(cell.revision)}")
        if cell.architecture:
            said.append(text.one_line(cell.architecture, 40))
        if cell.used_ms is not None:
            said.append(f"last used {words.used_words(cell.used_ms, self._model.feeds.now_ms())}")
        users = self._model.feeds.users(row.key, node.node_id)
        if users:
            said.append(f"in use by {', '.join(users)}")
        return ", ".join(said)

    def _show_cache(self, entry: Entry) -> None:
        self.summary.setText("Compiled kernels of an engine. Without them its next start is slower: it compiles anew.")
        self.fetch_all.setVisible(False)
        self.files.setVisible(False)
        sizes = entry.sizes(self._model.view)
        for node in self._model.nodes:
            part = self.parts[node.node_id]
            part.name.setText(text.one_line(node.name, 64))
            part.said.setText(words.size_words(sizes[node.node_id]) if node.node_id in sizes else "None")
            reason = "" if node.is_live else f"{node.name} is away"
            part.buttons["clean"].set_disabled_reason(reason or ("" if node.node_id in sizes else "There is none"))

    def _fetch_all(self) -> None:
        entry = self._model.chosen_entry()
        if entry is not None and entry.row is not None:
            self._model.actions.fetch(entry.row.key, self._model.lacking(entry.row), "")
