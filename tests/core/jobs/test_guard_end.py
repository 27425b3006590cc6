"""Where the guard ended a server, its own figures are the cause; everything else is left to others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.guard_end import read_guard_end


@pytest.mark.parametrize(
    "figures",
    [
        "memory floor: 1.2 GiB available, at least 4.0 GiB wanted",
        "memory floor: 5.0 GiB available, at least 4.0 GiB wanted, and it falls by 9.1 GiB a second",
        "memory floor: 5.0 GiB available, at least 4.0 GiB wanted, and the node stands still 61% of the time",
    ],
)
def test_the_floor_is_told_with_the_guards_figures_and_what_helps(figures: str) -> None:
    found = read_guard_end(f"Load the model until the server answers: spark-1: {figures}. Last line: INFO 200 OK")
    assert found is not None
    assert found.message == f"Its guard on the node ended it before the node froze, {figures}"
    assert "less context" in found.remedy
    assert "another server" in found.remedy
    assert not found.is_planned


def test_a_time_that_was_asked_for_is_no_failure() -> None:
    found = read_guard_end("its time was up: 7200 s after its start")
    assert found is not None
    assert (found.message, found.is_planned) == ("Its time was up: it was to stop 7,200 s after its start", True)


@given(st.text())
def test_other_words_are_not_the_guards(words: str) -> None:
    found = read_guard_end(words)
    assert found is None or "memory floor" in words or "time was up" in words
