"""Adding a node: three rows on the left, the live log on the right.

Rule: which row is open follows from the attempt's stage alone; the focus goes to the row that opens, never to a button
that trusts.
"""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.cluster.enrolment import EnrolStage, KeyOffer
from ui import theme
from ui.add_node.log import AttemptLog
from ui.add_node.model import AddNodeModel
from ui.add_node.sign_in_row import SignInRow
from ui.add_node.trust_row import TrustRow
from ui.add_node.who_row import WhoRow
from ui.add_node.words import Row, name_of
from ui.widgets.button import Button
from ui.widgets.label import ElidedLabel, Label

# A fingerprint and its randomart side by side; text columns stop at 720.
_LEAST_ROWS, _WIDEST_ROWS = 676, 720


class AddNodePanel(QWidget):
    """`back_wanted`: leave without adding. `cluster_wanted`: a node was added, show the cluster."""

    back_wanted = Signal()
    cluster_wanted = Signal()

    def __init__(self, model: AddNodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown: tuple[EnrolStage, KeyOffer | None, bool] | None = None
        self._title = Label("Add a DGX Spark", "page_title", "text")
        self._queue = ElidedLabel("", "dense", "text3")
        self.back_button = Button("Back", kind="text", icon="undo-2")
        self.who_row = WhoRow(model)
        self.trust_row = TrustRow(model)
        self.sign_in_row = SignInRow(model)
        self.log = AttemptLog()
        self._area = QScrollArea()
        self._build()
        self.back_button.clicked.connect(self._leave)
        self.sign_in_row.cluster_wanted.connect(self.cluster_wanted)
        self.sign_in_row.more_wanted.connect(self._add_another)
        model.changed.connect(self.refresh)
        model.drafted.connect(self._focus_form)
        self.refresh()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self._title)
        head.addWidget(self._queue, 1)
        head.addWidget(self.back_button)
        rows = QWidget()
        rows.setProperty("tone", "page")
        rows.setMaximumWidth(_WIDEST_ROWS)
        column = QVBoxLayout(rows)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        for row in (self.who_row, self.trust_row, self.sign_in_row):
            column.addWidget(row)
        column.addStretch(1)
        self._area.setWidget(rows)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(self._area.horizontalScrollBarPolicy().ScrollBarAlwaysOff)
        self._area.setMinimumWidth(_LEAST_ROWS)
        self._area.setMaximumWidth(_WIDEST_ROWS)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(self._area, 2)
        body.addWidget(self.log, 1)
        page = QVBoxLayout(self)
        page.setContentsMargins(theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING, theme.PAGE_PADDING)
        page.setSpacing(theme.GAP)
        page.addLayout(head)
        page.addLayout(body, 1)

    def refresh(self) -> None:
        """Show where the attempt stands; when that is news, the keyboard goes where it is needed."""
        model = self._model
        for row in (self.who_row, self.trust_row, self.sign_in_row):
            row.show_stage()
        self.log.show_lines(model.enrolment.log)
        self._queue.setText(_queue_words(model))
        shown = (model.stage, model.enrolment.offer, model.enrolment.can_set_up_key)
        if shown != self._shown:
            self._shown = shown
            self._focus_row()

    def _focus_row(self) -> None:
        rows: dict[Row, WhoRow | TrustRow | SignInRow] = {
            "who": self.who_row,
            "trust": self.trust_row,
            "sign_in": self.sign_in_row,
        }
        row = rows[self._model.row]
        if self.isVisible() and self._model.stage is not EnrolStage.IDLE:
            row.focus_first()
        # After the rows have their new heights.
        QTimer.singleShot(0, self, lambda: self._area.ensureWidgetVisible(row, 0, theme.GAP))

    def _focus_form(self) -> None:
        if self.isVisible():
            QTimer.singleShot(0, self, self.focus_first)

    def focus_first(self) -> None:
        """Put the keyboard where the attempt waits for it."""
        if self._model.stage is EnrolStage.IDLE:
            self.who_row.focus_first()
        else:
            self._focus_row()

    def _add_another(self) -> None:
        self._model.open_form()

    def _leave(self) -> None:
        self._model.finish()
        self.back_wanted.emit()


def _queue_words(model: AddNodeModel) -> str:
    if not model.queue:
        return ""
    names = ", ".join(name_of(each) for each in model.queue[:3])
    more = len(model.queue) - 3
    return f"then {names}{f' and {more} more' if more > 0 else ''}"
