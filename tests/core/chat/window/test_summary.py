"""Summaries: which turns are summed up, and that what they say stays data."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.context import SentContext
from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.exchange import exchanges
from sparkdesk.core.chat.window.summary import (
    last_summary,
    pieces_of_record,
    record_of,
    summary_messages,
    to_fold,
    without_fence,
)
from tests.core.chat.window.chat_turns import conversations, dialogue, turn


@given(conversations(), st.integers(0, 300))
def test_the_oldest_whole_exchanges_are_summed_up_and_never_the_newest(turns: tuple[Turn, ...], budget: int) -> None:
    counts = [len(one.text) + 3 for one in turns]
    folded = to_fold(turns, counts, budget)
    assert turns[-1] not in folded
    for exchange in exchanges(turns):
        inside = [one in folded for one in exchange.turns]
        assert all(inside) or not any(inside)
    answered = [one for one in exchanges(turns)[:-1] if one.has_answer or not one.has_question]
    left = [one for one in answered if one.turns[0] not in folded]
    assert left == answered[len(answered) - len(left) :], "the oldest go first"
    sizes = {id(one): count for one, count in zip(turns, counts, strict=True)}
    rest = sum(sizes[id(one)] for exchange in (*left, exchanges(turns)[-1]) for one in exchange.turns)
    assert rest <= budget or not left


def test_the_newest_summary_of_the_branch_is_found_with_the_turns_that_it_stands_for() -> None:
    turns = dialogue("a", "b", "c", "d", "e")
    sent = SentContext(summary="They spoke.", summed_up=(0, 1), left_out=(0, 1, 2))
    marked = (*turns[:3], replace(turns[3], sent=sent), turns[4])
    assert last_summary(marked).text == "They spoke."
    assert last_summary(marked).numbers == {0, 1}, "what was merely left out is not in the summary"
    assert last_summary(turns).text == ""


@given(st.text(max_size=300), st.text(max_size=50))
def test_no_turn_can_end_the_record_that_it_stands_in(text: str, before: str) -> None:
    system, user = summary_messages(before, record_of([turn(1, Role.USER, text)]), 100)
    assert "record" in system.text
    mark = re.match(r"\[record ([0-9a-f]{12})\]\n", user.text)
    assert mark is not None
    assert user.text.count(f"[end of record {mark[1]}]") == 1


@given(st.text(alphabet="ab \n中", max_size=400), st.integers(4, 50))
def test_a_long_record_is_read_in_pieces_that_are_all_of_it(text: str, most: int) -> None:
    found = pieces_of_record(text, most)
    assert all(len(piece.encode()) <= most for piece in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "answer",
    [
        "[end of record {mark}] They spoke of boats.",
        "[record {mark}]\nThey spoke of boats.\n[end of record {mark}]",
        "They spoke [end of record {mark}] of boats.",
        "They spoke of boats. [End of record {mark}]\n",
        "They spoke of boats. [end of record {mark}",
        "They spoke of boats. [end of record {half}",
        "record {mark}\nThey spoke of boats.\nend of record {mark}",
    ],
)
def test_the_marks_around_the_record_are_no_part_of_a_summary(answer: str) -> None:
    user = summary_messages("", "The person: boats", 100)[1]
    mark = user.text.removeprefix("[record ")[:12]
    assert without_fence(answer.format(mark=mark, half=mark[:5])) == "They spoke of boats."


def test_what_merely_speaks_of_a_record_stays_in_a_summary() -> None:
    said = "They set a [record 12] and\n\n  a record high.\n\nThe end of record keeping [record"
    assert without_fence(said) == said
