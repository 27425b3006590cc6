"""What a chapter changes: the file before and after, the exact commands, and those that take them back.

The one rule: everything of the plan can be read here before it runs; a chapter's own button stands below what it does.
"""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QWidget

from sparkdesk.core.bringup.chapter import Chapter
from ui import text
from ui.bringup.file_rows import file_note, file_rows
from ui.bringup.model import BringUpModel
from ui.playbook.plan_view import PlanView
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card, Separator
from ui.widgets.field import Select
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.line_diff import LineDiff
from ui.widgets.segmented import Segmented

_OWN = ("chapter", "prove")
_PREFIXED = re.compile(r"spark-.{3}")
WAYS = (("file", "File"), ("run", "Commands"), ("undo", "Undo"))
MOST_TABS = 4
"""Of more nodes one is chosen from a list."""
SHOW, HIDE = "Show the program", "Hide the program"
NO_PROGRAM = "# No program of SparkDesk's own is brought to a node here; the commands are all there is."
_NOTHING = {
    Chapter.CABLING: "# Cables are changed by hand; the checks above say which.",
    Chapter.FINISH: "# The report is saved on this computer; nothing runs on a node.",
}


class ChangeCard(Card):
    """`apply_asked` carries the chapter's value."""

    apply_asked = Signal(str)
    export_asked = Signal()

    def __init__(self, model: BringUpModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._nodes: tuple[tuple[str, str], ...] = ()
        self._paths: tuple[str, ...] = ()
        self._icon = IconLabel("file-diff", "text2")
        self.title = ElidedLabel("", "dense_medium", "text", mode=Qt.TextElideMode.ElideMiddle)
        self.file = Select(is_small=True)
        self.ways = Segmented(list(WAYS), what="What to show")
        self._has_file, self._wants_file = True, True
        self.tabs = Segmented([("", "All")], what="Node")
        self.pick = Select(is_small=True)
        self.diff = LineDiff("The file before and after")
        self.text = PlanView("The commands of this chapter")
        self.note = Label("", "label", "text3", is_wrapped=True)
        self.program = Button(SHOW, kind="link")
        self._shows_program = False
        self._shown: Chapter | None = None
        self.export = Button("Export plan", kind="link")
        self.copy = IconButton("copy", "Copy this text", size=24)
        self.apply = Button("Apply", is_small=True)
        self._stack = QStackedWidget()
        self._build()
        self.ways.changed.connect(self._choose_way)
        self.tabs.changed.connect(self._choose_node)
        self.file.activated.connect(lambda _at: self._choose_file(self.file.key()))
        self.pick.activated.connect(lambda _at: self._choose_node(self.pick.key()))
        self.apply.clicked.connect(lambda: self.apply_asked.emit(model.chapter.value))
        self.export.clicked.connect(self.export_asked)
        self.program.clicked.connect(self._turn_program)
        self.copy.clicked.connect(self._copy)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(14, 6, 8, 6)
        head.setSpacing(8)
        head.addWidget(self._icon)
        head.addWidget(self.title, 1)
        head.addWidget(self.file, 1)
        head.addWidget(self.ways)
        head.addWidget(self.tabs)
        head.addWidget(self.pick)
        self.file.setAccessibleName("File")
        self.pick.setAccessibleName("Node")
        self.pick.setMinimumWidth(120)
        self._stack.addWidget(self.diff)
        self._stack.addWidget(self.text)
        for view in (self.diff, self.text):
            view.setProperty("tone", "code")
        foot = QHBoxLayout()
        foot.setContentsMargins(14, 6, 10, 8)
        foot.setSpacing(8)
        foot.addWidget(self.note, 1)
        foot.addWidget(self.copy)
        foot.addWidget(self.program)
        foot.addWidget(self.export)
        foot.addWidget(self.apply)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(head)
        column.addWidget(Separator())
        column.addWidget(self._stack, 1)
        column.addWidget(Separator())
        column.addLayout(foot)
        self.setMinimumHeight(190)
        self.setAccessibleName("What is changed")

    def _choose_way(self, key: str) -> None:
        self._wants_file = key == "file"
        self._shows_program = False
        self.refresh()

    def _turn_program(self) -> None:
        self._shows_program = not self._shows_program
        self.refresh()

    def _show_program(self, chapter: Chapter) -> None:
        """The link to the text of what is brought, where something is; another chapter begins with its commands."""
        if chapter is not self._shown:
            self._shown, self._shows_program = chapter, False
        has_any = self._model.has_program(chapter)
        self._shows_program = self._shows_program and has_any
        self.program.setVisible(has_any)
        self.program.setText(HIDE if self._shows_program else SHOW)
        self.program.updateGeometry()

    def _show_ways(self, *, has_file: bool) -> None:
        """A chapter without a file has only commands; after it a file is shown again where it was before."""
        if has_file != self._has_file:
            if not has_file:
                self._wants_file = self.ways.key() == "file"
            self._has_file = has_file
            chosen = "file" if has_file and self._wants_file else ""
            self.ways.set_options([way for way in WAYS if has_file or way[0] != "file"], chosen)

    def _choose_node(self, node_id: str) -> None:
        self._model.node_id = node_id
        self.refresh()

    def _choose_file(self, path: str) -> None:
        self._model.path = path
        self.refresh()

    def _copy(self) -> None:
        (self.diff if self._stack.currentIndex() == 0 else self.text).selectAll()
        (self.diff if self._stack.currentIndex() == 0 else self.text).copy()

    def refresh(self) -> None:
        """Show the chapter that is looked at."""
        chapter = self._model.chapter
        diffs = self._model.diffs_of(chapter)
        self._show_ways(has_file=bool(diffs))
        self._show_program(chapter)
        is_file = bool(diffs) and self.ways.key() == "file" and not self._shows_program
        shown = self._model.shown_files(chapter)
        self._show_nodes(tuple(diff.node_id for diff in shown) if is_file else ("", *self._model.node_ids()))
        if is_file:
            node_id = self._model.shown_node(chapter)
            chosen = next((diff for diff in shown if diff.node_id == node_id), shown[0])
            self.title.setText(text.one_line(chosen.path, 200))
            self.diff.show_rows(file_rows(chosen))
            where = f"{text.one_line(chosen.path, 200)}:" if len({diff.path for diff in diffs}) > 1 else ""
            notes = (where, file_note(chosen, is_written=self._model.is_written(chosen)), *self._model.notes(chapter))
            self.note.setText(" ".join(note for note in notes if note))
        else:
            self._show_commands(chapter)
        self._show_paths(tuple(dict.fromkeys(diff.path for diff in diffs)) if is_file else ())
        self._icon.set_icon("file-diff" if is_file else "terminal")
        self._stack.setCurrentIndex(0 if is_file else 1)
        self._show_apply(chapter)

    def _show_paths(self, paths: tuple[str, ...]) -> None:
        """Of several files one is chosen where else its path stands."""
        self.title.setVisible(len(paths) < 2)
        self.file.setVisible(len(paths) > 1)
        if paths != self._paths:
            self._paths = paths
            self.file.set_options([(path, text.one_line(path.rpartition("/")[2], 60)) for path in paths])
        if len(paths) > 1:
            self.file.set_key(self._model.path if self._model.path in paths else paths[0])

    def _show_commands(self, chapter: Chapter) -> None:
        is_undo = self.ways.key() == "undo"
        node_id = self._model.node_id if self._model.node_id in self._model.node_ids() else ""
        self.title.setText(chapter.words)
        self.note.setText(" ".join(self._model.notes(chapter)))
        if self._shows_program:
            self.text.show_output(self._model.programs(chapter, node_id) or NO_PROGRAM)
            return
        plan = self._model.commands(chapter, node_id, is_undo=is_undo)
        if plan.text:
            self.text.show_plan(plan)
        else:
            self.text.show_output(self._nothing_words(chapter, node_id))

    def _nothing_words(self, chapter: Chapter, node_id: str) -> str:
        if self._model.state.plan is None:
            return "# Nothing is planned yet: the nodes are read first."
        if node_id and self._model.commands(chapter, "").text:
            return f"# Nothing of this chapter runs on {self._model.name_of(node_id)}."
        return _NOTHING.get(chapter, "# Nothing runs: there is nothing to change here.")

    def _show_nodes(self, node_ids: tuple[str, ...]) -> None:
        names = tuple(
            (node_id, self._model.name_of(node_id) if node_id else "All") for node_id in dict.fromkeys(node_ids)
        )
        is_many = len(names) > MOST_TABS + 1
        if names != self._nodes:
            self._nodes = names
            self.tabs.set_options([(key, _short(name, names)) for key, name in names] if not is_many else [("", "All")])
            self.pick.set_options(list(names) if is_many else [("", "All")])
        keys = [key for key, _name in names]
        wanted = self._model.node_id if "" in keys else self._model.shown_node(self._model.chapter)
        chosen = wanted if wanted in keys else keys[0] if keys else ""
        self.tabs.set_key(chosen)
        self.pick.set_key(chosen)
        self.tabs.setVisible(not is_many and len(names) > 1)
        self.pick.setVisible(is_many)

    def _show_apply(self, chapter: Chapter) -> None:
        """The chapter's own button, which stands in the head too; here it follows what it does."""
        model = self._model
        self.export.setVisible(model.state.plan is not None)
        offer = next((each for each in model.offers() if each.key in _OWN), None) if model.is_step_by_step else None
        self.apply.setVisible(offer is not None)
        if offer is not None:
            self.apply.setText(offer.words)
            self.apply.updateGeometry()
            self.apply.set_disabled_reason(offer.reason)


def _short(name: str, names: tuple[tuple[str, str], ...]) -> str:
    """A node's name without what all names begin with: "5c2d" of spark-5c2d."""
    whole = [each for key, each in names if key]
    if len(whole) > 1 and name in whole and all(_PREFIXED.match(each) for each in whole):
        return name.removeprefix("spark-")
    return name
