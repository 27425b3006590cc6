"""The command palette: type a few letters, Enter.

Rule: it lists what the action registry holds and nothing else; it never skips a confirmation.
"""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QIcon, QKeyEvent, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.action import ActionRegistry, Command
from ui.font import font
from ui.icon import draw_icon, icon
from ui.theme import color
from ui.widgets.paint import box, pen, text_width, write

_WIDTH = 560
_ROW = 32
_MOST_ROWS = 8
_TOP = 96
_HEAD = 38


class _Found(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.commands: list[Command] = []

    def show_commands(self, commands: list[Command]) -> None:
        """Show other entries."""
        self.beginResetModel()
        self.commands = commands
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex | None = None) -> int:
        return len(self.commands)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole) and index.isValid():
            command = self.commands[index.row()]
            return f"{command.title} {command.note}".strip()
        return None


class _RowDelegate(QStyledItemDelegate):
    def __init__(self, found: _Found) -> None:
        super().__init__(found)
        self._found = found

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(_WIDTH, _ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        command = self._found.commands[index.row()]
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, color("accentsoft"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, color("raised"))
        left = float(rect.left() + 14)
        draw_icon(painter, QPointF(left, rect.top() + 9), command.icon or "chevron-right", "text2", 14)
        left += 26
        write(painter, QRectF(left, rect.top(), rect.width(), _ROW), command.title, role="body", tint="text")
        left += text_width(command.title, "body") + 8
        write(painter, QRectF(left, rect.top(), rect.width(), _ROW), command.note, role="dense", tint="text3")
        keys = command.action.shortcut().toString(QKeySequence.SequenceFormat.NativeText).replace("+", " ")
        right = QRectF(rect.left(), rect.top(), rect.width() - 14, _ROW)
        write(painter, right, keys, role="label", tint="text3", align=Qt.AlignmentFlag.AlignRight)


class CommandPalette(QFrame):
    """Frameless, over the top of the window; Up and Down choose, Enter runs, Esc leaves. Opened with `open_palette`."""

    def __init__(self, registry: ActionRegistry, window: QWidget) -> None:
        super().__init__(window)
        self._registry = registry
        self._focus_before: QWidget | None = None
        self.setAccessibleName("Command palette")
        self.setVisible(False)
        self._input = QLineEdit()
        self._input.setPlaceholderText("Go to or run...")
        self._input.setAccessibleName("Go to or run")
        self._input.setFont(font("body"))
        self._input.setFrame(False)
        self._input.setProperty("tone", "bare")
        self._search = self._input.addAction(QIcon(), QLineEdit.ActionPosition.LeadingPosition)
        self._found = _Found(self)
        self._list = QListView()
        self._list.setModel(self._found)
        self._list.setItemDelegate(_RowDelegate(self._found))
        self._list.setUniformItemSizes(True)
        self._list.setMouseTracking(True)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setAccessibleName("Commands found")
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 4, 1, 1)
        column.setSpacing(4)
        column.addWidget(self._input)
        column.addWidget(self._list)
        self._input.textChanged.connect(self._search_now)
        self._list.clicked.connect(lambda _index: self._run_current())
        self._input.installEventFilter(self)
        self.setFocusProxy(self._input)

    def open_palette(self, words: str = "") -> None:
        """Show it with everything, or with what matches `words`."""
        self._search.setIcon(icon("search", "text3"))
        self._input.setText(words)
        self._search_now(words)
        window = self.parentWidget()
        if window is not None:
            self._focus_before = window.focusWidget()
            self.move((window.width() - _WIDTH) // 2, _TOP)
        self.show()
        self.raise_()
        self._input.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_palette(self) -> None:
        """Go away and give the focus back."""
        if self.isVisible():
            self.hide()
            if self._focus_before is not None and self._focus_before.isVisible():
                self._focus_before.setFocus(Qt.FocusReason.PopupFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # A click elsewhere takes the focus, and the palette goes.
        if event.type() == QEvent.Type.FocusOut and watched is self._input and not self.isAncestorOf(self._now()):
            self.hide()
        return False

    def _now(self) -> QWidget:
        return QApplication.focusWidget() or self

    def titles(self) -> list[str]:
        """Return the titles listed now."""
        return [command.title for command in self._found.commands]

    def _search_now(self, words: str) -> None:
        self._found.show_commands([each for each in self._registry.find(words) if each.key != "palette"])
        rows = min(self._found.rowCount(), _MOST_ROWS)
        self.setFixedSize(_WIDTH, _HEAD + 10 + max(rows, 1) * _ROW)
        if rows:
            self._list.setCurrentIndex(self._found.index(0))

    def _run_current(self) -> None:
        index = self._list.currentIndex()
        if index.isValid():
            command = self._found.commands[index.row()]
            self.close_palette()
            command.action.trigger()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
        step = steps.get(Qt.Key(event.key()))
        count = self._found.rowCount()
        if step is not None and count:
            row = (self._list.currentIndex().row() + step) % count
            self._list.setCurrentIndex(self._found.index(row))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._run_current()
        elif event.key() == Qt.Key.Key_Escape:
            self.close_palette()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("surface"), pen(color("control")))
        painter.setPen(pen(color("border")))
        painter.drawLine(QPointF(1, _HEAD + 2.5), QPointF(self.width() - 1, _HEAD + 2.5))
        if not self._found.rowCount():
            box_rect = QRectF(14, _HEAD + 6, self.width() - 28, _ROW)
            write(painter, box_rect, "Nothing is called that", role="body", tint="text3")
