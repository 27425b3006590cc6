"""What a person does about a finding: mend it, stop the job that it is about, accept it, take that back.

The one rule: a plan is shown before it runs, and a stop is asked for; what was mended is looked at again, so that its
finding goes by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sparkdesk.core.findings.concern import Concern
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Playbook
from ui import text
from ui.findings import words
from ui.jobs.step_text import script_of
from ui.playbook.ask_dialog import AskDialog, Question
from ui.playbook.model import Proposal

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.node_pages import NodePages


MAX_SHOWN = 64
"""Fixes that are remembered; a person who shows more has long seen how the first one ended."""


class FindingActions:
    """Carries out what the strip, the list and the inspector ask for. Every method takes a finding's id."""

    def __init__(self, desktop: Desktop, pages: NodePages) -> None:
        self._desktop = desktop
        self._stack = desktop.stack
        self._pages = pages
        self._shown: list[tuple[Playbook, str]] = []
        """Fixes that were shown, each with its node."""
        self._ended: set[str] = set()
        self.dialog: AskDialog | None = None
        self._watch = self._stack.runs.runs.subscribe(self._look_again)

    def fix(self, finding_id: str) -> None:
        """Show what mends it, or ask whether to stop its job; nothing runs before a person says so."""
        concern = next((one for one in self._stack.findings.findings.value if one.id == finding_id), None)
        if concern is None or concern.fix is None:
            self._desktop.tell("ok", "This finding is gone", "There is nothing left to mend.")
        elif concern.job_id:
            self._ask_stop(concern, concern.fix)
        else:
            self._shown = [*self._shown[1 - MAX_SHOWN :], (concern.fix, concern.node_id)]
            lead = f"{self._title(concern)}. {text.one_line(concern.evidence, 300)}."
            self._pages.propose(Proposal(concern.fix, confirm="Run the fix", lead=lead))

    def accept(self, finding_id: str, note: str) -> None:
        """Live with it as it is, until it changes."""
        self._desktop.bridge.start(self._stack.findings.accept, finding_id, note)

    def unaccept(self, finding_id: str) -> None:
        """Take an acceptance back."""
        self._desktop.bridge.start(self._stack.findings.unaccept, finding_id)

    def _ask_stop(self, concern: Concern, plan: Playbook) -> None:
        question = Question(
            f"{text.one_line(plan.title, 80)}?",
            f"{self._title(concern)}: {text.one_line(concern.evidence, 300)}. What it serves ends now.",
            script_of(plan, self._stack.inventory.name_of),
            action="Stop it",
        )
        if self.dialog is not None:
            self.dialog.reject()
        dialog = self.dialog = AskDialog(question, self._desktop.window)
        dialog.accepted.connect(lambda: self._desktop.bridge.start(self._stack.launcher.stop, concern.job_id))
        dialog.finished.connect(lambda _code: self._forget(dialog))
        dialog.open()

    def _forget(self, dialog: AskDialog) -> None:
        dialog.deleteLater()
        if self.dialog is dialog:
            self.dialog = None

    def _title(self, concern: Concern) -> str:
        return f"{words.place_of(concern, self._stack.inventory.names())}: {words.title_of(concern)}"

    def _look_again(self, runs: Mapping[str, RunView]) -> None:
        """A fix has ended: what only the details, a check-up or a look at the cables tells is read again."""
        for run_id, run in runs.items():
            node_id = next((node for plan, node in self._shown if plan == run.playbook), "")
            if not run.is_over or run_id in self._ended or not node_id:
                continue
            self._ended.add(run_id)
            fleet, start = self._stack.fleet, self._desktop.bridge.start
            start(fleet.details.refresh, node_id)
            fleet.topology.request()
            if node_id in fleet.doctor.check_ups.value:
                start(fleet.doctor.run, node_id)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
