"""Everything about one deployment: state, timeline, endpoint, charts, log.

The one rule: a chart without data says why; a log keeps what it showed, also when its source is gone.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_USED, REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.record import LogLine as JobLogLine
from ui import text, theme
from ui.bridge import StreamPump
from ui.jobs.effort_card import EffortCard
from ui.jobs.mark import is_coming_up, mark_of_job
from ui.jobs.model import DeploymentsModel, log_rows
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.chart import ChartFrame, LiveChart, Series, fitting_span_s
from ui.widgets.chip import Chip
from ui.widgets.copy_field import CopyField
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.log_model import LogLine, LogModel
from ui.widgets.log_view import LogView
from ui.widgets.timeline import Stage, StateTimeline

LOG_HZ = 10.0
SPAN_S = 900.0
NARROW_PX = 760
LOW_PX = 640
"""Below this height the charts are as low as they can be read."""


class HeadCard(Card):
    """Title, state, actions and the timeline."""

    chat = Signal()
    stop = Signal()
    relaunch = Signal()
    forget = Signal()
    take_over = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = Label("", "page_title", "text")
        self._chip = Chip()
        self._line = ElidedLabel("", "dense", "text3")
        self._found = Chip("Found running", "neutral", "eye")
        self._note = Chip("", "simulated")
        self._origin = ElidedLabel("", "dense", "text2")
        self.takeover_button = Button("Take over…", is_small=True)
        self.chat_button = Button("Chat", icon="message-square")
        self.relaunch_button = Button("Relaunch", icon="refresh-cw")
        self.forget_button = Button("Remove…", kind="text", icon="x")
        self.stop_button = Button("Stop…", kind="danger", icon="square")
        self.timeline = StateTimeline()
        column = self.column(spacing=10)
        row = QHBoxLayout()
        row.setSpacing(8)
        for part in (self._title, self._chip, self._found, self._note):
            row.addWidget(part)
        row.addWidget(self._line, 1)
        for button in (self.chat_button, self.relaunch_button, self.forget_button, self.stop_button):
            row.addWidget(button)
        column.addLayout(row)
        whose = QHBoxLayout()
        whose.setSpacing(8)
        whose.addWidget(self._origin, 1)
        whose.addWidget(self.takeover_button)
        column.addLayout(whose)
        column.addWidget(self.timeline)
        self.takeover_button.clicked.connect(self.take_over)
        self.chat_button.clicked.connect(self.chat)
        self.stop_button.clicked.connect(self.stop)
        self.relaunch_button.clicked.connect(self.relaunch)
        self.forget_button.clicked.connect(self.forget)
        self._found.setToolTip("It ran already when SparkDesk looked at its node.")

    def chips(self) -> list[str]:
        """The words of the chips beside the title."""
        return [chip.text() for chip in (self._chip, self._found, self._note) if not chip.isHidden()]

    def origin(self) -> str:
        """Whose the job is, as it is shown; "" when nothing is said."""
        return "" if self._origin.isHidden() else self._origin.text()

    def show_job(self, model: DeploymentsModel, job: JobStatus) -> None:
        """Show a job."""
        self._title.setText(text.one_line(job.title, 80))
        self._chip.set_state(*mark_of_job(job))
        self._line.setText(model.line(job))
        origin = model.origin(job)
        self._origin.setText(origin)
        self._origin.setVisible(bool(origin))
        self.takeover_button.setVisible(model.can_take_over(job))
        self._found.setVisible(job.is_adopted and not origin)
        note = job.endpoint.note if job.endpoint else ""
        self._note.set_state(text.one_line(note, 80), "simulated")
        self._note.setVisible(bool(note))
        is_ready = job.state is JobState.READY
        self._show_actions(model, job)
        stages = tuple(Stage(s.title, s.state, s.time_text, s.detail) for s in model.stages(job))  # type: ignore[arg-type]
        self.timeline.setVisible(bool(stages))
        self.timeline.set_stages(stages, is_folded=is_ready)

    def _show_actions(self, model: DeploymentsModel, job: JobStatus) -> None:
        is_ready, is_ours = job.state is JobState.READY, not model.is_read_only(job)
        self.chat_button.setVisible(is_ours and not job.state.is_over)
        self.chat_button.set_disabled_reason("" if is_ready else "It is not ready yet")
        self.relaunch_button.setVisible(is_ours and job.state.is_over)
        has_plan = model.feeds.plan_of(job.job_id) is not None
        self.relaunch_button.set_disabled_reason("" if has_plan else "SparkDesk has no plan of this job")
        self.relaunch_button.setText("Fix and relaunch" if job.state is JobState.FAILED else "Relaunch")
        self.relaunch_button.updateGeometry()
        self.forget_button.setVisible(is_ours and job.state.is_over)
        self.stop_button.setVisible(is_ours and not job.state.is_over)
        self.stop_button.set_busy(job.state is JobState.STOPPING)


class EndpointCard(Card):
    """Where it answers and how a program on this computer gets there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.url = CopyField("base URL")
        self.model_id = CopyField("model id")
        self.tunnel = CopyField("tunnel command")
        self._where = Label("", "label", "text3")
        self._limits = Label("", "label", "text3")
        column = self.column(spacing=6)
        grid = QGridLayout()
        grid.setHorizontalSpacing(14)
        grid.setVerticalSpacing(6)
        cells = (("Endpoint", self.url, self._where), ("Model id", self.model_id, self._limits))
        for i, (title, field, hint) in enumerate(cells):
            grid.addWidget(Label(title, "dense_strong", "text"), 0, i)
            grid.addWidget(field, 1, i)
            grid.addWidget(hint, 2, i)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        column.addLayout(grid)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(Label("Use it from other programs: run this first", "label", "text3"))
        row.addWidget(self.tunnel, 1)
        column.addLayout(row)

    def show_job(self, model: DeploymentsModel, job: JobStatus) -> None:
        """Show how the job is reached; hidden when it cannot be."""
        said = model.endpoint(job)
        self.setVisible(said is not None and not job.state.is_over)
        if said is None:
            return
        for field, value in ((self.url, said.url), (self.model_id, said.model), (self.tunnel, said.tunnel)):
            if field.text() != value:
                field.setText(value)
        self._where.setText(said.where)
        self._limits.setText(said.limits or "The limit of a request is not known")


