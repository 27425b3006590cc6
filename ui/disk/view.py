"""Models on disk: the disks of the nodes, the matrix of models, images and caches, the chosen row, the transfers.

The one rule: the page only lays out; which cell says what is the view-model's.
"""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.disk.view import Kind
from ui import theme
from ui.disk.drawer import WIDTH, DiskDrawer
from ui.disk.get_dialog import GetDialog
from ui.disk.model import KINDS, ORDERS, DiskModel
from ui.disk.node_strip import NodeStrip
from ui.disk.transfer_bar import TransferBar
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.cell_table import CellTable
from ui.widgets.empty_state import EmptyState
from ui.widgets.field import Select, TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

AGE_EVERY_MS = 5000
"""So often the ages on the page are written anew while it is shown."""
DRAWER_BESIDE_PX = 1120
"""A page that is narrower has no room for table and drawer beside each other."""


class DiskPage(QWidget):
    """The page."""

    add_node_asked = Signal()

    def __init__(self, model: DiskModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.strip = NodeStrip()
        self.search = TextInput(placeholder="Search models and images", is_small=True, icon_name="search")
        self.kinds = Segmented([*KINDS], what="What to show")
        self.order = Select(is_small=True)
        self.order.set_options(list(ORDERS))
        self.look = IconButton("refresh-cw", "Read the disks again")
        self.get_image = Button("Get an image…", icon="download")
        self.get_model = Button("Get a model…", icon="download", kind="primary")
        self.table = CellTable("Models and images on the nodes")
        self.nothing = EmptyState("layers", "Nothing there", "", action="Clear the filters")
        self.drawer = DiskDrawer(model)
        self.transfers = TransferBar(model)
        self.dialog: GetDialog | None = None
        self._stack = QStackedWidget()
        self._body = QHBoxLayout()
        self._card = Card()
        self._clock = QTimer(self, interval=AGE_EVERY_MS)
        self._is_filling = False
        self._build()
        self._wire()
        self.refresh()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addWidget(Label("Models on disk", "page_title", "text"))
        head.addWidget(Label("What lies on the disk of each node", "dense", "text3"))
        head.addStretch(1)
        for part in (self.look, self.get_image, self.get_model):
            head.addWidget(part)
        filters = QHBoxLayout()
        filters.setSpacing(8)
        self.search.setFixedWidth(220)
        self.search.setAccessibleName("Search models and images")
        self.order.setFixedWidth(140)
        self.order.setAccessibleName("Order")
        filters.addWidget(self.search)
        filters.addWidget(self.kinds)
        filters.addStretch(1)
        filters.addWidget(self.order)
        card = self._card
        card.column(spacing=0, margins=(1, 1, 1, 1)).addWidget(self._stack)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.nothing)
        self._body.setSpacing(theme.GAP)
        self._body.addWidget(card, 1)
        self._body.addWidget(self.drawer)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(self.strip)
        column.addLayout(filters)
        column.addLayout(self._body, 1)
        column.addWidget(self.transfers)
        self.setAccessibleName("Models on disk")

    def _wire(self) -> None:
        model = self.model
        self.search.textChanged.connect(model.set_needle)
        self.kinds.changed.connect(model.set_kind)
        self.order.currentIndexChanged.connect(lambda _at: model.set_order(self.order.key()))
        self.look.clicked.connect(model.actions.look)
        self.get_model.clicked.connect(lambda: self._get(Kind.MODEL))
        self.get_image.clicked.connect(lambda: self._get(Kind.IMAGE))
        self.nothing.action_clicked.connect(self._clear)
        self.table.selectionModel().currentChanged.connect(self._choose)
        self.table.clicked.connect(lambda index: self._choose(index, index))
        self._clock.timeout.connect(self.refresh)
        model.changed.connect(self.refresh)
        model.chosen_changed.connect(self._show_chosen)

    def _get(self, kind: Kind) -> None:
        self.dialog = GetDialog(self.model, kind, self)
        self.dialog.finished.connect(self.dialog.deleteLater)
        self.dialog.show()

    def _clear(self) -> None:
        self.search.clear()
        self.kinds.set_key("")
        self.model.clear_filter()

    def _choose(self, index: QModelIndex, _before: QModelIndex) -> None:
        if not self._is_filling and index.isValid():
            self.model.choose(index.row())

    def refresh(self) -> None:
        """Show everything as it is now."""
        model = self.model
        self.strip.show_nodes(model.nodes, model.feeds.now_ms())
        self._is_filling = True
        self.table.set_table(model.table())
        self._is_filling = False
        self._stack.setCurrentIndex(0 if model.entries else 1)
        if not model.entries:
            self.nothing.set_words(*self._nothing_words())
        live = any(node.is_live for node in model.nodes)
        for button in (self.get_model, self.get_image, self.look):
            button.setEnabled(live)
        self._show_chosen()
        self.transfers.refresh()

    def _nothing_words(self) -> tuple[str, str]:
        nodes = self.model.nodes
        if not nodes:
            return "No node", "Add a Spark or start the simulated cluster first."
        if self.model.has_filter:
            return "Nothing matches", "Take a filter off, or search for less."
        if any(node.is_live and node.looked_ms is None and not node.problem for node in nodes):
            return "Reading the disks", "What lies there is shown as soon as a node has told."
        if all(node.looked_ms is None for node in nodes):
            return (
                "Not known",
                "No node has told what lies on its disk. What is the matter stands with each node above.",
            )
        return "No model and no image yet", "Get a model or an image; a launch brings its own too."

    def _show_chosen(self) -> None:
        self.drawer.refresh()
        self._place_drawer()
        line = self.model.chosen_line()
        if line != self.table.currentIndex().row():
            self._is_filling = True
            self.table.setCurrentIndex(self.table.cells.index(line, 0) if line >= 0 else QModelIndex())
            self._is_filling = False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.drawer.isVisible():
            self.model.choose_ident(("", ""))
            self.table.setFocus(Qt.FocusReason.OtherFocusReason)
            event.accept()
            return
        super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.model.actions.watch(True)
        self._clock.start()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.model.actions.watch(False)
        self._clock.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_drawer()

    def _place_drawer(self) -> None:
        """Beside the table where there is room, else over its right part: squeezed, it could not be read."""
        is_over = self.width() < DRAWER_BESIDE_PX
        is_inside = self._body.indexOf(self.drawer) >= 0
        if is_over and is_inside:
            self._body.removeWidget(self.drawer)
        elif not is_over and not is_inside:
            self._body.addWidget(self.drawer)
        if is_over:
            if (layout := self.layout()) is not None:
                layout.activate()  # a layout that lost a part has no place until it is laid out anew
            place = self._body.geometry()
            self.drawer.setGeometry(place.right() - WIDTH + 1, place.top(), WIDTH, place.height())
            self.drawer.raise_()
