"""The flags that an engine's own source or help page lists, as data: what a word on its command line may be.

The one rule: a table belongs to one release of the engine and says which; another build may know more, so a word that
is not in it is a warning with that release's name, never more.
"""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from sparkdesk.core.errors import SettingsError

TAKES: Mapping[str, tuple[int, int | None]] = MappingProxyType(
    {"none": (0, 0), "value": (1, 1), "optional": (0, 1), "many": (1, None)}
)
"""How many values a flag takes: least and most; None is any number."""
UNDERSCORES = ("vllm", "llamacpp")
"""Their parsers take --max_model_len for --max-model-len. Source: vLLM's parser, llama.cpp's common/arg.cpp."""
ABBREVIATED = ("vllm", "sglang")
"""Their parsers take the beginning of a name that only one flag has. Source: Python's argparse."""
DOTTED = ("vllm",)
"""--flag.key value sets one key of a flag whose value is JSON. Source: vLLM's argument parser."""
NEGATED = ("vllm",)
"""Each switch has its --no-... too. Source: vLLM's parser gives switches argparse.BooleanOptionalAction; SGLang's are
store_true, and llama.cpp's table has each --no-... of its own."""
WITHOUT_EQUALS = ("llamacpp",)
"""It looks the whole word up. Source: llama.cpp's common/arg.cpp."""
UNKNOWN = "is not known"
STRAY = "belongs to no flag"
AMBIGUOUS = "is the beginning of several flags"
ONE_WORD = "is one word: flag and value are two"
MOST_NAME_CHARS = 60
"""Of a name whose nearest one is looked for."""
NEAR = 0.75
"""How alike two names are, 0 to 1, of which one may be the other misspelt. Our own choice."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of an engine. `choices` are its only values; () is any."""

    name: str
    takes: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlagTable:
    """All flags of one release. `flags` has them by every spelling: aliases, and --no-... where the engine takes it."""

    engine: str
    version: str
    flags: Mapping[str, Flag]


@dataclass(frozen=True, slots=True)
class Fault:
    """One flag that its engine's table does not allow so. `name` is as it was written, without a value."""

    name: str
    message: str
    near: str = ""
    """The flag that may have been meant; "" is none."""


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
        engine = str(table["engine"])
        if engine in NEGATED:
            flags = _negations(flags) | flags
        return FlagTable(engine, str(table["version"]), MappingProxyType(flags))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(
            "A table of engine flags is damaged", remedy="Install SparkDesk again.", detail=str(error)
        ) from error


def _negations(flags: Mapping[str, Flag]) -> dict[str, Flag]:
    """--no-... of every switch."""
    return {"--no-" + name[2:]: flag for name, flag in flags.items() if flag.takes == "none" and name[:2] == "--"}


def check_flags(words: Sequence[str], table: FlagTable) -> list[str]:
    """What is wrong with an engine's words after its program's or its model's name; empty is fine."""
    return [f"{fault.name} {fault.message}" for fault in find_faults(words, table)]


def find_faults(words: Sequence[str], table: FlagTable) -> Iterator[Fault]:
    """What is wrong with these words, one fault a flag, in their order. Total: any words are fine."""
    rest = deque(words)
    while rest:
        word = rest.popleft()
        name, is_joined, value = word.partition("=")
        flag, message = _find(name, table)
        if is_joined and table.engine in WITHOUT_EQUALS:
            yield Fault(name, "takes its value as a word of its own, not behind =")
            continue
        values = [value] if is_joined else list(_take_values(rest))
        if flag is not None and (wrong := _value_fault(flag, values)):
            yield Fault(name, wrong)
        elif flag is None and not _is_short_form(word, table):
            yield Fault(name, message, _nearest(name, table) if message in (UNKNOWN, AMBIGUOUS) else "")


def _find(name: str, table: FlagTable) -> tuple[Flag | None, str]:
    """The flag of a name in each spelling that its engine's parser takes; else what is wrong with it."""
    if not name.startswith("-"):
        return None, STRAY
    if any(letter.isspace() for letter in name):
        return None, ONE_WORD
    if table.engine in UNDERSCORES and name.startswith("--"):
        plain, dot, sub = name.partition(".")
        name = plain.replace("_", "-") + dot + sub
    if table.engine in DOTTED:
        name = name.partition(".")[0]
    if (flag := table.flags.get(name)) is not None:
        return flag, ""
    if table.engine in ABBREVIATED and len(name) > len("--") and name.startswith("--"):
        found = {flag.name: flag for full, flag in table.flags.items() if full.startswith(name)}
        if found:
            return (next(iter(found.values())), "") if len(found) == 1 else (None, AMBIGUOUS)
    return None, UNKNOWN


def _nearest(name: str, table: FlagTable) -> str:
    if len(name) > MOST_NAME_CHARS:
        return ""
    return next(iter(get_close_matches(name, table.flags, n=1, cutoff=NEAR)), "")


def _value_fault(flag: Flag, values: list[str]) -> str:
    """What is wrong with a flag's values; "" is nothing."""
    least, most = TAKES[flag.takes]
    if len(values) < least:
        return "takes a value"
    if most is not None and len(values) > most:
        return f"takes {'one value' if most else 'no value'}"
    if flag.choices and not set(values) <= set(flag.choices):
        return f"takes one of: {', '.join(flag.choices)}"
    return ""


def _is_short_form(word: str, table: FlagTable) -> bool:
    """A level of vLLM's behind -O without a space: -O3, or a key of it: -O.mode=3. No table has it."""
    return table.engine in DOTTED and word.startswith("-O")


def _take_values(rest: deque[str]) -> Iterator[str]:
    while rest and (not rest[0].startswith("-") or _is_number(rest[0])):
        yield rest.popleft()


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
