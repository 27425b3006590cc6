"""The map's equal as a table: the same nodes, the same figures and findings, the same actions.

The one rule: what the map shows of a node stands here too, so that nobody needs the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QAction, QBrush, QColor, QContextMenuEvent, QFontMetrics, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sparkdesk.core.cluster.half import End
from sparkdesk.core.findings.concern import Concern, worst_first
from sparkdesk.core.jobs.reading import KV_USED
from sparkdesk.core.jobs.record import JobState
from ui import text, theme
from ui.cluster.cable import Cable
from ui.cluster.card import FOUND_MARK, CardJob, NodeCard
from ui.cluster.card_menu import make_menu
from ui.cluster.model import ClusterModel
from ui.cluster.scene import Scene
from ui.effort import bandwidth_words
from ui.findings import words
from ui.font import font
from ui.theme import Token, color

Index = QModelIndex | QPersistentModelIndex
HEADERS: Final = (
    "Node",
    "State",
    "Findings",
    "Serving",
    "Rate and requests",
    "Engine",
    "Used GiB",
    "Free GiB",
    "Busy",
    "SM clock",
    "GPU temp",
    "GPU power (rail)",
    "P0",
    "P1",
)
_NUMBERS: Final = frozenset(range(6, 12))
_FINDINGS: Final = 2
_STRETCHED: Final = len(HEADERS) - 1
_MOST_JOBS: Final = 8
_CELL_PADDING: Final = 5
"""With the 3 px that Qt's style keeps free as much as a heading has."""
_CELL_ROOM: Final = 20
"""Of a column beside its words."""
_FIRST_TO_GO: Final = (5, 9, 10, 4, 8, 11)
"""Where a table is wider than its place, these columns go first, and before them those that say nothing. What is left
says where a node stands: its state, findings, work, memory and cables. The map and the inspector have all."""
_ALWAYS: Final = frozenset((0, 1, 12, 13))
"""The node, its state and its cables."""
_KNOWN_WIDTHS: Final = 5000
_LOUD: Final[dict[str, Token]] = {"ok": "ok", "warn": "warn", "crit": "crit"}
"""The ink of a state or a severity that must be seen."""


@dataclass(frozen=True, slots=True)
class Extra:
    """What a row says of a node beside its card."""

    engine: str = ""
    findings: str = ""
    worst: str = ""
    """The severity of the worst open finding: note, warn, crit or ""."""


_NOTHING_MORE: Final = Extra()


@dataclass(frozen=True, slots=True)
class Row:
    """One node as words; `kind` colours its state."""

    node_id: str
    kind: str
    cells: tuple[str, ...]
    sentence: str
    extra: Extra = _NOTHING_MORE
    jobs: tuple[CardJob, ...] = ()
    """For the menu."""


def build_extras(model: ClusterModel) -> dict[str, Extra]:
    """Engine figures and findings of every node."""
    found, heard = dict[str, list[Concern]](), model.heard()
    for concern in model.feeds.findings.value:
        found.setdefault(concern.node_id, []).append(concern)
    extras = {}
    for card in model.scene.cards:
        concerns = found.get(card.node_id, [])
        quiet = "none" if card.node_id in heard else ""
        extras[card.node_id] = _build_extra(card, concerns, quiet, model)
    return extras


def _build_extra(card: NodeCard, concerns: Sequence[Concern], quiet: str, model: ClusterModel) -> Extra:
    """`quiet`: what is said where nothing was found."""
    jobs = model.jobs_on(card.node_id)
    parts = []
    for job in jobs[:_MOST_JOBS]:
        is_ready = job.state is JobState.READY
        kv, bandwidth = job.reading(KV_USED), model.feeds.bandwidth(job.job_id) if is_ready else None
        parts += [f"KV {text.percent(kv)}"] if text.is_known(kv) else []
        parts += [bandwidth_words(bandwidth, len(job.node_ids))[0]] if bandwidth is not None else []
    # Where nothing is ours, rate and requests of the found ones have the column before.
    told = [note.kv if card.serving == FOUND_MARK else note.told for note in card.found_notes]
    parts += [f"found: {one}" for one in told if one]
    worst = worst_first(one for one in concerns if not one.is_accepted)
    return Extra(
        engine=" · ".join(parts),
        findings=words.count_words(concerns) or quiet,
        worst=worst[0].severity.value if worst else "",
    )


