"""The doctor's tab: what was checked, problems first, with the evidence and the fix beside the list.

The one rule: nothing is mended from here without its plan being shown first.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from sparkdesk.core.probes.check import CheckUp, Finding, Verdict
from ui import theme
from ui.node.model import NodeModel
from ui.node.result import doctor_words, finding_row, finding_text, sort_findings
from ui.node.result_list import ResultList, ResultPanel
from ui.node.wrap import wrap_line
from ui.widgets.banner import Banner
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.empty_state import EmptyState
from ui.widgets.field import TextInput
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.loader import Loader
from ui.widgets.segmented import Segmented

NOT_YET = "Not checked yet"
WHAT_IT_DOES = "Read-only checks: disk, driver, docker, clock, swap, throttling, network links. Nothing is changed."


class DoctorTab(QWidget):
    """Shows the node's check-up; `refresh` reads the model."""

    def __init__(self, model: NodeModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._told: tuple[str, str] = ("", "")
        self._wanted: tuple[str, int] = ("", 0)
        """A check to be shown as soon as a check-up newer than this has it."""
        self.summary = Label("", "strong", "text")
        self.age = ElidedLabel("", "dense", "text3")
        self._loader = Loader("Checking")
        self.filter = TextInput(placeholder="Filter checks", is_small=True, icon_name="search")
        self.filter.setAccessibleName("Filter checks")
        self.ways = Segmented([("all", "All"), ("problems", "Problems")], what="Which checks to show", chosen="all")
        self.again = Button("Run again", icon="refresh-cw")
        self.banner = Banner()
        self.list = ResultList("Checks")
        self.panel = ResultPanel()
        self.empty = EmptyState("shield-check", NOT_YET, WHAT_IT_DOES, action="Check this Spark", is_primary=True)
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
        head.addWidget(self.age, 1)
        self.filter.setFixedWidth(180)
        for part in (self.filter, self.ways, self.again):
            head.addWidget(part)
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
        column.addLayout(body, 1)
        self._stack.addWidget(full)
        self._stack.addWidget(self.empty)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._stack)

    def _wire(self) -> None:
        self.again.clicked.connect(self.read_anew)
        self.empty.action_clicked.connect(self.read_anew)
        self.banner.action_clicked.connect(self.read_anew)
        self.filter.textChanged.connect(lambda _words: self.refresh())
        self.ways.changed.connect(lambda _key: self.refresh())
        self.list.chosen.connect(lambda _key: self._show_chosen())
        self.list.opened.connect(lambda _key: self.panel.evidence.setFocus())
        self.panel.action_clicked.connect(self._show_fix)
        self._model.node_changed.connect(self._forget)

    def show_check(self, check_id: str) -> None:
        """Run the check-up and show this check as soon as it has ended."""
        self._wanted = (check_id, self._model.check_up().t_ms)
        self.filter.clear()
        self.ways.set_key("all")
        self.read_anew()
        self.refresh()

    def read_anew(self) -> None:
        """Check again."""
        if not self._model.away_reason():
            self._model.actions.run_doctor(self._model.node_id)

    def _forget(self, _node_id: str) -> None:
        self._wanted = ("", 0)
        self.filter.clear()

    def refresh(self) -> None:
        """Show the check-up as it is now."""
        check_up = self._model.check_up()
        is_running = check_up.state == "running"
        has_any = bool(check_up.findings) or check_up.state in ("running", "failed")
        self._stack.setCurrentIndex(0 if has_any else 1)
        away = self._model.away_reason()
        button = self.empty.findChild(Button)
        if button is not None:
            button.set_disabled_reason(away)
        self.empty.set_words(NOT_YET, f"{WHAT_IT_DOES} {away}." if away else WHAT_IT_DOES)
        self._loader.setVisible(is_running)
        self._loader.set_running(is_running)
        done = len(check_up.findings)
        self.summary.setText(f"Checking, {done} done" if is_running else doctor_words(check_up))
        self.age.setText("" if is_running else self._model.age_words(check_up.t_ms, "Checked"))
        self.again.set_busy(is_running)
        self.again.set_disabled_reason("" if is_running else away)
        self._show_fault(check_up)
        rows = tuple(finding_row(one, self._model.seen_ms(one)) for one in self._shown())
        self.list.set_rows(rows)
        self._choose_wanted(check_up)
        self._lists.setCurrentIndex(0 if rows else 1)
        self._none.setText("No check has ended yet" if is_running and not check_up.findings else "No check fits")
        self._show_chosen()

    def _choose_wanted(self, check_up: CheckUp) -> None:
        check_id, before_ms = self._wanted
        if check_id and self.list.choose(check_id) and check_up.state == "done" and check_up.t_ms != before_ms:
            self._wanted = ("", 0)

    def _show_fault(self, check_up: CheckUp) -> None:
        message = check_up.message if check_up.state == "failed" else ""
        if (message, check_up.remedy) == self._told:
            return
        self._told = (message, check_up.remedy)
        if message:
            title, remedy = wrap_line(message), wrap_line(check_up.remedy)
            self.banner.show_notice("crit", title, remedy, action="Try again")
        else:
            self.banner.clear()

    def _shown(self) -> list[Finding]:
        needle = self.filter.text().strip().lower()
        found = sort_findings(self._model.check_up().findings)
        if self.ways.key() == "problems":
            found = tuple(one for one in found if one.verdict is not Verdict.PASS)
        return [one for one in found if needle in f"{one.title} {one.message} {one.verdict.words}".lower()]

    def _chosen(self) -> Finding | None:
        key = self.list.key()
        return next((one for one in self._model.check_up().findings if one.check_id == key), None)

    def _show_chosen(self) -> None:
        finding = self._chosen()
        self.panel.setVisible(finding is not None)
        if finding is not None:
            self.panel.show_text(finding_text(finding, self._model.seen_ms(finding)))
            self.panel.action.set_disabled_reason(self._model.away_reason())

    def _show_fix(self) -> None:
        finding = self._chosen()
        if finding is not None and finding.fix is not None:
            self._model.actions.show_fix(finding.node_id, finding.fix)
