"""How two answers differ, in words. Pure.

The one rule: the pieces of each side, joined, are that side's text; nothing is judged. Cost is bounded: lines are held
against each other first, and words only inside lines that differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

MAX_CHARS = 256 * 1024
"""Of each text: what is beyond it is one piece that is not held against anything."""
MAX_LINES = 4000
MAX_WORDS = 3000
"""Of one stretch of lines that differ, on either side; larger ones differ as a whole."""
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


class Side(StrEnum):
    """Where a piece stands."""

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text, and in which of the two it is."""

    side: Side
    text: str


def diff(left: str, right: str) -> tuple[Piece, ...]:
    """The pieces in order; where the two differ, the left's stands before the right's."""
    pieces = [*_by_lines(left[:MAX_CHARS], right[:MAX_CHARS])]
    pieces += [Piece(Side.LEFT, left[MAX_CHARS:]), Piece(Side.RIGHT, right[MAX_CHARS:])]
    return _joined(pieces)


def likeness(pieces: tuple[Piece, ...]) -> float:
    """Share of the characters of both texts that are the same in both, 0 to 1; two empty texts are alike."""
    same = sum(2 * len(piece.text) for piece in pieces if piece.side is Side.BOTH)
    other = sum(len(piece.text) for piece in pieces if piece.side is not Side.BOTH)
    return same / (same + other) if same + other else 1.0


def _by_lines(left: str, right: str) -> Iterator[Piece]:
    ours, theirs = left.splitlines(keepends=True), right.splitlines(keepends=True)
    if max(len(ours), len(theirs)) > MAX_LINES:
        yield from _whole(left, right)
        return
    yield from _matched(ours, theirs, _by_words)


def _by_words(left: str, right: str) -> Iterator[Piece]:
    ours, theirs = _WORD.findall(left), _WORD.findall(right)
    if max(len(ours), len(theirs)) > MAX_WORDS:
        yield from _whole(left, right)
        return
    yield from _matched(ours, theirs, _whole)


def _matched(ours: list[str], theirs: list[str], differ: Callable[[str, str], Iterator[Piece]]) -> Iterator[Piece]:
    """What is the same in both, and what `differ` makes of each stretch between."""
    # Its heuristic for frequent items stays on: a text of one repeated pattern would take minutes without.
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, ours, theirs).get_opcodes():
        one, other = "".join(ours[a0:a1]), "".join(theirs[b0:b1])
        if tag == "equal":
            yield Piece(Side.BOTH, one)
        else:
            yield from differ(one, other)


def _whole(left: str, right: str) -> Iterator[Piece]:
    yield Piece(Side.LEFT, left)
    yield Piece(Side.RIGHT, right)


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Without empty pieces, neighbours of one side as one."""
    kept: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if kept and kept[-1].side is piece.side:
            kept[-1] = Piece(piece.side, kept[-1].text + piece.text)
        else:
            kept.append(piece)
    return tuple(kept)
