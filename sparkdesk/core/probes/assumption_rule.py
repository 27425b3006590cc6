"""How an assumption is judged: small pure rules over one answer, put together in the tables.

The one rule: a rule is total, and what could not be read is "not seen", never "held".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.probes.assumption import Assumption, Hold
from sparkdesk.core.probes.read import Answer, Answers, Fault, Probe, Read

MAX_SEEN_CHARS = 400
Ruling = tuple[Hold, str]
Rule = Callable[[Answer], Ruling]
NO_ANSWER = Answer(fault=Fault.UNREADABLE, problem="nothing came back")


def assume(assumption_id: str, claim: str, read: Read, rule: Rule, *, source: str, where: str) -> Assumption:
    """An assumption about one read. `source` says where it is written, `where` names the module that rests on it."""

    def judge(answers: Answers) -> Ruling:
        answer = answers.get(read, NO_ANSWER)
        return _not_read(answer) or rule(answer)

    title = assumption_id.replace("-", " ").capitalize()
    return Assumption(Probe(assumption_id, title, (read,), source), claim, where, judge)


def _not_read(answer: Answer) -> Ruling | None:
    if answer.fault is not None:
        return Hold.NOT_SEEN, shown(answer.problem or answer.fault.value)
    return None


def shown(text: str) -> str:
    """Evidence: plain, bounded, without blank ends."""
    return make_plain(text.strip(), max_chars=MAX_SEEN_CHARS)


def text_of(answer: Answer) -> str:
    """Everything that was read, file after file."""
    return "\n".join(text for _, text in answer.texts)


def matches(pattern: str, *, flags: int = re.MULTILINE) -> Rule:
    """Held when the text has the pattern; nothing at all in it is "not seen"."""
    compiled = re.compile(pattern, flags)

    def rule(answer: Answer) -> Ruling:
        text = text_of(answer)
        found = compiled.search(text)
        if found is not None:
            return Hold.HELD, shown(found.group(0))
        return (Hold.DIFFERS, shown(text)) if text.strip() else (Hold.NOT_SEEN, _empty(answer))

    return rule


def lacks(pattern: str) -> Rule:
    """Held when the text has something in it, but not the pattern."""
    compiled = re.compile(pattern, re.MULTILINE)

    def rule(answer: Answer) -> Ruling:
        text = text_of(answer)
        if not text.strip():
            return Hold.NOT_SEEN, _empty(answer)
        found = compiled.search(text)
        return (Hold.DIFFERS, shown(found.group(0))) if found is not None else (Hold.HELD, f"no {pattern!r} in it")

    return rule


def number_within(pattern: str, low: float, high: float) -> Rule:
    """Held when every number that the pattern's first group finds lies within the bounds, both included."""
    compiled = re.compile(pattern, re.MULTILINE)

    def rule(answer: Answer) -> Ruling:
        text = text_of(answer)
        found = [(match.group(0), read_number(match.group(1))) for match in compiled.finditer(text)]
        if not found:
            return (Hold.DIFFERS, shown(text)) if text.strip() else (Hold.NOT_SEEN, _empty(answer))
        for words, value in found:
            if not low <= value <= high:
                return Hold.DIFFERS, shown(words)
        return Hold.HELD, shown(found[0][0])

    return rule


def names_like(pattern: str, wanted: frozenset[str], *, needs_all: bool) -> Rule:
    """Held when the pattern's first group, searched in the paths, finds only wanted names (and all of them)."""
    compiled = re.compile(pattern)

    def rule(answer: Answer) -> Ruling:
        found = {match.group(1) for path, _ in answer.texts if (match := compiled.search(path)) is not None}
        if not found:
            return Hold.NOT_SEEN, "there is none"
        is_right = found == wanted if needs_all else found <= wanted
        return (Hold.HELD if is_right else Hold.DIFFERS), shown(", ".join(sorted(found)))

    return rule


def read_number(text: str) -> float:
    """The number in the text, NaN when it is none (NaN is within no bounds)."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return float("nan")


def _empty(answer: Answer) -> str:
    return shown(answer.errors) or "it is empty"
