"""Everything about one deployment: state, timeline, speed, endpoint, charts, log.

The one rule: the log keeps its height; what is above it scrolls where there is no room for all.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.jobs.fix import LICENCE, TOKEN
from sparkdesk.core.jobs.record import JobState, JobStatus
from ui import text, theme
from ui.jobs.effort_card import EffortCard
from ui.jobs.mark import is_coming_up
from ui.jobs.measure.dialog import MeasureDialog
from ui.jobs.model import DeploymentsModel, moment
from ui.jobs.part.change_card import ChangeCard
from ui.jobs.part.charts import NARROW_PX, ChartCards
from ui.jobs.part.endpoint_card import EndpointCard
from ui.jobs.part.head import HeadCard
from ui.jobs.part.log_pane import LogPane
from ui.jobs.part.speed_card import Moments, SpeedCard
from ui.jobs.part.truth_card import TruthCard
from ui.jobs.words.change import change_words, changed_request
from ui.jobs.words.sentence import join_sentences
from ui.jobs.words.speed import why_not_again
from ui.widgets.banner import Banner
from ui.widgets.empty_state import EmptyState

GUTTER_PX = 12
"""At the right of the page, where the scroll bar of the cards stands."""
LOG_PX, LOW_LOG_PX, LOW_PX = 206, 168, 640
"""The least height of the log, in a high and in a low window."""


class CardColumn(QScrollArea):
    """Cards below each other, as high as they need, less where there is no room."""

    def __init__(self, parts: tuple[QWidget, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._body = QWidget()
        self._body.setProperty("tone", "page")
        column = QVBoxLayout(self._body)
        self._column = column
        column.setContentsMargins(0, 0, GUTTER_PX, 0)
        column.setSpacing(theme.GAP)
        for part in parts:
            column.addWidget(part)
        column.addStretch(1)
        self.setWidget(self._body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.verticalScrollBar().rangeChanged.connect(lambda _low, high: self._keep_edge(high > 0))
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._show_focus)

    def _show_focus(self, _old: QWidget | None, new: QWidget | None) -> None:
        """What has the focus is in view; Qt sees to that only for what follows the first one."""
        if new is not None and self._body.isAncestorOf(new):
            self.ensureWidgetVisible(new, 0, theme.GAP)

    def _keep_edge(self, is_scrolled: bool) -> None:
        """The scroll bar stands in the gutter: the cards end where the log ends, with it and without it."""
        taken = self.verticalScrollBar().sizeHint().width() if is_scrolled else 0
        self._column.setContentsMargins(0, 0, max(0, GUTTER_PX - taken), 0)

    def needed_height(self) -> int:
        """The height at which nothing scrolls."""
        layout = self._body.layout()
        if layout is None:
            return 0
        layout.activate()
        width = self.viewport().width()
        return layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()

    def sizeHint(self) -> QSize:
        return QSize(400, self.needed_height())

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 80)

    def fit(self) -> None:
        """Take the height that the cards need now, at most."""
        needed = self.needed_height()
        if needed != self.maximumHeight():
            self.setMaximumHeight(max(needed, 80))
            self.updateGeometry()


class DeploymentDetail(QWidget):
    """The right side of the page."""

    chat_asked = Signal(str)
    stop_asked = Signal(str)
    relaunch_asked = Signal(str)
    restart_asked = Signal(str)
    forget_asked = Signal(str)
    takeover_asked = Signal(str)
    token_asked = Signal()
    explain_asked = Signal(str)
    launch_form_asked = Signal(object)
    """Carries the LaunchRequest that the launch form is to show."""

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._told: tuple[object, ...] | None = None
        self._is_speed_open = False
        self.measure: MeasureDialog | None = None
        self.opener: Callable[[QUrl], object] = QDesktopServices.openUrl
        self.head = HeadCard()
        self.banner = Banner()
        self.speed = SpeedCard()
        self.change = ChangeCard()
        self.endpoint = EndpointCard(model)
        self.charts = ChartCards(model)
        self.effort = EffortCard()
        self.truth = TruthCard()
        self.log = LogPane(model)
        self.closed = EmptyState("lock", "Nothing more can be seen of it", "")
        self.cards = CardColumn(
            (
                self.head,
                self.banner,
                self.speed,
                self.change,
                self.endpoint,
                self.charts,
                self.effort,
                self.truth,
            )
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addWidget(self.cards)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, GUTTER_PX, 0)
        row.addWidget(self.log)
        row.addWidget(self.closed)
        column.addLayout(row, 1)
        self.closed.setVisible(False)
        self._wire()
        self._open(model.job_id)

    def _wire(self) -> None:
        self._ways = {
            "chat": self.chat_asked,
            "stop": self.stop_asked,
            "relaunch": self.relaunch_asked,
            "restart": self.restart_asked,
            "forget": self.forget_asked,
            "take_over": self.takeover_asked,
        }
        self.head.asked.connect(self._take_wish)
        self.banner.action_clicked.connect(self._mend)
        self.banner.second_clicked.connect(lambda: self.explain_asked.emit(self._model.job_id))
        self.speed.again_asked.connect(self._check_again)
        self.speed.closed.connect(lambda: self._open_speed(False))
        self.change.open_asked.connect(self._open_change)
        self.change.not_now.connect(self._dismiss_change)
        self.change.refolded.connect(self.cards.fit)
        self.truth.correction_set.connect(self._set_correction)
        self.endpoint.failed.connect(self.show_error)
        self.log.failed.connect(self.show_error)
        self.log.full_asked.connect(lambda is_full: self.cards.setVisible(not is_full))
        self._model.selected.connect(self._open)

    def _open(self, job_id: str) -> None:
        self._told = None
        self._is_speed_open = False
        self.head.fold_again()
        self.cards.verticalScrollBar().setValue(0)
        if self.log.is_full:
            self.log.set_full(False)
        self.log.open(job_id)

    # Wishes ---------------------------------------------------------------------------------------------------------

    def _take_wish(self, wish: str) -> None:
        job_id = self._model.job_id
        if wish in self._ways:
            self._ways[wish].emit(job_id)
            return
        {
            "speed": lambda: self._open_speed(not self._is_speed_open),
            "measure": self.open_measure,
            "curl": lambda: self.endpoint.copy("curl"),
            "command": self._copy_command,
            "open_launch": self._open_launch,
            "save_log": self.log.ask_file,
            "switch": self._switch,
            "beside": self._embed_beside,
            "close_door": self._close_door,
            "refresh": self.refresh,
        }[wish]()

    def _mend(self) -> None:
        """The banner's button: what the person does first, else the form with what will change."""
        job = self._model.job()
        first = self._model.opens_first(job) if job is not None else ""
        if job is None:
            return
        if first == TOKEN:
            self.token_asked.emit()
        elif first == LICENCE and (page := self._model.model_page(job)):
            self.opener(QUrl(page))
        else:
            self.relaunch_asked.emit(job.job_id)

    def _mend_words(self, job: JobStatus) -> str:
        """What the banner's button is called; "" where there is no plan to try again."""
        if self._model.feeds.plan_of(job.job_id) is None:
            return ""
        first = self._model.opens_first(job)
        if first == TOKEN:
            return "Give a token in Settings"
        if first == LICENCE and self._model.model_page(job):
            return "Open the model's page"
        return "Fix and relaunch" if self._model.can_fix(job) else "Relaunch"

    def _open_speed(self, is_open: bool) -> None:
        self._is_speed_open = is_open
        self.refresh()

    def open_measure(self) -> None:
        """Show the measurements of the selected deployment."""
        if self.measure is not None:
            self.measure.close()
        dialog = MeasureDialog(self._model, self._model.job_id, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.destroyed.connect(lambda: self._forget_measure(dialog))
        self.measure = dialog
        dialog.show()

    def _forget_measure(self, dialog: MeasureDialog) -> None:
        if self.measure is dialog:
            self.measure = None

    def _copy_command(self) -> None:
        plan = self._model.feeds.plan_of(self._model.job_id)
        if plan is not None:
            QGuiApplication.clipboard().setText("\n\n".join(command.text for command in plan.commands) + "\n")

    def _open_launch(self) -> None:
        plan = self._model.feeds.plan_of(self._model.job_id)
        if plan is not None:
            self.launch_form_asked.emit(plan.request)

    def _switch(self) -> None:
        if self._model.feeds.switch is not None:
            self._model.feeds.switch(self._model.job_id)

    def _embed_beside(self) -> None:
        feeds, plan = self._model.feeds, self._model.feeds.plan_of(self._model.job_id)
        if feeds.embed_beside is not None and plan is not None:
            feeds.embed_beside(plan.request)

    def _close_door(self) -> None:
        if self._model.feeds.close_door is not None:
            self._model.feeds.close_door(self._model.job_id)

    def _check_again(self) -> None:
        if self._model.feeds.check_again is not None:
            self._model.feeds.check_again(self._model.job_id)

    def _open_change(self) -> None:
        feeds, job_id = self._model.feeds, self._model.job_id
        plan, change = feeds.plan_of(job_id), feeds.next_change(job_id)
        if plan is not None and change is not None:
            self.launch_form_asked.emit(changed_request(plan.request, change.change) or plan.request)

    def _dismiss_change(self) -> None:
        feeds, job_id = self._model.feeds, self._model.job_id
        change = feeds.next_change(job_id)
        if feeds.dismiss_change is not None and change is not None:
            feeds.dismiss_change(job_id, change.key)
            self.refresh()

    def _set_correction(self, is_applied: bool) -> None:
        if self._model.feeds.set_correction is not None:
            self._model.feeds.set_correction(self._model.job_id, is_applied)

    # Showing --------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the selected job as it is now."""
        job = self._model.job()
        if job is None:
            return
        self.head.show_job(self._model, job)
        self.endpoint.show_job(job)
        is_closed = bool(job.account)
        self.log.setVisible(not is_closed)
        self.closed.setVisible(is_closed)
        self.closed.set_words("Nothing more can be seen of it", text.one_line(f"{job.message}. {job.remedy}", 600))
        has_charts = job.state in (JobState.READY, JobState.DEGRADED, JobState.STOPPING) and not is_closed
        if job.state is JobState.STOPPING and self.charts.is_silent(job):
            has_charts = False
        self.charts.setVisible(has_charts)
        self.effort.show_cells(self._model.effort(job) if has_charts else ())
        if has_charts:
            self.charts.show_job(job)
        self._show_appraisal(job, is_serving=has_charts)
        self._show_message(job)
        self.cards.fit()

    def _show_appraisal(self, job: JobStatus, *, is_serving: bool) -> None:
        feeds, verdict = self._model.feeds, self._model.verdict(job)
        self.speed.setVisible(verdict is not None and self._is_speed_open)
        if verdict is not None and self._is_speed_open:
            first, now_ms = self._model.fell_from(job, verdict), feeds.now_ms()
            at = Moments(moment(verdict.at_ms, now_ms), first, moment(first.at_ms, now_ms) if first else "")
            why_not = why_not_again(job, verdict)
            self.speed.show_verdict(verdict, at, why_not_again=why_not, can_ask=feeds.check_again is not None)
        change = feeds.next_change(job.job_id) if is_serving and not self._model.is_read_only(job) else None
        plan = feeds.plan_of(job.job_id)
        sets = change_words(plan.request, change.change) if change is not None and plan is not None else ""
        self.change.show_change(change, sets, can_dismiss=feeds.dismiss_change is not None)
        rows = feeds.truth(job.job_id) if not (job.account or is_coming_up(job)) else ()
        correction = feeds.correction(job.job_id)
        engine = feeds.engine_titles.get(correction.engine, "") if correction is not None else ""
        self.truth.show_truth(rows, correction, engine=engine, can_set=feeds.set_correction is not None)

    def show_error(self, error: SparkDeskError) -> None:
        """Say what could not be done for the person; what the job itself says comes back with its next change."""
        self.banner.show_error(
            text.one_line(error.message, 300), text.one_line(error.remedy, 300), detail=error.detail, node=error.node
        )
        self.cards.fit()

    def _show_message(self, job: JobStatus) -> None:
        message, remedy = text.one_line(job.message, 600), text.one_line(job.remedy, 600)
        advice, sets = self._model.fix(job)
        if job.account:  # said where the log would be
            message = ""
        if job.stop_error:
            message, remedy = "It could not be stopped", join_sentences(text.one_line(job.stop_error, 600), remedy)
        told = (job.job_id, message, remedy, job.state, advice, sets, self._model.opens_first(job))
        if told == self._told:
            return
        self._told = told
        if not message and job.state is JobState.DEGRADED:
            message = "It runs, and does not serve as it should"
        if not message:
            self.banner.clear()
        elif job.state is JobState.FAILED and not job.stop_error:
            fault = self._model.fault(job)
            change = f"Fix and relaunch sets {sets}." if sets else ""
            said = join_sentences(fault.evidence, advice or fault.remedy, change)
            explain = "Explain this failure" if self._model.feeds.evidence is not None else ""
            self.banner.show_notice("crit", fault.cause, said, action=self._mend_words(job), second=explain)
        elif job.stop_error:
            self.banner.show_error(message, remedy)
        else:
            self.banner.show_notice("info" if job.state.is_over else "warn", message, remedy)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.change.set_low(self.height() < LOW_PX)
        self.head.set_low(self.height() < LOW_PX)
        self.log.setMinimumHeight(LOG_PX if self.height() >= LOW_PX else LOW_LOG_PX)
        self.charts.set_columns(2 if self.width() >= NARROW_PX - 100 else 1)
        self.cards.fit()
