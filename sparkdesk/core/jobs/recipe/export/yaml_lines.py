"""Writes plain data as YAML: block style, every text that could be read otherwise in quotes, no anchors, no tags.

The one rule: what is written is read back by any YAML reader as the same data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*(?: [A-Za-z0-9_./@+(-][A-Za-z0-9_./@+),-]*)*")
_WORDS_OF_YAML = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def write_yaml(data: Mapping[str, Any]) -> str:
    """The mapping as YAML text. Values are mappings, lists, texts, numbers, truths and None."""
    return "".join(f"{line}\n" for line in _mapping(data, ""))


def _mapping(data: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in data.items():
        yield from _entry(f"{indent}{_scalar(str(key))}:", value, indent)


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield head
        yield from _mapping(value, f"{indent}  ")
    elif isinstance(value, list | tuple) and value:
        yield head
        yield from _sequence(value, f"{indent}  ")
    elif isinstance(value, str) and _is_block(value):
        yield f"{head} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"{indent}  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _sequence(items: list[Any] | tuple[Any, ...], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping) and item:
            lines = _mapping(item, f"{indent}  ")
            first = next(lines)
            yield f"{indent}- {first.removeprefix(f'{indent}  ')}"
            yield from lines
        elif isinstance(item, list | tuple) and item:
            yield f"{indent}-"
            yield from _sequence(item, f"{indent}  ")
        else:
            yield f"{indent}- {_scalar(item)}"


def _is_block(text: str) -> bool:
    """Whether a text of several lines may stand as a block: nothing in it that a block would change."""
    lines = text.removesuffix("\n").split("\n")
    is_plain = all(line.isprintable() and line.isascii() and line == line.rstrip() for line in lines)
    return len(lines) > 1 and is_plain and bool(lines[0]) and lines[0][0] != " " and bool(lines[-1])


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        return "{}" if isinstance(value, Mapping) else "[]"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML and len(text) < 4096:
        return text
    return f'"{"".join(map(_escape, text))}"'


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")  # 1e-05 is a text to YAML 1.1


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
