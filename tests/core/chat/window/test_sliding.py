"""The sliding window: whole exchanges, the newest always, and everything in one of two places."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn
from sparkdesk.core.chat.window.exchange import exchanges, says_something
from sparkdesk.core.chat.window.sliding import SLACK, Window, sliding
from tests.core.chat.window.chat_turns import conversations, dialogue


def counts_of(turns: tuple[Turn, ...]) -> list[int]:
    return [len(turn.text) + 3 for turn in turns]


@given(conversations(), st.integers(0, 400), st.frozensets(st.integers(0, 14)))
def test_what_is_sent_fits_and_with_what_is_left_out_is_all(
    turns: tuple[Turn, ...], budget: int, before: frozenset[int]
) -> None:
    counts = counts_of(turns)
    window = sliding(turns, counts, budget, left_before=before)
    kept = [turn.number for turn in window.kept]
    assert window.tokens == sum(count for turn, count in zip(turns, counts, strict=True) if turn.number in kept)
    assert window.tokens <= budget or window.kept == exchanges(turns)[-1].turns
    said = [turn.number for turn in turns if says_something(turn)]
    assert sorted([*kept, *window.left_out], key=said.index) == said, "no turn is lost, and none is in both places"
    assert kept == [number for number in said if number in kept], "the order is kept"


@given(conversations(), st.integers(0, 400))
def test_the_newest_question_stays_and_no_answer_stands_without_its_question(
    turns: tuple[Turn, ...], budget: int
) -> None:
    kept = sliding(turns, counts_of(turns), budget).kept
    assert kept[-1] is turns[-1]
    assert kept[0].message.role is Role.USER
    for exchange in exchanges(turns):
        inside = [turn in kept for turn in exchange.turns]
        assert all(inside) or not any(inside), "an exchange is whole or not there"


@given(conversations(), st.integers(50, 400))
def test_nothing_is_left_out_of_what_fits_but_what_no_template_takes(turns: tuple[Turn, ...], budget: int) -> None:
    counts = counts_of(turns)
    if sum(counts) > budget:
        return
    kept = sliding(turns, counts, budget).kept
    for exchange in exchanges(turns):
        is_alone = exchange.has_question and not exchange.has_answer and exchange.turns[-1] is not turns[-1]
        assert (exchange.turns[0] in kept) is (exchange.has_question and not is_alone)


def test_once_something_goes_so_much_goes_that_the_next_questions_begin_alike() -> None:
    turns = dialogue(*["x" * 7] * 21)
    first = sliding(turns, [10] * 21, 200)
    assert first.tokens <= 200 * SLACK
    more = (*turns, *dialogue(*["y" * 7] * 23)[21:])
    second = sliding(more, [10] * 23, 200, left_before=frozenset(first.left_out))
    assert second.left_out == first.left_out
    assert second.kept[: len(first.kept)] == first.kept, "the server finds the same beginning in its cache"
    without = sliding(more, [10] * 23, 200)
    assert without.left_out != first.left_out


def test_a_larger_budget_brings_back_what_was_left_out() -> None:
    turns = dialogue(*["x" * 7] * 101)
    small = sliding(turns, [10] * 101, 100)
    large = sliding(turns, [10] * 101, 900, left_before=frozenset(small.left_out))
    assert len(large.kept) > 4 * len(small.kept)


def test_an_empty_conversation_has_an_empty_window() -> None:
    assert sliding((), [], 100) == Window((), (), 0)
