"""The plan's column: verdict, memory, findings, steps, exact commands and the one button that starts it.

The one rule: it shows the plan that would run, whole; without a plan it says why there is none.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QScrollArea,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from ui import text
from ui.font import font
from ui.icon import icon
from ui.jobs.step_text import StepText, describe_playbook, script_of
from ui.launch.model import FIT_KINDS, LaunchModel
from ui.theme import Token
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.chip import Chip
from ui.widgets.code_view import CodeView
from ui.widgets.label import Label
from ui.widgets.ledger import LedgerBar, LedgerLegend, LedgerValues
from ui.widgets.toggle import Switch

_SEVERITIES: dict[Severity, tuple[str, Token]] = {
    Severity.ERROR: ("octagon-alert", "crit"),
    Severity.WARNING: ("triangle-alert", "warn"),
    Severity.NOTE: ("circle-help", "text3"),
}
IdRole = Qt.ItemDataRole.UserRole
_ORDER = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def ledger_values(ledger: MemoryLedger) -> LedgerValues:
    """A plan's ledger as the bar takes it; what is not known is not drawn. Weights and KV in one go to "other"."""
    return LedgerValues(
        total_bytes=ledger.total_bytes or 0,
        others_bytes=ledger.others_bytes or 0,
        weights_bytes=ledger.weights_bytes or 0,
        kv_reserved_bytes=max(0, ledger.kv_bytes or 0),
        runtime_bytes=(ledger.runtime_bytes or 0) + (ledger.undivided_bytes or 0),
    )


class LedgerRows(QWidget):
    """One row a node: name, bar, what is left, and the word for it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self.rows: list[tuple[Label, LedgerBar, Label, Chip]] = []

    def show_ledgers(self, ledgers: tuple[MemoryLedger, ...], names: list[str]) -> None:
        """Show these ledgers."""
        while len(self.rows) < len(ledgers):
            row = (Label("", "dense_medium", "text"), LedgerBar(), Label("", "dense_strong", "text"), Chip())
            for column, part in enumerate(row):
                side = Qt.AlignmentFlag.AlignRight if column == 2 else Qt.AlignmentFlag.AlignLeft
                alignment = Qt.AlignmentFlag(0) if column == 1 else side | Qt.AlignmentFlag.AlignVCenter
                self._grid.addWidget(part, len(self.rows), column, alignment)
            self.rows.append(row)
        for i, row in enumerate(self.rows):
            for part in row:
                part.setVisible(i < len(ledgers))
        for (name, bar, left, chip), ledger, said in zip(self.rows, ledgers, names, strict=False):
            name.setText(said)
            bar.set_values(ledger_values(ledger) if ledger.total_bytes else LedgerValues())
            free = text.memory(ledger.free_bytes)
            # The bar itself writes how much is too much.
            is_over = (ledger.free_bytes or 0) < 0
            left.setText("" if is_over else f"{free} left" if free.unit else "left n/a")
            chip.set_state(ledger.fit.value, FIT_KINDS[ledger.fit])


class ProblemList(QWidget):
    """Findings, worst first: what, and what to do."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self._rows: list[QWidget] = []
        self._shown: tuple[tuple[str, str, str], ...] = ()
        self.setVisible(False)

    def show_lines(self, lines: tuple[tuple[str, str, str], ...]) -> None:
        """Show (severity, what, what to do)."""
        if lines == self._shown:
            return
        self._shown = lines
        for row in self._rows:
            self._column.removeWidget(row)
            row.deleteLater()
        self._rows = [_problem_row(*line) for line in lines]
        for row in self._rows:
            self._column.addWidget(row)
        self.setVisible(bool(lines))

    def lines(self) -> tuple[tuple[str, str, str], ...]:
        """What is shown."""
        return self._shown


def _problem_row(severity: str, message: str, remedy: str) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    name, tint = _SEVERITIES[Severity(severity)]
    sign = Label()
    sign.setPixmap(icon(name, tint).pixmap(QSize(16, 16)))
    sign.setAccessibleName(severity)
    layout.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
    words = QVBoxLayout()
    words.setSpacing(0)
    words.addWidget(Label(message, "dense_medium", "text", is_wrapped=True, is_selectable=True))
    if remedy:
        words.addWidget(Label(remedy, "label", "text2", is_wrapped=True, is_selectable=True))
    layout.addLayout(words, 1)
    return row


