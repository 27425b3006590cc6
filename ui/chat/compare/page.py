"""The comparison: two to four columns, one composer under them all.

Rule: all columns get the same question with their own settings; nothing here judges the answers.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.services.chat.attaching import Draft
from sparkdesk.services.chat.comparison import MIN_COLUMNS
from ui.chat.compare.column import CompareColumn
from ui.chat.compare.model import CompareModel
from ui.chat.compose.composer import Composer
from ui.chat.page.below import below
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import Label
from ui.widgets.toggle import Switch


class ComparePage(QWidget):
    """Columns, made anew whenever there are others."""

    launch_asked = Signal()

    def __init__(self, model: CompareModel, composer: Composer | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.columns: list[CompareColumn] = []
        self.banner = Banner()
        self.add = Button("Add a model", kind="text", icon="plus", is_small=True)
        self.again = Button("Ask again", kind="text", icon="refresh-cw", is_small=True)
        self.differences = Switch("Show differences to the first column", text="Differences")
        self.words = Label("", "label", "text3")
        self.none = EmptyState("message-square", "No model is ready", "", action="Launch a model", is_primary=True)
        self.composer = composer or Composer()
        self.area = QScrollArea()
        """Four columns do not fit side by side into a small window: then it scrolls sideways."""
        self._side_by_side = QHBoxLayout()
        self.setAccessibleName("Compare models")
        self._build()
        self._wire()
        self._on_columns()

    def _build(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(20, 4, 12, 4)
        bar.setSpacing(8)
        bar.addWidget(self.words)
        bar.addStretch(1)
        bar.addWidget(self.differences)
        bar.addWidget(self.again)
        bar.addWidget(self.add)
        self._side_by_side.setContentsMargins(0, 0, 0, 0)
        self._side_by_side.setSpacing(0)
        inside = QWidget()
        inside.setProperty("tone", "page")
        inside.setLayout(self._side_by_side)
        self.area.setWidget(inside)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(self.none, 1)
        column.addWidget(self.area, 1)
        column.addLayout(below(self.banner, self.composer))

    def _wire(self) -> None:
        model = self.model
        model.columns_changed.connect(self._on_columns)
        model.state_changed.connect(self._show_state)
        model.answers_changed.connect(self._show_answers)
        model.failed.connect(self._on_failed)
        model.refused.connect(self.composer.restore)
        self.add.clicked.connect(model.add_column)
        self.again.clicked.connect(model.ask_again)
        self.differences.toggled.connect(self._show_answers)
        self.composer.sent.connect(self._send)
        self.composer.stopped.connect(model.stop)
        self.none.action_clicked.connect(self.launch_asked)

    def _on_columns(self) -> None:
        for old in self.columns:
            self._side_by_side.removeWidget(old)
            old.setVisible(False)
            old.deleteLater()
        self.columns = [CompareColumn(place, column) for place, column in enumerate(self.model.columns)]
        for place, column in enumerate(self.columns):
            column.endpoint_chosen.connect(lambda key, place=place: self.model.set_target(place, key))
            # Later: taking a column away removes the button that is being clicked.
            column.remove_asked.connect(
                lambda place=place: self.model.remove_column(place), Qt.ConnectionType.QueuedConnection
            )
            self._side_by_side.addWidget(column, 1)
        self.none.setVisible(not self.columns)
        self.area.setVisible(bool(self.columns))
        self.composer.setVisible(bool(self.columns))
        self._show_state()
        self._show_answers()

    def _show_state(self) -> None:
        model = self.model
        if len(self.columns) != len(model.columns):
            return
        can_remove = len(self.columns) > MIN_COLUMNS and not model.has_turns
        for column in self.columns:
            column.show_models(model.endpoints, can_remove=can_remove)
        self.composer.show_state(is_answering=model.is_answering, reason=model.obstacle())
        self.add.set_disabled_reason(model.add_obstacle())
        busy = "An answer is being written." if model.is_answering else ""
        self.again.set_disabled_reason("" if model.has_turns and not busy else busy or "Nothing was asked yet.")
        self._show_words()

    def _show_words(self) -> None:
        """Say where two columns talk to the same server: then the second one waits or has the cache of the first."""
        targets = [column.target.id for column in self.model.columns if column.target is not None]
        if len(set(targets)) < len(targets):
            self.words.setText("Two columns ask the same server: their times are not those of one request alone.")
        else:
            self.words.setText("All are asked at once; servers on one node share its memory bandwidth.")

    def _show_answers(self) -> None:
        is_diff = self.differences.isChecked()
        for place, column in enumerate(self.columns):
            answer = self.model.last_answer(place) if place < len(self.model.columns) else None
            difference = self.model.difference(place) if is_diff and answer is not None else None
            column.show_answer(answer, difference, as_diff=is_diff and place > 0)

    def _send(self, draft: Draft) -> None:
        self.banner.clear()
        self.composer.clear()
        self.model.ask(draft.text, draft.attachments, draft.images)

    def _on_failed(self, error: SparkDeskError) -> None:
        self.banner.show_error(error.message, error.remedy, detail=error.detail, node=error.node)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.model.is_answering:
            self.model.stop()
            event.accept()
            return
        super().keyPressEvent(event)
