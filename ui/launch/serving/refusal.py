"""What a request's types refuse, in words for the person at the form. Pure.

The one rule: no word of the library that checks the types is shown: each refusal says what the field takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

_COUNTED: Final = {"environment": "variables", "nodes": "nodes"}
"""What a list is a list of, where it is not one of words."""
_LIMITS: Final = {
    "greater_than_equal": ("At least", "ge"),
    "greater_than": ("More than", "gt"),
    "less_than_equal": ("At most", "le"),
    "less_than": ("Less than", "lt"),
}
PLAIN_WORD: Final = "Letters, digits, dot, dash, underscore, colon and slash only"


def refusals(error: ValidationError) -> dict[str, str]:
    """Why each field is refused, by its name; "" is the whole. A field of a field is named field.field."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        names = [str(part) for part in each["loc"] if isinstance(part, str)]
        field = ".".join(names[:2])
        words = _words(str(each["type"]), each.get("ctx", {}), names, is_part=len(each["loc"]) > len(names))
        found.setdefault(field, words or _own_words(str(each["msg"])))
    return found


def _words(kind: str, context: Mapping[str, Any], names: list[str], *, is_part: bool) -> str:
    """Of what the types refuse by themselves; "" where a check of ours has said it in its own words."""
    if kind == "string_pattern_mismatch":
        return "A zero byte is in it" if "x00" in str(context.get("pattern", "")) else PLAIN_WORD
    if kind in ("string_too_long", "string_too_short"):
        limit = context.get("max_length", context.get("min_length", 0))
        which = "At most" if kind == "string_too_long" else "At least"
        one = {"environment": " in one value"}.get(names[0] if names else "", " in one word") if is_part else ""
        return f"{which} {limit:,} characters{one}"
    if kind in ("too_long", "too_short"):
        limit = context.get("max_length", context.get("min_length", 0))
        what = _COUNTED.get(names[-1] if names else "", "words")
        return f"{'At most' if kind == 'too_long' else 'At least'} {limit:,} {what if limit != 1 else what[:-1]}"
    if kind in _LIMITS:
        which, key = _LIMITS[kind]
        return f"{which} {context[key]:,}"
    if kind == "literal_error":
        return f"One of {context.get('expected', '')}".replace("'", "")
    return "" if kind == "value_error" else "This cannot be read"


def _own_words(said: str) -> str:
    words = said.removeprefix("Value error, ")
    return words[:1].upper() + words[1:200]
