"""The overview tab: what is known about the node, in groups, and its pending updates.

The one rule: it reads only; "Update" leads to the node's own dashboard.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from sparkdesk.core.cluster.details import NodeDetails
from ui import theme
from ui.node.fact import UNKNOWN, Fact, FactGroup, build_groups, halves_table, updates_table, updates_words
from ui.node.model import NodeModel
from ui.node.wrap import wrap_line
from ui.widgets.button import Button
from ui.widgets.card import Card, LoadingBars
from ui.widgets.cell_table import CellTable
from ui.widgets.label import ElidedLabel, Label

_LABEL_WIDTH = 118
_UPDATE_ROWS = 7
_HALF_ROWS = 8
_PLACES = {1: (0, 0, 0, 0), 2: (0, 1, 1, 0), 3: (0, 1, 2, 2)}
"""Columns -> the column of Machine, System, Software and Rights."""


class FactRow(QWidget):
    """A label and its value; what is not known says why below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = Label("", "dense", "text3")
        self._value = Label("", "dense", "text", is_wrapped=True, is_selectable=True)
        self._why = Label("", "label", "text3", is_wrapped=True, is_selectable=True)
        self._label.setFixedWidth(_LABEL_WIDTH)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._label, 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._value)
        words.addWidget(self._why)
        row.addLayout(words, 1)

    def show_fact(self, fact: Fact) -> None:
        """Show a fact."""
        self._label.setText(fact.label)
        self._value.setText(fact.value or UNKNOWN)
        self._value.set_tint("text" if fact.is_known else "text3")
        self._why.setText("" if fact.is_known else fact.why[:1].upper() + fact.why[1:])
        self._why.setVisible(bool(self._why.text()))
        self.setAccessibleName(f"{fact.label}: {fact.value or UNKNOWN} {self._why.text()}".strip())


class FactCard(Card):
    """One group."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[FactRow] = []
        self._column = self.column(spacing=5)
        self._column.addWidget(Label(title, "dense_strong", "text"))
        self._column.addStretch(1)
        self.setAccessibleName(title)

    def show_group(self, group: FactGroup) -> None:
        """Show a group; its rows stay the same ones."""
        while len(self.rows) < len(group.facts):
            row = FactRow()
            self.rows.append(row)
            self._column.insertWidget(len(self.rows), row)
        for row, fact in zip(self.rows, group.facts, strict=True):
            row.show_fact(fact)


class TableCard(Card):
    """A small table under a title and a sentence."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.table = CellTable(title)
        self.head = QHBoxLayout()
        self.head.setSpacing(10)
        self.head.addWidget(Label(title, "dense_strong", "text"))
        self.head.addStretch(1)
        column = self.column(spacing=6)
        column.addLayout(self.head)
        column.addWidget(self.words)
        column.addWidget(self.table)

    def fit(self, most_rows: int) -> None:
        """Take the room of the rows there are, at most so many; none without a row."""
        count = len(self.table.cells.table.rows)
        self.table.setVisible(count > 0)
        rest = max(0, count - most_rows) * theme.TABLE_ROW_HEIGHT
        is_wide = self.table.wanted_width() > self.width() - 2 * theme.CARD_PADDING_X
        bar = self.table.horizontalScrollBar().sizeHint().height() if is_wide else 0
        self.table.setFixedHeight(self.table.needed_height() - rest + bar)


class OverviewTab(QWidget):
    """The cards; `refresh` reads the model."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown: NodeDetails | None = None
        self.age = ElidedLabel("", "dense", "text3")
        self.again = Button("Read again", icon="refresh-cw", is_small=True)
        self._cards: list[FactCard] = []
        self.network = TableCard("Network ports, by PCIe half")
        self.updates = TableCard("Pending updates")
        self.update_button = Button("Update in the DGX Dashboard", icon="external-link", is_small=True)
        self._columns = tuple(QVBoxLayout() for _ in range(3))
        self._count = 0
        self._waiting = Card()
        self._waiting_words = Label("", "body", "text2", is_wrapped=True)
        self._stack = QStackedWidget()
        self._build()
        self.again.clicked.connect(self.read_anew)
        self.update_button.clicked.connect(lambda: self._model.actions.open_dashboard(self._model.node_id))

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self.age, 1)
        head.addWidget(self.again)
        for title in ("Machine", "System", "Software", "Rights"):
            self._cards.append(FactCard(title))
        self.updates.head.addWidget(self.update_button)
        cards = QHBoxLayout()
        cards.setSpacing(theme.GAP)
        for each in self._columns:
            each.setSpacing(theme.GAP)
            cards.addLayout(each, 1)
        self._cards_row = cards
        body = QWidget()
        body.setProperty("tone", "page")
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(cards)
        column.addWidget(self.network)
        column.addWidget(self.updates)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(body)
        waiting = self._waiting.column(spacing=12)
        waiting.addWidget(self._waiting_words)
        self._bars = LoadingBars(what="Reading the node")
        waiting.addWidget(self._bars)
        waiting.addStretch(1)
        self._stack.addWidget(area)
        self._stack.addWidget(self._waiting)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(8)
        outer.addLayout(head)
        outer.addWidget(self._stack, 1)
        self._place(2)

    def read_anew(self) -> None:
        """Read the node again."""
        self._model.actions.refresh_details(self._model.node_id)

    def _place(self, count: int) -> None:
        """Lay the cards out in so many columns, the last card of each as high as its column."""
        if count == self._count:
            return
        self._count = count
        for i, layout in enumerate(self._columns):
            while layout.takeAt(0) is not None:
                pass
            self._cards_row.setStretch(i, 1 if i < count else 0)
        for i, place in enumerate(_PLACES[count]):
            self._columns[place].addWidget(self._cards[i])

    def cards(self) -> tuple[FactCard, ...]:
        """The cards of facts."""
        return tuple(self._cards)

    def refresh(self) -> None:
        """Show what is known."""
        details, away = self._model.details(), self._model.away_reason()
        self.again.set_disabled_reason(away)
        self.update_button.set_disabled_reason(away)
        self._stack.setCurrentIndex(0 if details is not None else 1)
        if details is None:
            self.age.setText("")
            self._bars.setVisible(not away)
            self._waiting_words.setText(f"Nothing was read from it yet: {away}." if away else "Reading the node")
            self._shown = None
            return
        old = f" · {away}, this is what was known" if away else ""
        self.age.setText(self._model.age_words(details.t_ms, "Read") + old)
        if details is not self._shown:
            self._shown = details
            self._show_details(details)

    def _show_details(self, details: NodeDetails) -> None:
        for card, group in zip(self._cards, build_groups(details), strict=True):
            card.show_group(group)
        self.network.table.set_table(halves_table(details))
        self.network.fit(_HALF_ROWS)
        why = wrap_line(details.problems.get("halves", ""), 240)
        self.network.words.setText("" if details.halves else f"Not known. {why}".strip())
        self.network.words.setVisible(not details.halves)
        self.updates.table.set_table(updates_table(details))
        self.updates.fit(_UPDATE_ROWS)
        self.updates.words.setText(updates_words(details))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place(3 if self.width() >= 1100 else 2 if self.width() >= 560 else 1)
        for card, rows in ((self.network, _HALF_ROWS), (self.updates, _UPDATE_ROWS)):
            card.fit(rows)
