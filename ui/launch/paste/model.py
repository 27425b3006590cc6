"""What was understood of a pasted text, as lines to read. Holds the text and its reading; runs nothing.

The one rule: everything in the text is accounted for: taken, refused, left to SparkDesk, off, or not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.recipe.imported import Imported, Unread, show
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
FIELD_TITLES = TITLES | {
    "tensor_parallel_size": "Tensor parallel",
    "pipeline_parallel_size": "Pipeline parallel",
    "data_parallel_size": "Data parallel",
    "memory_fraction": "Memory fraction",
    "threads": "CPU threads",
    "image": "Container image",
    "system_prompt": "System prompt",
    "temperature": "Temperature",
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


class PasteModel(QObject):
    """The text and its reading. `read` raises nothing: any text is fine."""

    changed = Signal()

    def __init__(self, read: Callable[[str], Imported], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._read = read
        self.text = ""
        self.imported: Imported | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self.recompute)

    def set_text(self, text: str) -> None:
        """Another text; it is read once the typing rests."""
        if text != self.text:
            self.text = text
            self._timer.start()

    def recompute(self) -> None:
        """Read the text of now."""
        self._timer.stop()
        self.imported = self._read(self.text) if self.text.strip() else None
        self.changed.emit()

    def settled(self) -> Imported | None:
        """The reading of exactly the text of now."""
        if self._timer.isActive():
            self.recompute()
        return self.imported

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
        return found, "warn" if self.imported.unknown or self.imported.shown_only else "ok"

    def blocker(self) -> str:
        """Why the form cannot be filled; "" when it can."""
        if self.imported is None:
            return "Paste something first"
        return "" if self.imported.fields else "Nothing of it belongs into the form"


def sections_of(imported: Imported | None) -> tuple[Section, ...]:
    """What was found, in the order of its weight; sections without lines are left out."""
    if imported is None:
        return ()
    taken = tuple(Line("check", FIELD_TITLES.get(k, k), _value(v)) for k, v in imported.fields.items() if v != ())
    problems = tuple(_problem_line(each) for each in _ranked(imported.problems))
    off = tuple(Line("lock", each.kind.capitalize(), each.text, each.where) for each in imported.shown_only)
    found = (
        Section("problems", "Problems", problems),
        Section("taken", "Understood", taken),
        Section("unknown", "Not understood", _unread_lines("circle-help", imported.unknown)),
        Section("off", "Shown only: SparkDesk never runs this", off),
        Section("aside", "SparkDesk does this itself", _unread_lines("circle-dashed", imported.set_aside)),
    )
    return tuple(_cut(section) for section in found if section.lines)


def _ranked(problems: Sequence[Problem]) -> list[Problem]:
    order = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
    return sorted(problems, key=lambda problem: order.index(problem.severity))


def _problem_line(problem: Problem) -> Line:
    title = FIELD_TITLES.get(problem.field, show(problem.field))
    return Line(_SEVERITY_ICONS[problem.severity], title, show(problem.message), show(problem.remedy))


def _unread_lines(icon: str, parts: Sequence[Unread]) -> tuple[Line, ...]:
    return tuple(Line(icon, each.where, each.text, each.why) for each in parts)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        words = ("=".join(part) if isinstance(part, tuple) else str(part) for part in value)
        return show(" ".join(words))
    return f"{value:,}" if isinstance(value, int) else show(value)


def _cut(section: Section) -> Section:
    more = len(section.lines) - MAX_LINES
    if more <= 0:
        return section
    return section._replace(lines=(*section.lines[:MAX_LINES], Line("ellipsis", "", f"and {more} more")))
