"""Nearness: hostile vectors are left out, and what is nearest is taken by budget in its own order."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.window.nearness import MAX_TAKEN, from_bytes, nearest, to_bytes, to_vector
from sparkdesk.core.chat.window.piece import Piece


def piece(at: int, text: str) -> Piece:
    return Piece(at, "", 0, text)


@given(st.lists(st.floats(width=32), max_size=8))
def test_a_vector_outlives_the_store_or_is_none(numbers: list[float]) -> None:
    vector = to_vector(numbers)
    if vector is None:
        assert not numbers or not any(numbers) or not all(map(math.isfinite, numbers))
        return
    again = from_bytes(to_bytes(vector))
    assert again is not None
    assert abs(float(again @ vector) - 1.0) < 1e-5


def test_what_is_no_vector_is_none() -> None:
    for wrong in (None, "1,2", [], [0.0, 0.0], ["a"], [True], [math.nan], [math.inf], [1.0] * 20_000, {"a": 1}):
        assert to_vector(wrong) is None
    for data in (b"", b"abc", b"\x00" * 8, b"\xff" * 8):
        assert from_bytes(data) is None


def test_the_nearest_are_taken_by_budget_and_stay_in_their_order() -> None:
    pieces = [piece(at, text) for at, text in enumerate(("far", "near", "nearest", "other"))]
    sides = {"far": [0.0, 1.0], "near": [1.0, 0.2], "nearest": [1.0, 0.0], "other": [-1.0, 0.1]}
    vectors = {one.key: vector for one in pieces if (vector := to_vector(sides[one.text])) is not None}
    asked = to_vector([1.0, 0.0])
    assert asked is not None
    found = nearest(asked, pieces, vectors, budget=11, count=len)
    assert [one.text for one, _ in found] == ["near", "nearest"]
    assert found[1][1] > found[0][1] > 0.9
    assert nearest(asked, pieces, vectors, budget=6, count=len) == ()


def test_a_vector_of_another_length_is_left_out() -> None:
    pieces = [piece(0, "one"), piece(1, "two")]
    one, two, asked = to_vector([1.0, 0.0, 0.0]), to_vector([1.0, 0.1]), to_vector([1.0, 0.0])
    assert one is not None
    assert two is not None
    assert asked is not None
    found = nearest(asked, pieces, {pieces[0].key: one, pieces[1].key: two}, budget=100, count=len)
    assert [found_piece.text for found_piece, _ in found] == ["two"]


def test_the_same_text_twice_is_taken_once() -> None:
    pieces = [piece(0, "same"), piece(3, "same")]
    vector = to_vector([1.0])
    assert vector is not None
    found = nearest(vector, pieces, {pieces[0].key: vector}, budget=100, count=len)
    assert [found_piece.turn for found_piece, _ in found] == [3]


def test_only_so_many_pieces_are_taken_however_much_fits() -> None:
    pieces = [piece(at, f"text {at}") for at in range(100)]
    vectors = {one.key: vector for one in pieces if (vector := to_vector([1.0, one.turn / 100])) is not None}
    asked = to_vector([1.0, 0.0])
    assert asked is not None
    found = nearest(asked, pieces, vectors, budget=10**6, count=len)
    assert [one.turn for one, _ in found] == list(range(MAX_TAKEN))
