"""Rules read any line: the first that knows it, colours left out, and a long one cut where its cause still shows."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.backend import LoadProgress, LogFailure, Told
from sparkdesk.core.jobs.log_rule import (
    DOCKER_FAILURES,
    GPU_FAILURES,
    FailureRule,
    LogRule,
    RuledLog,
    number,
    say,
    say_share,
    tell,
)

READER = RuledLog(
    (
        LogRule(re.compile(r"at (\d+)%"), say_share("load", "{1} of a hundred")),
        LogRule(re.compile("is (.+)"), tell("x")),
    ),
    (FailureRule(re.compile(r"dead of (\w+)"), "Heal {1}."),),
)


def test_the_first_rule_that_knows_a_line_reads_it() -> None:
    assert READER.feed("at 40% is fine, dead of age") == (LoadProgress("load", "40 of a hundred", 0.4),)
    assert READER.feed("it is fine") == (Told("x", "fine"),)
    assert READER.feed("nothing") == ()


def test_colours_are_left_out() -> None:
    assert READER.feed("at \x1b[1m40\x1b[0m%") == (LoadProgress("load", "40 of a hundred", 0.4),)


def test_a_long_line_is_cut_where_its_cause_still_shows() -> None:
    (failure,) = READER.feed("y" * 3000 + " dead of hunger " + "z" * 5000)
    assert isinstance(failure, LogFailure)
    assert "dead of hunger" in failure.message
    assert len(failure.message) <= 400
    assert failure.remedy == "Heal hunger."


def test_a_failure_begins_with_its_words_and_is_cut_at_the_end() -> None:
    line = "(EngineCore pid=873) ERROR 11-22 03:01:02 [core.py:1510] ValueError: " + "x" * 300 + " dead of hunger " * 40
    (failure,) = READER.feed(line)
    assert isinstance(failure, LogFailure)
    assert failure.message.startswith("ValueError: xxx")
    assert failure.message.endswith("…")
    assert len(failure.message) <= 400


def test_tokens_in_a_phases_words_are_grouped() -> None:
    reader = RuledLog((LogRule(re.compile(r"of (\d+)"), say("load", "KV cache of {1} tokens")),), ())
    assert reader.feed("of 31227") == (LoadProgress("load", "KV cache of 31,227 tokens"),)


@given(st.text(max_size=500))
def test_any_line_is_read_without_an_exception(line: str) -> None:
    reader = RuledLog((), (*DOCKER_FAILURES, *GPU_FAILURES))
    assert all(isinstance(found, LogFailure) for found in reader.feed(line))
    number(line)
