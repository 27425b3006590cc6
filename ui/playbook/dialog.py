"""Shows a change before it runs, runs it when a person says so, and offers to take it back.

The one rule: the safe answer has the focus; closing the dialog never stops what runs.
"""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.playbooks.run_view import INTERRUPTED, RUNNING, StepView
from ui import text, theme
from ui.node.wrap import wrap_line
from ui.playbook.model import PARTS, STEP_MARKS, PlaybookModel
from ui.playbook.plan_text import plan_text, undo_text
from ui.playbook.plan_view import PlanView
from ui.playbook.step_list import StepList, StepRow
from ui.playbook.warning import WarningCard
from ui.theme import color
from ui.widgets.banner import Banner
from ui.widgets.button import Button, IconButton
from ui.widgets.card import Card
from ui.widgets.chip import Chip
from ui.widgets.label import ElidedLabel, Label
from ui.widgets.paint import box
from ui.widgets.segmented import Segmented

SIZE = (900, 600)
LEAST = (720, 480)
SOON_MS = 60


class ProgressLine(QWidget):
    """How much has ended, as a line of four pixels; the words stand beside it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fraction = 0.0
        self.setFixedHeight(4)
        self.setAccessibleName("Progress")
        theme.notifier.changed.connect(self.update)

    def set_fraction(self, fraction: float) -> None:
        """Show 0..1."""
        if fraction != self.fraction:
            self.fraction = fraction
            self.setAccessibleDescription(f"{fraction * 100:.0f} percent")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), 2, color("ledger_free"))
        if self.fraction > 0:
            box(painter, QRectF(0, 0, max(4.0, self.width() * self.fraction), 4), 2, color("accent"))


class PlaybookDialog(QDialog):
    """Open it with `show()`. It lives on while its run does; `finished` follows when the person closes it."""

    def __init__(self, model: PlaybookModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        if model.parent() is None:
            # Its watches end with the dialog.
            model.setParent(self)
        proposal = model.proposal
        title = text.one_line(proposal.playbook.title, 120)
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setMinimumSize(*LEAST)
        self.resize(*SIZE)
        self._told: tuple[str, str] = ("", "")
        self._is_undo_shown = False
        self._title = Label(wrap_line(title, 120), "object_title", "text", is_wrapped=True)
        self.chip = Chip()
        self._where = Label("", "dense", "text3", is_wrapped=True)
        self._lead = Label(wrap_line(proposal.lead, 600), "body", "text2", is_wrapped=True)
        self.warning = WarningCard(proposal)
        self.banner = Banner()
        self.steps = StepList()
        self.ways = Segmented(
            [("plan", "What will run"), ("undo", "Undo"), ("output", "Output")], what="Which text to show"
        )
        self.text = PlanView("The commands and files")
        self.copy = IconButton("copy", "Copy this text")
        self.progress = ProgressLine()
        self.words = ElidedLabel("", "dense", "text2")
        self.leave = Button("Leave as it is", kind="text")
        self.undo = Button("Undo…", icon="undo-2")
        self.resume = Button("Carry on", icon="play")
        self.cancel = Button("Cancel")
        self.confirm = Button(proposal.confirm, kind="danger" if proposal.is_danger else "primary")
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._build()
        self._wire()
        self.refresh()
        self.cancel.setFocus(Qt.FocusReason.OtherFocusReason)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(self._title, 1)
        head.addWidget(self.chip, 0, Qt.AlignmentFlag.AlignTop)
        side = Card()
        side.column(margins=(1, 1, 1, 1)).addWidget(self.steps)
        side.setFixedWidth(264)
        ways = QHBoxLayout()
        ways.addWidget(self.ways)
        ways.addStretch(1)
        ways.addWidget(self.copy)
        right = QVBoxLayout()
        right.setSpacing(6)
        right.addLayout(ways)
        right.addWidget(self.text, 1)
        body = QHBoxLayout()
        body.setSpacing(theme.GAP)
        body.addWidget(side)
        body.addLayout(right, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.words, 1)
        for button in (self.leave, self.undo, self.resume, self.cancel, self.confirm):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        self.cancel.setDefault(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(10)
        column.addLayout(head)
        for part in (self._where, self._lead, self.warning, self.banner):
            column.addWidget(part)
        column.addLayout(body, 1)
        column.addWidget(self.progress)
        column.addLayout(buttons)
        self._lead.setVisible(bool(self.model.proposal.lead))
        self.warning.setVisible(self.warning.has_words())

    def _wire(self) -> None:
        self._soon.timeout.connect(self.refresh)
        self.model.changed.connect(self._refresh_soon)
        self.ways.changed.connect(lambda _key: self._show_text())
        self.steps.chosen.connect(self._show_step)
        self.copy.clicked.connect(self.text.copy_text)
        self.confirm.clicked.connect(self._confirm)
        self.cancel.clicked.connect(self._cancel)
        self.undo.clicked.connect(self._undo)
        self.resume.clicked.connect(self._resume)
        self.leave.clicked.connect(lambda: self.model.set_aside())

    # What the person does -----------------------------------------------------------------------------------------

    def _confirm(self) -> None:
        self.ways.set_key("output")
        self.model.confirm()
        self.cancel.setFocus(Qt.FocusReason.OtherFocusReason)
        self.refresh()

    def _cancel(self) -> None:
        if self.model.is_running():
            self.model.cancel()
            self.cancel.set_busy(True)
        else:
            self.reject()

    def _undo(self) -> None:
        """The first press shows what would run, the second runs it."""
        if self._is_undo_shown:
            self._is_undo_shown = False
            self.ways.set_key("output")
            self.model.undo()
        else:
            self._is_undo_shown = True
            self.ways.set_key("undo")
        self.refresh()

    def _resume(self) -> None:
        self._is_undo_shown = False
        self.ways.set_key("output")
        self.model.resume()
        self.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            # Never a stop: what runs goes on, and Activity knows it.
            self.reject()
            return
        super().keyPressEvent(event)

    # What it shows ------------------------------------------------------------------------------------------------

    def _refresh_soon(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def refresh(self) -> None:
        """Show the state of now."""
        model, run = self.model, self.model.run()
        is_running, is_over = model.is_running(), run is not None and run.is_over
        self.chip.set_state(*model.mark())
        names = wrap_line(", ".join(model.node_names()[:8]), 600)
        more = len(model.node_names()) - 8
        self._where.setText(f"On {names}{f' and {more} more' if more > 0 else ''}")
        self._lead.setVisible(bool(model.proposal.lead) and not model.run_id)
        self.warning.setVisible(self.warning.has_words() and not model.run_id)
        self.steps.steps.set_rows(self._rows())
        self.progress.setVisible(bool(model.run_id))
        self.progress.set_fraction(model.fraction())
        self.words.setText(self._foot_words(is_running=is_running))
        self.ways.set_disabled_reason("output", "" if model.run_id else "Nothing has run yet")
        self.confirm.setVisible(not model.run_id)
        if not is_running:
            self.cancel.set_busy(False)
        self.cancel.setText("Stop" if is_running else "Close" if is_over else "Cancel")
        self.cancel.updateGeometry()
        self.undo.setVisible(run is not None and run.can_undo)
        self.resume.setVisible(run is not None and run.can_resume)
        self.leave.setVisible(model.is_interrupted())
        self.undo.setText("Undo now" if self._is_undo_shown else "Undo…")
        self.undo.set_kind("danger" if self._is_undo_shown else "default")
        self._show_end()
        self._show_text()

    def _foot_words(self, *, is_running: bool) -> str:
        words = self.model.progress_words()
        return f"{words} · closing this leaves it running" if is_running else words

    def _rows(self) -> list[StepRow]:
        rows = []
        for step in self.model.proposal.playbook.steps():
            shown = self.model.step(step.id)
            name = text.one_line(self.model.feeds.name_of(step.node), 64)
            said = text.one_line(_step_words(shown), 200)
            line = f"{name} · {said}" if said else name
            mark = STEP_MARKS.get(shown.state, STEP_MARKS["unknown"])
            rows.append(StepRow(step.id, text.one_line(step.title, 120), line, mark))
        return rows

    def _show_end(self) -> None:
        run = self.model.run()
        message, remedy = (run.message, run.remedy) if run is not None and run.is_over else ("", "")
        if (message, remedy) == self._told:
            return
        self._told = (message, remedy)
        if not message:
            self.banner.clear()
            return
        kind = {"done": "ok", "cancelled": "info", INTERRUPTED: "warn"}.get(run.result if run else "", "crit")
        self.banner.show_notice(kind, wrap_line(message), wrap_line(remedy))  # type: ignore[arg-type]  # its kinds

    def _show_text(self) -> None:
        playbook, name_of = self.model.proposal.playbook, self.model.feeds.name_of
        way, run = self.ways.key(), self.model.run()
        if way == "output":
            self.text.show_output(run.output if run is not None and run.output else "# nothing printed yet")
        else:
            self.text.show_plan((undo_text if way == "undo" else plan_text)(playbook, name_of))

    def _show_step(self, step_id: str) -> None:
        if self.ways.key() == "output":
            self.ways.set_key("plan")
            self._show_text()
        self.text.show_step(step_id)


def _step_words(shown: StepView) -> str:
    if shown.state == RUNNING:
        share = f" {shown.fraction * 100:.0f} %" if shown.fraction is not None else ""
        return f"{shown.text or PARTS.get(shown.part, '')}{share}"
    return shown.text
