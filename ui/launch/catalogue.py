"""The catalogue's list: what can be launched, how big it is, and whether it fits now.

The one rule: only what the catalogue has is listed, and a fit is the word of a plan that was really made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    QVBoxLayout,
    QWidget,
)

from sparkdesk.core.jobs.backend import BackendInfo
from sparkdesk.core.models.spec import ModelSpec
from ui import text
from ui.icon import draw_icon
from ui.jobs.mark import Mark
from ui.theme import Token, color
from ui.widgets.card import Card, Separator
from ui.widgets.field import TextInput
from ui.widgets.label import Label
from ui.widgets.paint import elided, text_width, write

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT = 50
EntryRole = Qt.ItemDataRole.UserRole + 1
_NO_MARK = Mark("", "neutral", "")
_TINTS: dict[str, Token] = {"ok": "ok", "warn": "warn", "crit": "crit"}
_ICONS = {"ok": "circle-check", "warn": "triangle-alert", "crit": "octagon-alert"}


def describe_spec(spec: ModelSpec, backends: Mapping[str, BackendInfo]) -> str:
    """Engines and the size of the weights, in one line."""
    engines = ", ".join(backends[key].title for key in spec.engines if key in backends) or "no engine here"
    sizes = [size for size in spec.weight_bytes.values() if size]
    formats = ", ".join(key for key in spec.weight_bytes if key)
    parts = [formats, engines, str(text.disk(min(sizes))) if sizes else ""]
    return " · ".join(part for part in parts if part)


def describe_shape(spec: ModelSpec | None) -> str:
    """What is known of a model's shape, in one line."""
    if spec is None:
        return "Not in the catalogue: what it takes is not known"
    parts = []
    if spec.parameters:
        billions = spec.parameters / 1e9
        parts.append(f"{billions:.1f} B parameters" if billions >= 1 else f"{spec.parameters / 1e6:.1f} M parameters")
    if spec.active_parameters:
        parts.append(f"{spec.active_parameters / 1e9:.1f} B active")
    if spec.kv:
        parts.append(f"{spec.kv.layers} layers, {spec.kv.kv_heads} KV heads")
    if spec.licence:
        parts.append(spec.licence)
    return " · ".join(parts)


class CatalogueModel(QAbstractListModel):
    """The entries that pass the search, with the fit of each."""

    def __init__(self, backends: Mapping[str, BackendInfo], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._backends = backends
        self._all: tuple[ModelSpec, ...] = ()
        self._fits: Mapping[str, Mark] = {}
        self.shown: list[ModelSpec] = []

    def set_entries(self, specs: Sequence[ModelSpec], fits: Mapping[str, Mark], needle: str) -> None:
        """Show what contains `needle` in name, title or engines."""
        wanted = needle.strip().lower()
        shown = [s for s in specs if wanted in f"{s.name} {s.title} {describe_spec(s, self._backends)}".lower()]
        self._all, self._fits = tuple(specs), dict(fits)
        if [s.name for s in shown] == [s.name for s in self.shown]:
            if shown:
                self.dataChanged.emit(self.index(0), self.index(len(shown) - 1))
            return
        self.beginResetModel()
        self.shown = shown
        self.endResetModel()

    def total(self) -> int:
        """How many there are without a search."""
        return len(self._all)

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.shown):
            return None
        spec = self.shown[index.row()]
        fit = self._fits.get(spec.name, _NO_MARK)
        line = describe_spec(spec, self._backends)
        if role == EntryRole:
            return [spec.title, line, fit.text, fit.kind]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{spec.title}, {line}" + (f", {fit.text}" if fit.text else "")
        return None


class _EntryDelegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry = index.data(EntryRole)
        if not isinstance(entry, list):
            return
        rect = QRectF(option.rect)
        state: QStyle.StateFlag = option.state
        title, line, fit, kind = entry
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
            painter.fillRect(QRectF(rect.left(), rect.top(), 2, rect.height()), color("accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        right = rect.right() - 12
        if fit:
            width = text_width(fit, "label")
            tint = _TINTS.get(kind, "text3")
            write(painter, QRectF(right - width, rect.top() + 7, width + 1, 18), fit, role="label", tint="text2")
            right -= width + 17
            draw_icon(painter, QPointF(right, rect.top() + 10), _ICONS.get(kind, "circle-help"), tint, 12)
            right -= 8
        left = rect.left() + 12
        name = elided(title, "dense_strong", right - left)
        write(painter, QRectF(left, rect.top() + 7, right - left + 2, 18), name, role="dense_strong", tint="text")
        room = rect.right() - 12 - left
        write(painter, QRectF(left, rect.top() + 26, room, 16), elided(line, "label", room), role="label", tint="text3")
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))
        painter.restore()


class CataloguePanel(Card):
    """Search, list and where the catalogue comes from. `picked` carries a model's name."""

    picked = Signal(str)

    def __init__(self, backends: Mapping[str, BackendInfo], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entries = CatalogueModel(backends, self)
        self.search = TextInput(placeholder="Search models", is_small=True, icon_name="search")
        self.search.setAccessibleName("Search models")
        self.list = QListView()
        self.list.setModel(self.entries)
        self.list.setItemDelegate(_EntryDelegate(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("Models")
        self._foot = Label("", "label", "text3", is_wrapped=True)
        self._specs: Sequence[ModelSpec] = ()
        self._fits: Mapping[str, Mark] = {}
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        top = QVBoxLayout()
        top.setContentsMargins(11, 11, 11, 11)
        top.addWidget(self.search)
        column.addLayout(top)
        column.addWidget(Separator())
        column.addWidget(self.list, 1)
        column.addWidget(Separator())
        foot = QVBoxLayout()
        foot.setContentsMargins(12, 8, 12, 8)
        foot.addWidget(self._foot)
        column.addLayout(foot)
        self.search.textChanged.connect(lambda _text: self._show())
        self.list.clicked.connect(self._pick)
        self.list.activated.connect(self._pick)

    def set_entries(self, specs: Sequence[ModelSpec], fits: Mapping[str, Mark]) -> None:
        """Show the catalogue."""
        self._specs, self._fits = specs, fits
        self._show()

    def mark(self, name: str) -> None:
        """Select an entry by name without telling anybody; a name that is not listed selects nothing."""
        rows = [i for i, spec in enumerate(self.entries.shown) if spec.name == name]
        if rows:
            self.list.setCurrentIndex(self.entries.index(rows[0]))
        else:
            self.list.clearSelection()

    def _show(self) -> None:
        self.entries.set_entries(self._specs, self._fits, self.search.text())
        shown, total = len(self.entries.shown), len(self._specs)
        if not total:
            self._foot.setText("The catalogue is empty. Write a model's name in the form.")
        elif not shown:
            self._foot.setText("No model matches. Write its name in the form, or clear the search.")
        else:
            count = f"{total} models" if shown == total else f"{shown} of {total} models"
            self._foot.setText(f"{count}, from the list that came with SparkDesk. Nothing is fetched.")

    def _pick(self, index: Index) -> None:
        if index.isValid():
            self.picked.emit(self.entries.shown[index.row()].name)
