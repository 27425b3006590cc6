"""What of a node's answers is not known, noted as its reading is made.

The one rule: a field that is not known has its reason here; None and "" never stand for an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes.read import Answer, Answers, Read, answer_of

MAX_PROBLEM_CHARS = 300
FORM_PROBLEM = "the answer has another form than expected"


class Gaps:
    """The reasons for what is not known, as they are met."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.problems: dict[str, str] = {}

    def answer(self, read: Read) -> Answer:
        """The answer to a read."""
        return answer_of(self.answers, read)

    def note(self, field: str, answer: Answer, otherwise: str = FORM_PROBLEM) -> None:
        """Say why a field is not known."""
        self.problems[field] = make_line(answer.why() or otherwise, max_chars=MAX_PROBLEM_CHARS)

    def line(self, field: str, read: Read, parse: Callable[[str], str] = str) -> str:
        """A field that is one line of an answer."""
        answer = self.answer(read)
        found = make_line(parse(answer.text), max_chars=200).strip() if answer.is_ok else ""
        if not found:
            self.note(field, answer)
        return found

    def rows(self, field: str, read: Read) -> list[dict[str, Any]] | None:
        """The rows that `ip -j` printed; None, with the reason, where it told none."""
        answer = self.answer(read)
        try:
            rows = json.loads(answer.text or "[]") if answer.is_ok and not answer.is_cut else None
        except (ValueError, RecursionError):
            rows = None
        if not isinstance(rows, list):
            if field:
                self.note(field, answer, "there is more than is read" if answer.is_cut else FORM_PROBLEM)
            return None
        return [row for row in rows if isinstance(row, dict)]
