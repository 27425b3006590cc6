"""The left side: whose metrics, and which of them.

The one rule: a tick means that it is drawn. What cannot be ticked says why, in its row.
"""

from __future__ import annotations

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
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ui import text, theme
from ui.charts.choice import MOST_PLOTS
from ui.charts.measure import measure_of
from ui.charts.model import ChartsModel
from ui.icon import draw_icon
from ui.theme import blend, color
from ui.widgets.card import Card, Separator
from ui.widgets.field import Field, Select, TextInput
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import box, elided, pen, text_width, write

WIDTH = 236
_ROW_HEIGHT = 26
_MOST_SOURCE_ROWS = 6
_KIND_WORDS = {"node": "", "job": "deployment", "server": "found server"}
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list. `reason`: why it cannot be ticked."""

    key: str
    title: str
    note: str = ""
    is_on: bool = False
    reason: str = ""
    hint: str = ""
    """Where its values come from."""


class RowModel(QAbstractListModel):
    """Rows with a tick, for screen readers too."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Row, ...] = ()

    def set_rows(self, rows: tuple[Row, ...]) -> None:
        """Show other rows; equal ones change nothing, and the place in the list stays where the keys are the same."""
        before, same = self.rows, [row.key for row in rows] == [row.key for row in self.rows]
        if rows == before:
            return
        if not same:
            self.beginResetModel()
        self.rows = rows
        if not same:
            self.endResetModel()
            return
        for at, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(at), self.index(at))

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip("\n".join(part for part in (row.title, row.hint, row.reason) if part))
        if role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if row.is_on else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.AccessibleTextRole:
            state = "shown" if row.is_on else "not shown"
            return ", ".join(part for part in (row.title, row.note, state, row.reason) if part)
        return None


