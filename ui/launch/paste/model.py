"""What was understood of a pasted text, as lines to read. Holds the text and its reading; runs nothing.

The one rule: everything in the text is accounted for (taken, refused, left to SparkDesk, off, or not understood), and
what somebody else wrote is given on only when a person has approved exactly the bytes that were shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.recipe.approval import Approvals, needs_approval
from sparkdesk.core.jobs.recipe.imported import Imported, Unread, show
from sparkdesk.core.jobs.recipe.wording import field_words, flag_line
from ui.bridge import watch
from ui.launch.feeds import ReadPaste
from ui.launch.model import TITLES

DEBOUNCE_MS = 100
MAX_LINES = 80
"""Of one kind; the rest is counted."""
KINDS = {
    "sparkrun": "sparkrun recipe",
    "eugr": "eugr recipe",
    "spark-pulse": "spark-pulse recipe",
    "sparkdesk": "SparkDesk recipe",
    "command": "Command",
    "hub": "Hub model",
    "gguf": "GGUF file",
}
FIELD_TITLES = {
    **TITLES,
    "tensor_parallel_size": "Tensor parallel",
    "pipeline_parallel_size": "Pipeline parallel",
    "data_parallel_size": "Data parallel",
    "memory_fraction": "Memory fraction",
    "threads": "CPU threads",
    "image": "Container image",
    "system_prompt": "System prompt",
    "temperature": "Temperature",
    "recipe_version": "Recipe version",
}
_SEVERITY_ICONS = {Severity.ERROR: "octagon-alert", Severity.WARNING: "triangle-alert", Severity.NOTE: "circle-help"}


class Line(NamedTuple):
    """One thing that was found: `icon` and `title` first, what was found, and why or what to do in `note`."""

    icon: str
    title: str
    words: str
    note: str = ""


class Section(NamedTuple):
    """Lines of one kind."""

    key: str
    title: str
    lines: tuple[Line, ...]


class Approval(NamedTuple):
    """Whether the text that is shown is approved, in words."""

    is_given: bool
    words: str
    note: str


class PasteModel(QObject):
    """The text and its reading: any text is fine. `approve` keeps a digest, which `approvals` then tell."""

    changed = Signal()

    def __init__(
        self,
        read: ReadPaste,
        approvals: Latest[Approvals],
        approve: Callable[[str], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._read = read
        self._approvals = approvals
        self._approve = approve
        self.text = ""
        self._is_recipe = False
        self.imported: Imported | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.recompute)
        watch(approvals, self, lambda _: self.changed.emit())

    def set_text(self, text: str, *, is_recipe: bool = False) -> None:
        """Another text; it is read once the typing rests. A file's text that is typed into is no file's any more."""
        if (text, is_recipe) != (self.text, self._is_recipe):
            self.text, self._is_recipe = text, is_recipe
            self._timer.start()

    def recompute(self) -> None:
        """Read the text of now."""
        self._timer.stop()
        self.imported = self._read(self.text, is_recipe=self._is_recipe) if self.text.strip() else None
        self.changed.emit()

    def give(self) -> Imported | None:
        """What goes into the form, at the person's click, which approves it where that is still to be done.

        None when nothing may. A text that was changed and not yet shown is never approved by the click: it is shown.
        """
        is_shown = not self._timer.isActive()
        if not is_shown:
            self.recompute()
        imported = self.imported
        if imported is None or self.blocker():
            return None
        if is_shown and not self._approvals.value.may_fill(imported):
            self._approve(imported.digest)
        return imported if self._approvals.value.may_fill(imported) else None

    def approval(self) -> Approval | None:
        """How the shown text stands; None where nothing needs an approval."""
        imported = self.imported
        if imported is None or self.blocker() or not needs_approval(imported):
            return None
        day = self._approvals.value.day_of(imported.digest)
        digest = f"sha256 {imported.digest[:8]}…"
        if day:
            return Approval(
                True, f"Approved on this computer since {day} · {digest}", "A text that differs by one byte asks again."
            )
        refused = " What is refused stays out." if imported.has_errors else ""
        note = f"Look at what it asks for, and where it is from. Approving runs nothing: it fills the form.{refused}"
        return Approval(False, f"Not approved on this computer · {digest}", note)

    def action(self) -> str:
        """What the one button says."""
        approval = self.approval()
        return "Approve and fill the form" if approval is not None and not approval.is_given else "Fill the form"

    def verdict(self) -> tuple[str, str]:
        """What the text is, and the kind of its chip."""
        if self.imported is None:
            return "", "neutral"
        found = KINDS.get(self.imported.source_kind)
        if not found:
            return "Not understood", "crit"
        errors = sum(problem.severity is Severity.ERROR for problem in self.imported.problems)
        if errors:
            return f"{found}, {errors} {'error' if errors == 1 else 'errors'}", "crit"
        is_warned = any(problem.severity is Severity.WARNING for problem in self.imported.problems)
        return found, "warn" if is_warned or self.imported.unknown or self.imported.shown_only else "ok"

    def blocker(self) -> str:
        """Why the form cannot be filled; "" when it can."""
        if self.imported is None:
            return "Paste something first"
        return "" if self.imported.fields else "Nothing of it belongs into the form"


def sections_of(imported: Imported | None) -> tuple[Section, ...]:
    """What was found, in the order of its weight; sections without lines are left out."""
    if imported is None:
        return ()
    taken = tuple(Line("check", FIELD_TITLES.get(k, k), words) for k, words in field_words(imported).items())
    problems = tuple(_problem_line(each) for each in _ranked(imported.problems) if each.severity is not Severity.NOTE)
    notes = tuple(_problem_line(each) for each in imported.problems if each.severity is Severity.NOTE)
    off = tuple(Line("lock", each.kind.capitalize(), each.text, each.where) for each in imported.shown_only)
    passed_on = [each for each in imported.unknown if each.is_passed_on]
    unknown = [each for each in imported.unknown if not each.is_passed_on]
    found = (
        Section("problems", "Problems", problems),
        Section("taken", "Understood", taken),
        Section("passed", "Not understood (passed on)", _unread_lines("circle-help", passed_on)),
        Section("unknown", "Not understood", _unread_lines("circle-help", unknown)),
        Section("notes", "Notes", notes),
        Section("off", "Shown only: SparkDesk never runs this", off),
        Section("aside", "SparkDesk does this itself", _unread_lines("circle-dashed", imported.set_aside)),
        Section("bytes", "What an approval is of", _digest_lines(imported)),
    )
    return tuple(_cut(section) for section in found if section.lines)


def _ranked(problems: Sequence[Problem]) -> list[Problem]:
    order = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    return sorted(problems, key=lambda problem: order.index(problem.severity))


def _problem_line(problem: Problem) -> Line:
    title = FIELD_TITLES.get(problem.field, show(problem.field))
    return Line(_SEVERITY_ICONS[problem.severity], title, show(problem.message), show(problem.remedy))


def _unread_lines(icon: str, parts: Sequence[Unread]) -> tuple[Line, ...]:
    return tuple(Line(icon, *flag_line(each), each.why) for each in parts)


def _digest_lines(imported: Imported) -> tuple[Line, ...]:
    if not needs_approval(imported):
        return ()
    groups = " ".join(imported.digest[at : at + 16] for at in range(0, len(imported.digest), 16))
    return (Line("key", "SHA-256", groups, "Of all bytes of the text: compare it with what its author says."),)


def _cut(section: Section) -> Section:
    more = len(section.lines) - MAX_LINES
    if more <= 0:
        return section
    return section._replace(lines=(*section.lines[:MAX_LINES], Line("ellipsis", "", f"and {more} more")))
