"""A verdict on speed in words: the chip beside the state, the sentence of its card, each cause with its evidence.

The one rule: no word of praise or blame without both figures.
"""

from __future__ import annotations

from typing import NamedTuple

from sparkdesk.core.jobs.appraisal import judge
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.verdict import ANSWER_TOKENS, PROMPT_TOKENS, TOO_QUICK, Pace, Verdict
from sparkdesk.services.appraisal.appraisals import MEASURES, WAITS
from ui import text
from ui.jobs.mark import Mark


class CauseText(NamedTuple):
    """One likely cause: what, what was seen, what to do."""

    words: str
    evidence: str
    remedy: str


def rate_words(tok_s: float) -> str:
    """A rate as the page writes it."""
    return str(text.token_rate(tok_s))


def load_words(users: int) -> str:
    """The load that a figure is of: "at 1 user, 512/128"."""
    return f"at {users} {'user' if users == 1 else 'users'}, {PROMPT_TOKENS}/{ANSWER_TOKENS}"


def share_words(verdict: Verdict) -> str:
    """The share of what was expected as the verdict itself rounds it: "about 60 %"; "" where one is not known."""
    if not (text.is_known(verdict.measured_tok_s) and verdict.expected_tok_s > 0):
        return ""
    return f"about {judge.share_words(verdict).replace(' ', text.THIN_SPACE)}"


def fell_from(verdict: Verdict, first: Verdict | None) -> Verdict | None:
    """The server's own first figure where the newest is more than 15 % below it; else None."""
    return first if first is not None and judge.has_fallen(first, verdict.measured_tok_s) else None


def fall_words(verdict: Verdict, first: Verdict) -> str:
    """By how much it fell: "36 %"."""
    return f"{100.0 * (1.0 - verdict.measured_tok_s / first.measured_tok_s):.0f}{text.THIN_SPACE}%"


def note_words(verdict: Verdict, first: Verdict | None) -> str:
    """What must be said beside the verdict; not what its title and line say already."""
    if is_under_way(verdict):
        return ""
    said = judge.fall_note(first) if first is not None else ""
    note = verdict.note.removeprefix(said).lstrip(". ") if said else verdict.note
    return text.one_line(note, 300)


def verdict_mark(verdict: Verdict, first: Verdict | None = None) -> Mark:
    """The chip beside the state. `first` is what it fell from, None where it did not fall."""
    if not text.is_known(verdict.measured_tok_s):
        return _mark_without_figure(verdict.note)
    rate = rate_words(verdict.measured_tok_s)
    if verdict.pace is Pace.SLOWER:
        return Mark(f"{rate}, {share_words(verdict) or 'slower than expected'}", "warn", "triangle-alert")
    if first is not None:
        return Mark(f"{rate}, fell by {fall_words(verdict, first)}", "warn", "triangle-alert")
    if verdict.pace is Pace.UNKNOWN:
        is_expected = text.is_known(verdict.expected_tok_s)
        return Mark(f"{rate}, {'not judged' if is_expected else 'nothing to compare'}", "neutral", "gauge")
    return Mark(f"{rate}, {verdict.pace.value}", "ok", "check")


def _mark_without_figure(note: str) -> Mark:
    """The chip before the first figure: a check that waits or runs is not one that found nothing."""
    if note == MEASURES:
        return Mark("Measuring its speed…", "neutral", "loader")
    if note == WAITS:
        return Mark("Speed check waits: server busy", "neutral", "clock")
    return Mark(TOO_QUICK if note.startswith(TOO_QUICK) else "Speed not known", "neutral", "gauge")


def is_under_way(verdict: Verdict) -> bool:
    """Whether there is no figure because the check has yet to end."""
    return not text.is_known(verdict.measured_tok_s) and verdict.note in (MEASURES, WAITS)


def why_not_again(job: JobStatus, verdict: Verdict) -> str:
    """Why its speed cannot be measured again now; "" when it can."""
    if job.state is not JobState.READY:
        return "It is not ready now"
    return "It is measured now" if is_under_way(verdict) and verdict.note == MEASURES else ""


def verdict_title(verdict: Verdict, first: Verdict | None = None) -> str:
    """The card's title: the figure and how it compares. `first` is what it fell from."""
    if not text.is_known(verdict.measured_tok_s):
        if is_under_way(verdict):
            return "Its speed is measured now" if verdict.note == MEASURES else "Its speed is measured once it is idle"
        return f"{TOO_QUICK} its speed" if verdict.note.startswith(TOO_QUICK) else "Its speed is not known"
    rate = rate_words(verdict.measured_tok_s)
    if verdict.pace is Pace.SLOWER and share_words(verdict):
        return f"{rate}, {share_words(verdict)} of what this plan should do"
    if first is not None:
        return f"{rate}, {fall_words(verdict, first)} less than when it was first measured"
    if verdict.pace is Pace.UNKNOWN:
        return f"{rate}, {'not judged' if text.is_known(verdict.expected_tok_s) else 'with nothing to compare it to'}"
    return f"{rate}, {verdict.pace.value}"


def verdict_line(verdict: Verdict, when: str, was: str = "") -> str:
    """What was measured and what was expected, in one line; `was` is the first figure with its moment, if it fell."""
    tokens = f"{verdict.prompt_tokens or 512} tokens in, {verdict.answer_tokens or 128} out"
    parts = [f"One request, {tokens}" if is_under_way(verdict) else f"One request, {tokens}, {when}"]
    if was:
        parts.append(was)
    if text.is_known(verdict.expected_tok_s):
        expected = f"expected about {rate_words(verdict.expected_tok_s)}"
        if text.is_known(verdict.low_tok_s) and text.is_known(verdict.high_tok_s):
            expected += f" ({text.grouped(verdict.low_tok_s)} to {text.grouped(verdict.high_tok_s)})"
        parts.append(expected)
    if text.is_known(verdict.ttft_s):
        parts.append(f"first token {text.first_token_time(verdict.ttft_s)}")
    return "; ".join(parts) + "."


def cause_texts(verdict: Verdict) -> tuple[CauseText, ...]:
    """The causes, the most likely first."""
    return tuple(
        CauseText(text.one_line(c.words, 160), text.one_line(c.evidence, 300), text.one_line(c.remedy, 300))
        for c in verdict.causes[:8]
    )