def _cable_words(cable: Cable, end: End, names: Mapping[str, str]) -> str:
    """ "200G to spark-bd26 P0"."""
    other = next((one for one in cable.ends if one != end), None)
    far = f"{names.get(other[0], other[0])} {other[1]}" if other is not None else cable.far
    return f"{cable.word} to {far}" if far else cable.word


def build_rows(scene: Scene, extras: Mapping[str, Extra]) -> tuple[Row, ...]:
    """The rows of a scene."""
    rows = []
    names = {card.node_id: card.name for card in scene.cards}
    links = {end: _cable_words(cable, end, names) for cable in scene.cables for end in cable.ends}
    for card in scene.cards:
        extra = extras.get(card.node_id, _NOTHING_MORE)
        known = bool(card.memory.total) and card.look in ("live", "stale")
        figures = [str(text.Quantity(one.value, one.unit)) for one in card.figures] or [text.NOT_KNOWN] * 4
        cells = (
            card.name,
            card.mark.text,
            extra.findings or text.NOT_KNOWN,
            card.headline or text.NOT_KNOWN,
            card.detail or text.NOT_KNOWN,
            extra.engine or text.NOT_KNOWN,
            text.memory(card.memory.used if known else math.nan).value,
            text.memory(card.memory.available if known else math.nan).value,
            *figures,
            links.get((card.node_id, "P0"), text.NOT_KNOWN),
            links.get((card.node_id, "P1"), text.NOT_KNOWN),
        )
        rows.append(Row(card.node_id, card.mark.kind, cells, card.sentence, extra, card.jobs))
    return tuple(rows)


class NodeTableModel(QAbstractTableModel):
    """Rows of a scene; that some have changed is told once for all."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()

    def set_scene(self, scene: Scene, extras: Mapping[str, Extra]) -> None:
        """Show another scene."""
        rows = build_rows(scene, extras)
        if [row.node_id for row in rows] != [row.node_id for row in self.rows]:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
            return
        before, self.rows = self.rows, rows
        changed = [i for i, (old, new) in enumerate(zip(before, rows, strict=True)) if old != new]
        if changed:
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], len(HEADERS) - 1))

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(HEADERS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADERS[section]
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return _align(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _align(column)
        if role == Qt.ItemDataRole.FontRole:
            return font("dense_medium" if column == 0 else "dense")
        if role == Qt.ItemDataRole.ForegroundRole:
            return _ink(row, column)
        if role == Qt.ItemDataRole.AccessibleDescriptionRole and column == 0:
            return row.sentence
        return None


def _align(column: int) -> int:
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)


def _ink(row: Row, column: int) -> QColor:
    tint: Token = "text" if column == 0 else "text2"
    if row.cells[column] == text.NOT_KNOWN:
        tint = "text3"
    elif column == 1:
        tint = _LOUD.get(row.kind, tint)
    elif column == _FINDINGS:
        tint = _LOUD.get(row.extra.worst, tint)
    return color(tint)


class _Delegate(QStyledItemDelegate):
    """A selected row lies on its colour and keeps its inks: a style sheet would give all its words one."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: N802
        super().initStyleOption(option, index)
        if option.state & QStyle.StateFlag.State_Selected:
            option.state &= ~(QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver)
            option.backgroundBrush = QBrush(color("accentsoft"))


