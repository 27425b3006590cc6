"""Which words are alike: a slip of the finger, or most trigrams shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.search.likeness import grams, is_like, like_words, swaps

WORD = st.text("abcdefgh", min_size=4, max_size=12)


@pytest.mark.parametrize(
    ("word", "other"),
    [("python", "pyhton"), ("cluster", "clutser"), ("colour", "color"), ("color", "colour"), ("memory", "memery")],
)
def test_one_slip_is_alike(word: str, other: str) -> None:
    assert is_like(word, other)


@pytest.mark.parametrize(("word", "other"), [("cat", "car"), ("tokenizer", "tomatoes"), ("rust", "dusty"), ("", "x")])
def test_other_words_are_not_alike(word: str, other: str) -> None:
    assert is_like(word, other) is (word == "")


@given(WORD, st.integers(0, 11))
def test_any_two_neighbours_may_be_exchanged(word: str, at: int) -> None:
    at %= len(word) - 1
    slip = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    assert is_like(slip, word)
    assert slip == word or word in swaps(slip)


@given(WORD, st.integers(0, 11), st.sampled_from("abcxyz"))
def test_any_character_may_be_missing_too_many_or_wrong(word: str, at: int, char: str) -> None:
    at %= len(word)
    assert is_like(word, word[:at] + char + word[at:])
    assert is_like(word, word[:at] + char + word[at + 1 :])
    assert len(word) == 4 or is_like(word, word[:at] + word[at + 1 :])


def test_trigrams_are_those_that_the_index_has() -> None:
    assert grams("rustrust") == ("rus", "ust", "str", "tru")
    assert grams("ab") == ()


def test_words_of_a_text_are_found_by_what_they_are_like() -> None:
    assert like_words("the tokenizer and tokenizers, a token", "tokeniser") == ("tokenizer",)
