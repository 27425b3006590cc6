"""What a person may choose before a bring-up: the nodes, the image of the proof, the memory guard, one step at a time.

The one rule: everything has a good value already; a node that cannot take part says why.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QStyleOptionComboBox, QWidget

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.state import Phase
from ui import text, theme
from ui.bringup.model import AUTOMATIC, BringUpModel
from ui.widgets.card import Card, Separator
from ui.widgets.field import Select
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.toggle import CheckBox, Switch

FRAME_PX = 46
"""Edges and chevron of a selection."""
COLUMNS = 4
IMAGE_PX = 236
"""A usual image has room, with how it was chosen."""
IMAGE_HELP = (
    "The all_gather proof runs in this container image; nothing is fetched. Automatic takes one that all nodes have, "
    "as soon as docker answers on them."
)
NO_IMAGE = "none: NCCL is not proved"


class ImageSelect(Select):
    """Names of images tell most at both of their ends, so the middle is left out where there is no room."""

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:  # noqa: N802 - Qt's name
        super().initStyleOption(option)
        room = max(24, self.width() - FRAME_PX)
        option.currentText = self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideMiddle, room)


class SetupStrip(Card):
    """The choices in one card. It writes into the view-model."""

    def __init__(self, model: BringUpModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.nodes: dict[str, CheckBox] = {}
        self._grid = QGridLayout()
        self._is_narrow = False
        self._images: tuple[str, tuple[str, ...]] | None = None
        self.image = ImageSelect(is_small=True)
        self.guard = Switch("Memory guard", text="Memory guard")
        self.step_by_step = Switch("Step by step", text="Step by step")
        self.note = Label("", "label", "text2", is_wrapped=True)
        self._build()
        self.image.activated.connect(lambda _at: model.set_image(self.image.key()))
        self.guard.clicked.connect(model.set_guard)
        self.step_by_step.clicked.connect(model.set_step_by_step)

    def _build(self) -> None:
        self.setAccessibleName("What to bring up")
        self.image.setAccessibleName("Image in which NCCL is proved")
        self.image.setToolTip(plain_tooltip(IMAGE_HELP))
        self.image.setMinimumWidth(IMAGE_PX)
        self.guard.setToolTip(plain_tooltip("Ends the largest process before the node runs out of unified memory."))
        self.step_by_step.setToolTip(plain_tooltip("Each chapter is applied with a button of its own."))
        column = self.column(spacing=4, margins=(14, 6, 14, 6))
        self._row, self._foot = QHBoxLayout(), QHBoxLayout()
        row = self._row
        column.addLayout(row)
        column.addLayout(self._foot)
        self._foot.setSpacing(theme.GAP)
        self._foot.addWidget(self.note, 1)
        row.setSpacing(theme.GAP)
        row.addWidget(Label("Nodes", "label", "text3"))
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(0)
        row.addLayout(self._grid)
        row.addStretch(1)
        self._image_row = QWidget()
        inside = QHBoxLayout(self._image_row)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(theme.GAP)
        inside.addWidget(Label("Prove NCCL in", "label", "text3"))
        inside.addWidget(self.image)
        row.addWidget(self._image_row)
        self._at = row.indexOf(self._image_row)
        for switch in (self.guard, self.step_by_step):
            line = Separator(is_vertical=True)
            line.setFixedHeight(20)
            row.addWidget(line, 0, Qt.AlignmentFlag.AlignVCenter)
            row.addWidget(switch)

    def refresh(self) -> None:
        """Show the choices as they are."""
        known = self._model.feeds.nodes.value
        if list(self.nodes) != [node.record.id for node in known]:
            self._make_nodes(tuple(node.record.id for node in known))
        for node in known:
            check = self.nodes[node.record.id]
            name = text.one_line(node.record.name, 64)
            if check.text() != name:
                check.setText(name)
                check.updateGeometry()
            check.setChecked(self._model.is_chosen(node.record.id))
            check.setEnabled(node.is_live)
            reason = "" if node.is_live else f"{node.state.words}. {text.one_line(node.message, 200)}".strip()
            check.setToolTip(plain_tooltip(reason) if reason else "")
            check.setAccessibleDescription(reason)
        images = self._model.feeds.images.value
        picked = self._model.automatic_words()
        if (picked, images) != self._images:
            self._images = (picked, images)
            named = [(name, text.one_line(name, 120)) for name in images]
            words = f"{picked.rpartition('/')[2]} · automatic" if picked else "Automatic"
            self.image.set_options([(AUTOMATIC, words), *named, ("", NO_IMAGE)])
        self.image.set_key(self._model.image)
        chosen = self.image.currentText()
        whole = picked if picked and self._model.image == AUTOMATIC else chosen
        self.image.setToolTip(plain_tooltip(f"{whole}\n{IMAGE_HELP}"))
        # Once it is over nobody is asked for anything.
        is_to_come = self._model.state.phase not in (Phase.DONE, Phase.UNDONE)
        note = " ".join(self._model.notes(Chapter.TRUST)) if is_to_come else ""
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.guard.setChecked(self._model.wants_guard)
        self.step_by_step.setChecked(self._model.is_step_by_step)

    def _make_nodes(self, node_ids: tuple[str, ...]) -> None:
        for old in self.nodes.values():
            old.setVisible(False)
            old.deleteLater()
        self.nodes = {}
        for at, node_id in enumerate(node_ids):
            check = CheckBox("")
            check.clicked.connect(partial(self._toggle, node_id))
            self._grid.addWidget(check, at // COLUMNS, at % COLUMNS)
            self.nodes[node_id] = check

    def set_narrow(self, *, is_narrow: bool) -> None:
        """Put the image into the lower row, or back between the nodes and the switches."""
        if is_narrow == self._is_narrow:
            return
        self._is_narrow = is_narrow
        if is_narrow:
            self._foot.addWidget(self._image_row, 0, Qt.AlignmentFlag.AlignRight)
        else:
            self._row.insertWidget(self._at, self._image_row)
        for layout in (self._row, self._foot):
            layout.invalidate()
        self.updateGeometry()  # else the page gives it the height of before until the next event

    def _toggle(self, node_id: str, is_in: bool = False) -> None:
        self._model.choose_node(node_id, is_in=is_in)
