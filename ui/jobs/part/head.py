"""The head of a deployment: title, state, verdict on its speed, what can be done with it, and its timeline.

The one rule: what cannot be done now says why; what cannot be done here at all is not offered.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QWidget

from sparkdesk.core.jobs.record import JobState, JobStatus
from ui import text, theme
from ui.jobs.mark import mark_of_job
from ui.jobs.model import DeploymentsModel
from ui.jobs.part.chip_button import ChipButton
from ui.jobs.words.speed import verdict_mark
from ui.jobs.words.standing import BEING_STOPPED
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.timeline import Stage, StateTimeline

NARROW_PX = 860
NO_RESTART = "It was found running, and SparkDesk has no plan of it: it can be stopped, not started again"


class HeadCard(Card):
    """Title, state, actions and the timeline. `asked` carries what a person wants: a key of `WISHES`."""

    asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_unfolded = False
        self._is_low = False
        self._menu_words: list[tuple[str, str]] = []
        self._title = ElidedLabel("", "page_title", "text", mode=Qt.TextElideMode.ElideMiddle)
        self._chip = Chip()
        self.verdict = ChipButton("Speed")
        self._line = ElidedLabel("", "dense", "text3")
        self._found = Chip("Found running", "neutral", "eye")
        self._note = Chip("", "simulated")
        self._origin = ElidedLabel("", "dense", "text2")
        self.takeover_button = Button("Take over…", is_small=True)
        self.chat_button = Button("Chat", icon="message-square", is_small=True)
        self.measure_button = Button("Measure", icon="gauge", is_small=True)
        self.restart_button = Button("Restart…", icon="refresh-cw", is_small=True)
        self.relaunch_button = Button("Relaunch", icon="refresh-cw", is_small=True)
        self.forget_button = Button("Remove…", kind="text", icon="x", is_small=True)
        self.stop_button = Button("Stop…", kind="danger", icon="square", is_small=True)
        self.menu_button = IconButton("ellipsis", "More of this deployment", size=28)
        self.timeline = StateTimeline()
        self.fold = Button("Show the steps", kind="link")
        self.live = Label("", "dense", "text2", is_wrapped=True)
        self._build()
        self._wire()

    def _build(self) -> None:
        column = self.column(spacing=6)
        row = QHBoxLayout()
        self._row, self._below = row, QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._title)
        for part in (self._chip, self.verdict):
            row.addWidget(part)
        row.addStretch(1)
        self._buttons = (
            self.chat_button,
            self.measure_button,
            self.restart_button,
            self.relaunch_button,
            self.forget_button,
            self.stop_button,
        )
        for button in self._buttons:
            row.addWidget(button)
        row.addWidget(self.menu_button)
        column.addLayout(row)
        below = self._below
        below.setSpacing(8)
        below.addWidget(self._line)
        for chip in (self._found, self._note):
            below.addWidget(chip)
        below.addWidget(self._origin)
        below.addStretch(1)
        below.addWidget(self.takeover_button)
        column.addLayout(below)
        steps = QHBoxLayout()
        steps.setSpacing(10)
        steps.addWidget(self.timeline, 1)
        steps.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(steps)
        column.addWidget(self.live)
        self._found.setToolTip("It ran already when SparkDesk looked at its node.")

    def _wire(self) -> None:
        for button, wish in (
            (self.takeover_button, "take_over"),
            (self.chat_button, "chat"),
            (self.measure_button, "measure"),
            (self.restart_button, "restart"),
            (self.relaunch_button, "relaunch"),
            (self.forget_button, "forget"),
            (self.stop_button, "stop"),
            (self.verdict, "speed"),
        ):
            button.clicked.connect(lambda _c=False, wish=wish: self.asked.emit(wish))
        self.menu_button.clicked.connect(self._open_menu)
        self.fold.clicked.connect(self._toggle_fold)

    def chips(self) -> list[str]:
        """The words of the chips beside the title."""
        return [chip.text() for chip in (self._chip, self._found, self._note) if not chip.isHidden()]

    def title(self) -> str:
        """What it is called."""
        return self._title.text()

    def line(self) -> str:
        """Engine, format, build and places, as shown."""
        return self._line.text()

    def origin(self) -> str:
        """Whose the job is, as it is shown; "" when nothing is said."""
        return "" if self._origin.isHidden() else self._origin.text()

    def show_job(self, model: DeploymentsModel, job: JobStatus) -> None:
        """Show a job."""
        self._title.setText(text.one_line(job.title, 80))
        self._chip.set_state(*mark_of_job(job))
        self._line.setText(model.what(job))
        origin = model.origin(job)
        self._origin.setText(origin)
        self._origin.setVisible(bool(origin))
        self.takeover_button.setVisible(model.can_take_over(job))
        self._found.setVisible(job.is_adopted and not origin)
        note = job.endpoint.note if job.endpoint else ""
        self._note.set_state(text.one_line(note, 48), "simulated")
        self._note.setVisible(bool(note))
        verdict = model.verdict(job)
        self.verdict.setVisible(verdict is not None)
        if verdict is not None:
            self.verdict.set_mark(verdict_mark(verdict, model.fell_from(job, verdict)))
        self._show_actions(model, job)
        self._show_steps(model, job)
        self._place_chips()

    def _show_steps(self, model: DeploymentsModel, job: JobStatus) -> None:
        stages = tuple(Stage(s.title, s.state, s.time_text, s.detail) for s in model.stages(job))  # type: ignore[arg-type]
        is_up = job.state in (JobState.READY, JobState.DEGRADED)
        can_fold = (is_up or (self._is_low and job.state is JobState.FAILED)) and bool(stages)
        is_folded = can_fold and not self._is_unfolded
        self.timeline.setVisible(bool(stages))
        summary = model.start_summary(job) if is_folded and is_up else ""
        self.timeline.set_stages(stages, is_folded=is_folded, summary=summary)
        self.fold.setVisible(can_fold)
        self.fold.setText("Hide the steps" if self._is_unfolded else "Show the steps")
        self.fold.updateGeometry()
        live = model.live_words(job)
        self.live.setText(live)
        self.live.set_tint("crit" if job.state is JobState.FAILED else "text2")
        self.live.setVisible(bool(live))

    def set_low(self, is_low: bool) -> None:
        """In a low window the steps of a failed start fold to the one that failed."""
        if is_low != self._is_low:
            self._is_low = is_low
            self.asked.emit("refresh")

    def _place_chips(self) -> None:
        """The chips stand beside the title while all of it has room, else in the row below: the title is cut last."""
        shown = [part for part in (self._title, self._chip, self.verdict, *self._buttons) if not part.isHidden()]
        needed = sum(part.sizeHint().width() + self._row.spacing() for part in shown) + self.menu_button.width()
        is_below = needed > self.contentsRect().width() - 2 * theme.CARD_PADDING_X
        row = self._below if is_below else self._row
        if row.indexOf(self._chip) >= 0:
            return
        for at, part in enumerate((self._chip, self.verdict)):
            (self._row if is_below else self._below).removeWidget(part)
            row.insertWidget(at if is_below else at + 1, part)

    def _toggle_fold(self) -> None:
        self._is_unfolded = not self._is_unfolded
        self.asked.emit("refresh")

    def fold_again(self) -> None:
        """Another deployment is shown: its steps are folded."""
        self._is_unfolded = False

    def _show_actions(self, model: DeploymentsModel, job: JobStatus) -> None:
        is_ours = not model.is_read_only(job)
        is_over, has_plan = job.state.is_over, model.feeds.plan_of(job.job_id) is not None
        self.chat_button.setVisible(is_ours and not is_over)
        self.chat_button.set_disabled_reason(model.no_chat_reason(job))
        self.measure_button.setVisible(is_ours and not is_over and model.feeds.measure is not None)
        self.measure_button.set_disabled_reason(model.no_measure_reason(job))
        self.restart_button.setVisible(is_ours and not is_over and model.feeds.restart is not None)
        is_stopping = job.state is JobState.STOPPING
        self.restart_button.set_disabled_reason(BEING_STOPPED if is_stopping else "" if has_plan else NO_RESTART)
        self.relaunch_button.setVisible(is_ours and is_over)
        self.relaunch_button.set_disabled_reason("" if has_plan else "SparkDesk has no plan of this job")
        self.relaunch_button.setText("Fix and relaunch" if model.can_fix(job) else "Relaunch")
        self.relaunch_button.updateGeometry()
        self.forget_button.setVisible(is_ours and is_over)
        self.stop_button.setVisible(is_ours and not is_over)
        self.stop_button.set_busy(is_stopping)
        self._menu_words = model.more_actions(job)
        self.menu_button.setVisible(bool(self._menu_words))

    def make_menu(self) -> QMenu:
        """The menu of now."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for wish, words in self._menu_words:
            menu.addAction(words).triggered.connect(lambda _c=False, wish=wish: self.asked.emit(wish))
        return menu

    def _open_menu(self) -> None:
        menu = self.make_menu()
        menu.popup(self.menu_button.mapToGlobal(self.menu_button.rect().bottomLeft()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        icons = ("message-square", "gauge", "refresh-cw", "refresh-cw", "x", "square")
        for button, icon in zip(self._buttons, icons, strict=True):
            button.set_icon(icon if self.width() >= NARROW_PX else "")
        self._place_chips()
