"""Names that people give: one short line of plain text, and no two alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.name import MAX_NAME_CHARS, check_name, make_name
from sparkdesk.core.errors import SettingsError


def test_a_good_name_is_kept_without_the_spaces_around_it() -> None:
    assert check_name("  Bürö 3 \u2013 left ", ["Büro"]) == "Bürö 3 \u2013 left"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("x" * (MAX_NAME_CHARS + 1), "65 characters"),
        ("a\nb", "cannot be seen"),
        ("a\x1b[31mb", "cannot be seen"),
        ("a\u202eb", "cannot be seen"),
        ("SPARK-1", "already"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_with_what_to_do(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        check_name(text, ["spark-1"])
    assert caught.value.remedy


@given(st.text(max_size=200), st.lists(st.text(max_size=8), max_size=6))
def test_a_made_name_is_always_a_right_one(text: str, taken: list[str]) -> None:
    name = make_name(text, taken)
    assert check_name(name, taken) == name


def test_a_made_name_is_the_wanted_one_where_it_is_free() -> None:
    assert make_name("spark-1", ["spark-2"]) == "spark-1"
    assert make_name("spark-1", ["Spark-1", "spark-1 2"]) == "spark-1 3"
