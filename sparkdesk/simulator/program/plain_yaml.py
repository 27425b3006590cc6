"""The plain YAML that options files are written in: mappings by indentation, flow mappings and lists, plain scalars.

The one rule: strict. What is not of that kind is an error with its line, never a guess. JSON is read as itself.
"""

from __future__ import annotations

import json
import re
from typing import Any

_KEY = re.compile(r"""( *)(?:"([^"]*)"|'([^']*)'|([A-Za-z_][\w.-]*)) *:(?: +(.*)|)$""")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class YamlError(Exception):
    """What is wrong, and where."""


def read(text: str) -> dict[str, Any]:
    """The mapping that the text is. Raises YamlError."""
    try:
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    except ValueError:
        pass
    lines = [(number, _bare(line)) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line.strip() and line.strip() != "---"]
    found, rest = _block(lines, 0)
    if rest:
        raise YamlError(f"did not find expected key, line {rest[0][0]}")
    return found


def _bare(line: str) -> str:
    """Without a comment."""
    return re.sub(r"(^|\s)#.*$", "", line).rstrip()


def _block(lines: list[tuple[int, str]], depth: int) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    """The mapping whose keys stand `depth` spaces in, and the lines after it."""
    found: dict[str, Any] = {}
    while lines:
        number, line = lines[0]
        match = _KEY.match(line)
        if match is None:
            raise YamlError(f"could not find expected ':', line {number}")
        indent = len(match[1])
        if indent < depth:
            break
        if indent > depth:
            raise YamlError(f"mapping values are not allowed here, line {number}")
        key, text, lines = match[2] or match[3] or match[4], (match[5] or "").strip(), lines[1:]
        if text:
            found[key] = _value(text, number)
        elif lines and lines[0][1].lstrip().startswith("- "):
            found[key], lines = _list(lines)
        elif lines and len(lines[0][1]) - len(lines[0][1].lstrip()) > depth:
            inner = len(lines[0][1]) - len(lines[0][1].lstrip())
            found[key], lines = _block(lines, inner)
        else:
            found[key] = None
    return found, lines


def _list(lines: list[tuple[int, str]]) -> tuple[list[Any], list[tuple[int, str]]]:
    found = []
    while lines and lines[0][1].lstrip().startswith("- "):
        found.append(_value(lines[0][1].lstrip()[2:].strip(), lines[0][0]))
        lines = lines[1:]
    return found, lines


def _value(text: str, number: int) -> Any:
    """A scalar, `{a: b}` or `[a, b]`."""
    if text.startswith("{") and text.endswith("}"):
        pairs = [part.partition(":") for part in _parts(text[1:-1])]
        if any(not colon for _key, colon, _text in pairs):
            raise YamlError(f"did not find expected ',' or '}}', line {number}")
        return {key.strip().strip("\"'"): _value(inner.strip(), number) for key, _colon, inner in pairs}
    if text.startswith("[") and text.endswith("]"):
        return [_value(part.strip(), number) for part in _parts(text[1:-1])]
    if text[:1] in "[{&*!|>%@`":
        raise YamlError(f"not plain YAML, line {number}")
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parts(text: str) -> list[str]:
    """The text at commas that stand in no inner bracket."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in (*parts, text[start:]) if part.strip()]
