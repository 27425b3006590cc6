"""A JSON schema as a person writes it: whether it is JSON, and what is wrong where it is not.

The one rule: only the JSON is judged here; what of the schema language a server understands is the server's to say.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ui.text import one_line

MAX_CHARS: Final = 64 * 1024
_MAX_DEPTH: Final = 64
EXAMPLE: Final = """{
  "type": "object",
  "properties": {
    "title": {"type": "string"},
    "score": {"type": "number"}
  },
  "required": ["title", "score"]
}"""


def schema_problem(text: str) -> str:
    """What is wrong with the text as a JSON schema, in words; "" when it can be sent. Any text is fine to ask about."""
    if len(text) > MAX_CHARS:
        return f"Longer than {MAX_CHARS // 1024} KiB"
    try:
        schema = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"Not JSON: line {error.lineno}, column {error.colno}: {one_line(error.msg, 120)}"
    except RecursionError:
        return "Too deeply nested"
    except ValueError as error:
        return f"Not JSON: {one_line(str(error), 120)}"
    if not isinstance(schema, dict):
        return 'A schema is an object: {"type": ...}'
    if _depth(schema) > _MAX_DEPTH:
        return "Too deeply nested"
    return ""


def describe_schema(text: str) -> str:
    """The schema in a few words: "object, 2 fields"; "" for none."""
    if not text.strip():
        return ""
    if schema_problem(text):
        return "not usable"
    schema: dict[str, Any] = json.loads(text)
    kind, fields = schema.get("type"), schema.get("properties")
    words = one_line(kind, 24) if isinstance(kind, str) else "schema"
    if isinstance(fields, dict):
        words += f", {len(fields)} field{'s' if len(fields) != 1 else ''}"
    return words


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _depth(value: object) -> int:
    """How deeply nested it is, without recursion: what is pasted may be made to exhaust it."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        deepest = max(deepest, depth)
        if depth > _MAX_DEPTH:
            break
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        waiting.extend((part, depth + 1) for part in inner)
    return deepest
