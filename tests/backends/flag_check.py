"""Holds the words of a command line against a table of flags that was extracted from the engine (resources/flags)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COUNTS = {"none": (0, 0), "value": (1, 1), "optional": (0, 1), "many": (1, 1000)}


def check_flags(words: Sequence[str], table: Mapping[str, Any]) -> list[str]:
    """What is wrong with an engine's words after its program's or its model's name; empty is fine."""
    flags = {name: flag for flag in table["flag"] for name in (flag["name"], *flag.get("aliases", []))}
    flags |= {"--no-" + name[2:]: flag for name, flag in flags.items() if flag["takes"] == "none"}
    wrong: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag = flags.get(word)
        if flag is None:
            wrong.append(f"unknown: {word}")
            continue
        values: list[str] = []
        while rest and not rest[0].startswith("-"):
            values.append(rest.pop(0))
        least, most = COUNTS[flag["takes"]]
        if not least <= len(values) <= most:
            wrong.append(f"{word} with {values}")
        if flag.get("choices") and not set(values) <= set(flag["choices"]):
            wrong.append(f"{word} cannot be {values}")
    return wrong
