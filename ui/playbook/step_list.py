"""The steps of a playbook with their states.

The one rule: a state is a shape and a word; the list is walked with the arrow keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ui import theme
from ui.icon import draw_icon
from ui.jobs.mark import Mark
from ui.node.mark import tint_of
from ui.theme import color
from ui.widgets.paint import elided, text_width, write

Index = QModelIndex | QPersistentModelIndex
_PAD = 12.0
_ROW_HEIGHT = 48
_LINE_HEIGHT = 18
_TITLE_INSET = 2 * _PAD + 24


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: its title, and below its node with what is to be said of it."""

    step_id: str
    title: str
    line: str
    mark: Mark


class StepModel(QAbstractListModel):
    """Rows of the list."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[StepRow, ...] = ()

    def set_rows(self, rows: Sequence[StepRow]) -> None:
        """Show these rows."""
        before, self.rows = self.rows, tuple(rows)
        if [row.step_id for row in before] != [row.step_id for row in self.rows]:
            self.beginResetModel()
            self.endResetModel()
            return
        for i, (old, new) in enumerate(zip(before, self.rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(i), self.index(i))

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return ", ".join(part for part in (row.title, row.mark.text, row.line) if part)
        return None


def title_lines(title: str, width: float) -> tuple[str, ...]:
    """A title over at most two lines of so many pixels; what does not fit there ends in an ellipsis."""
    words, first = title.split(" "), ""
    for at, word in enumerate(words):
        longer = f"{first} {word}" if at else word
        if text_width(longer, "dense_medium") > width:
            rest = " ".join(words[at:])
            return (first, elided(rest, "dense_medium", width)) if first else (elided(rest, "dense_medium", width),)
        first = longer
    return (first,)


class _Delegate(QStyledItemDelegate):
    def __init__(self, rows: StepModel, parent: QObject) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        parent = self.parent()
        width = parent.viewport().width() if isinstance(parent, QListView) else 0
        lines = title_lines(self._rows.rows[index.row()].title, width - _TITLE_INSET)
        return QSize(120, _ROW_HEIGHT + _LINE_HEIGHT * (len(lines) - 1))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        row = self._rows.rows[index.row()]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
            painter.fillRect(QRectF(rect.left(), rect.top(), 2, rect.height()), color("accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        left, right = rect.left() + _PAD, rect.right() - _PAD
        tint = tint_of(row.mark)
        draw_icon(painter, QPointF(left, rect.top() + 8), row.mark.icon or "circle-help", tint, 16)
        left += 24
        top = rect.top() + 6
        for title in title_lines(row.title, rect.width() - _TITLE_INSET):
            write(painter, QRectF(left, top, right - left, 20), title, role="dense_medium", tint="text")
            top += _LINE_HEIGHT
        line = elided(f"{row.mark.text} · {row.line}", "label", right - left)
        write(painter, QRectF(left, top + 1, right - left, 16), line, role="label", tint="text2")
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))
        painter.restore()


class StepList(QListView):
    """The list. `chosen` carries a step's id."""

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.steps = StepModel(self)
        self.setModel(self.steps)
        self.setItemDelegate(_Delegate(self.steps, self))
        self.setMouseTracking(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Steps")
        self.selectionModel().currentChanged.connect(self._tell)
        theme.notifier.changed.connect(self.viewport().update)

    def _tell(self, current: QModelIndex, _before: QModelIndex) -> None:
        if current.isValid() and current.row() < len(self.steps.rows):
            self.chosen.emit(self.steps.rows[current.row()].step_id)
