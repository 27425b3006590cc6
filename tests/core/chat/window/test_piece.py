"""Pieces: stretches of a text that give it back when they are put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.message import FilePart, Role
from sparkdesk.core.chat.window.piece import MAX_PIECES, cut, joined, pieces_of
from tests.core.chat.window.chat_turns import turn

TEXTS = st.text(alphabet="ab \n.é中", max_size=400)


@given(TEXTS, st.integers(8, 60))
def test_pieces_are_stretches_that_cover_every_word(text: str, size: int) -> None:
    found = cut(text, size=size, overlap=size // 4)
    covered = [False] * len(text)
    for start, piece in found:
        assert text[start : start + len(piece)] == piece
        assert 0 < len(piece) <= size
        covered[start : start + len(piece)] = [True] * len(piece)
    assert all(covered[at] for at, letter in enumerate(text) if not letter.isspace())


@given(TEXTS)
def test_all_pieces_together_are_the_text_again(text: str) -> None:
    found = pieces_of([turn(1, Role.USER, text)] if text else [])
    whole = joined([(piece, 0.5) for piece in found])
    assert "".join("".join(piece.text.split()) for piece, _ in whole) == "".join(text.split())


def test_a_text_is_cut_between_paragraphs() -> None:
    found = cut("one " * 10 + "\n\n" + "two " * 10, size=60, overlap=0)
    assert [piece.split()[0] for _, piece in found] == ["one", "two"]


def test_files_are_pieces_of_their_own_with_their_names() -> None:
    asked = turn(4, Role.USER, "What does it say?", FilePart("plan.txt", "The plan is short."))
    assert [(piece.source, piece.text) for piece in pieces_of([asked])] == [
        ("", "What does it say?"),
        ("plan.txt", "The plan is short."),
    ]
    assert [piece.source for piece in pieces_of([asked], files_only=frozenset((4,)))] == ["plan.txt"]


def test_of_too_many_pieces_the_newest_stay() -> None:
    turns = [turn(at, Role.USER, f"number {at}") for at in range(MAX_PIECES + 5)]
    found = pieces_of(turns)
    assert len(found) == MAX_PIECES
    assert found[-1].turn == MAX_PIECES + 4
    assert found[0].turn == 5


def test_an_overlap_of_more_than_half_is_refused() -> None:
    with pytest.raises(ValueError, match="half"):
        cut("abc", size=10, overlap=6)


def test_scripts_with_more_tokens_to_a_letter_have_shorter_pieces() -> None:
    latin, chinese = (pieces_of([turn(0, Role.USER, letter * 4000)]) for letter in ("a", "中"))
    assert max(len(piece.text) for piece in latin) == 900
    assert max(len(piece.text) for piece in chinese) == 300
