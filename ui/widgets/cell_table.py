"""A read-only table of short texts, some of them marked.

Rule: a mark is a shape and a word, then a colour; the cells are values, and equal tables repaint nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from ui import theme
from ui.font import Role, font
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.label import plain_tooltip
from ui.widgets.paint import elided, pen, text_width, write

Index = QModelIndex | QPersistentModelIndex
CellLook = Literal[
    "plain",
    "strong",
    "section",
    "ok",
    "warn",
    "marked",
    "crit",
    "unknown",
    "busy",
    "next",
    "planned",
    "left_out",
    "undone",
]
NO_FIGURES: Final = 1000
"""Past the last column there can be."""
_PAD = 8
_PAD_RIGHT: Final = 4
_LEAST_SHARED: Final = 112
"""Of equally wide columns: narrower ones scroll sideways. A text that has no room is cut, and told by a tooltip."""
_TITLE, _WIDEST_TITLE = 168, 220
"""The column of titles: what it has where columns need the room, and at most."""
_ICON_ROOM = 19
# look: (fill, icon, tint of icon and word, ink of the text)
_LOOKS: Final[dict[CellLook, tuple[Token | None, str, Token, Token]]] = {
    "plain": (None, "", "text3", "text2"),
    "strong": (None, "", "text3", "text"),
    "section": ("sunken", "", "text3", "text3"),
    "ok": (None, "circle-check", "ok", "text2"),
    "warn": ("warnsoft", "triangle-alert", "warn", "text"),
    "marked": (None, "triangle-alert", "warn", "warn"),
    "crit": ("critsoft", "octagon-alert", "crit", "text"),
    "unknown": (None, "circle-help", "text3", "text3"),
    "busy": ("accentsoft", "loader", "accenttext", "text"),
    "next": (None, "circle-dashed", "text3", "text3"),
    "planned": (None, "pencil", "accenttext", "text"),
    "left_out": (None, "minus", "text3", "text3"),
    "undone": (None, "undo-2", "text3", "text3"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. `word` stands after the text and says what the mark means ("differs")."""

    text: str
    look: CellLook = "plain"
    word: str = ""
    hint: str = ""
    """More about it, for a tooltip and a screen reader; never the only place where something is said."""

    @property
    def spoken(self) -> str:
        """The whole cell in words."""
        return ", ".join(part for part in (self.text, self.word, self.hint) if part)


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table. A row of one `section` cell goes over all columns.

    `titles` (one a row, or none at all) stand left of the rows, and stay there when the table scrolls sideways.
    """

    headers: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    titles: tuple[str, ...] = ()


class CellModel(QAbstractTableModel):
    """Shows one `Table`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table = Table()
        self.figures_from = NO_FIGURES

    def set_table(self, table: Table) -> bool:
        """Show another table; tells whether its shape changed, so that spans and widths must be made again."""
        before = self.table
        if table == before:
            return False
        is_same_shape = (table.headers, table.titles) == (before.headers, before.titles) and [
            len(row) for row in table.rows
        ] == [len(row) for row in before.rows]
        if not is_same_shape:
            self.beginResetModel()
            self.table = table
            self.endResetModel()
            return True
        self.table = table
        for i, (old, new) in enumerate(zip(before.rows, table.rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(i, 0), self.index(i, len(table.headers) - 1))
        return False

    def cell(self, index: Index) -> Cell | None:
        """The cell at an index; None beside a section's own cell."""
        if not index.isValid() or index.row() >= len(self.table.rows):
            return None
        row = self.table.rows[index.row()]
        return row[index.column()] if index.column() < len(row) else None

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.table.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.table.headers)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.table.headers[section] if section < len(self.table.headers) else None
        if orientation is Qt.Orientation.Vertical and role == Qt.ItemDataRole.DisplayRole:
            return self.table.titles[section] if section < len(self.table.titles) else None
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section >= self.figures_from else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            words = self.table.headers if orientation is Qt.Orientation.Horizontal else self.table.titles
            return plain_tooltip(words[section]) if section < len(words) else None
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        cell = self.cell(index)
        if cell is None or cell.look == "section":
            return Qt.ItemFlag.ItemIsEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        cell = self.cell(index)
        if cell is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return cell.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return cell.spoken
        if role == Qt.ItemDataRole.ToolTipRole and cell.spoken:
            return plain_tooltip(cell.spoken)
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, model: CellModel, parent: QObject) -> None:
        super().__init__(parent)
        self._model = model

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        cell = self._model.cell(index)
        if cell is None or cell.look == "section":
            return QSize(40, theme.TABLE_ROW_HEIGHT)
        width = 2 * _PAD + text_width(cell.text, _role(cell)) + (_ICON_ROOM if _LOOKS[cell.look][1] else 0)
        width += text_width(cell.word, "label_medium") + 8 if cell.word else 0
        return QSize(round(width + 1), theme.TABLE_ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        cell = self._model.cell(index)
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if cell is not None:
            fill, icon, tint, ink = _LOOKS[cell.look]
            if state & QStyle.StateFlag.State_Selected:
                painter.fillRect(rect, color("accentsoft"))
            elif fill is not None:
                painter.fillRect(rect, color(fill))
            left = rect.left() + _PAD
            if index.column() >= self._model.figures_from:
                left = max(left, rect.right() - self.sizeHint(option, index).width() + _PAD)
            if icon:
                draw_icon(painter, QPointF(left, rect.center().y() - 6), icon, tint, theme.ICON_SIZE_CHIP)
                left += _ICON_ROOM
            word_width = text_width(cell.word, "label_medium") + 8 if cell.word else 0.0
            room = rect.right() - _PAD_RIGHT - word_width - left
            shown = elided(cell.text, _role(cell), max(room, 8.0))
            write(painter, QRectF(left, rect.top(), room + 2, rect.height()), shown, role=_role(cell), tint=ink)
            if cell.word:
                place = QRectF(left + text_width(shown, _role(cell)) + 8, rect.top(), word_width, rect.height())
                write(painter, place, cell.word, role="label_medium", tint=tint)
        _draw_line_below(painter, rect)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(pen(color("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(rect.adjusted(1, 1, -2, -2))
        painter.restore()


def _draw_line_below(painter: QPainter, rect: QRectF) -> None:
    """One whole pixel, at the same height below titles and cells."""
    painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))


def _role(cell: Cell) -> Role:
    return {"strong": "dense_medium", "section": "label"}.get(cell.look, "dense")  # type: ignore[return-value]


class _TitleHead(QHeaderView):
    """The titles of rows. Painted here: Qt would centre them and could not tell a section from a row."""

    def __init__(self, model: CellModel, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._model = model

    def sizeHint(self) -> QSize:
        widest = max((text_width(title, "dense") for title in self._model.table.titles), default=0.0)
        return QSize(min(_WIDEST_TITLE, round(widest) + 2 * _PAD + 6), 40)

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:  # noqa: N802
        table = self._model.table
        if section >= len(table.titles):
            return
        is_section = len(table.rows[section]) == 1 and table.rows[section][0].look == "section"
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(rect, color("sunken" if is_section else "surface"))
        role: Role = "label" if is_section else "dense"
        words = elided(table.titles[section], role, rect.width() - _PAD - _PAD_RIGHT)
        write(painter, QRectF(rect).adjusted(_PAD, 0, 0, 0), words, role=role, tint="text3" if is_section else "text2")
        _draw_line_below(painter, QRectF(rect))
        painter.restore()


class CellTable(QTableView):
    """The table. Arrow keys walk over the cells; the last column takes the room that is left.

    Columns from `figures_from` on hold figures: they stand at the right, and then all columns share that room. With
    `has_titles` the rows have titles at the left, and all columns are equally wide where there is room.
    """

    def __init__(
        self, what: str, parent: QWidget | None = None, *, figures_from: int = NO_FIGURES, has_titles: bool = False
    ) -> None:
        super().__init__(parent)
        self._has_titles = has_titles
        self.cells = CellModel(self)
        self.cells.figures_from = figures_from
        self.setModel(self.cells)
        self.setItemDelegate(_Delegate(self.cells, self))
        self.setAccessibleName(what)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        if has_titles:
            self.setProperty("tone", "matrix")
            self.setCornerButtonEnabled(False)
            self.setVerticalHeader(_TitleHead(self.cells, self))
        self.verticalHeader().setVisible(has_titles)
        self.verticalHeader().setDefaultSectionSize(
            theme.TABLE_ROW_HEIGHT_TIGHT if has_titles else theme.TABLE_ROW_HEIGHT
        )
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        head = self.horizontalHeader()
        head.setFont(font("dense_strong" if has_titles else "label"))
        head.setHighlightSections(False)
        head.setStretchLastSection(True)
        head.setMinimumSectionSize(48)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        theme.notifier.changed.connect(self.viewport().update)

    def set_table(self, table: Table) -> None:
        """Show another table."""
        if self.cells.set_table(table):
            self.clearSpans()
            for i, row in enumerate(table.rows):
                if len(row) == 1 and row[0].look == "section" and len(table.headers) > 1:
                    self.setSpan(i, 0, 1, len(table.headers))
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Give each column what its texts need, at most half of the table for one."""
        limit, spare = max(self.viewport().width() // 2, 160), 0
        if self._has_titles:
            self._share_columns()
            return
        wanted = [
            min(limit, max(self.sizeHintForColumn(column), round(text_width(title, "label")) + 2 * _PAD + 6))
            for column, title in enumerate(self.cells.table.headers)
        ]
        if self.cells.figures_from < len(wanted):
            spare = max(0, self.viewport().width() - sum(wanted)) // len(wanted)
            self.setColumnWidth(len(wanted) - 1, wanted[-1])  # else it keeps the 100 px that Qt begins with
        for column, width in enumerate(wanted[:-1]):
            self.setColumnWidth(column, width + spare)

    def _share_columns(self) -> None:
        """Give all columns the same width, and the titles what these can do without."""
        count, head = len(self.cells.table.headers), self.verticalHeader()
        if not count:
            return
        wanted = max(self.sizeHintForColumn(column) for column in range(count)) - _PAD + _PAD_RIGHT
        whole = self.viewport().width() + head.width()
        titles = max(min(_TITLE, head.sizeHint().width()), min(head.sizeHint().width(), whole - wanted * count))
        head.setFixedWidth(titles)
        width = max(_LEAST_SHARED, (whole - titles) // count)
        for column in range(count):
            self.setColumnWidth(column, width)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.cells.figures_from != NO_FIGURES or self._has_titles:
            self._fit_columns()

    def wanted_width(self) -> int:
        """The width at which nothing scrolls sideways."""
        last = len(self.cells.table.headers) - 1
        return sum(self.columnWidth(column) for column in range(last)) + max(self.sizeHintForColumn(last), 48)

    def needed_height(self) -> int:
        """The height at which nothing scrolls."""
        head = self.horizontalHeader().sizeHint().height() if not self.horizontalHeader().isHidden() else 0
        return head + len(self.cells.table.rows) * theme.TABLE_ROW_HEIGHT + 2
