"""Pieces of texts that are too long to send, cut so that each can be found by what it says.

The one rule: a piece is a stretch of its text, unchanged; what was cut can be put together again from the places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.estimate import size_bytes
from sparkdesk.core.digest import text_digest

PIECE_CHARS = 900
"""About a long paragraph of Latin letters; other scripts have shorter ones. Many servers of vectors take
512 tokens at once (source: the max_position_embeddings of the BERT family; llama.cpp's --ubatch-size)."""
OVERLAP_CHARS = 120
MAX_PIECES = 2000
"""Of one conversation, the newest first."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a turn's words, or of a file's when `source` is its name. `key` names its text in the store."""

    turn: int
    source: str
    start: int
    text: str
    is_question: bool = False
    """Said by the person."""

    @property
    def end(self) -> int:
        """Where it ends in its text."""
        return self.start + len(self.text)

    @property
    def key(self) -> str:
        """A digest of the text."""
        return text_digest(self.text)[:32]


def cut(text: str, *, size: int = PIECE_CHARS, overlap: int = OVERLAP_CHARS) -> tuple[tuple[int, str], ...]:
    """(place, stretch) of pieces of at most `size` characters, each `overlap` into the one before.

    Cut at the end of a paragraph, else of a line, else of a word, else anywhere. Raises ValueError when the overlap is
    more than half of the size.
    """
    if not 0 <= overlap <= size // 2:
        raise ValueError("the overlap must be at most half of a piece")
    found, start = [], 0
    while start < len(text):
        end = min(start + size, len(text))
        if end < len(text):
            end = _good_end(text, start + size // 2 + overlap // 2, end)
        if text[start:end].strip():
            found.append((start, text[start:end]))
        if end >= len(text):
            break
        start = max(end - overlap, start + 1)
    return tuple(found)


def _cut_by_script(text: str) -> tuple[tuple[int, str], ...]:
    """Pieces with about as many tokens in every script: what takes more bytes has more tokens to a letter."""
    share = len(text) / max(1, size_bytes(text))
    return cut(text, size=int(PIECE_CHARS * share), overlap=int(OVERLAP_CHARS * share))


def _good_end(text: str, low: int, high: int) -> int:
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.rfind(mark, low, high)
        if at >= 0:
            return at + len(mark)
    return high


def pieces_of(turns: Iterable[Turn], files_only: frozenset[int] = frozenset()) -> tuple[Piece, ...]:
    """The pieces of these turns and their files, in their order, at most MAX_PIECES of the newest.

    Of the turns in `files_only` their words are sent as they are: only their files are cut.
    """
    found: list[Piece] = []
    for turn in reversed(tuple(turns)):
        own: list[Piece] = []
        if turn.number not in files_only:
            is_question = turn.message.role is Role.USER
            own += [Piece(turn.number, "", at, text, is_question) for at, text in _cut_by_script(turn.text)]
        for part in turn.message.files:
            own += [Piece(turn.number, part.name, at, text, True) for at, text in _cut_by_script(part.text)]
        found[:0] = own
        if len(found) >= MAX_PIECES:
            return tuple(found[-MAX_PIECES:])
    return tuple(found)


def joined(pieces: Sequence[tuple[Piece, float]]) -> tuple[tuple[Piece, float], ...]:
    """Neighbours that overlap or touch made one, each with the better of the two figures. Keeps the order."""
    found: list[tuple[Piece, float]] = []
    for piece, nearness in pieces:
        last, figure = found[-1] if found else (None, 0.0)
        is_next = last is not None and (last.turn, last.source) == (piece.turn, piece.source)
        if last is not None and is_next and last.start <= piece.start <= last.end:
            text = last.text + piece.text[last.end - piece.start :]
            one = Piece(last.turn, last.source, last.start, text, last.is_question)
            found[-1] = (one, max(figure, nearness))
        else:
            found.append((piece, nearness))
    return tuple(found)
