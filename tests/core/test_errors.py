"""No error without a next step."""

from __future__ import annotations

import pytest

from sparkdesk.core.errors import SparkDeskError, Unreachable


@pytest.mark.parametrize(("message", "remedy"), [("", "Do this."), ("It broke", "")])
def test_an_error_without_words_or_remedy_cannot_be_made(message: str, remedy: str) -> None:
    with pytest.raises(ValueError, match="remedy"):
        SparkDeskError(message, remedy=remedy)


def test_the_sentence_says_what_where_and_what_next() -> None:
    error = Unreachable("No answer for 60 s", remedy="Check that it is on.", node="spark-5c2d")
    assert error.sentence() == "No answer for 60 s on spark-5c2d. Check that it is on."


def test_the_node_is_not_named_twice() -> None:
    error = Unreachable("spark-5c2d does not answer", remedy="Check that it is on.", node="spark-5c2d")
    assert error.sentence().count("spark-5c2d") == 1
