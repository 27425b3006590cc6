"""The list of results and the panel beside it: for the doctor and for the field report alike.

The one rule: the list is walked with the arrow keys, and a row that did not change is not touched.
"""

from __future__ import annotations

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
from PySide6.QtGui import QPainter, QTextOption
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QListView,
    QScrollArea,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.font import LINE_HEIGHT
from ui.icon import draw_icon
from ui.node.mark import tint_of
from ui.node.result import ResultRow, ResultText
from ui.theme import color
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chip import Chip, chip_width, draw_chip
from ui.widgets.code_view import CodeView
from ui.widgets.label import Label
from ui.widgets.paint import elided, text_width, write

Index = QModelIndex | QPersistentModelIndex
_PAD = 14.0
_ROW_HEIGHT = 50
_MOST_LINES = 18


class ResultModel(QAbstractListModel):
    """Rows of the list."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[ResultRow, ...] = ()

    def set_rows(self, rows: tuple[ResultRow, ...]) -> None:
        """Show these rows."""
        if [row.key for row in rows] != [row.key for row in self.rows]:
            self.beginResetModel()
            self.rows = rows
            self.endResetModel()
            return
        before, self.rows = self.rows, rows
        for i, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(i), self.index(i))

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.rows[index.row()].spoken
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, rows: ResultModel, parent: QObject) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(160, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        row = self._rows.rows[index.row()]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
            painter.fillRect(QRectF(rect.left(), rect.top(), 3, rect.height()), color("accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        left, right = rect.left() + _PAD, rect.right() - _PAD
        tint = tint_of(row.mark)
        draw_icon(painter, QPointF(left, rect.top() + 9), row.mark.icon or "circle-help", tint, 16)
        left += 26
        title_right = right
        if row.note.text and right - left - chip_width(row.note) > 200:
            title_right = draw_chip(painter, right, rect.top() + 7, row.note) - 8
        word_width = text_width(row.mark.text, "label_medium")
        title = elided(row.title, "dense_medium", title_right - left - word_width - 8)
        write(painter, QRectF(left, rect.top() + 7, title_right - left, 20), title, role="dense_medium", tint="text")
        word = QRectF(left + text_width(title, "dense_medium") + 8, rect.top() + 7, word_width + 2, 20)
        write(painter, word, row.mark.text, role="label_medium", tint=tint)
        line = elided(row.line, "label", right - left)
        write(painter, QRectF(left, rect.top() + 27, right - left, 16), line, role="label", tint="text2")
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))
        painter.restore()


class ResultList(QListView):
    """The list. `chosen` carries a row's key, `opened` too (Enter, double click)."""

    chosen = Signal(str)
    opened = Signal(str)

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.results = ResultModel(self)
        self.setModel(self.results)
        self.setItemDelegate(_Delegate(self.results, self))
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName(what)
        self.selectionModel().currentChanged.connect(self._tell)
        self.activated.connect(lambda index: self.opened.emit(self.results.rows[index.row()].key))
        theme.notifier.changed.connect(self.viewport().update)

    def set_rows(self, rows: tuple[ResultRow, ...]) -> None:
        """Show these rows; the chosen one stays chosen while it is there, else the first is."""
        key = self.key()
        self.selectionModel().blockSignals(True)
        self.results.set_rows(rows)
        keys = [row.key for row in rows]
        at = keys.index(key) if key in keys else 0 if keys else -1
        if at >= 0 and self.currentIndex().row() != at:
            self.setCurrentIndex(self.results.index(at))
        self.selectionModel().blockSignals(False)
        self.viewport().update()
        if self.key() != key:
            self.chosen.emit(self.key())

    def choose(self, key: str) -> bool:
        """Choose the row of this key; False when it is not there."""
        keys = [row.key for row in self.results.rows]
        if key in keys:
            self.setCurrentIndex(self.results.index(keys.index(key)))
        return key in keys

    def key(self) -> str:
        """The key of the chosen row, "" when there is none."""
        row = self.currentIndex().row()
        return self.results.rows[row].key if 0 <= row < len(self.results.rows) else ""

    def _tell(self, current: QModelIndex, _before: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(self.results.rows[current.row()].key)


class ResultPanel(Card):
    """One result in full. `action_clicked` is of its one button."""

    action_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = Label("", "object_title", "text", is_wrapped=True, is_selectable=True)
        self._chip = Chip()
        self._note = Chip()
        self._lead = Label("", "body", "text", is_wrapped=True, is_selectable=True)
        self._parts = [(Label("", "label", "text3"), Label("", "dense", "text2", is_wrapped=True)) for _ in range(4)]
        self.action = Button("", icon="wrench")
        self.evidence = CodeView("what was read", wrap=QTextOption.WrapMode.WrapAnywhere)
        self.action.clicked.connect(self.action_clicked)
        self._build()

    def _build(self) -> None:
        chips = QHBoxLayout()
        chips.setSpacing(6)
        for chip in (self._chip, self._note):
            chips.addWidget(chip)
        chips.addStretch(1)
        body = QWidget()
        body.setProperty("tone", "page")
        column = QVBoxLayout(body)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(8)
        column.addWidget(self._title)
        column.addLayout(chips)
        column.addWidget(self._lead)
        for heading, words in self._parts:
            words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            pair = QVBoxLayout()
            pair.setSpacing(1)
            pair.addWidget(heading)
            pair.addWidget(words)
            column.addLayout(pair)
        column.addWidget(self.action, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.evidence)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(body)
        self.column(margins=(1, 1, 1, 1)).addWidget(area)
        self.setAccessibleName("Evidence")

    def show_text(self, shown: ResultText) -> None:
        """Show a result."""
        self._title.setText(shown.title)
        self._chip.set_state(*shown.mark)
        self._note.setVisible(bool(shown.note.text))
        self._note.set_state(*shown.note)
        self._lead.setText(shown.lead)
        for i, (heading, words) in enumerate(self._parts):
            is_there = i < len(shown.paragraphs)
            heading.setVisible(is_there)
            words.setVisible(is_there)
            heading.setText(shown.paragraphs[i][0] if is_there else "")
            words.setText(shown.paragraphs[i][1] if is_there else "")
        self.action.setText(shown.action)
        self.action.setVisible(bool(shown.action))
        self.action.updateGeometry()
        self.evidence.setVisible(bool(shown.evidence))
        lines = min(max(shown.evidence.count("\n") + len(shown.evidence) // 60 + 1, 2), _MOST_LINES)
        self.evidence.setFixedHeight(56 + lines * LINE_HEIGHT["mono"])
        self.evidence.set_pages([("evidence", shown.evidence_title, shown.evidence)])
        self.setAccessibleDescription(f"{shown.title}. {shown.mark.text}. {shown.lead}")