class _Delegate(QStyledItemDelegate):
    def __init__(self, rows: RowModel, parent: QObject) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(80, _ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row = self._rows.rows[index.row()]
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_MouseOver and not row.reason:
            box(painter, rect.adjusted(2, 1, -2, -1), theme.RADIUS_CHIP, color("raised"))
        mark = QRectF(rect.left() + 10, rect.center().y() - 7, 14, 14)
        if row.is_on:
            box(painter, mark, 3, color("accent"))
            draw_icon(painter, QPointF(mark.left() + 1, mark.top() + 1), "check", "accentfg", 12)
        else:
            edge = color("control") if not row.reason else blend("control", "surface", theme.DISABLED_SHARE)
            box(painter, mark, 3, color("sunken"), pen(edge))
        left, right = mark.right() + 9, rect.right() - 8
        if row.note:
            room = text_width(row.note, "label")
            align = Qt.AlignmentFlag.AlignRight
            write(painter, QRectF(right - room, rect.top(), room, rect.height()), row.note, role="label",
                  tint="text3", align=align)  # fmt: skip
            right -= room + 8
        ink = blend("text2", "surface", 0.6) if row.reason else color("text" if row.is_on else "text2")
        shown = elided(row.title, "dense", right - left)
        write(painter, QRectF(left, rect.top(), right - left + 2, rect.height()), shown, role="dense", tint=ink)
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(pen(color("accent"), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect.adjusted(2, 1, -2, -1), theme.RADIUS_CHIP, theme.RADIUS_CHIP)
        painter.restore()


class TickList(QListView):
    """A list of rows to tick: click, Space or Enter. `toggled` carries key and the tick wished for."""

    toggled = Signal(str, bool)

    def __init__(self, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.items = RowModel(self)
        self.setModel(self.items)
        self.setItemDelegate(_Delegate(self.items, self))
        self.setAccessibleName(what)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        theme.notifier.changed.connect(self.viewport().update)

    def set_rows(self, rows: tuple[Row, ...]) -> None:
        """Show other rows."""
        key = self._key(self.currentIndex())
        self.items.set_rows(rows)
        if key and not self.currentIndex().isValid():
            at = next((i for i, row in enumerate(rows) if row.key == key), -1)
            if at >= 0:
                self.setCurrentIndex(self.items.index(at))

    def toggle(self, key: str) -> None:
        """Ask for the other state of a row, where it may change."""
        row = next((row for row in self.items.rows if row.key == key), None)
        if row is not None and not row.reason:
            self.toggled.emit(key, not row.is_on)

    def _key(self, index: Index) -> str:
        return self.items.rows[index.row()].key if index.isValid() and index.row() < len(self.items.rows) else ""

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.toggle(self._key(self.indexAt(event.position().toPoint())))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.toggle(self._key(self.currentIndex()))
            event.accept()
            return
        super().keyPressEvent(event)


class Picker(Card):
    """Sources, a search, where to add, metrics. It changes the model's choice and nothing else."""

    def __init__(self, model: ChartsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setFixedWidth(WIDTH)
        self.sources = TickList("Sources")
        self.search = TextInput(placeholder="Find a metric", is_small=True, icon_name="search")
        self.search.setAccessibleName("Find a metric")
        self.into = Select(is_small=True)
        self.metrics = TickList("Metrics")
        self._note = Label("", "label", "text3", is_wrapped=True)
        self._build()
        self.sources.toggled.connect(lambda key, is_on: model.set_source(key, is_on=is_on))
        self.metrics.toggled.connect(self._toggle_metric)
        self.search.textChanged.connect(lambda _: self.refresh())
        self.into.currentIndexChanged.connect(lambda _: self.refresh())

    def _build(self) -> None:
        column = self.column(spacing=0, margins=(1, 10, 1, 6))
        parts = QVBoxLayout()
        parts.setContentsMargins(11, 10, 11, 4)
        parts.setSpacing(8)
        parts.addWidget(self.search)
        parts.addWidget(Field("Add to", self.into))
        for title, part, share in (("Sources", self.sources, 0), ("Metrics", self.metrics, 1)):
            label = Label(title, "label", "text3")
            label.setContentsMargins(11, 0, 0, 4)
            if title == "Metrics":
                column.addSpacing(6)
                column.addWidget(Separator())
                column.addLayout(parts)
            column.addWidget(label)
            column.addWidget(part, share)
        self._note.setContentsMargins(11, 4, 11, 4)
        column.addWidget(self._note)

    def _toggle_metric(self, key: str, is_on: bool) -> None:
        if is_on:
            self._model.add_key(key, self._target())
        else:
            self._model.remove_key(key)

    def _target(self) -> int:
        key = self.into.key()
        return int(key) if key.isdigit() else -1

    def refresh(self) -> None:
        """Show sources, plots and metrics as they are now."""
        model = self._model
        chosen = {source.id for source in model.chosen_sources()}
        self.sources.set_rows(
            tuple(
                Row(each.id, text.one_line(each.title, 60), _KIND_WORDS.get(each.kind, ""), each.id in chosen)
                for each in model.sources
            )
        )
        rows = min(max(len(model.sources), 1), _MOST_SOURCE_ROWS)
        self.sources.setFixedHeight(rows * _ROW_HEIGHT + 4)
        self._show_targets()
        self.metrics.set_rows(self._metric_rows(len(chosen)))
        self._note.setText(self._note_words())
        self._note.setVisible(bool(self._note.text()))

    def _show_targets(self) -> None:
        plots = [measure_of(plot[0]) for plot in self._model.choice.plots]
        options = [("new", "A plot of its own")]
        options += [
            (str(at), f"Plot {at + 1}: {measure.title}{f', {measure.unit}' if measure.unit else ''}")
            for at, measure in enumerate(plots)
        ]
        if options != [(self.into.itemData(i), self.into.itemText(i)) for i in range(self.into.count())]:
            self.into.blockSignals(True)
            self.into.set_options(options)
            self.into.blockSignals(False)

    def _metric_rows(self, source_count: int) -> tuple[Row, ...]:
        """Metrics that fit the search, by title, unit or key."""
        model, wanted = self._model, self.search.text().strip().casefold()
        rows = []
        for key, count in model.offered_keys():
            measure = measure_of(key)
            if wanted not in f"{measure.title} {measure.unit} {key}".casefold():
                continue
            is_on = model.choice.has(key)
            reason = "" if is_on else model.reason_against(key, self._target())
            note = f"{count} of {source_count}" if count < source_count else measure.unit
            rows.append(Row(key, measure.title, note, is_on, reason, measure.source))
        return tuple(rows)

    def _note_words(self) -> str:
        """What stands in the way, in one sentence."""
        if not self._model.sources:
            return "Nothing to draw yet: no node has been measured."
        if not self.metrics.items.rows:
            return (
                f"No metric matches “{text.one_line(self.search.text(), 30)}”."
                if self.search.text()
                else ("Tick a source to see its metrics.")
            )
        target = self._target()
        if target >= 0:
            unit = measure_of(self._model.choice.plots[target][0]).unit or "plain numbers"
            return f"Only metrics in {unit} fit into plot {target + 1}."
        if len(self._model.choice.plots) >= MOST_PLOTS:
            return f"{MOST_PLOTS} plots are shown: remove one, or add to one."
        return ""
