"""A diff of two answers loses no character, and shows the words that differ."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.text_diff import MAX_CHARS, Piece, Side, diff, likeness

LINES = st.lists(st.text("ab \n.", max_size=12), max_size=20).map("\n".join)


def side(pieces: tuple[Piece, ...], *sides: Side) -> str:
    return "".join(piece.text for piece in pieces if piece.side in sides)


@given(st.one_of(LINES, st.text(max_size=300)), st.one_of(LINES, st.text(max_size=300)))
def test_the_pieces_of_a_side_are_its_text(left: str, right: str) -> None:
    pieces = diff(left, right)
    assert side(pieces, Side.BOTH, Side.LEFT) == left
    assert side(pieces, Side.BOTH, Side.RIGHT) == right
    assert all(one.side is not other.side for one, other in itertools.pairwise(pieces))


def test_one_word_that_differs_is_all_that_is_shown_as_different() -> None:
    assert diff("The sky is blue today.", "The sky is grey today.") == (
        Piece(Side.BOTH, "The sky is "),
        Piece(Side.LEFT, "blue"),
        Piece(Side.RIGHT, "grey"),
        Piece(Side.BOTH, " today."),
    )


def test_likeness_is_one_for_the_same_and_zero_for_nothing_in_common() -> None:
    assert likeness(diff("a b", "a b")) == likeness(diff("", "")) == 1.0
    assert likeness(diff("aaa", "bbb")) == 0.0
    assert likeness(diff("a b", "a c")) == pytest.approx(2 / 3)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("x " * 200_000, "y " * 200_000),
        ("a\n" * 50_000, "b\n" * 50_000),
        ("a\n" * 3900, "a\nb\n" * 1950),
        (" a a b" * 480, "a b b " * 480),
        ("a b c d " * 370, "d c b a " * 370),
        ("a" * (MAX_CHARS + 5), "a" * (MAX_CHARS + 9)),
    ],
)
def test_hostile_texts_are_cut_up_in_bounded_time(left: str, right: str) -> None:
    pieces = diff(left, right)
    assert side(pieces, Side.BOTH, Side.LEFT) == left
    assert side(pieces, Side.BOTH, Side.RIGHT) == right
