"""Which recipes a person has approved on this computer, by the SHA-256 of their exact bytes, and what needs it.

The one rule: an approval is of bytes, never of a name or an author: one changed byte is another text. It runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the settings read approvals before the first frame, when nothing heavy may be imported
    from sparkdesk.core.jobs.recipe.imported import Imported

MAX_APPROVED: Final = 256
"""The newest are kept."""
_LINE: Final = re.compile(r"([0-9a-f]{64}) ([0-9]{4}-[0-9]{2}-[0-9]{2})")
_STEERING: Final = ("image", "extra_flags", "environment", "trust_remote_code", "speculative_model", "custom")
"""Fields that choose a program or another model, or that the engine reads in its own way: no range of
the form judges them."""


def needs_approval(imported: Imported) -> bool:
    """Whether a person has to approve the text before it may fill the form.

    A recipe always does: somebody else wrote it, and more of it comes than is seen at once. A pasted command does as
    soon as it chooses a container's image, sets variables, brings flags that have no field of their own, or asks for
    what is refused: it is the person's own paste, but rarely the person's own words. A command of plain fields (model,
    sizes, context, port) is judged by the form's own ranges; a hub id and a path are a name only: both fill at once.
    """
    if imported.source_kind in ("hub", "gguf") or not imported.fields:
        return False
    if imported.source_kind not in ("command", ""):
        return True
    return imported.has_errors or any(imported.fields.get(name) for name in _STEERING)


@dataclass(frozen=True, slots=True)
class Approvals:
    """Approved digests with the day of each, oldest first: at most MAX_APPROVED."""

    days: tuple[tuple[str, str], ...] = ()

    def day_of(self, digest: str) -> str:
        """Since when it is approved (YYYY-MM-DD); "" when it is not."""
        return next((day for known, day in self.days if known == digest), "")

    def may_fill(self, imported: Imported) -> bool:
        """Whether the text may fill the form: it needs no approval, or a person has given it."""
        return not needs_approval(imported) or imported.is_approved([digest for digest, _ in self.days])

    def add(self, digest: str, day: str) -> Approvals:
        """With one more; an earlier day of the same digest stays. What is no digest or no day adds nothing."""
        return Approvals(_read((*(" ".join(each) for each in self.days), f"{digest} {day}")))

    def written(self) -> str:
        """As text, a digest and its day a line."""
        return "\n".join(f"{digest} {day}" for digest, day in self.days)


def read_approvals(stored: object) -> Approvals:
    """What `written` gave; lines that are no approval count for nothing, and what is no text approves nothing."""
    return Approvals(_read(stored.splitlines())) if isinstance(stored, str) else Approvals()


def _read(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match and _is_day(match[2]):
            found.setdefault(match[1], match[2])
    return tuple(found.items())[-MAX_APPROVED:]


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
