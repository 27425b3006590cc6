"""The left column of the bring-up page: whose bring-up it is, its chapters, and the way back.

The one rule: it only shows; what can be taken back is told by the run.
"""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.bringup.state import Phase
from ui import text
from ui.bringup.chapter_list import ChapterList
from ui.bringup.model import BringUpModel
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.label import ElidedLabel, Label

WIDTH, NARROW_WIDTH = 232, 208
PROMISE_FROM_PX = 480
"""From this height on all nine chapters have room beside the promise."""
PROMISE = "Every change is in the manifest and can be undone one by one, newest first."


class SideCard(Card):
    """The column."""

    def __init__(self, model: BringUpModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.title = ElidedLabel("", "dense_strong", "text")
        self.since = ElidedLabel("", "label", "text3")
        self.list = ChapterList()
        self.manifest = Button("Manifest", icon="scroll-text", is_small=True)
        self.undo = Button("Undo…", icon="undo-2", is_small=True)
        head = QVBoxLayout()
        head.setContentsMargins(12, 9, 12, 9)
        head.setSpacing(1)
        head.addWidget(self.title)
        head.addWidget(self.since)
        foot = QVBoxLayout()
        foot.setContentsMargins(12, 8, 12, 12)
        foot.setSpacing(8)
        self.promise = Label(PROMISE, "label", "text3", is_wrapped=True)
        foot.addWidget(self.promise)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.manifest)
        buttons.addWidget(self.undo)
        buttons.addStretch(1)
        foot.addLayout(buttons)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(head)
        column.addWidget(Separator())
        column.addWidget(self.list, 1)
        column.addWidget(Separator())
        column.addLayout(foot)
        self.setFixedWidth(WIDTH)
        self.list.chosen.connect(model.choose_chapter)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        QTimer.singleShot(0, self, self._show_promise)  # a layout that is under way would not take it in

    def _show_promise(self) -> None:
        """In a low window the chapters matter more; the dialog of the manifest says the same."""
        self.promise.setVisible(self.height() >= PROMISE_FROM_PX)

    def set_narrow(self, *, is_narrow: bool) -> None:
        """Leave the checks more room; the buttons do without their icons then."""
        self.setFixedWidth(NARROW_WIDTH if is_narrow else WIDTH)
        self.manifest.set_icon("" if is_narrow else "scroll-text")
        self.undo.set_icon("" if is_narrow else "undo-2")

    def refresh(self) -> None:
        """Show how it stands."""
        model = self._model
        cluster = model.cluster_name()
        self.title.setText(f"Bring-up of {cluster}" if cluster else "Bring-up")
        self.list.show_rows(model.outline(), model.chapter.value)
        count = len(model.done_steps())
        self.manifest.setText(f"Manifest, {count}" if count else "Manifest")
        self.manifest.updateGeometry()
        self.manifest.set_disabled_reason("" if model.history() else "Nothing was changed yet")
        is_undone = model.state.phase is Phase.UNDONE and not count
        nothing = "Everything was taken back" if is_undone else "Nothing was changed yet"
        reason = "" if model.can_undo() else nothing if not count else "Something is under way: stop it first"
        self.undo.set_disabled_reason(reason)
        self.tick()

    def tick(self) -> None:
        """Show the time that has passed."""
        model, state = self._model, self._model.state
        if state.phase is Phase.UNDONE and not model.done_steps():
            self.since.setText("everything was taken back")
            return
        if not state.started_ms:
            self.since.setText("nothing was changed yet" if not model.done_steps() else "changed by the last bring-up")
            return
        end = state.ended_ms if state.ended_ms is not None else self._model.feeds.now_ms()
        took = text.duration(max(0.0, (end - state.started_ms) / 1000))
        began = text.time_of_day(state.started_ms, has_seconds=False)
        self.since.setText(f"started {began} · {took}{'' if state.ended_ms is None else ' in all'}")
