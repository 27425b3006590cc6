"""The manifest: every change that was made, newest first, with what ran and what takes it back, one by one or all.

The one rule: nothing is taken back before its commands can be read; the safe answer has the focus.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from sparkdesk.core.bringup.undo_stake import UndoStake, stake_lines
from sparkdesk.core.playbooks.program_words import programs_text
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Playbook, Stage, Step
from ui import text, theme
from ui.bringup.change_card import NO_PROGRAM
from ui.bringup.model import BringUpModel
from ui.node.mark import tint_of
from ui.node.wrap import wrap_line
from ui.playbook.model import STEP_MARKS
from ui.playbook.plan_text import plan_text, undo_text
from ui.playbook.plan_view import PlanView
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.segmented import Segmented
from ui.widgets.toggle import CheckBox

SIZE = (940, 600)
LEAST = (760, 480)
STAYS = "Installed packages stay, and so do backup files that end in a minus sign; the report lists them."
_IS_BACK = "This was taken back already"
_NO_UNDO = "This step has nothing to take back"


class StepPart(QWidget):
    """One step that was done. `looked` is emitted when a person looks at it."""

    looked = Signal(str)

    def __init__(self, run: RunView, step: Step, node: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        view = run.step(step.id)
        is_back = view.state == "undone"
        self.step = step
        mark = STEP_MARKS.get(view.state, STEP_MARKS["unknown"])
        title = text.one_line(step.title, 120)
        self.check = CheckBox("")
        self.check.setFixedWidth(20)
        self.check.setAccessibleName(f"{title} on {node}, {mark.text}")
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(ElidedLabel(title, "dense_medium", "text" if step.undo and not is_back else "text3"))
        words.addWidget(ElidedLabel(f"{node} · {mark.text}{'' if step.undo else ' · stays'}", "label", "text3"))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.setSpacing(8)
        row.addWidget(self.check)
        row.addWidget(IconLabel(mark.icon or "circle-help", tint_of(mark), size=14))
        row.addLayout(words, 1)
        if not step.undo or is_back:
            reason = _IS_BACK if is_back else _NO_UNDO
            self.check.setEnabled(False)
            self.check.setAccessibleDescription(reason)
            self.setToolTip(reason)
        self.check.clicked.connect(lambda _is_on: self.looked.emit(step.id))


class ManifestDialog(QDialog):
    """Open it with `open()`. `undo_asked` carries a frozenset of step ids, or None for all, and what of its cost stood
    here: of that nobody need be asked again."""

    undo_asked = Signal(object, object)

    def __init__(self, model: BringUpModel, parent: QWidget, *, shows_undo: bool = False) -> None:
        super().__init__(parent)
        self._model = model
        self._done = model.history()
        self._steps: tuple[Step, ...] = tuple(step for _, step in self._done)
        self.setWindowTitle("Manifest of the bring-up")
        self.setAccessibleName("Manifest of the bring-up")
        self.setMinimumSize(*LEAST)
        self.resize(*SIZE)
        self.parts: list[StepPart] = []
        self.every = CheckBox("Choose all")
        self.ways = Segmented(
            [("run", "What ran"), ("undo", "What takes it back"), ("program", "Programs")], what="Which text to show"
        )
        self.ways.set_key("undo" if shows_undo else "run")
        self.text = PlanView("The commands")
        self.told: tuple[UndoStake, ...] = ()
        self.cost = Card()
        self.cost_head = Label("", "dense_strong", "text", is_wrapped=True)
        self.cost_words = Label("", "dense", "text", is_wrapped=True, is_selectable=True)
        self.stays = Label(STAYS, "label", "text3", is_wrapped=True)
        self.keep = Button("Close")
        self.chosen = Button("Undo chosen", icon="undo-2")
        self.all = Button("Undo all", kind="danger", icon="undo-2")
        self._build()
        self._wire()
        self._refresh()
        self.keep.setFocus(Qt.FocusReason.OtherFocusReason)

    def _build(self) -> None:
        count = len(self._steps)
        title = Label(f"{count} {'change' if count == 1 else 'changes'}, newest first", "object_title", "text")
        lead = "Each can be taken back by itself. What came after it may rest on it: newest first is the safe order."
        side = Card()
        column = side.column(spacing=0, margins=(1, 1, 1, 1))
        top = QHBoxLayout()
        top.setContentsMargins(12, 6, 8, 6)
        top.addWidget(self.every)
        column.addLayout(top)
        column.addWidget(Separator())
        column.addWidget(self._make_list(), 1)
        side.setFixedWidth(350)
        right = QVBoxLayout()
        right.setSpacing(6)
        ways = QHBoxLayout()
        ways.addWidget(self.ways)
        ways.addStretch(1)
        right.addLayout(ways)
        right.addWidget(self.text, 1)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(side)
        body.addLayout(right, 1)
        cost = QHBoxLayout()
        cost.setSpacing(8)
        cost.addWidget(IconLabel("triangle-alert", "warn", size=16), 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.cost_head)
        words.addWidget(self.cost_words)
        cost.addLayout(words, 1)
        self.cost.column(margins=(12, 8, 12, 8)).addLayout(cost)
        self.cost.set_state("warn")
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.stays, 1)
        for button in (self.keep, self.chosen, self.all):
            button.setAutoDefault(False)
            foot.addWidget(button)
        self.keep.setDefault(True)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(20, 16, 20, 16)
        outer.setSpacing(10)
        outer.addWidget(title)
        outer.addWidget(Label(lead, "dense", "text2", is_wrapped=True))
        outer.addLayout(body, 1)
        outer.addWidget(self.cost)
        outer.addLayout(foot)

    def _make_list(self) -> QWidget:
        inside = QWidget()
        inside.setProperty("tone", "page")
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.setAlignment(Qt.AlignmentFlag.AlignTop)
        for run, step in self._done:
            part = StepPart(run, step, self._model.name_of(step.node))
            self.parts.append(part)
            rows.addWidget(part)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        return area

    def _wire(self) -> None:
        self.ways.changed.connect(lambda _key: self._refresh())
        self.every.clicked.connect(self._choose_all)
        for part in self.parts:
            part.looked.connect(partial(self._look, part))
        self.keep.clicked.connect(self.reject)
        self.chosen.clicked.connect(partial(self._undo, False))
        self.all.clicked.connect(partial(self._undo, True))

    def chosen_ids(self) -> tuple[str, ...]:
        """The steps that are chosen, newest first."""
        return tuple(part.step.id for part in self.parts if part.check.isChecked())

    def _choose_all(self, is_on: bool) -> None:
        for part in self.parts:
            part.check.setChecked(is_on and part.check.isEnabled())
        self._refresh()

    def _look(self, looked: StepPart, step_id: str) -> None:
        """What an earlier run did by the same step is taken back with it."""
        for part in self.parts:
            if part.step.id == step_id and part.check.isEnabled():
                part.check.setChecked(looked.check.isChecked())
        self._refresh()
        self.text.show_step(step_id)

    def _undo(self, is_all: bool, _is_on: bool = False) -> None:
        self.undo_asked.emit(None if is_all else frozenset(self.chosen_ids()), self.told)
        self.accept()

    def _refresh(self) -> None:
        """Show the commands of what is chosen, or of all."""
        is_undo = self.ways.key() == "undo"
        ids = self.chosen_ids()
        steps = tuple(reversed([step for step in self._steps if not ids or step.id in ids]))
        playbook = Playbook("Manifest", (Stage("Manifest", steps),) if steps else ())
        if self.ways.key() == "program":
            self.text.show_output(programs_text(steps) or NO_PROGRAM)
        else:
            self.text.show_plan((undo_text if is_undo else plan_text)(playbook, self._model.name_of))
        self._show_cost(frozenset(ids) if ids else None)
        reason = "" if self._model.can_undo() else "Something is under way: stop it or let it end first"
        undoable = any(part.check.isEnabled() for part in self.parts)
        self.all.set_disabled_reason(reason or ("" if undoable else "There is nothing to take back"))
        self.chosen.set_disabled_reason(reason or ("" if ids else "Choose a step first"))
        self.chosen.setText(f"Undo {len(ids)} chosen" if ids else "Undo chosen")
        self.chosen.updateGeometry()
        every = [part for part in self.parts if part.check.isEnabled()]
        self.every.setChecked(bool(every) and all(part.check.isChecked() for part in every))

    def _show_cost(self, step_ids: frozenset[str] | None) -> None:
        """What stops on the nodes when this is taken back."""
        self.told = self._model.undo_stakes(step_ids) if self._model.can_undo() else ()
        what = "Undo of all" if step_ids is None else "Undo of what is chosen"
        lines = stake_lines(self.told, self._model.name_of)
        self.cost_head.setText(f"{what} can stop what runs on the nodes.")
        self.cost.setVisible(bool(self.told))
        self.cost_words.setText("\n".join(map(wrap_line, lines)))
        self.cost.setAccessibleName(" ".join((self.cost_head.text(), *lines)))
