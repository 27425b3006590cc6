"""The list over the composer while a "/" command is typed.

Rule: the keyboard stays in the text field; the list only shows and is told what to do.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QVBoxLayout, QWidget

from ui import theme
from ui.chat.compose.command import SlashCommand
from ui.icon import draw_icon
from ui.text import one_line
from ui.theme import color
from ui.widgets.paint import box, elided, pen, text_width, write

ROW_PX: Final = 32
MOST_ROWS: Final = 8
_WIDTH: Final = 440
_GAP: Final = 6
CommandOffer = tuple[SlashCommand, str]
"""A command, and the argument that it would be given, or ""."""


class _Offered(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.offers: list[CommandOffer] = []

    def show_offers(self, offers: list[CommandOffer]) -> None:
        """Show others."""
        self.beginResetModel()
        self.offers = offers
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return len(self.offers)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole) and index.isValid():
            return ", ".join(words_of(self.offers[index.row()]))
        return None


def words_of(offer: CommandOffer) -> tuple[str, str]:
    """What a row says: what is typed, and what that does."""
    command, choice = offer
    return (one_line(choice, 120), f"/{command.name}") if choice else (command.usage, command.title)


class _RowDelegate(QStyledItemDelegate):
    def __init__(self, offered: _Offered) -> None:
        super().__init__(offered)
        self._offered = offered

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(_WIDTH - 2, ROW_PX)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        offer = self._offered.offers[index.row()]
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        left = float(rect.left() + 12)
        draw_icon(painter, QPointF(left, rect.top() + 9), offer[0].icon, "text2", 14)
        left += 24
        typed, title = words_of(offer)
        typed = elided(typed, "body_medium", rect.right() - left - 80)
        write(painter, QRectF(left, rect.top(), rect.width(), ROW_PX), typed, role="body_medium", tint="text")
        left += text_width(typed, "body_medium") + 12
        room = QRectF(left, rect.top(), rect.right() - 12 - left, ROW_PX)
        shown = elided(title, "dense", room.width())
        write(painter, room, shown, role="dense", tint="text3", align=Qt.AlignmentFlag.AlignRight)


class CommandList(QFrame):
    """Lies over the window, above the composer. `chosen` carries a command and the argument that was picked, or ""."""

    chosen = Signal(object, str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setAccessibleName("Commands")
        self.setVisible(False)
        self._offered = _Offered(self)
        self._list = QListView()
        self._list.setModel(self._offered)
        self._list.setItemDelegate(_RowDelegate(self._offered))
        self._list.setUniformItemSizes(True)
        self._list.setMouseTracking(True)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setAccessibleName("Commands")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 5, 1, 5)
        column.addWidget(self._list)
        self._list.clicked.connect(lambda _index: self.choose())
        theme.notifier.changed.connect(self.update)

    def show_offers(self, offers: list[CommandOffer], composer: QWidget) -> None:
        """Show these above the composer; nothing when there are none."""
        window = self.parentWidget()
        if not offers or window is None:
            self.hide()
            return
        if offers != self._offered.offers:
            self._offered.show_offers(offers)
            self._list.setCurrentIndex(self._offered.index(0))
        height = min(len(offers), MOST_ROWS) * ROW_PX + 10
        corner = composer.mapTo(window, QPoint(0, 0))
        height = min(height, max(corner.y() - 2 * _GAP, ROW_PX + 10))
        self.setGeometry(corner.x(), corner.y() - height - _GAP, min(_WIDTH, composer.width()), height)
        self.show()
        self.raise_()

    def titles(self) -> list[str]:
        """What is listed now."""
        return [words_of(offer)[0] for offer in self._offered.offers] if self.isVisible() else []

    def move_by(self, step: int) -> None:
        """Choose the next or the one before, round the end."""
        count = self._offered.rowCount()
        if count:
            self._list.setCurrentIndex(self._offered.index((self._list.currentIndex().row() + step) % count))

    def choose(self) -> None:
        """Take the one that is marked."""
        index = self._list.currentIndex()
        if index.isValid():
            self.chosen.emit(*self._offered.offers[index.row()])

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("surface"), pen(color("control")))
