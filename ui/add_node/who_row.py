"""The first row: who is to be added, and why it was found.

Rule: nothing is asked of a network before the button, or Enter in a field.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import EnrolStage
from ui.add_node.model import AddNodeModel
from ui.add_node.row import RowCard
from ui.add_node.words import name_of, other_ways, sentence, way_to, who_line, why_found
from ui.first_run.who_form import WhoForm
from ui.widgets.button import Button
from ui.widgets.label import Label


class WhoRow(RowCard):
    """The form while nothing is under way, one line after that."""

    def __init__(self, model: AddNodeModel, parent: QWidget | None = None) -> None:
        super().__init__(1, "Who", "", parent)
        self._model = model
        self.form = WhoForm()
        self.check_button = Button("Ask for its host key", kind="primary")
        self.skip_button = Button("Skip this one")
        self._why = Label("", "dense", "text2", is_wrapped=True)
        hint = "Nothing secret is sent before you have compared the host key."
        self._hint = Label(hint, "label", "text3", is_wrapped=True)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._hint, 1)
        buttons.addWidget(self.skip_button)
        buttons.addWidget(self.check_button)
        self.body.addWidget(self._why)
        self.body.addWidget(self.form)
        self.body.addLayout(buttons)
        self.check_button.clicked.connect(self.submit)
        self.skip_button.clicked.connect(model.take_next)
        self.side_button.clicked.connect(model.edit)
        self.form.submitted.connect(self.submit)
        self.form.key_file_wanted.connect(model.key_file_wanted)
        model.drafted.connect(self._show_draft)
        self._show_draft()

    def _show_draft(self) -> None:
        candidate = self._model.candidate
        self.form.fill(self._model.draft)
        fixed = candidate is not None and candidate.jump is not None
        self.form.set_fixed_way(way_to(candidate) if fixed and candidate is not None else "")
        self._why.setText(_found_words(candidate) if candidate is not None else "")
        self._why.setVisible(candidate is not None)

    def submit(self) -> None:
        """Read the form; either say what is wrong at its field or ask for the host key."""
        if self._model.stage is not EnrolStage.IDLE:
            return
        who = self.form.read()
        if who is not None:
            self._model.start(who)

    def show_stage(self) -> None:
        """Show where the attempt stands."""
        self.skip_button.setVisible(bool(self._model.queue))
        if self._model.stage is EnrolStage.IDLE:
            self.show_state("current")
            return
        who = self._model.enrolment.who or self._model.draft
        candidate = self._model.candidate
        is_behind = candidate is not None and candidate.jump is not None and candidate.id == who.candidate_id
        behind = name_of(candidate) if candidate is not None and is_behind else ""
        side = "" if self._model.stage is EnrolStage.DONE else "Change"
        self.show_state("done", who_line(who, behind), side=side)

    def focus_first(self) -> None:
        """Put the cursor where something is to be typed, else on the button."""
        for part in (self.form.address, self.form.user):
            if not part.text():
                part.setFocus(Qt.FocusReason.OtherFocusReason)
                return
        self.check_button.setFocus(Qt.FocusReason.OtherFocusReason)


def _found_words(candidate: Candidate) -> str:
    parts = [f"Found: {why_found(candidate)}", candidate.likeness, way_to(candidate), other_ways(candidate)]
    if candidate.known_as:
        parts.insert(1, f"already added as {candidate.known_as}, for all that is known")
    return " · ".join(sentence(part, 200) for part in parts if part)
