"""The flags that an engine's own source or help page lists, as data: what a word on its command line may be.

The one rule: a table belongs to one release of the engine and says which; another build may know more, so a word that
is not in it is a warning with that release's name, never more.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sparkdesk.core.errors import SettingsError

TAKES: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {"none": (0, 0), "value": (1, 1), "optional": (0, 1), "many": (1, None)}
)
"""How many values a flag takes: least and most; None is any number."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of an engine. `choices` are its only values; () is any."""

    name: str
    takes: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagTable:
    """All flags of one release. `flags` has them by every spelling: aliases, and --no-... where a flag is a switch."""

    engine: str
    version: str
    flags: Mapping[str, Flag]


FlagTables = Mapping[str, FlagTable]
"""By engine key."""


def read_flag_table(data: bytes) -> FlagTable:
    """A table of resources/flags. Raises SettingsError when it is not one."""
    try:
        table = tomllib.loads(data.decode())
        flags: dict[str, Flag] = {}
        for row in table["flag"]:
            if row["takes"] not in TAKES:
                raise ValueError(f"takes: {row['takes']}")
            flag = Flag(str(row["name"]), row["takes"], tuple(map(str, row.get("choices", []))))
            flags |= dict.fromkeys((flag.name, *map(str, row.get("aliases", []))), flag)
        switches = {"--no-" + name[2:]: flag for name, flag in flags.items() if flag.takes == "none"}
        return FlagTable(str(table["engine"]), str(table["version"]), MappingProxyType(switches | flags))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(
            "A table of engine flags is damaged", remedy="Install SparkDesk again.", detail=str(error)
        ) from error


def check_flags(words: Sequence[str], table: FlagTable) -> list[str]:
    """What is wrong with an engine's words after its program's or its model's name; empty is fine."""
    wrong: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, is_joined, value = word.partition("=")
        flag = table.flags.get(name)
        if flag is None:
            wrong.append(f"{name} is not known")
        values = [value] if is_joined else list(_take_values(rest))
        if flag is None:
            continue
        least, most = TAKES[flag.takes]
        if len(values) < least:
            wrong.append(f"{name} takes a value")
        elif most is not None and len(values) > most:
            wrong.append(f"{name} takes {'one value' if most else 'no value'}")
        elif flag.choices and not set(values) <= set(flag.choices):
            wrong.append(f"{name} takes one of: {', '.join(flag.choices)}")
    return wrong


def _take_values(rest: list[str]) -> Iterable[str]:
    while rest and (not rest[0].startswith("-") or _is_number(rest[0])):
        yield rest.pop(0)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
