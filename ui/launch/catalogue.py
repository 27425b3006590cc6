"""The catalogue's list: what can be launched, how fast it would be, whether it fits now, and who holds its files.

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
    QHBoxLayout,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from sparkdesk.core.models.spec import ModelSpec
from ui.icon import draw_icon
from ui.launch.part.filter_chip import FilterChip
from ui.launch.standing import Standing, describe_spec, is_match
from ui.theme import Token, color
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.field import TextInput
from ui.widgets.label import Label, plain_tooltip
from ui.widgets.paint import elided, text_width, write

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT = 66
EntryRole = Qt.ItemDataRole.UserRole + 1
_TINTS: dict[str, Token] = {"ok": "ok", "warn": "warn", "crit": "crit"}
_ICONS = {"ok": "circle-check", "warn": "triangle-alert", "crit": "octagon-alert"}
_NOTHING = Standing()


class CatalogueModel(QAbstractListModel):
    """The entries that pass search and filters, with how each stands on these nodes."""

    def __init__(self, engine_titles: Mapping[str, str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._titles = engine_titles
        self._standings: Mapping[str, Standing] = {}
        self.shown: list[ModelSpec] = []

    def set_entries(self, specs: Sequence[ModelSpec], standings: Mapping[str, Standing]) -> None:
        """Show these entries."""
        self._standings = dict(standings)
        if [s.name for s in specs] == [s.name for s in self.shown]:
            if specs:
                self.dataChanged.emit(self.index(0), self.index(len(specs) - 1))
            return
        self.beginResetModel()
        self.shown = list(specs)
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.shown):
            return None
        spec = self.shown[index.row()]
        stands = self._standings.get(spec.name, _NOTHING)
        line = describe_spec(spec, self._titles)
        if role == EntryRole:
            return [spec.title, line, stands]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return ", ".join(part for part in (spec.title, line, stands.fit.text, stands.speed, stands.holders) if part)
        if role == Qt.ItemDataRole.ToolTipRole:
            said = [f"{spec.title}: {line}", stands.plan, stands.holders]
            return plain_tooltip("\n".join(part for part in said if part))
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
        title, line, stands = entry
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
            painter.fillRect(QRectF(rect.left(), rect.top(), 2, rect.height()), color("accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        left, right = rect.left() + 12, rect.right() - 12
        room = right - left
        at = _write_right(painter, right, rect.top() + 7, stands.fit.text, stands.fit.kind)
        name = elided(title, "dense_strong", at - left)
        write(painter, QRectF(left, rect.top() + 7, at - left + 2, 18), name, role="dense_strong", tint="text")
        write(painter, QRectF(left, rect.top() + 26, room, 16), elided(line, "label", room), role="label", tint="text3")
        third = QRectF(left, rect.top() + 43, room, 16)
        write(painter, third, stands.speed, role="label_medium", tint="text2")
        used = text_width(stands.speed, "label_medium") + 8 if stands.speed else 0.0
        held = elided(stands.holders, "label", room - used)
        write(painter, third, held, role="label", tint="text3", align=Qt.AlignmentFlag.AlignRight)
        if room - used - text_width(held, "label") > text_width(stands.best, "label") + 8:
            write(painter, third.adjusted(used, 0, 0, 0), stands.best, role="label", tint="text3")
        painter.fillRect(QRectF(rect.left(), rect.bottom() - 1, rect.width(), 1), color("border"))
        painter.restore()


def _write_right(painter: QPainter, right: float, top: float, fit: str, kind: str) -> float:
    """The word of the fit with its sign; returns where it begins."""
    if not fit:
        return right
    right -= text_width(fit, "label")
    write(painter, QRectF(right, top, 200, 18), fit, role="label", tint="text2")
    draw_icon(painter, QPointF(right - 17, top + 3), _ICONS.get(kind, "circle-help"), _TINTS.get(kind, "text3"), 12)
    return right - 25


class CataloguePanel(Card):
    """Search, filters, list, and the ways in. `picked` carries a model's name."""

    picked = Signal(str)
    paste_asked = Signal()
    import_asked = Signal()

    def __init__(self, engine_titles: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles = engine_titles
        self.entries = CatalogueModel(engine_titles, self)
        self.search = TextInput(placeholder="Search models", is_small=True, icon_name="search")
        self.search.setAccessibleName("Search models")
        self.fits = FilterChip("Fits now")
        self.on_disk = FilterChip("On disk")
        self.list = QListView()
        self.list.setModel(self.entries)
        self.list.setItemDelegate(_EntryDelegate(self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("Models")
        self.opener = Button("Import\u2026", is_small=True, icon="download")
        self.paste = Button("Paste", is_small=True, icon="terminal")
        self.foot = Label("", "label", "text3", is_wrapped=True)
        self._specs: Sequence[ModelSpec] = ()
        self._standings: Mapping[str, Standing] = {}
        self._marked = ""
        self._build()
        self.search.textChanged.connect(lambda _text: self._show())
        self.fits.toggled.connect(lambda _on: self._show())
        self.on_disk.toggled.connect(lambda _on: self._show())
        self.list.clicked.connect(self._pick)
        self.list.activated.connect(self._pick)
        self.paste.clicked.connect(self.paste_asked)
        self.opener.clicked.connect(self.import_asked)

    def _build(self) -> None:
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        top = QVBoxLayout()
        top.setContentsMargins(11, 11, 11, 11)
        top.setSpacing(8)
        top.addWidget(self.search)
        chips = QHBoxLayout()
        chips.setSpacing(6)
        chips.addWidget(self.fits)
        chips.addWidget(self.on_disk)
        chips.addStretch(1)
        top.addLayout(chips)
        column.addLayout(top)
        column.addWidget(Separator())
        column.addWidget(self.list, 1)
        column.addWidget(Separator())
        foot = QVBoxLayout()
        foot.setContentsMargins(12, 8, 12, 9)
        foot.setSpacing(8)
        foot.addWidget(self.foot)
        ways = QHBoxLayout()
        ways.setSpacing(8)
        ways.addWidget(self.opener)
        ways.addWidget(self.paste)
        ways.addStretch(1)
        foot.addLayout(ways)
        column.addLayout(foot)

    def set_ways(self, *, can_paste: bool, can_import: bool) -> None:
        """Show the ways in that there are."""
        self.paste.setVisible(can_paste)
        self.opener.setVisible(can_import)

    def set_entries(self, specs: Sequence[ModelSpec], standings: Mapping[str, Standing]) -> None:
        """Show the catalogue."""
        self._specs, self._standings = specs, standings
        self._show()

    def mark(self, name: str) -> None:
        """Select an entry by name without telling anybody; a name that is not listed selects nothing."""
        self._marked = name
        rows = [i for i, spec in enumerate(self.entries.shown) if spec.name == name]
        if rows:
            self.list.setCurrentIndex(self.entries.index(rows[0]))
        else:
            self.list.clearSelection()
            self.list.setCurrentIndex(QModelIndex())

    def _show(self) -> None:
        shown = [spec for spec in self._specs if self._passes(spec)]
        self.entries.set_entries(shown, self._standings)
        self.mark(self._marked)
        total = len(self._specs)
        if not total:
            self.foot.setText("The catalogue is empty. Write a model's name in the form.")
        elif not shown:
            is_filtered = self.fits.isChecked() or self.on_disk.isChecked()
            words = "take a filter off" if is_filtered else "clear the search"
            self.foot.setText(f"No model matches. Write its name in the form, or {words}.")
        else:
            count = f"{total} models" if len(shown) == total else f"{len(shown)} of {total} models"
            self.foot.setText(f"{count}. Speed of one chat user on the chosen nodes.")

    def _passes(self, spec: ModelSpec) -> bool:
        stands = self._standings.get(spec.name, _NOTHING)
        if self.fits.isChecked() and not stands.is_fitting:
            return False
        if self.on_disk.isChecked() and not stands.holders:
            return False
        return is_match(spec, self.search.text(), self._titles)

    def _pick(self, index: Index) -> None:
        if index.isValid():
            self.picked.emit(self.entries.shown[index.row()].name)
