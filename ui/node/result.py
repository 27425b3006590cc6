"""Findings and field results as rows of a list and as the text of the panel beside it. Pure: no Qt, no clock.

The one rule: what a node said is evidence, shown as plain bounded text; problems stand first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.probes.assumption import FieldReport, FieldResult, Hold
from sparkdesk.core.probes.check import CheckUp, Finding, Verdict
from ui import text
from ui.jobs.mark import NO_MARK, Mark
from ui.node.mark import HOLD_MARKS, VERDICT_MARKS
from ui.node.wrap import wrap_line

MAX_EVIDENCE_CHARS = 16_384
UNVERIFIED = Mark("Unverified on hardware", "neutral", "flask-conical")
_ORDER = (Verdict.FAIL, Verdict.WARN, Verdict.UNREAD, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row: what it is about, how it ended, and one line of what was found."""

    key: str
    mark: Mark
    title: str
    line: str
    note: Mark = NO_MARK

    @property
    def spoken(self) -> str:
        """The row in words."""
        return ", ".join(part for part in (self.title, self.mark.text, self.line, self.note.text) if part)


@dataclass(frozen=True, slots=True)
class ResultText:
    """The panel: a sentence, paragraphs under headings, the evidence, and a button when something can be done."""

    title: str
    mark: Mark
    lead: str
    note: Mark = NO_MARK
    paragraphs: tuple[tuple[str, str], ...] = ()
    evidence: str = ""
    evidence_title: str = "What was read"
    action: str = ""


def date_words(t_ms: int) -> str:
    """A day in the person's own zone: 2026-03-04."""
    return datetime.fromtimestamp(t_ms / 1000).strftime("%Y-%m-%d")


def seen_mark(t_ms: int) -> Mark:
    """That something was seen on this node, and when."""
    return Mark(f"Seen on this node {date_words(t_ms)}", "ok", "eye")


# Doctor -----------------------------------------------------------------------------------------------------------


def sort_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Problems first; within a verdict the order of the table."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.verdict)))


def finding_row(finding: Finding, seen_ms: int = 0) -> ResultRow:
    """A finding in the list."""
    mark = VERDICT_MARKS[finding.verdict]
    title, line = text.one_line(finding.title, 120), text.one_line(finding.message, 240)
    return ResultRow(finding.check_id, mark, title, line, _verified(finding, seen_ms))


def _verified(finding: Finding, seen_ms: int) -> Mark:
    if not finding.is_unverified:
        return NO_MARK
    return seen_mark(seen_ms) if seen_ms else UNVERIFIED


def finding_text(finding: Finding, seen_ms: int = 0) -> ResultText:
    """A finding in the panel."""
    paragraphs = (
        ("What it means", wrap_line(finding.meaning, 1200)),
        ("What to do", wrap_line(finding.remedy, 1200)),
        ("Where this comes from", wrap_line(finding.source, 400)),
    )
    return ResultText(
        title=wrap_line(finding.title, 120),
        mark=VERDICT_MARKS[finding.verdict],
        lead=wrap_line(finding.message, 600),
        note=_verified(finding, seen_ms),
        paragraphs=tuple((heading, words) for heading, words in paragraphs if words),
        evidence=make_plain(finding.evidence, max_chars=MAX_EVIDENCE_CHARS),
        action="Show the fix…" if finding.fix is not None else "",
    )


def doctor_words(check_up: CheckUp) -> str:
    """How the node stands, in one line."""
    counts = {verdict: sum(one.verdict is verdict for one in check_up.findings) for verdict in Verdict}
    words = (
        (counts[Verdict.FAIL], "failed", "failed"),
        (counts[Verdict.WARN], "warning", "warnings"),
        (counts[Verdict.UNREAD], "could not be read", "could not be read"),
        (counts[Verdict.PASS], "passed", "passed"),
    )
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in words if count)


# Field report -----------------------------------------------------------------------------------------------------


def field_row(result: FieldResult, seen_ms: int) -> ResultRow:
    """An assumption in the list; one that held on hardware carries the day on which this node showed it."""
    note = seen_mark(seen_ms) if seen_ms else NO_MARK
    title, line = text.one_line(result.claim, 240), text.one_line(result.seen, 240)
    return ResultRow(result.assumption_id, HOLD_MARKS[result.hold], title, line, note)


def field_text(result: FieldResult, seen_ms: int) -> ResultText:
    """An assumption in the panel."""
    paragraphs = (
        ("What the code takes for true", wrap_line(result.claim, 600)),
        ("Used in", wrap_line(result.where, 200)),
        ("Where this comes from", wrap_line(result.source, 400)),
        ("Its name in the report", wrap_line(result.assumption_id, 120)),
    )
    return ResultText(
        title=wrap_line(result.title, 120),
        mark=HOLD_MARKS[result.hold],
        lead=_field_lead(result.hold),
        note=field_row(result, seen_ms).note,
        paragraphs=tuple((heading, words) for heading, words in paragraphs if words),
        evidence=make_plain(result.seen, max_chars=MAX_EVIDENCE_CHARS),
        evidence_title="What was seen",
    )


def _field_lead(hold: Hold) -> str:
    if hold is Hold.HELD:
        return "This node agrees."
    if hold is Hold.DIFFERS:
        return "This node does not agree. What SparkDesk shows or does from it may be wrong here."
    return "This node had nothing to hold it against."


def report_words(report: FieldReport) -> str:
    """ "Held 39, differ 1, not seen 1"."""
    return report.summary().capitalize()
