"""What a person's words ask for.

The one rule: every text is a valid question. Signs that mean something to an index are plain characters here; too long
a question is cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CHARS = 400
MAX_WORDS = 12
GRAM_CHARS = 3
"""Characters of the index's pieces; a shorter word is looked for without the index."""

_PIECE = re.compile(r'(?:(tag|folder):)?(?:"([^"]*)"?|(\S+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The parts of a question."""

    phrase: str = ""
    """All words as they were written, one space between them."""
    words: tuple[str, ...] = ()
    """Each once; what stood in quotes is one."""
    tags: tuple[str, ...] = ()
    """Each of these must be among a chat's tags, in small letters."""
    folders: tuple[str, ...] = ()
    """One of these is the chat's folder, in small letters."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.words or self.tags or self.folders)


def parse_query(text: str) -> SearchQuery:
    """The parts of what was written. `tag:lora` and `folder:"My project"` choose, everything else is looked for."""
    plain = text[:MAX_CHARS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    words: dict[str, None] = {}
    tags: list[str] = []
    folders: list[str] = []
    for match in _PIECE.finditer(plain):
        kind, quoted, bare = match.groups()
        word = " ".join((quoted if quoted is not None else bare).split())
        if not word or (kind is None and word.lower() in ("tag:", "folder:")):
            continue  # a choice that is still being typed
        if kind is None:
            words[word] = None
        else:
            (tags if kind.lower() == "tag" else folders).append(word.lower())
    kept = tuple(words)[:MAX_WORDS]
    return SearchQuery(" ".join(kept), kept, tuple(tags), tuple(folders))
