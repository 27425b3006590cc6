"""An answer that is JSON as a whole, laid out to be read.

Rule: only white space between its parts is changed: no number, name or order is ever another.
"""

from __future__ import annotations

import json
import re
from typing import Final

from sparkdesk.core.chat.markdown_block import MAX_CODE_CHARS, Block, BlockKind

_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_MOST_DEEP: Final = 40
_INDENT: Final = "  "


def json_block(text: str) -> Block | None:
    """The whole text as one block of code, when it is a JSON object or array; else None."""
    words = text.strip()
    if words[:1] not in ("{", "[") or words[-1:] not in ("}", "]") or len(words) > MAX_CODE_CHARS:
        return None
    try:
        json.loads(words)
    except (ValueError, RecursionError):
        return None
    shown = laid_out(words)
    return None if shown is None else Block(BlockKind.CODE, text, shown, "json")


def laid_out(text: str) -> str | None:
    """Valid JSON with each part on a line of its own; None where it is too deep for that."""
    tokens = _TOKEN.findall(text)
    parts: list[str] = []
    depth = 0
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else ""
        if token in ("}", "]"):
            depth -= 1
            if before not in ("{", "["):
                parts.append(f"\n{_INDENT * depth}")
        elif before in ("{", "[", ","):
            parts.append(f"\n{_INDENT * depth}")
        parts.append(": " if token == ":" else token)
        if token in ("{", "["):
            depth += 1
            if depth > _MOST_DEEP:
                return None
    return "".join(parts)
