"""What these Sparks can run: filters, the table of models and node counts, and the chosen plan at the side.

The one rule: the page only lays out; which cell says what is the view-model's.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from ui import text, theme
from ui.models import words
from ui.models.detail import DetailPanel
from ui.models.filter_row import FilterRow
from ui.models.model import ModelsModel
from ui.models.table import ModelsTable
from ui.widgets.banner import Banner
from ui.widgets.card import Card
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import Label

NARROW_PX = 1100
"""Below this width of the page the panel at the side is narrower."""


class ModelsPage(QWidget):
    """The page. `plan_asked` carries a model's name and the ids of the nodes of its plan."""

    plan_asked = Signal(str, object)

    def __init__(self, model: ModelsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.banner = Banner()
        self.filters = FilterRow(model)
        self.table = ModelsTable(model)
        self.detail = DetailPanel(model)
        self.count = Label("", "label", "text3")
        self.hint = Label("", "dense", "text3")
        self.nothing = EmptyState("search", "No model matches", "", action="Clear the filters")
        self._stack = QStackedWidget()
        self._build()
        self.setAccessibleName("What can my Sparks run")
        self.table.chosen.connect(model.choose)
        self.table.opened.connect(self.plan_it)
        self.detail.plan_asked.connect(self.plan_it)
        self.nothing.action_clicked.connect(model.clear_filter)
        model.entries_changed.connect(self.show_entries)
        model.place_changed.connect(self._show_place)
        model.chosen_changed.connect(self.table.mark)
        self._show_place()
        self.show_entries()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.GAP)
        head.addStrut(theme.CONTROL_HEIGHT)
        head.addWidget(Label("What can my Sparks run", "page_title", "text"))
        head.addWidget(self.hint)
        head.addStretch(1)
        head.addWidget(self.count)
        card = Card()
        inside = card.column(spacing=0, margins=(1, 1, 1, 1))
        inside.addWidget(self._stack)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.nothing)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(card, 1)
        body.addWidget(self.detail)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(self.banner)
        column.addWidget(self.filters)
        column.addLayout(body, 1)

    def plan_it(self) -> None:
        """Take the chosen plan to the launch page, where that is possible."""
        cell = self.model.chosen_cell()
        if cell is not None and not self.model.obstacle():
            self.plan_asked.emit(self.model.chosen_name, cell.node_ids)

    def show_entries(self) -> None:
        """Show the table as the view-model has it."""
        model = self.model
        self.table.take()
        total, shown = len(model.feeds.catalogue), len(model.entries)
        self._stack.setCurrentIndex(0 if shown else 1)
        if not total:
            said = model.feeds.problem or "The catalogue is empty."
            self.nothing.set_words("There is no catalogue", text.one_line(said, 300))
        elif not shown:
            self.nothing.set_words("No model matches", "Take a filter off, or search for less.")
        models = f"{total} models" if shown == total else f"{shown} of {total} models"
        done = f", computed offline in {max(1, round(model.computed_ms))} ms" if model.computed_ms else ""
        self.count.setText(f"{models}, computing" if model.is_computing else f"{models}{done}")

    def _show_place(self) -> None:
        model = self.model
        if model.owned:
            self.hint.setText(f"On {words.node_words(model.owned)} as they are now; {words.WORKLOAD}")
            self.banner.clear()
            return
        self.hint.setText(f"On Sparks with nothing on them; {words.WORKLOAD}")
        said = "Each column is of Sparks (GB10) that nobody uses. Add yours to see what fits beside what runs."
        self.banner.show_notice("warn", "No Spark is live", said)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.model.set_shown(is_shown=True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.model.set_shown(is_shown=False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.detail.setFixedWidth(264 if self.width() < NARROW_PX else 296)
