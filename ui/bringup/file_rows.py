"""The lines of a file before and after, as a diff of two files shows them.

The one rule: pure and total; a file that could not be read before is shown as what will be written, and says so.
"""

from __future__ import annotations

import difflib

from sparkdesk.core.bringup.chapter import FileDiff
from sparkdesk.core.plain_text import make_plain
from ui import text
from ui.widgets.line_diff import DiffRow

MAX_LINES = 2000
MAX_LINE_CHARS = 400
NOT_READABLE = "What is there now cannot be read without sudo; it is kept for the undo before anything is written."


def file_rows(diff: FileDiff) -> tuple[DiffRow, ...]:
    """Every line of the file with its number before and after."""
    before, after = _lines(diff.before), _lines(diff.after)
    rows: list[DiffRow] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, first, last, low, high in matcher.get_opcodes():
        if tag == "equal":
            rows += [DiffRow(first + i + 1, low + i + 1, " ", line) for i, line in enumerate(before[first:last])]
            continue
        rows += [DiffRow(first + i + 1, None, "-", line) for i, line in enumerate(before[first:last])]
        rows += [DiffRow(None, low + i + 1, "+", line) for i, line in enumerate(after[low:high])]
    return tuple(rows)


def file_note(diff: FileDiff, *, is_written: bool = False) -> str:
    """The sentences below the lines; `is_written`: the run has written it, so that it stands there now."""
    parts = []
    if is_written and diff.before != diff.after:
        parts.append("Written as shown." if diff.after is not None else "The file is gone.")
    elif not diff.is_before_known:
        parts.append(NOT_READABLE)
    elif diff.before == diff.after:
        parts.append("Kept as is: nothing is written.")
    elif diff.after is None:
        parts.append("The file goes.")
    elif diff.before is None:
        parts.append("There is no such file yet.")
    if diff.note:
        parts.append(text.one_line(diff.note, 400))
    return " ".join(parts)


def _lines(content: str | None) -> list[str]:
    lines = (content or "").splitlines()[:MAX_LINES]
    return [make_plain(line, max_chars=MAX_LINE_CHARS).replace("\t", "    ") for line in lines]
