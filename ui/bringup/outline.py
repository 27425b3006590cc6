"""The nine chapters of a bring-up as the list at the left shows them: a mark, a title and a few words each.

The one rule: pure; a chapter is called done only when no cell of it is open, failed or unread.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import Cell, CellState
from sparkdesk.core.bringup.outcome import is_change
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.proof.verdict import open_parts
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.step import Step

ChapterMark = Literal["todo", "running", "done", "warn", "failed", "skipped"]
MARK_WORDS: Final[dict[ChapterMark, str]] = {
    "todo": "to do",
    "running": "running",
    "done": "done",
    "warn": "warning",
    "failed": "failed",
    "skipped": "skipped",
}
_DOUBTS: Final = ((Grade.WARN, "warned"), (Grade.UNREAD, "not measured"))
CHAPTERS: Final = tuple(Chapter)
_OPEN = (CellState.PLANNED, CellState.WAITING)
_ENDED = ("done", "unchanged", "undone")
_GOOD = (CellState.PASS, CellState.DONE, CellState.SKIPPED)


@dataclass(frozen=True, slots=True)
class ChapterRow:
    """A line of the list."""

    key: str
    number: int
    title: str
    line: str
    mark: ChapterMark = "todo"

    @property
    def spoken(self) -> str:
        """The whole line in words."""
        return f"Step {self.number} of {len(CHAPTERS)}, {self.title}, {MARK_WORDS[self.mark]}, {self.line}"


def outline(state: BringUpState) -> tuple[ChapterRow, ...]:
    """All chapters, in order."""
    return tuple(_row(state, number, chapter) for number, chapter in enumerate(CHAPTERS, 1))


def steps_of(state: BringUpState, chapter: str) -> tuple[Step, ...]:
    """The steps of the plan that belong to a chapter."""
    steps = state.plan.playbook.steps() if state.plan is not None else ()
    return tuple(step for step in steps if step.phase == chapter)


def current_chapter(state: BringUpState) -> Chapter:
    """The chapter that a person looks for now."""
    if state.phase is Phase.PROVING:
        return Chapter.PROOF
    if state.phase is Phase.FAILED and (stopped := _stopped_at(state)) is not None:
        return stopped
    rows = outline(state)
    running = next((row for row in rows if row.mark == "running"), None)
    if running is not None:
        return Chapter(running.key)
    failed = next((row for row in rows if row.mark == "failed"), None)
    if failed is not None and state.phase is Phase.FAILED:
        return Chapter(failed.key)
    if state.phase is Phase.DONE:
        return Chapter.PROOF if state.measurements else Chapter.FINISH
    if state.phase in (Phase.IDLE, Phase.READING):
        return Chapter.TRUST
    # After an undo all steps are open again: what was taken back is told by the first that changes something.
    return next_chapter(state, but=Chapter.TRUST if state.phase is Phase.UNDONE else None)


def next_chapter(state: BringUpState, *, but: Chapter | None = None) -> Chapter:
    """The chapter of the first step that has not ended well, in the order in which they run; else the proof.

    `but`: not this one.
    """
    run, plan = state.run, state.plan
    steps = plan.playbook.steps() if plan is not None else ()
    waits = (step.phase for step in steps if run is None or run.step(step.id).state not in ("done", "unchanged"))
    return Chapter(next((phase for phase in waits if phase in set(Chapter) and phase != but), Chapter.PROOF))


def _stopped_at(state: BringUpState) -> Chapter | None:
    """The chapter of the step that ended a run: what was asked for by itself may be any."""
    run = state.run
    steps = [step for step in run.playbook.steps() if step.phase in set(Chapter)] if run is not None else []
    for ends in (("failed", "unknown"), ("cancelled", "running", "undone")):
        found = next((step for step in steps if run is not None and run.step(step.id).state in ends), None)
        if found is not None:
            return Chapter(found.phase)
    return None


def is_open(state: BringUpState, chapter: str) -> bool:
    """Whether a chapter has steps that have not ended well."""
    steps = steps_of(state, chapter)
    if state.run is None:
        return bool(steps)
    return any(state.run.step(step.id).state not in ("done", "unchanged") for step in steps)


def _row(state: BringUpState, number: int, chapter: Chapter) -> ChapterRow:
    if chapter is Chapter.PROOF:
        line, mark = _proof(state)
    elif chapter is Chapter.FINISH:
        line, mark = _finish(state)
    else:
        line, mark = _checks(state, chapter)
    return ChapterRow(chapter.value, number, chapter.words, line, mark)


def _checks(state: BringUpState, chapter: Chapter) -> tuple[str, ChapterMark]:
    cells = [cell for row in state.matrix.rows if row.chapter == chapter.value for cell in row.cells.values()]
    steps = steps_of(state, chapter.value)
    ended = [state.run.step(step.id).state for step in steps] if state.run is not None else []
    if "failed" in ended or "unknown" in ended:
        return f"{ended.count('failed') or ended.count('unknown')} of {len(steps)} steps failed", "failed"
    if "running" in ended:
        return _running_words(state), "running"
    if not cells:
        return ("nothing to check" if state.plan is not None else "not read yet"), "todo"
    if all(cell.state is CellState.SKIPPED for cell in cells):
        return "skipped", "skipped"
    count = Counter(cell.state for cell in cells)
    said = _findings(count)
    if count[CellState.FAIL]:
        return said, "failed"
    left = [step for step in steps if state.run is None or state.run.step(step.id).state not in _ENDED]
    changes = sum(is_change(step) for step in left)
    if any(cell.state in _OPEN for cell in cells) and changes:
        planned = [_plural(changes, "change"), *(["last"] if is_last(state, chapter) else [])]
        said = " · ".join([part for part in (said, ", ".join(planned)) if part])
    if said:
        return said, "warn" if count[CellState.WARN] or count[CellState.UNREAD] else "todo"
    if count[CellState.UNDONE]:
        return _back_words(state, steps), "todo"
    if count[CellState.RUNNING]:
        return "reading", "running"
    if all(cell.state in _GOOD for cell in cells):
        return _done_words(cells, steps), "done"
    return "to come", "todo"


def _back_words(state: BringUpState, steps: tuple[Step, ...]) -> str:
    """ "1 of 8 taken back": of the changes that were made and can be taken back."""
    ended = [state.run.step(step.id).state for step in steps if step.undo] if state.run is not None else []
    back, still = ended.count("undone"), ended.count("done")
    return f"{back} of {back + still} taken back" if still else "taken back"


def is_last(state: BringUpState, chapter: Chapter) -> bool:
    """Whether its steps run after those of every later chapter: packages need the Internet, and may fail alone."""
    order = [step.phase for step in state.plan.playbook.steps()] if state.plan is not None else []
    before = order[: order.index(chapter.value)] if chapter.value in order else []
    later = [each.value for each in CHAPTERS[CHAPTERS.index(chapter) + 1 :]]
    return any(phase in later for phase in before)


def _running_words(state: BringUpState) -> str:
    return "taking back" if state.run is not None and state.run.is_undo else "applying"


def _findings(count: Counter[CellState]) -> str:
    parts = (
        (count[CellState.FAIL], "problem"),
        (count[CellState.WARN], "warning"),
    )
    said = [_plural(number, word) for number, word in parts if number]
    if count[CellState.UNREAD]:
        said.append(f"{count[CellState.UNREAD]} not read")
    return " · ".join(said)


def _done_words(cells: list[Cell], steps: tuple[Step, ...]) -> str:
    changes = sum(is_change(step) for step in steps)
    is_changed = any(cell.state is CellState.DONE for cell in cells)
    return f"{_plural(changes, 'change')} made" if is_changed and changes else "as it should be"


def _proof(state: BringUpState) -> tuple[str, ChapterMark]:
    items = state.plan.proof_items if state.plan is not None else ()
    grades = Counter(measurement.grade for measurement in state.measurements)
    measured = sum(grades.values()) - grades[Grade.SKIPPED]
    wanted = sum(not item.skipped for item in items)
    if state.phase is Phase.PROVING:
        return f"{measured} of {wanted} measured", "running"
    if not state.measurements:
        return (f"{wanted} to be measured" if wanted else "nothing measured yet"), "todo"
    if state.past_proof:
        return f"proved {state.past_proof}", "todo"
    if grades[Grade.FAIL]:
        return f"{grades[Grade.FAIL]} outside the band", "failed"
    if not measured:
        return "skipped", "skipped"
    passed = f"{grades[Grade.PASS]} passed"
    if doubts := [f"{grades[one]} {word}" for one, word in _DOUBTS if grades[one]]:
        return " · ".join([passed, *doubts]), "warn"
    if missing := open_parts(state.measurements):
        return f"{passed} · {', '.join(missing)} not proved", "warn"
    return passed + (f" · {grades[Grade.SKIPPED]} skipped" if grades[Grade.SKIPPED] else ""), "done"


def _finish(state: BringUpState) -> tuple[str, ChapterMark]:
    if state.phase is Phase.DONE:
        return ("report saved", "done") if state.report_paths else ("report not saved yet", "todo")
    return "report and undo", "todo"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
