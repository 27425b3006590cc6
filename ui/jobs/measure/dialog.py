"""Measure this deployment: choose what is sent, watch the rows come, keep them.

The one rule: it is not modal and ends nothing by being closed; the run goes on and is found again under its time.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.bench.expectation import Expectation
from sparkdesk.core.bench.run import BenchRun, BenchShape, BenchState
from sparkdesk.core.errors import SparkDeskError
from ui import text, theme
from ui.bridge import watch
from ui.jobs.measure.words import (
    busy_words,
    csv_of,
    failure_words,
    mark_of_run,
    markdown_of,
    read_users,
    rows_of,
    shape_words,
)
from ui.jobs.model import DeploymentsModel, moment
from ui.jobs.words.sentence import join_sentences
from ui.widgets.button import Button
from ui.widgets.cell_table import CellTable
from ui.widgets.chip import Chip
from ui.widgets.field import Field, NumberInput, Select, TextInput
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.segmented import Segmented

PRESETS = {"short": (512, 128), "long": (2048, 512)}
MOST_RUNS = 50
MOST_PX = 280
"""Of the table; more rows scroll."""
LEAST = (700, 460)
SIZE = (840, 560)
EXPLAINED = "E2E, TTFT: means of a request. Rates: all users together, by the server's own count of tokens."


class MeasureDialog(QDialog):
    """One deployment's measurements. Open it with `show()`."""

    chosen = Signal(str)
    """The run shown now."""

    def __init__(self, model: DeploymentsModel, job_id: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._job_id = job_id
        self._run: BenchRun | None = None
        self._known: tuple[str, ...] = ()
        self.shapes = Segmented(
            [("short", "512 in, 128 out"), ("long", "2,048 in, 512 out"), ("custom", "Custom")], what="What is sent"
        )
        self.prompt = NumberInput(1, 1_000_000, 512, is_small=True)
        self.answer = NumberInput(1, 100_000, 128, is_small=True)
        self.users = TextInput("1, 2, 4, 8", is_small=True)
        self.users_field = Field("Users at once, one point each", self.users)
        self.start = Button("Start", kind="primary", icon="play")
        self.cancel = Button("Cancel the run", kind="danger", icon="square")
        self.runs = Select(is_small=True)
        self.chip = Chip()
        self.what = ElidedLabel("", "dense", "text2")
        self.table = CellTable("Measured, predicted and published", figures_from=1)
        self.warning = Label("", "dense", "warn", is_wrapped=True)
        self.refused = Label("", "dense", "crit", is_wrapped=True, is_selectable=True)
        self.refused.hide()
        self.failure = Label("", "dense", "crit", is_wrapped=True, is_selectable=True)
        self.note = Label("", "label", "text3", is_wrapped=True)
        self.empty = Label("Nothing was measured here yet.", "dense", "text3", is_wrapped=True)
        self.copy_markdown = Button("Copy Markdown", icon="copy", is_small=True)
        self.copy_csv = Button("Copy CSV", icon="copy", is_small=True)
        self.close_button = Button("Close", is_small=True)
        self._build()
        self._wire()
        self._choose_shape("short")
        watch(model.feeds.runs, self, lambda _runs: self.refresh())

    def _build(self) -> None:
        title = f"Measure {self._title()}"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setMinimumSize(*LEAST)
        self.resize(*SIZE)
        self.runs.setAccessibleName("Runs of this deployment")
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(theme.GAP)
        column.addWidget(Label(title, "object_title", "text", is_wrapped=True))
        column.addWidget(self.shapes)
        form = QHBoxLayout()
        form.setSpacing(theme.GAP)
        form.addWidget(Field("Tokens in", self.prompt), 1)
        form.addWidget(Field("Tokens out", self.answer), 1)
        form.addWidget(self.users_field, 2)
        form.addWidget(self.start, 0, Qt.AlignmentFlag.AlignBottom)
        form.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignBottom)
        column.addLayout(form)
        column.addWidget(self.refused)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.runs, 1)
        head.addWidget(self.chip)
        head.addWidget(self.what, 1)
        column.addLayout(head)
        column.addWidget(self.empty)
        column.addWidget(self.table)
        warning = QHBoxLayout()
        self._warning_icon = IconLabel("triangle-alert", "warn", size=14)
        warning.addWidget(self._warning_icon)
        warning.addWidget(self.warning, 1)
        column.addLayout(warning)
        for part in (self.failure, self.note):
            column.addWidget(part)
        column.addStretch(1)
        foot = QHBoxLayout()
        for button in (self.copy_markdown, self.copy_csv):
            foot.addWidget(button)
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        column.addLayout(foot)

    def _wire(self) -> None:
        self.shapes.changed.connect(self._choose_shape)
        self.users.textChanged.connect(lambda _words: self._read_users())
        self.start.clicked.connect(self._start)
        self.cancel.clicked.connect(self._cancel)
        self.runs.currentIndexChanged.connect(lambda _at: self._show_run())
        self.copy_markdown.clicked.connect(lambda: self._copy("markdown"))
        self.copy_csv.clicked.connect(lambda: self._copy("csv"))
        self.close_button.clicked.connect(self.accept)
        self.start.setAutoDefault(False)

    def _title(self) -> str:
        jobs = self._model.feeds.jobs.value
        return next((text.one_line(job.title, 80) for job in jobs if job.job_id == self._job_id), "this deployment")

    # What is sent ---------------------------------------------------------------------------------------------------

    def _choose_shape(self, key: str) -> None:
        if key in PRESETS:
            self.prompt.setValue(PRESETS[key][0])
            self.answer.setValue(PRESETS[key][1])
        for field in (self.prompt, self.answer):
            field.setEnabled(key == "custom")

    def _read_users(self) -> tuple[int, ...] | None:
        try:
            found = read_users(self.users.text())
        except ValueError as error:
            self.users_field.set_error(str(error))
            return None
        self.users_field.set_error("")
        return found

    def _start(self) -> None:
        users = self._read_users()
        if users is not None and self._model.feeds.measure is not None:
            self._known = tuple(run.id for run in self._runs())
            try:
                self._model.feeds.measure(self._job_id, BenchShape(self.prompt.value(), self.answer.value(), users))
                self.refused.setText("")
            except SparkDeskError as error:
                self.refused.setText(text.one_line(error.sentence(), 400))
            self.refused.setVisible(bool(self.refused.text()))

    def _cancel(self) -> None:
        running = self._running()
        if running is not None and self._model.feeds.cancel_measure is not None:
            self._model.feeds.cancel_measure(running.id)

    # What came ------------------------------------------------------------------------------------------------------

    def _runs(self) -> list[BenchRun]:
        found = [run for run in self._model.feeds.runs.value if run.job_id == self._job_id]
        return sorted(found, key=lambda run: -run.started_ms)[:MOST_RUNS]

    def _running(self) -> BenchRun | None:
        return next((run for run in self._runs() if run.state is BenchState.RUNNING), None)

    def refresh(self) -> None:
        """Show the runs of now; a new one is shown at once."""
        runs, now_ms = self._runs(), self._model.feeds.now_ms()
        options = [(run.id, f"{moment(run.started_ms, now_ms)} · {shape_words(run)}") for run in runs]
        self.runs.set_options(options)
        new = next((run.id for run in runs if run.id not in self._known), "")
        if new:
            self._known = tuple(run.id for run in runs)
            self.runs.set_key(new)
        running = self._running()
        self.start.setVisible(running is None)
        self.cancel.setVisible(running is not None)
        self._show_run()

    def _show_run(self) -> None:
        self._run = next((run for run in self._runs() if run.id == self.runs.key()), None)
        run = self._run
        self.empty.setVisible(run is None)
        for part in (self.runs, self.chip, self.what, self.table):
            part.setVisible(run is not None)
        warning = busy_words(run) if run is not None else ""
        failure = failure_words(run) if run is not None else ""
        self.warning.setText(warning)
        self.warning.setVisible(bool(warning))
        self._warning_icon.setVisible(bool(warning))
        self.failure.setText(failure)
        self.failure.setVisible(bool(failure))
        self.note.setText(join_sentences(text.one_line(run.note, 200), EXPLAINED) if run is not None else "")
        for button in (self.copy_markdown, self.copy_csv):
            button.set_disabled_reason("" if run is not None and run.points else "Nothing was measured yet")
        if run is None:
            return
        self.chip.set_state(*mark_of_run(run))
        done = f"{len(run.points)} of {len(run.shape.concurrencies)} points"
        engine = self._model.feeds.engine_titles.get(run.engine, run.engine)
        parts = (text.one_line(engine, 40), text.one_line(run.quantization, 20), done)
        self.what.setText(" · ".join(part for part in parts if part))
        self.table.set_table(rows_of(run, self._expected))
        self.table.setFixedHeight(min(self.table.needed_height(), MOST_PX))
        self.chosen.emit(run.id)

    def _expected(self, users: int) -> Expectation:
        run = self._run
        shape = run.shape if run is not None else BenchShape()
        return self._model.expected(self._job_id, shape, users)

    def _copy(self, way: str) -> None:
        if self._run is None:
            return
        write = markdown_of if way == "markdown" else csv_of
        QGuiApplication.clipboard().setText(write(self._run, self._expected))
        self.copy_markdown.set_icon("check" if way == "markdown" else "copy")
        self.copy_csv.set_icon("check" if way == "csv" else "copy")
