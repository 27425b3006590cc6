"""Markdown for the plan and the report of a bring-up: words, tables, blocks.

The one rule: what comes from a node or a person stands there as text; it opens no link, cell, heading or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sparkdesk.core.plain_text import fence_for, make_line, make_plain, reveal_hidden
from sparkdesk.core.probes.redaction import hide_secrets

MAX_WORD_CHARS = 400
MAX_BLOCK_CHARS = 8000
_INLINE = re.compile(r"[\\`*\[\]<>|~&$@!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINKS = re.compile(r"(?i)(?<=[a-z])://|(?<=www)\.")
"""What GitHub's Markdown takes for a link without any mark."""
_START = re.compile(r"^(?:(\d{1,9})([.)])|([#+=-]))")


def words(text: str, *, max_chars: int = MAX_WORD_CHARS) -> str:
    """A text in one line that means nothing but itself within a line; secrets are taken out."""
    line = hide_secrets(reveal_hidden(make_line(text, max_chars=max_chars))).strip()
    line = _INLINE.sub(lambda found: f"\\{found[0]}", line)
    return _LINKS.sub(lambda found: f"\\{found[0]}", line)


def sentence(text: str) -> str:
    """A text that may stand at the beginning of a line: it begins no heading and no list there."""
    line = words(text)
    return _START.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[0]}", line)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table; headers and cells are texts."""
    lines = [_row(headers), "|" + " --- |" * len(headers)]
    return [*lines, *(_row(row) for row in rows), ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(words(cell) for cell in cells) + " |"


def block(text: str, kind: str = "") -> list[str]:
    """A text as it is, of several lines, which cannot close its own fence."""
    shown = hide_secrets(reveal_hidden(make_plain(text, max_chars=MAX_BLOCK_CHARS), is_code=True)).rstrip("\n")
    fence = fence_for(shown)
    return [f"{fence}{kind}", *shown.split("\n"), fence, ""]


def bullets(texts: Iterable[str]) -> list[str]:
    """A list of texts; nothing for none."""
    lines = [f"- {sentence(text)}" for text in texts]
    return [*lines, ""] if lines else []
