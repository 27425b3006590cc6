"""The little of Go's templates that `docker --format` is used with: `{{.A.B}}`, `{{json .A}}`, `{{.Label "k"}}`,
`{{index .A "k"}}` and plain text.

The one rule: what it does not know is an error in docker's wording, never an empty string.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PART = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_PATH = re.compile(r"(\.[A-Za-z][A-Za-z0-9]*)+\Z|\.\Z")


class TemplateError(Exception):
    """The words of docker."""


def fill(template: str, row: dict[str, Any]) -> str:
    """The template with this row's values."""
    text = template.replace("\\n", "\n").replace("\\t", "\t")
    return _PART.sub(lambda match: _show(_value(match[1], row)), text)


def _value(words: str, row: dict[str, Any]) -> Any:
    if words.startswith("json "):
        return json.dumps(_walk(words[5:].strip(), row), separators=(",", ":"))
    match = re.match(r"index\s+(\S+)\s+\"([^\"]*)\"\Z", words)
    if match:
        inner = _walk(match[1], row)
        return inner.get(match[2], "") if isinstance(inner, dict) else ""
    match = re.match(r"\.Label\s+\"([^\"]*)\"\Z", words)
    if match:
        return row.get("_labels", {}).get(match[1], "")
    return _walk(words, row)


def _walk(path: str, row: dict[str, Any]) -> Any:
    if not _PATH.match(path):
        raise TemplateError(f"template parsing error: template: :1: unexpected {path!r} in operand")
    value: Any = {name: inner for name, inner in row.items() if not name.startswith("_")}
    for name in path.strip(".").split(".") if path != "." else []:
        if not isinstance(value, dict) or name not in value:
            raise TemplateError(
                f'template: :1:2: executing "" at <{path}>: can\'t evaluate field {name} in type interface {{}}'
            )
        value = value[name]
    return value


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{_show(inner)}" for name, inner in value.items()) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_show(inner) for inner in value) + "]"
    return str(value)
