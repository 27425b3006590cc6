"""The figures of an answer, from its events alone."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.chat.event import ChatEvent, PromptProgress, ReasoningDelta, TextDelta, Usage
from sparkdesk.core.chat.stream.timing import AnswerClock, AnswerTiming


def timing(*events: ChatEvent, sent_s: float = 10.0) -> AnswerTiming:
    clock = AnswerClock(sent_s)
    for event in events:
        clock.add(event)
    return clock.timing()


def test_nothing_came_and_nothing_is_known() -> None:
    found = timing(PromptProgress(1, 0, 2, 10.1))
    for value in (found.ttft_s, found.tpot_s, found.tokens_per_s, found.thinking_s, found.total_s):
        assert math.isnan(value)
    assert found.completion_tokens is None


def test_rates_are_by_the_servers_count_where_it_is_told() -> None:
    pieces = [TextDelta("x", 11.0 + 0.1 * i) for i in range(11)]
    found = timing(*pieces, Usage(prompt_tokens=300, completion_tokens=21, cached_tokens=100, prompt_ms=500.0))
    assert found.ttft_s == pytest.approx(1.0)
    assert found.tpot_s == pytest.approx(1.0 / 20)
    assert found.tokens_per_s == pytest.approx(20.0)
    assert found.prefill_tokens_per_s == pytest.approx(400.0)
    assert found.completion_tokens == 21
    assert found.is_counted_by_server


def test_without_the_servers_count_events_are_counted_and_it_says_so() -> None:
    found = timing(TextDelta("x", 11.0), TextDelta("y", 11.5), TextDelta("z", 12.0))
    assert found.tokens_per_s == pytest.approx(2.0)
    assert found.completion_tokens == 3
    assert not found.is_counted_by_server


def test_the_first_token_may_be_a_thought_and_thinking_ends_with_the_first_word() -> None:
    found = timing(ReasoningDelta("a", 11.0), ReasoningDelta("b", 13.0), TextDelta("c", 14.5), TextDelta("d", 15.0))
    assert found.ttft_s == pytest.approx(1.0)
    assert found.thinking_s == pytest.approx(3.5)


def test_an_answer_that_is_all_thought_has_a_thinking_time() -> None:
    assert timing(ReasoningDelta("a", 11.0), ReasoningDelta("b", 13.0)).thinking_s == pytest.approx(2.0)


def test_an_answer_in_one_piece_has_the_servers_own_rate_or_none() -> None:
    one = TextDelta("all of it", 11.0)
    assert math.isnan(timing(one).tokens_per_s)
    assert timing(one, Usage(completion_tokens=10, predicted_ms=500.0)).tokens_per_s == pytest.approx(20.0)


def test_a_prompt_that_was_wholly_cached_has_no_prefill_rate() -> None:
    found = timing(TextDelta("x", 11.0), Usage(prompt_tokens=30, cached_tokens=30, prompt_ms=1.0))
    assert math.isnan(found.prefill_tokens_per_s)
