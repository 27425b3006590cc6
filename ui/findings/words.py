"""What a finding looks like in words: its severity, where it is, since when, and what its button does.

The one rule: a severity has a shape and a word; what a node or a plan wrote is one bounded line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from PySide6.QtCore import QDateTime

from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.findings.concern import Concern, Severity, worst_first
from ui import text
from ui.jobs.mark import Mark

MARKS: dict[Severity, Mark] = {
    Severity.CRIT: Mark("Critical", "crit", "octagon-alert"),
    Severity.WARN: Mark("Warning", "warn", "triangle-alert"),
    Severity.NOTE: Mark("Note", "neutral", "eye"),
}
CLUSTER_WORDS = "The cluster"
NOTHING_TITLE = "Nothing to mend"
NOTHING_TEXT = "Every node was looked at, and everything is as it should be."
UNKNOWN_TITLE = "Not looked yet"
UNKNOWN_TEXT = "What is wrong shows here as soon as a node has sent enough to tell."
MAX_TITLE_CHARS = 120
MAX_LABEL_CHARS = 60


class Counts(NamedTuple):
    """How many findings there are, by what a person has to do with them; each is counted once."""

    open: int = 0
    """What wants to be mended."""
    notes: int = 0
    """To know, and nothing to mend."""
    accepted: int = 0


def is_open(concern: Concern) -> bool:
    """Whether it wants to be mended: nobody has accepted it, and it is more than a note."""
    return not concern.is_accepted and concern.severity is not Severity.NOTE


def count(findings: Iterable[Concern]) -> Counts:
    """The one way to count findings, wherever a number of them stands."""
    found = tuple(findings)
    opened, accepted = sum(map(is_open, found)), sum(one.is_accepted for one in found)
    return Counts(opened, len(found) - opened - accepted, accepted)


def worst(findings: Iterable[Concern]) -> Concern | None:
    """The one to tell first: not accepted, and more than a note. None when there is no such."""
    found = worst_first(filter(is_open, findings))
    return found[0] if found else None


def title_of(concern: Concern) -> str:
    """The title alone, and of when it is where nobody can tell now."""
    title = text.one_line(concern.title, MAX_TITLE_CHARS)
    if not concern.silent_ms:
        return title
    seen = QDateTime.fromMSecsSinceEpoch(concern.silent_ms).toString("d MMM HH:mm")
    return f"{title} (as of {seen}, silent since)"


def place_of(concern: Concern, names: Mapping[str, str]) -> str:
    """What it is about: a node, a node's port, or all of them."""
    if not concern.node_id:
        return CLUSTER_WORDS
    name = text.one_line(names.get(concern.node_id, concern.node_id), 64)
    return f"{name} {concern.subject}" if concern.subject in CAGES else name


def subject_of(concern: Concern) -> tuple[str, str]:
    """Kind and key of what it is about: ("port", "n1:P0"), ("node", id) or ("versions", field of the details)."""
    if not concern.node_id:
        return "versions", concern.subject
    if concern.subject in CAGES:
        return "port", f"{concern.node_id}:{concern.subject}"
    return "node", concern.node_id


def fix_label(concern: Concern, max_chars: int = MAX_LABEL_CHARS) -> str:
    """The button's words, "" when SparkDesk can do nothing. The dots say that more is shown before anything runs."""
    if concern.fix is None:
        return ""
    title = text.one_line(concern.fix.title, 4 * MAX_LABEL_CHARS).rstrip(text.ELLIPSIS)
    if len(title) > max_chars:
        title = title[:max_chars].rpartition(" ")[0] or title[:max_chars]
    return f"{title}{text.ELLIPSIS}"


def since_text(since_ms: int, now_ms: int) -> str:
    """The time of day it began, with the date when that is another day; "" when it is not known."""
    if since_ms <= 0:
        return ""
    began, now = QDateTime.fromMSecsSinceEpoch(since_ms), QDateTime.fromMSecsSinceEpoch(now_ms)
    if began.date() == now.date():
        return began.toString("HH:mm")
    return began.toString("d MMM HH:mm" if began.date().year() == now.date().year() else "d MMM yyyy")


def spoken(concern: Concern, names: Mapping[str, str]) -> str:
    """The whole finding for somebody who hears it."""
    state = "accepted" if concern.is_accepted else MARKS[concern.severity].text
    evidence = text.one_line(concern.evidence, 400)
    return f"{place_of(concern, names)}: {state}. {title_of(concern)}. {evidence}"


def quiet_words(has_looked: bool, unheard: Sequence[str]) -> tuple[str, str]:
    """Title and text where no finding is open: all is well only when every node was heard."""
    if not has_looked:
        return UNKNOWN_TITLE, UNKNOWN_TEXT
    if not unheard:
        return NOTHING_TITLE, NOTHING_TEXT
    who = text.one_line(unheard[0], 64) if len(unheard) == 1 else f"{len(unheard)} nodes"
    return f"{NOTHING_TITLE} on the nodes that were heard", f"Of {who} it cannot be told now."


def count_words(findings: Iterable[Concern], most: int = 3) -> str:
    """ "3 open, 1 note, 2 accepted": the first `most` of them that there are."""
    counts = count(findings)
    rows = ((counts.open, "open"), (counts.notes, "note" if counts.notes == 1 else "notes"))
    parts = [f"{number} {name}" for number, name in (*rows, (counts.accepted, "accepted")) if number]
    return ", ".join(parts[:most])


def open_words(number: int, more: str = "") -> str:
    """ "1 finding", "3 findings", "2 more findings", of those that are open."""
    return f"{number} {more}{'finding' if number == 1 else 'findings'}"
