"""What nobody saw on hardware is marked, and each mark names an assumption that a real Spark can be held against."""

from __future__ import annotations

import re

import pytest

from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from tests.house.tree import ROOT

FOLDERS = ("sparkdesk", "backends", "ui", "resources")
MARK = re.compile(
    r"unverified on hardware|(?:seen|measured|tried|tested|checked|verified)\b[^.]{0,30}\bby us\b"
    r"|(?:nobody|none) of us|we (?:have )?never|measured it\b",
    re.IGNORECASE,
)
"""The mark, and other words that say the same and would pass it by."""
NAMED = re.compile(r"unverified on hardware \[([a-z0-9-]+(?:, [a-z0-9-]+)*)\]", re.IGNORECASE)
NOUN = {
    "sparkdesk/core/probes/assumption.py",
    "sparkdesk/core/probes/assumption_table.py",
    "sparkdesk/core/probes/check.py",
    "ui/node/result.py",
}
"""Where the words are the subject, not a mark."""


def unnamed_marks(text: str, known: frozenset[str]) -> list[str]:
    """The lines with a mark that names no assumption of the table."""
    found = []
    for line in text.splitlines():
        names = [name for match in NAMED.finditer(line) for name in match.group(1).split(", ")]
        if MARK.search(line) and (not names or not set(names) <= known):
            found.append(line.strip())
    return found


def test_every_mark_names_an_assumption() -> None:
    known = frozenset(assumption.probe.id for assumption in ASSUMPTIONS)
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".toml") or str(path.relative_to(ROOT)) in NOUN:
                continue
            found += [f"{path.relative_to(ROOT)}: {line}" for line in unnamed_marks(path.read_text("utf-8"), known)]
    assert not found, "\n".join(found)


def test_a_mark_without_a_known_name_is_found() -> None:
    known = frozenset({"gpu-name"})
    assert unnamed_marks("A = 1  # unverified on hardware", known)
    assert unnamed_marks("A = 1  # unverified on hardware [other]", known)
    assert not unnamed_marks("A = 1  # unverified on hardware [gpu-name]", known)


@pytest.mark.parametrize(
    "words", ["nobody of us has measured it", "told by users, not seen by us", "never tried by us", "none of us saw it"]
)
def test_other_words_for_the_mark_are_found(words: str) -> None:
    assert unnamed_marks(f'"""Own choice: {words}."""', frozenset())
    named = f"A = 1  # {words}; unverified on hardware [gpu-name]"
    assert not unnamed_marks(named, frozenset({"gpu-name"}))


def test_every_allowance_of_the_planner_is_marked_where_it_stands() -> None:
    planned = [assumption for assumption in ASSUMPTIONS if assumption.where.startswith("core/planning/")]
    assert len(planned) >= 7
    for assumption in planned:
        named = NAMED.findall((ROOT / "sparkdesk" / assumption.where).read_text("utf-8"))
        assert assumption.probe.id in named, assumption.where


def test_every_assumption_names_a_place_that_exists() -> None:
    named = {assumption.where for assumption in ASSUMPTIONS}
    assert {
        where for where in named if not any((root / where).exists() for root in (ROOT, ROOT / "sparkdesk"))
    } == set()
