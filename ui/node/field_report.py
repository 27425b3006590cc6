"""The field report's tab: what the code takes for true of a Spark, held against this one.

The one rule: it says before and after that nothing is sent, and what is saved is redacted.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.probes.assumption import FieldReport, FieldResult, Hold
from ui import theme
from ui.node.model import NodeModel
from ui.node.result import date_words, field_row, field_text, report_words
from ui.node.result_list import ResultList, ResultPanel
from ui.node.wrap import wrap_line
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.loader import Loader
from ui.widgets.segmented import Segmented

RUN = "Check this Spark against our assumptions"
_WAYS = (Hold.HELD, Hold.DIFFERS, Hold.NOT_SEEN)
_FIRST_SHOWN = (Hold.DIFFERS, Hold.NOT_SEEN, Hold.HELD)
NOTHING_SENT = "Read-only. Nothing is sent: a saved report is a file on this computer, without names, addresses or ids."
SIMULATED = "This Spark is simulated: what holds here was not seen on hardware. "


NOT_YET = "Not held against our assumptions yet"
WHAT_IT_DOES = (
    "SparkDesk was written without a Spark at hand. This reads what its code takes for true, and says where this node "
    "agrees. It changes nothing and sends nothing."
)


class FieldReportTab(QWidget):
    """Shows the node's field report; `refresh` reads the model."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._told: tuple[str, str] = ("", "")
        self._is_way_chosen = False
        self.dialog: QFileDialog | None = None
        self.summary = Label("", "strong", "text")
        self._age = ElidedLabel("", "dense", "text3")
        self._loader = Loader("Checking")
        self.save = Button("Save report…", icon="save")
        self.run = Button(RUN, kind="primary", icon="shield-check")
        self._note = Label(NOTHING_SENT, "label", "text3", is_wrapped=True)
        self.banner = Banner()
        self.ways = Segmented([(hold.value, hold.words) for hold in _WAYS], what="Which assumptions to show")
        self.list = ResultList("Assumptions")
        self.panel = ResultPanel()
        self.empty = EmptyState("gauge", NOT_YET, WHAT_IT_DOES, action=RUN, is_primary=True)
        self._none = Label("", "body", "text3")
        self._stack = QStackedWidget()
        self._lists = QStackedWidget()
        self._build()
        self._wire()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self._loader)
        head.addWidget(self.summary)
        head.addWidget(self._age, 1)
        for part in (self.save, self.run):
            head.addWidget(part)
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self.ways)
        row.addWidget(self._note, 1)
        well = Card()
        self._none.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lists.addWidget(self.list)
        self._lists.addWidget(self._none)
        well.column(margins=(1, 1, 1, 1)).addWidget(self._lists)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(well, 5)
        body.addWidget(self.panel, 4)
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(head)
        column.addWidget(self.banner)
        column.addLayout(row)
        column.addLayout(body, 1)
        self._stack.addWidget(full)
        self._stack.addWidget(self.empty)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._stack)

    def _wire(self) -> None:
        self.run.clicked.connect(self.read_anew)
        self.empty.action_clicked.connect(self.read_anew)
        self.banner.action_clicked.connect(self.read_anew)
        self.save.clicked.connect(self._ask_file)
        self.ways.changed.connect(self._choose_way)
        self.list.chosen.connect(lambda _key: self._show_chosen())
        self.list.opened.connect(lambda _key: self.panel.evidence.setFocus())
        self._model.node_changed.connect(self._forget_way)

    def _forget_way(self, _node_id: str) -> None:
        self._is_way_chosen = False

    def _choose_way(self, _key: str) -> None:
        self._is_way_chosen = True
        self.refresh()

    def read_anew(self) -> None:
        """Hold the node against the assumptions again."""
        if not self._model.away_reason():
            self._model.actions.run_field_report(self._model.node_id)

    def refresh(self) -> None:
        """Show the report as it is now."""
        report = self._model.report()
        is_running = report.state == "running"
        has_any = bool(report.results) or report.state in ("running", "failed")
        self._stack.setCurrentIndex(0 if has_any else 1)
        away = self._model.away_reason()
        button = self.empty.findChild(Button)
        if button is not None:
            button.set_disabled_reason(away)
        self.empty.set_words(NOT_YET, f"{WHAT_IT_DOES} {away}." if away else WHAT_IT_DOES)
        self._loader.setVisible(is_running)
        self._loader.set_running(is_running)
        done = len(report.results)
        self.summary.setText(f"Checking, {done} done" if is_running else report_words(report) if done else "No result")
        self._age.setText(f"on {date_words(report.t_ms)}" if report.t_ms and not is_running else "")
        self.run.set_busy(is_running)
        self.run.set_disabled_reason("" if is_running else away)
        has_saved = bool(report.results) and not is_running
        self.save.set_disabled_reason("" if has_saved else "There is no report yet")
        self._note.setText((SIMULATED if self._model.is_simulated() else "") + NOTHING_SENT)
        self._show_fault(report)
        self._show_ways(report)
        rows = tuple(
            field_row(one, report.seen_ms(one.assumption_id))
            for one in report.results
            if one.hold.value == self.ways.key()
        )
        self.list.set_rows(rows)
        self._lists.setCurrentIndex(0 if rows else 1)
        self._none.setText("Nothing yet" if is_running else "None")
        self._show_chosen()

    def _show_ways(self, report: FieldReport) -> None:
        """Counts in the segments; what differs is shown first, until the person chooses."""
        chosen = self.ways.key()
        if not self._is_way_chosen:
            chosen = next((hold.value for hold in _FIRST_SHOWN if report.count(hold)), chosen)
        for hold in _WAYS:
            self.ways.set_text(hold.value, f"{hold.words} {report.count(hold)}")
        self.ways.set_key(chosen)

    def _show_fault(self, report: FieldReport) -> None:
        message = report.message if report.state == "failed" else ""
        if (message, report.remedy) == self._told:
            return
        self._told = (message, report.remedy)
        if message:
            title, remedy = wrap_line(message), wrap_line(report.remedy)
            self.banner.show_notice("crit", title, remedy, action="Try again")
        else:
            self.banner.clear()

    def _chosen(self) -> FieldResult | None:
        key = self.list.key()
        return next((one for one in self._model.report().results if one.assumption_id == key), None)

    def _show_chosen(self) -> None:
        result = self._chosen()
        self.panel.setVisible(result is not None)
        if result is not None:
            self.panel.show_text(field_text(result, self._model.report().seen_ms(result.assumption_id)))

    # Saving -------------------------------------------------------------------------------------------------------

    def _ask_file(self) -> None:
        """Ask where to; the file itself is written by the application."""
        report = self._model.report()
        dialog = QFileDialog(self, "Save the field report")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("JSON (*.json)")
        dialog.setDefaultSuffix("json")
        # No node's name in the file's name: what is in it has none either.
        dialog.selectFile(f"spark-field-report-{date_words(report.t_ms)}.json")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        node_id = self._model.node_id
        dialog.fileSelected.connect(lambda path: self._model.actions.save_report(node_id, path))
        dialog.destroyed.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None
