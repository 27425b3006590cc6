"""Fills `{key}` in a recipe's command from its values.

The one rule: bounded: so many rounds, so many characters; a key that nobody set stays as it is and is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkdesk.core.errors import PlanError

MAX_ROUNDS = 8
MAX_CHARS = 64 * 1024
_KEY = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
ASKED = re.compile(r"\{(?:config\.)?([A-Za-z_][A-Za-z0-9_]{0,63})\}")
"""What asks for a value of the recipe, in a command or a variable."""


def render(template: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The text with all known keys filled, and the keys that are not known. A value may hold keys itself.

    Raises PlanError when it grows over MAX_CHARS, or values refer to each other in a circle.
    """
    text = template
    for _ in range(MAX_ROUNDS):
        filled = _fill(text, values)
        if filled == text:
            return text, tuple(dict.fromkeys(_KEY.findall(text)))
        text = filled
    raise PlanError("The values of the recipe refer to each other in a circle", remedy="Write the values out.")


def text_of(value: object) -> str:
    """A value of a recipe as its command has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fill(text: str, values: Mapping[str, str]) -> str:
    parts: list[str] = []
    length = at = 0
    for match in _KEY.finditer(text):
        value = values.get(match[1], match[0])
        parts += (text[at : match.start()], value)
        length += len(parts[-1]) + len(parts[-2])
        at = match.end()
        if length > MAX_CHARS:
            break
    if length + len(text) - at > MAX_CHARS:
        raise PlanError(f"The command grows over {MAX_CHARS} characters", remedy="Write it shorter.")
    return "".join((*parts, text[at:]))