class NodeTable(QTableView):
    """The table. `chosen` and `opened` carry a node's id; its menu has the actions of a card."""

    chosen = Signal(str)
    opened = Signal(str)
    node_asked = Signal(str, str)
    """Node id and the tab of its page."""
    job_action_asked = Signal(str, str)
    """A deployment's id and chat, logs or stop."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = NodeTableModel(self)
        self.setModel(self.rows)
        self.setItemDelegate(_Delegate(self))
        self.setAccessibleName("Nodes")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setStyleSheet(f"QTableView::item {{ padding: 0 {_CELL_PADDING}px; }}")
        self.setWordWrap(False)
        self.verticalHeader().setVisible(False)
        self.verticalHeader().setDefaultSectionSize(theme.TABLE_ROW_HEIGHT + 4)
        head = self.horizontalHeader()
        head.setFont(font("label"))
        head.setHighlightSections(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        head.setSectionResizeMode(_STRETCHED, QHeaderView.ResizeMode.Stretch)
        self._widths: dict[tuple[bool, str], int] = {}
        self.selectionModel().selectionChanged.connect(self._tell)

    def set_scene(self, scene: Scene, extras: Mapping[str, Extra]) -> None:
        """Show a scene with what is known beside its cards."""
        self.rows.set_scene(scene, extras)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Make columns as wide as their words. Qt's own way asks for every cell again whenever one has changed."""
        widths = [self._needed(column) for column in range(len(HEADERS))]
        hidden = self._too_many(widths)
        for column, width in enumerate(widths):
            if self.isColumnHidden(column) is not (column in hidden):
                self.setColumnHidden(column, column in hidden)
            if column not in hidden and column != _STRETCHED and width != self.columnWidth(column):
                self.setColumnWidth(column, width)

    def _needed(self, column: int) -> int:
        said = {row.cells[column] for row in self.rows.rows}
        widest = max((self._width(word, is_first=column == 0) for word in said), default=0)
        title = self.horizontalHeader().fontMetrics().horizontalAdvance(HEADERS[column])
        return max(widest, title) + _CELL_ROOM

    def _too_many(self, widths: Sequence[int]) -> set[int]:
        """The columns for which there is no room."""
        over, hidden = sum(widths) - self.viewport().width(), set[int]()
        silent = [
            column
            for column in range(len(HEADERS))
            if column not in _ALWAYS and all(row.cells[column] == text.NOT_KNOWN for row in self.rows.rows)
        ]
        for column in dict.fromkeys((*silent, *_FIRST_TO_GO)):
            if over <= 0 or not self.rows.rows:
                break
            hidden.add(column)
            over -= widths[column]
        return hidden

    def _width(self, word: str, *, is_first: bool) -> int:
        """How wide a word is, in px."""
        if len(self._widths) > _KNOWN_WIDTHS:
            self._widths.clear()
        width = self._widths.get((is_first, word))
        if width is None:
            width = QFontMetrics(font("dense_medium" if is_first else "dense")).horizontalAdvance(word)
            self._widths[is_first, word] = width
        return width

    def select_node(self, node_id: str) -> None:
        """Select a row without telling anybody."""
        self.selectionModel().blockSignals(True)
        ids = [row.node_id for row in self.rows.rows]
        if node_id in ids:
            self.selectRow(ids.index(node_id))
        else:
            self.clearSelection()
        self.selectionModel().blockSignals(False)
        self.viewport().update()

    def _tell(self) -> None:
        rows = self.selectionModel().selectedRows()
        if rows:
            self.chosen.emit(self.rows.rows[rows[0].row()].node_id)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.rows.rows[self.currentIndex().row()].node_id)
            event.accept()
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_by_mouse = event.reason() is QContextMenuEvent.Reason.Mouse
        index = self.indexAt(event.pos()) if is_by_mouse else self.currentIndex()
        if index.isValid():
            menu = self.build_menu(self.rows.rows[index.row()])
            menu.popup(event.globalPos())

    def build_menu(self, row: Row) -> QMenu:
        """The actions of a node and of what runs there."""
        menu = make_menu(self, row.jobs, self.job_action_asked.emit)
        node_id, jobs = row.node_id, menu.actions()
        inspect, opening = QAction("Inspect", menu), QAction("Open node", menu)
        inspect.triggered.connect(lambda: self.opened.emit(node_id))
        opening.triggered.connect(lambda: self.node_asked.emit(node_id, "overview"))
        if jobs:
            menu.insertActions(jobs[0], [inspect, opening])
            menu.insertSeparator(jobs[0])
        else:
            menu.addActions([inspect, opening])
        return menu