class StepTree(QTreeWidget):
    """What will be done, one row a step; opened, every command of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderHidden(True)
        self.setColumnCount(1)
        self.setIndentation(16)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("What will be done")
        self.setSelectionMode(QTreeWidget.SelectionMode.NoSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Commands are never cut: long ones scroll.
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.itemExpanded.connect(lambda _item: self._fit_height())
        self.itemCollapsed.connect(lambda _item: self._fit_height())

    def show_steps(self, steps: tuple[StepText, ...]) -> None:
        """Show these steps; what was open stays open."""
        opened = {item.data(0, IdRole) for item in self._items() if item.isExpanded()}
        self.clear()
        for number, step in enumerate(steps, 1):
            item = QTreeWidgetItem([f"{number}  {step.title}  ·  {step.node}"])
            item.setFont(0, font("dense"))
            item.setData(0, IdRole, step.step_id)
            for part, command in step.parts:
                child = QTreeWidgetItem([f"{part}:  {command}" if part != "do" else command])
                child.setFont(0, font("mono"))
                item.addChild(child)
            self.addTopLevelItem(item)
            item.setExpanded(step.step_id in opened)
        self._fit_height()

    def _items(self) -> list[QTreeWidgetItem]:
        found = (self.topLevelItem(i) for i in range(self.topLevelItemCount()))
        return [item for item in found if item is not None]

    def _fit_height(self) -> None:
        height = 4
        is_open = False
        for item in self._items():
            height += self.sizeHintForIndex(self.indexFromItem(item)).height()
            if item.isExpanded():
                is_open = True
                children = (item.child(j) for j in range(item.childCount()))
                indexes = (self.indexFromItem(child) for child in children if child is not None)
                height += sum(self.sizeHintForIndex(index).height() for index in indexes)
        # Room for the bar that long commands need.
        self.setFixedHeight(height + (12 if is_open else 0))


class PlanPanel(Card):
    """The column as a whole."""

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._chip = Chip()
        self._timing = Label("", "label", "text3")
        self.ledgers = LedgerRows()
        self.problems = ProblemList()
        self.steps = StepTree()
        self.commands = CodeView("commands", title="Commands")
        self.commands.setMinimumHeight(190)
        self._reason = Label("", "label", "text3", is_wrapped=True)
        self.anyway = Switch("Launch anyway", text="Launch anyway")
        self.launch = Button("Launch", kind="primary", icon="rocket")
        self._none = Label("", "body", "text2", is_wrapped=True)
        self._planned = QWidget()
        self._build()
        self.anyway.toggled.connect(model.set_anyway)
        self.launch.clicked.connect(model.launch)
        model.preview_changed.connect(self.show_preview)
        model.form_changed.connect(self._show_button)
        self.show_preview()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(16, 12, 16, 12)
        head.setSpacing(10)
        head.addWidget(Label("Plan", "object_title", "text"))
        head.addWidget(self._chip)
        head.addStretch(1)
        head.addWidget(self._timing)
        inner = QWidget()
        inner.setProperty("tone", "page")
        body = QVBoxLayout(inner)
        body.setContentsMargins(16, 12, 16, 14)
        body.setSpacing(12)
        body.addWidget(self._none)
        body.addWidget(self.problems)
        planned = QVBoxLayout(self._planned)
        planned.setContentsMargins(0, 0, 0, 0)
        planned.setSpacing(8)
        title = QHBoxLayout()
        title.addWidget(Label("Memory per node", "dense_strong", "text"))
        title.addStretch(1)
        title.addWidget(LedgerLegend("others", "weights", "kv", "runtime", "free"))
        planned.addLayout(title)
        planned.addWidget(self.ledgers)
        planned.addSpacing(4)
        planned.addWidget(Label("What will be done", "dense_strong", "text"))
        planned.addWidget(self.steps)
        planned.addWidget(self.commands, 1)
        body.addWidget(self._planned, 1)
        body.addStretch(0)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 10)
        foot.setSpacing(12)
        foot.addWidget(self._reason, 1)
        foot.addWidget(self.anyway)
        foot.addWidget(self.launch)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(head)
        column.addWidget(Separator())
        column.addWidget(area, 1)
        column.addWidget(Separator())
        column.addLayout(foot)

    def show_preview(self) -> None:
        """Show the preview of now."""
        preview = self._model.preview
        plan = preview.plan
        self._chip.set_state(*preview.verdict)
        self._chip.setVisible(plan is not None or bool(preview.errors))
        has_timing = preview.compute_ms > 0
        self._timing.setText(f"computed offline in {max(1, round(preview.compute_ms))} ms" if has_timing else "")
        self.problems.show_lines(_lines_of(preview.problems, preview.errors, plan))
        self._planned.setVisible(plan is not None)
        self._none.setVisible(plan is None)
        self._none.setText("There is no plan yet: mend what is marked." if preview.errors else "Computing the plan.")
        if plan is not None:
            self._show_plan(plan)
        self._show_button()

    def _show_plan(self, plan: LaunchPlan) -> None:
        name_of = self._model.node_name
        self.ledgers.show_ledgers(plan.ledgers, [name_of(ledger.node_id) for ledger in plan.ledgers])
        self.steps.show_steps(describe_playbook(plan.playbook, name_of))
        titles = [f"{name_of(each.node_id)} · {each.title}" for each in plan.commands]
        pages = [(title, title, each.text) for title, each in zip(titles, plan.commands, strict=True)]
        pages.append(("all", "Every step", script_of(plan.playbook, name_of)))
        self.commands.set_pages(pages)

    def _show_button(self) -> None:
        model = self._model
        reason = model.blocker()
        self.launch.setText(model.button_text())
        self.launch.updateGeometry()
        self.launch.set_disabled_reason(reason if not model.is_launching else "")
        self.launch.set_busy(model.is_launching)
        self._reason.setText(reason)
        self.anyway.setVisible(model.preview.needs_anyway)
        self.anyway.blockSignals(True)
        self.anyway.setChecked(model.is_anyway)
        self.anyway.blockSignals(False)


def _lines_of(
    problems: tuple[Problem, ...], errors: object, plan: LaunchPlan | None
) -> tuple[tuple[str, str, str], ...]:
    ranked = sorted(problems, key=lambda problem: _ORDER.index(problem.severity))
    lines = [(p.severity.value, text.one_line(p.message, 300), text.one_line(p.remedy, 300)) for p in ranked]
    whole = errors.get("", "") if isinstance(errors, dict) else ""
    if whole and not any(line[0] == Severity.ERROR.value for line in lines):
        lines.insert(0, (Severity.ERROR.value, whole, ""))
    if plan is not None:
        lines += [(Severity.NOTE.value, text.one_line(note, 300), "") for note in plan.notes]
        if any(ledger.undivided_bytes is not None for ledger in plan.ledgers):
            together = "Weights and KV cache are known together only; the bar shows them as other"
            lines.append((Severity.NOTE.value, together, ""))
    return tuple(lines)