class ChartCards(QWidget):
    """Three charts: tokens, requests, KV cache."""

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.tokens = LiveChart("Generated tokens", unit="tok/s", frame=ChartFrame(window_s=SPAN_S))
        self.requests = LiveChart("Requests", frame=ChartFrame(window_s=SPAN_S))
        self.kv = LiveChart("KV cache in use", unit="%", frame=ChartFrame(window_s=SPAN_S, high=100.0))
        self._cards = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme.GAP)
        for chart in (self.tokens, self.requests, self.kv):
            card = Card()
            card.column(margins=(14, 8, 14, 8)).addWidget(chart)
            self._cards.append(card)
        self._columns = 0
        self.set_columns(3)

    def set_columns(self, columns: int) -> None:
        """Lay the cards out in this many columns."""
        if columns == self._columns:
            return
        self._columns = columns
        for i, card in enumerate(self._cards):
            self._grid.addWidget(card, i // columns, i % columns)

    def show_job(self, job: JobStatus) -> None:
        """Show what there is of the job's last quarter of an hour."""
        traces = self._model.feeds.traces
        span_s = fitting_span_s(traces.series(job.job_id, GENERATED_RATE)[0], 0.0, SPAN_S)
        self.tokens.set_frame(ChartFrame(window_s=span_s))
        self.kv.set_frame(ChartFrame(window_s=span_s, high=100.0))
        rate = traces.newest(job.job_id, GENERATED_RATE)
        self._show(self.tokens, job, [(GENERATED_RATE, "", 1.0)], text.token_rate(rate).value)
        running, waiting = traces.newest(job.job_id, REQUESTS_RUNNING), traces.newest(job.job_id, REQUESTS_WAITING)
        said = text.NOT_KNOWN
        if text.is_known(running):
            said = f"{running:.0f}" + (f" / {waiting:.0f}" if text.is_known(waiting) else "")
        self.requests.set_frame(ChartFrame(window_s=span_s, high=self._even_top(job)))
        keys = [(REQUESTS_RUNNING, "running", 1.0), (REQUESTS_WAITING, "waiting", 1.0)]
        self._show(self.requests, job, keys, said)
        used = traces.newest(job.job_id, KV_USED)
        percent = f"{used * 100:.0f}" if text.is_known(used) else text.NOT_KNOWN
        self._show(self.kv, job, [(KV_USED, "", 100.0)], percent)

    def _even_top(self, job: JobStatus) -> float:
        """The top of the requests' axis: whole requests at the middle line too."""
        series = (self._model.feeds.traces.series(job.job_id, key)[1] for key in (REQUESTS_RUNNING, REQUESTS_WAITING))
        peak = max((value for values in series for value in values if text.is_known(value)), default=0.0)
        return next((float(top) for top in (2, 4, 8, 20, 40, 80, 200, 400, 800) if top >= peak), 2.0 * peak)

    def _show(self, chart: LiveChart, job: JobStatus, keys: list[tuple[str, str, float]], value_text: str) -> None:
        traces = self._model.feeds.traces
        lines = []
        for key, name, scale in keys:
            times_s, values = traces.series(job.job_id, key)
            lines.append(Series(name, times_s, [value * scale for value in values]))
        chart.set_empty_text(_why_empty(job, has_any=any(traces.has(job.job_id, key) for key, _, _ in keys)))
        chart.set_series(lines, now_s=0.0, value_text=value_text)


def _why_empty(job: JobStatus, *, has_any: bool) -> str:
    if has_any:
        return "Nothing in the last 15 min"
    if is_coming_up(job):
        return "Starts when it is ready"
    if job.state.is_over:
        return "It no longer runs"
    return "The engine does not report this"


class DeploymentDetail(QWidget):
    """The right side of the page."""

    chat_asked = Signal(str)
    stop_asked = Signal(str)
    relaunch_asked = Signal(str)
    forget_asked = Signal(str)
    takeover_asked = Signal(str)

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._pump: StreamPump[JobLogLine] | None = None
        self._told: tuple[str, str, JobState] | None = None
        self.head = HeadCard()
        self.banner = Banner()
        self.endpoint = EndpointCard()
        self.charts = ChartCards(model)
        self.effort = EffortCard()
        self.log = LogView(LogModel(self))
        self.closed = EmptyState("lock", "Nothing more can be seen of it", "")
        self._log_card = Card()
        self._log_card.column(margins=(1, 1, 1, 1)).addWidget(self.log)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        for part in (self.head, self.banner, self.endpoint, self.charts, self.effort):
            column.addWidget(part)
        self._log_card.setMinimumHeight(110)
        column.addWidget(self._log_card, 1)
        column.addWidget(self.closed, 1)
        self.closed.setVisible(False)
        self.charts.setFixedHeight(138)
        for signal, way in (
            (self.head.chat, self.chat_asked),
            (self.head.stop, self.stop_asked),
            (self.head.relaunch, self.relaunch_asked),
            (self.head.forget, self.forget_asked),
            (self.head.take_over, self.takeover_asked),
        ):
            signal.connect(lambda way=way: way.emit(self._model.job_id))
        self.banner.action_clicked.connect(lambda: self.relaunch_asked.emit(self._model.job_id))
        model.selected.connect(self._open_log)
        self._open_log(model.job_id)

    def _open_log(self, job_id: str) -> None:
        if self._pump is not None:
            self._pump.close()
            self._pump.deleteLater()
            self._pump = None
        self.log.model.clear()
        self._told = None
        if self._model.job() is not None:
            stream = self._model.feeds.log(job_id)
            self._pump = StreamPump(stream, self._take_log, rate_hz=LOG_HZ, parent=self)

    def _take_log(self, items: list[JobLogLine | Lost]) -> None:
        self.log.model.append(LogLine(*row) for row in log_rows(items))

    def refresh(self) -> None:
        """Show the selected job as it is now."""
        job = self._model.job()
        if job is None:
            return
        self.head.show_job(self._model, job)
        self.endpoint.show_job(self._model, job)
        is_closed = bool(job.account)
        self._log_card.setVisible(not is_closed)
        self.closed.setVisible(is_closed)
        self.closed.set_words("Nothing more can be seen of it", text.one_line(f"{job.message}. {job.remedy}", 600))
        has_charts = not (job.state.is_over or is_closed)
        self.charts.setVisible(has_charts)
        self.effort.show_cells(self._model.effort(job) if has_charts else ())
        if has_charts:
            self.charts.show_job(job)
        self._show_message(job)

    def _show_message(self, job: JobStatus) -> None:
        message, remedy = text.one_line(job.message, 600), text.one_line(job.remedy, 600)
        if job.account:  # said where the log would be
            message = ""
        if job.stop_error:
            message, remedy = "It could not be stopped", text.one_line(job.stop_error, 600)
        if (message, remedy, job.state) == self._told:
            return
        self._told = (message, remedy, job.state)
        if not message:
            self.banner.clear()
        elif job.state is JobState.FAILED and not job.stop_error:
            has_plan = self._model.feeds.plan_of(job.job_id) is not None
            self.banner.show_notice("crit", message, remedy, action="Fix and relaunch" if has_plan else "")
        elif job.stop_error:
            self.banner.show_error(message, remedy)
        else:
            self.banner.show_notice("info" if job.state.is_over else "warn", message, remedy)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        columns = 3 if self.width() >= NARROW_PX else 2
        self.charts.set_columns(columns)
        one_row = 138 if self.height() >= LOW_PX else 116
        self.charts.setFixedHeight(one_row if columns == 3 else 2 * one_row)
