"""The plan's column: verdict, memory, figures, the ranked table, findings, steps, exact commands and the one button.

The one rule: it shows the plan that would run, whole; without a plan it says why there is none.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.planning.row import PlanRow
from ui import text
from ui.jobs.step_text import describe_playbook, script_of
from ui.launch.form import TASK_LOADS
from ui.launch.model import LaunchModel
from ui.launch.plan import words
from ui.launch.plan.agent_card import AgentCard
from ui.launch.plan.agent_words import AgentWords, agent_words
from ui.launch.plan.fact_grid import FactGrid
from ui.launch.plan.figure_pane import FigurePane
from ui.launch.plan.ledger_rows import LedgerRows
from ui.launch.plan.problem_list import ProblemList
from ui.launch.plan.rows.pane import RowsPane
from ui.launch.plan.shown import Shown, look_at
from ui.launch.plan.step_tree import StepTree
from ui.launch.serving.fields import CHAT_PURPOSES
from ui.widgets.button import Button
from ui.widgets.card import Card, LoadingBars, Separator
from ui.widgets.chip import Chip
from ui.widgets.code_view import CodeView
from ui.widgets.label import Label
from ui.widgets.ledger import LedgerLegend
from ui.widgets.toggle import Switch


class MemoryPane(QWidget):
    """The ledgers under their heading."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = LedgerRows()
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 10, 16, 12)
        column.setSpacing(8)
        title = QHBoxLayout()
        title.addWidget(Label("Memory per node", "dense_strong", "text"))
        title.addStretch(1)
        title.addWidget(LedgerLegend("others", "weights", "kv", "engine", "reserve", "left"))
        self.basis = Label("", "label", "text2", is_wrapped=True)
        column.addLayout(title)
        column.addWidget(self.rows)
        column.addWidget(self.basis)

    def show_basis(self, words: str) -> None:
        """Say what the ledgers count, where it is not what stands below them."""
        self.basis.setText(words)
        self.basis.setVisible(bool(words))


