"""The deployments page: the list on the left, one deployment on the right.

The one rule: one timer, only while visible; nothing is stopped, forgotten or taken over without a dialog that
says what changes.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.jobs.record import JobStatus
from ui import text, theme
from ui.jobs.detail import GUTTER_PX, DeploymentDetail
from ui.jobs.explain_dialog import ExplainDialog
from ui.jobs.job_list import JobList
from ui.jobs.model import DeploymentsModel
from ui.jobs.origin import takeover_words
from ui.playbook.ask_dialog import AskDialog, Question
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.empty_state import EmptyState
from ui.widgets.field import TextInput
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

TICK_MS = 1000
SOON_MS = 120
NARROW_PX = 1060


class DeploymentsPage(QWidget):
    """The page. Its signals carry a job's id; `relaunch_asked` carries the LaunchRequest to load into the form.

    `fix_asked`: the form is to show the job's request with its fix. `token_asked`: where a hub token is given.
    `explain_confirmed`: a job's id, the id of the server that is asked, and the evidence as it was shown.
    """

    chat_asked = Signal(str)
    stop_confirmed = Signal(str)
    remove_confirmed = Signal(str)
    takeover_confirmed = Signal(str)
    relaunch_asked = Signal(object)
    fix_asked = Signal(str)
    explain_confirmed = Signal(str, str, str)
    token_asked = Signal()
    launch_asked = Signal()

    def __init__(self, model: DeploymentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.dialog: AskDialog | ExplainDialog | None = None
        self._summary = Label("", "dense", "text3")
        self.spans = Segmented([("300", "5 min"), ("900", "15 min"), ("3600", "1 h")], what="Charts", chosen="900")
        self.launch = Button("Launch a model", kind="primary", icon="rocket")
        self.again = Button("", icon="refresh-cw")
        self.filter = TextInput(placeholder="Filter", is_small=True, icon_name="search")
        self.filter.setAccessibleName("Filter deployments")
        self.list = JobList()
        self.detail = DeploymentDetail(model)
        self.spans.setToolTip("How far back the charts look. What engines tell is kept for one hour.")
        self._side = Card()
        self._stack = QStackedWidget()
        self._empty = EmptyState(
            "rocket",
            "Nothing is served",
            "A model that you launch shows here: how it starts, how fast it is, and its log.",
            action="Launch a model",
            is_primary=True,
        )
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._build()
        self._wire()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, GUTTER_PX, 0)
        head.setSpacing(theme.GAP)
        head.addStrut(theme.CONTROL_HEIGHT)
        head.addWidget(Label("Deployments", "page_title", "text"))
        head.addWidget(self._summary)
        head.addStretch(1)
        head.addWidget(self.spans)
        head.addWidget(self.launch)
        side = self._side.column(spacing=0, margins=(1, 1, 1, 1))
        top = QVBoxLayout()
        top.setContentsMargins(11, 11, 11, 11)
        top.addWidget(self.filter)
        side.addLayout(top)
        side.addWidget(Separator())
        side.addWidget(self.list, 1)
        full = QWidget()
        body = QHBoxLayout(full)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(theme.GAP)
        body.addWidget(self._side)
        body.addWidget(self.detail, 1)
        self._side.setFixedWidth(248)
        self._stack.addWidget(full)
        inner = self._empty.layout()
        if isinstance(inner, QVBoxLayout):  # below its button, above the room that is left
            inner.insertWidget(inner.count() - 1, self.again, 0, Qt.AlignmentFlag.AlignHCenter)
        self._stack.addWidget(self._empty)
        column = QVBoxLayout(self)
        edge = theme.PAGE_PADDING
        column.setContentsMargins(edge, edge, edge - GUTTER_PX, edge)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        self.setAccessibleName("Deployments")

    def _wire(self) -> None:
        self._tick.timeout.connect(self.refresh)
        self._soon.timeout.connect(self.refresh)
        self.model.changed.connect(self._refresh_soon)
        self.filter.textChanged.connect(self.model.set_needle)
        self.list.chosen.connect(self.model.select)
        self.model.selected.connect(lambda _job_id: self.refresh())
        self.launch.clicked.connect(self.launch_asked)
        self._empty.action_clicked.connect(self.launch_asked)
        self.again.clicked.connect(self.ask_again)
        self.spans.changed.connect(self._set_span)
        self.detail.restart_asked.connect(self.ask_restart)
        self.detail.launch_form_asked.connect(self.relaunch_asked)
        self.detail.chat_asked.connect(self.chat_asked)
        self.detail.stop_asked.connect(self.ask_stop)
        self.detail.forget_asked.connect(self._ask_remove)
        self.detail.takeover_asked.connect(self._ask_takeover)
        self.detail.relaunch_asked.connect(self._relaunch)
        self.detail.token_asked.connect(self.token_asked)
        self.detail.explain_asked.connect(self.ask_explain)

    def empty_button(self) -> Button | None:
        """The button of the page without deployments."""
        return self._empty.findChild(Button)

    def show_job(self, job_id: str) -> None:
        """Select a deployment, now or as soon as it is known."""
        self.filter.clear()
        if job_id:
            self.model.select(job_id)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._tick.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()
        self._soon.stop()

    def _refresh_soon(self) -> None:
        if self.isVisible() and not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show the state of now."""
        has_jobs = bool(self.model.feeds.jobs.value)
        self._stack.setCurrentIndex(0 if has_jobs else 1)
        # One filled button a screen: the empty page has its own.
        self.launch.setVisible(has_jobs)
        self.spans.setVisible(has_jobs)
        self._show_again(has_jobs)
        self._summary.setText(self.model.summary())
        self.list.show_entries(self.model.entries(), self.model.job_id)
        if has_jobs:
            self.detail.refresh()

    def _set_span(self, key: str) -> None:
        self.detail.charts.set_longest(float(key))
        self.refresh()

    def _show_again(self, has_jobs: bool) -> None:
        feeds = self.model.feeds
        last = feeds.last_plan() if not has_jobs and feeds.launch_again is not None else None
        self.again.setVisible(last is not None)
        if last is not None:
            self.again.setText(f"Relaunch the last: {text.one_line(last.title, 60)}")
            self.again.updateGeometry()

    # Dangerous things ----------------------------------------------------------------------------------------------

    def _find(self, job_id: str) -> JobStatus | None:
        return next((job for job in self.model.feeds.jobs.value if job.job_id == job_id), None)

    def ask_stop(self, job_id: str) -> None:
        """Ask whether to stop a deployment, with what is lost and what would run."""
        job = self._find(job_id)
        if job is None or not self.model.can_stop(job):
            return
        title = f"Stop {text.one_line(job.title, 80)}?"
        question = Question(title, self.model.loss(job), self.model.stop_script(job), action="Stop")
        self._open(question, lambda: self.stop_confirmed.emit(job_id))

    def ask_restart(self, job_id: str) -> None:
        """Ask whether to stop a deployment and launch the same again."""
        job, restart = self._find(job_id), self.model.feeds.restart
        if job is None or restart is None or not self.model.can_stop(job):
            return
        loss = f"{self.model.loss(job)} It is launched again as soon as its stop is verified."
        script = f"{self.model.stop_script(job)}\n\n{self.model.launch_script(job)}"
        question = Question(f"Restart {text.one_line(job.title, 80)}?", loss, script, action="Restart")
        self._open(question, lambda: restart(job_id))

    def ask_again(self) -> None:
        """Ask whether to launch what was launched last."""
        last, launch = self.model.feeds.last_plan(), self.model.feeds.launch_again
        if last is None or launch is None:
            return
        request = last.request
        question = Question(
            f"Launch {text.one_line(last.title, 80)}?",
            "The same model with the same settings as the last time; its nodes are looked at first.",
            self.model.script_of(last.playbook),
            action="Launch",
            keep="Not now",
            is_dangerous=False,
        )
        self._open(question, lambda: launch(request))

    def _ask_remove(self, job_id: str) -> None:
        job = self._find(job_id)
        if job is None or not job.state.is_over or self.model.is_read_only(job):
            return
        title = f"Remove {text.one_line(job.title, 80)}?"
        loss = f"Its folder and log on {self.model.places(job)} are deleted. Its entry here goes with them."
        folder = f"~/.local/state/sparkdesk/jobs/{job.job_id}"
        script = f"# on {self.model.places(job)}: the job's folder with its log\nrm -r {folder}"
        question = Question(title, loss, script, action="Remove", keep="Keep")
        self._open(question, lambda: self.remove_confirmed.emit(job_id))

    def _ask_takeover(self, job_id: str) -> None:
        job = self._find(job_id)
        if job is None or not self.model.can_take_over(job):
            return
        question = Question(
            f"Take over {text.one_line(job.title, 80)}?",
            takeover_words(job, self.model.feeds.owner),
            self.model.takeover_script(job),
            action="Take over",
            keep="Leave it",
            is_dangerous=False,
        )
        self._open(question, lambda: self.takeover_confirmed.emit(job_id))

    def ask_explain(self, job_id: str) -> None:
        """Show what would be sent to a model that is to explain a failure, and ask whether to send it."""
        job, evidence = self._find(job_id), self.model.feeds.evidence
        if job is None or evidence is None:
            return
        dialog = ExplainDialog(job.title, evidence(job_id), self.model.feeds.talkers.value, self)
        dialog.asked.connect(lambda endpoint_id, text: self.explain_confirmed.emit(job_id, endpoint_id, text))
        self._show_dialog(dialog)

    def _open(self, question: Question, on_accepted: Callable[[], object]) -> None:
        dialog = AskDialog(question, self)
        dialog.accepted.connect(on_accepted)
        self._show_dialog(dialog)

    def _show_dialog(self, dialog: AskDialog | ExplainDialog) -> None:
        if self.dialog is not None:
            self.dialog.reject()
        self.dialog = dialog
        dialog.finished.connect(self._forget_dialog)
        dialog.open()

    def _forget_dialog(self, _code: int) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _relaunch(self, job_id: str) -> None:
        job = self._find(job_id)
        if job is not None and self.model.can_fix(job):
            self.fix_asked.emit(job_id)
            return
        request = self.model.relaunch_request(job) if job is not None else None
        if request is not None:
            self.relaunch_asked.emit(request)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
        if event.modifiers() & Qt.KeyboardModifier.AltModifier and Qt.Key(event.key()) in steps:
            self.model.step(steps[Qt.Key(event.key())])
            event.accept()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._side.setFixedWidth(248 if self.width() >= NARROW_PX else 200)
