"""The fields that came out of a text, in words for a person.

The one rule: a part of the text stands in one place only: flags that were not understood are not among the understood.
"""

from __future__ import annotations

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.recipe.imported import Imported, Unread, show

_UNGROUPED = frozenset({"port"})
"""Numbers that are names."""


def field_words(imported: Imported) -> dict[str, str]:
    """Each field's value as one line, by the field's name; a field of which nothing is left is not in it."""
    words: dict[str, str] = {}
    for name, value in imported.fields.items():
        if name == "engine":
            words[name] = ENGINES[value].title if value in ENGINES else show(value)
        elif name == "extra_flags":
            words[name] = show(" ".join(understood_flags(imported)))
        elif name == "environment":
            words[name] = show("  ".join(f"{key}={text}" for key, text in value))
        elif isinstance(value, int) and name not in _UNGROUPED:
            words[name] = f"{value:,}"
        else:
            words[name] = show(value)
    return {name: text for name, text in words.items() if text}


def understood_flags(imported: Imported) -> list[str]:
    """The extra flags that SparkDesk knows, with their values."""
    passed_on = {(each.where, each.text) for each in imported.unknown if each.is_passed_on}
    flags = imported.fields.get("extra_flags", ())
    kept: list[str] = []
    at = 0
    while at < len(flags):
        pair = (show(flags[at]), show(flags[at + 1])) if at + 1 < len(flags) else (show(flags[at]), "")
        if pair in passed_on:
            at += 2
        elif (pair[0], "") in passed_on:
            at += 1
        else:
            kept.append(flags[at])
            at += 1
    return kept


def flag_line(part: Unread) -> tuple[str, str]:
    """Where a part stood and what it said; a flag stands before its value, as it was written: ("", "--x 3")."""
    if part.where.startswith("-"):
        return "", f"{part.where} {part.text}".rstrip()
    return part.where, part.text


def unread_words(part: Unread) -> str:
    """What was not understood or not taken, on one line."""
    return ": ".join(words for words in flag_line(part) if words)
