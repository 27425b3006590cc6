"""Names that people give to nodes and clusters.

The one rule: a name is one short line of plain text, and no two of a kind look alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.plain_text import make_line

MAX_NAME_CHARS = 64


def check_name(text: str, taken: Iterable[str]) -> str:
    """The name without spaces around it. Raises SettingsError when it cannot be one or another has it already."""
    name = text.strip()
    if not name:
        raise SettingsError("The name is empty", remedy="Enter a name.")
    if len(name) > MAX_NAME_CHARS:
        raise SettingsError(f"The name has {len(name)} characters", remedy=f"Enter one with at most {MAX_NAME_CHARS}.")
    if not name.isprintable() or make_line(name) != name:
        raise SettingsError("The name has characters that cannot be seen", remedy="Enter a name of plain text.")
    if name.casefold() in {other.casefold() for other in taken}:
        raise SettingsError(f"There is a {name} already", remedy="Enter another name.")
    return name


def make_name(text: str, taken: Iterable[str]) -> str:
    """A name that is right, as near to the text as can be: for names that no person chose."""
    kept = "".join(character for character in make_line(text, max_chars=4 * MAX_NAME_CHARS) if character.isprintable())
    stem = kept.strip()[: MAX_NAME_CHARS - 4].strip() or "node"
    used = {other.casefold() for other in taken}
    name, number = stem, 2
    while name.casefold() in used:
        name, number = f"{stem} {number}", number + 1
    return name
