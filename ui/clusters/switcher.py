"""The list of saved clusters under the strip: open, make, rename, remove.

The one rule: it opens under the cluster's name, goes with Esc, and asks before it forgets anything.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QFrame,
    QHBoxLayout,
    QMenu,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.clusters.model import ClusterRow, ClustersModel
from ui.clusters.name_dialog import NameDialog
from ui.clusters.remove_dialog import RemoveDialog
from ui.icon import draw_icon
from ui.theme import color
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Separator
from ui.widgets.chip import Chip
from ui.widgets.label import Label
from ui.widgets.paint import box, elided, pen, write

_WIDTH = 360
_ROW_HEIGHT = 44
_MOST_ROWS = 8


class ClusterButton(QAbstractButton):
    """A cluster's name and line; pressing it opens the cluster. `walked` carries 1 for down and -1 for up."""

    walked = Signal(int)

    def __init__(self, row: ClusterRow, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.row = row
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        state = ", open" if row.is_open else ""
        simulated = ", simulated" if row.is_simulated else ""
        self.setAccessibleName(f"{row.name}, {row.line}{simulated}{state}")
        theme.notifier.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(200, _ROW_HEIGHT)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # The list is walked with them; Qt's own button would go on to the next control.
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.walked.emit(1 if event.key() == Qt.Key.Key_Down else -1)
            event.accept()
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(self.rect())
        if self.row.is_open:
            box(painter, rect, theme.RADIUS_CONTROL, color("accentsoft"))
        elif self.underMouse() or self.hasFocus():
            box(painter, rect, theme.RADIUS_CONTROL, color("raised"))
        icon = "check" if self.row.is_open else "network"
        draw_icon(painter, QPointF(10, 14), icon, "accenttext" if self.row.is_open else "text3")
        room = rect.width() - 46
        name = elided(self.row.name, "body_medium", room)
        write(painter, QRectF(36, 4, room, 20), name, role="body_medium", tint="text")
        write(painter, QRectF(36, 23, room, 16), elided(self.row.line, "label", room), role="label", tint="text2")


class ClusterSwitcher(QFrame):
    """A panel over the window; `open_under(anchor)` shows or hides it."""

    def __init__(self, model: ClustersModel, window: QWidget) -> None:
        super().__init__(window)
        self.setVisible(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Clusters")
        self.model = model
        self.dialog: QDialog | None = None
        self.buttons: list[ClusterButton] = []
        self.menus: list[IconButton] = []
        self._is_asking = False
        self._anchor: QWidget | None = None
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.add = Button("New cluster…", kind="text", icon="plus", is_small=True)
        self.versions = Button("Compare versions", kind="text", icon="columns-2", is_small=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 10, 8, 8)
        column.setSpacing(6)
        column.addWidget(Label("  Clusters", "dense_strong", "text"))
        column.addWidget(self._scroll, 1)
        column.addWidget(Separator())
        row = QHBoxLayout()
        row.addWidget(self.add)
        row.addStretch(1)
        row.addWidget(self.versions)
        column.addLayout(row)
        self.add.clicked.connect(self.ask_create)
        self.versions.clicked.connect(self._show_versions)
        model.changed.connect(self._refresh)
        theme.notifier.changed.connect(self.update)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._on_focus)

    def open_under(self, anchor: QWidget) -> None:
        """Show the list under `anchor`, left edges aligned; hide it when it is shown."""
        if self.isVisible():
            self.hide()
            return
        self._anchor = anchor
        rows = self._fill()
        high = 10 + 18 + 6 + min(max(rows, 1), _MOST_ROWS) * (_ROW_HEIGHT + 2) + 6 + 1 + 6 + 26 + 10
        self.setFixedSize(_WIDTH, high)
        corner = anchor.mapTo(self.window(), anchor.rect().bottomLeft())
        self.move(corner + QPoint(0, 6))
        self.show()
        self.raise_()
        chosen = next((button for button in self.buttons if button.row.is_open), None) or next(iter(self.buttons), None)
        (chosen or self).setFocus(Qt.FocusReason.PopupFocusReason)

    def _refresh(self) -> None:
        if self.isVisible() and [button.row for button in self.buttons] != list(self.model.rows()):
            self._fill()

    def _fill(self) -> int:
        """Show the clusters of now; gives how many there are."""
        body = QWidget()
        body.setProperty("tone", "page")
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        self.buttons, self.menus = [], []
        for row in self.model.rows():
            column.addLayout(self._line(row))
        if not self.buttons:
            column.addWidget(Label("  No cluster yet.", "dense", "text3"))
        column.addStretch(1)
        self._scroll.setWidget(body)
        return len(self.buttons)

    def _line(self, row: ClusterRow) -> QHBoxLayout:
        button = ClusterButton(row)
        button.clicked.connect(lambda: self._open(row))
        menu = IconButton("ellipsis", f"Rename or remove {row.name}")
        menu.clicked.connect(lambda: self._open_menu(row, menu))
        menu.setVisible(not row.is_simulated)
        at = len(self.buttons)
        button.walked.connect(lambda step: self._walk(at + step))
        self.buttons.append(button)
        self.menus.append(menu)
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(button, 1)
        if row.is_simulated:
            line.addWidget(Chip("Simulated", "simulated"))
        line.addWidget(menu)
        return line

    # What the person does -----------------------------------------------------------------------------------------

    def _open(self, row: ClusterRow) -> None:
        self.hide()
        if not row.is_open:
            self.model.actions.open(row.cluster_id)
        else:
            self.model.actions.show_cluster()

    def _show_versions(self) -> None:
        self.hide()
        self.model.actions.show_versions()

    def _open_menu(self, row: ClusterRow, anchor: QWidget) -> None:
        self._is_asking = True
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Rename…").triggered.connect(lambda: self.ask_rename(row.cluster_id))
        menu.addAction("Remove…").triggered.connect(lambda: self.ask_remove(row.cluster_id))
        menu.aboutToHide.connect(self._end_asking)
        menu.popup(anchor.mapToGlobal(anchor.rect().bottomLeft()))

    def _end_asking(self) -> None:
        self._is_asking = False

    def ask_create(self) -> None:
        """Ask for the new cluster's name."""
        words = (
            "A cluster is a group of nodes that you look at together. Add nodes to it afterwards, or move them there."
        )
        dialog = NameDialog(
            "New cluster", words=words, taken=self.model.taken_names(), action="Create", parent=self.window()
        )
        dialog.accepted.connect(lambda: self.model.actions.create(dialog.name()))
        self._ask(dialog)

    def ask_rename(self, cluster_id: str) -> None:
        """Ask for another name."""
        record = self.model.record(cluster_id)
        if record is None:
            return
        taken = self.model.taken_names(cluster_id)
        dialog = NameDialog(
            f"Rename {record.name[:60]}", name=record.name, taken=taken, action="Rename", parent=self.window()
        )
        dialog.accepted.connect(lambda: self.model.actions.rename(cluster_id, dialog.name()))
        self._ask(dialog)

    def ask_remove(self, cluster_id: str) -> None:
        """Ask before a cluster is forgotten."""
        record = self.model.record(cluster_id)
        if record is None:
            return
        removal = self.model.removal(record)
        dialog = RemoveDialog(
            f"Remove {record.name[:60]} from SparkDesk?",
            loss=removal.loss,
            kept=removal.kept,
            offer=removal.offer,
            parent=self.window(),
        )
        dialog.accepted.connect(lambda: self.model.actions.remove(cluster_id, dialog.wants_undo()))
        self._ask(dialog)

    def _ask(self, dialog: QDialog) -> None:
        self.hide()
        if self.dialog is not None:
            self.dialog.reject()
        self.dialog = dialog
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self, _code: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    # Keys and focus -----------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        focused = QApplication.focusWidget()
        at = self.buttons.index(focused) if isinstance(focused, ClusterButton) and focused in self.buttons else -1
        key = event.key()
        if key == Qt.Key.Key_Escape:
            self.hide()
            if self._anchor is not None:
                self._anchor.setFocus(Qt.FocusReason.PopupFocusReason)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and at >= 0:
            self.buttons[at].click()
        elif key == Qt.Key.Key_F2 and at >= 0 and not self.buttons[at].row.is_simulated:
            self.ask_rename(self.buttons[at].row.cluster_id)
        elif key == Qt.Key.Key_Delete and at >= 0 and not self.buttons[at].row.is_simulated:
            self.ask_remove(self.buttons[at].row.cluster_id)
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _walk(self, at: int) -> None:
        self.buttons[at % len(self.buttons)].setFocus(Qt.FocusReason.TabFocusReason)

    def _on_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        """A click elsewhere in the window closes the list; its own menu does not."""
        if (
            self.isVisible()
            and new is not None
            and new is not self
            and not self.isAncestorOf(new)
            and not self._is_asking
        ):
            self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("surface"), pen(color("control")))
