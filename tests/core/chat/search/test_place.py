"""A place as a list shows it: one bounded line, its marks on what was found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.search.place import MAX_CHARS, lower, marks_in, place_of


def test_a_mark_within_another_is_one() -> None:
    assert marks_in("the tokenizer", ("the tokenizer", "token", "the")) == ((0, 13),)
    assert marks_in("a b a", ("a",)) == ((0, 1), (4, 5))


def test_letters_that_grow_when_small_move_no_mark() -> None:
    text = "İİİ walrus"
    assert len(lower(text)) == len(text)
    assert marks_in(text, ("walrus",)) == ((4, 10),)


def test_a_text_without_the_words_shows_its_beginning() -> None:
    assert place_of("plain words", ("none",)).text == "plain words"
    assert place_of("", ("x",)).text == ""


@given(st.text(), st.text(min_size=1, max_size=5), st.text())
def test_every_place_is_one_bounded_line_and_every_mark_lies_in_it(before: str, needle: str, after: str) -> None:
    place = place_of(before * 5 + needle + after * 5, (lower(needle),))
    assert len(place.text) <= MAX_CHARS + 2
    assert "\n" not in place.text
    assert all(0 <= start < end <= len(place.text) for start, end in place.marks)
    assert all(a[1] < b[0] or a[1] <= b[0] for a, b in zip(place.marks, place.marks[1:], strict=False))