class StepPane(QWidget):
    """What will be done, step by step and as commands."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.steps = StepTree()
        self.commands = CodeView("commands", title="Commands")
        self.commands.setMinimumHeight(190)
        for part in (self.steps, *self.commands.findChildren(QPlainTextEdit)):
            part.setProperty("has_focus_ring", True)  # neither has an edge of its own that shows the focus
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 8, 16, 12)
        column.setSpacing(8)
        column.addWidget(Label("What will be done", "dense_strong", "text"))
        column.addWidget(self.steps)
        column.addWidget(self.commands, 1)


class PlanPanel(Card):
    """The column as a whole."""

    def __init__(self, model: LaunchModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._last: PlanRow | None = None
        self.chips = (Chip(), Chip())
        self.timing = Label("", "label", "text3")
        self.note = Label("", "body", "text2", is_wrapped=True)
        self.loading = LoadingBars(what="Computing the plan")
        self.memory = MemoryPane()
        self.figures = FigurePane()
        self.agents = AgentCard()
        self.ways = RowsPane()
        self.facts = FactGrid()
        self.problems = ProblemList()
        self._work = StepPane()
        self.steps, self.commands = self._work.steps, self._work.commands
        self.ledgers = self.memory.rows
        self._reason = Label("", "label", "text3", is_wrapped=True)
        self.anyway = Switch("Launch anyway", text="Launch anyway")
        self.launch = Button("Launch", kind="primary", icon="rocket")
        self._build()
        self.anyway.toggled.connect(model.set_anyway)
        self.launch.clicked.connect(model.launch)
        self.problems.mend_asked.connect(model.mend)
        self.ways.chosen.connect(model.choose_row)
        model.preview_changed.connect(self.show_preview)
        model.form_changed.connect(self._show_button)
        self.show_preview()

    def _build(self) -> None:
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setAccessibleName("Plan")
        area.setProperty("has_focus_ring", True)  # the arrows scroll it
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inner = QWidget()
        inner.setProperty("tone", "page")
        area.setWidget(inner)
        self._body = body = QVBoxLayout(inner)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        self._noted = _padded(self.note, self.loading)
        self._found = _padded(self.problems)
        for part in (self._noted, self.memory, self.figures, self.agents, self.ways, self.facts, self._found):
            body.addWidget(part)
        body.addWidget(self._work, 1)
        body.addStretch(0)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(self._head())
        column.addWidget(Separator())
        column.addWidget(area, 1)
        column.addWidget(Separator())
        column.addLayout(self._foot())

    def _head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        head.setContentsMargins(16, 12, 16, 12)
        head.setSpacing(10)
        head.addWidget(Label("Plan", "object_title", "text"))
        for chip in self.chips:
            head.addWidget(chip)
        head.addStretch(1)
        head.addWidget(self.timing)
        return head

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 10, 16, 10)
        foot.setSpacing(12)
        foot.addWidget(self._reason, 1)
        foot.addWidget(self.anyway)
        foot.addWidget(self.launch)
        return foot

    def show_preview(self) -> None:
        """Show the model as it is now."""
        model = self._model
        shown = look_at(model, self._last)
        self._last = shown.row
        compute_ms = model.preview.compute_ms
        self.timing.setText(f"computed offline in {max(1, round(compute_ms))} ms" if compute_ms > 0 else "")
        for i, chip in enumerate(self.chips):
            chip.setVisible(i < len(shown.chips))
            if i < len(shown.chips):
                chip.set_state(*shown.chips[i])
        self._show_figures(shown)
        self.ways.show_rows(model.rows, model.row, model.feeds.currency())
        self.problems.show_lines(shown.problems, model.mends())
        self._place_problems(is_first=shown.is_refused)
        self._found.setVisible(bool(shown.problems))
        plan = model.preview.plan
        self._work.setVisible(plan is not None)
        # What is left of the height goes to the commands, or to nobody.
        self._body.setStretch(self._body.count() - 1, 0 if plan is not None else 1)
        if plan is not None:
            self._show_steps(plan)
        self._show_button()

    def _place_problems(self, *, is_first: bool) -> None:
        """What memory forbids is told below the memory that forbids it, with its way out; else findings come last."""
        body, found = self._body, self._found
        before = self.memory if is_first else self.facts
        if body.indexOf(found) != body.indexOf(before) + 1:
            body.removeWidget(found)
            body.insertWidget(body.indexOf(before) + 1, found)

    def _show_figures(self, shown: Shown) -> None:
        self.note.setText(shown.note)
        self.note.setVisible(bool(shown.note))
        self.loading.setVisible(shown.is_computing)
        self._noted.setVisible(bool(shown.note))
        self.memory.setVisible(bool(shown.ledgers))
        if shown.ledgers:
            name_of = self._model.node_name
            names = [name_of(ledger.node_id) for ledger in shown.ledgers]
            self.ledgers.show_ledgers(shown.ledgers, names, is_old=shown.is_memory_old)
            self.memory.show_basis(shown.basis)
        self.figures.setVisible(shown.row is not None)
        if shown.row is not None:
            currency = self._model.feeds.currency()
            self.figures.show_row(shown.row)
            self.facts.show_facts(words.facts_of(shown.row, currency))
        self.facts.setVisible(shown.row is not None)
        self.figures.set_stale(shown.is_old)
        self.facts.set_stale(shown.is_old)
        self.agents.show_words(self._agent_words(shown.row))
        self.agents.set_stale(shown.is_old)

    def _agent_words(self, row: PlanRow | None) -> AgentWords | None:
        if row is None or row.workload.key not in TASK_LOADS or self._model.form.purpose not in CHAT_PURPOSES:
            return None
        tasks = self._model.form.tasks
        return agent_words(self._model.feeds.agent_run(row, tasks), tasks, row.max_concurrency)

    def _show_steps(self, plan: LaunchPlan) -> None:
        name_of = self._model.node_name
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
        patience = model.form.load_timeout_s.strip()
        waits = f"Waits up to {text.one_line(patience, 20)} for the load" if patience else ""
        self._reason.setText(reason or waits)
        self.anyway.setVisible(model.preview.needs_anyway)
        self.anyway.blockSignals(True)
        self.anyway.setChecked(model.is_anyway)
        self.anyway.blockSignals(False)


def _padded(*parts: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(16, 12, 16, 12)
    column.setSpacing(8)
    for part in parts:
        column.addWidget(part)
    return holder
