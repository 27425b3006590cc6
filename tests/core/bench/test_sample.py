"""What requests say together: the published tables' columns, with failures counted and nothing made up."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.bench.prompt import PROBE_WORDS, WordRate, make_prompt, read_word_rate
from sparkdesk.core.bench.sample import BenchSample, point_of


def one(sent_s: float, ttft_s: float, e2e_s: float, answer: int = 101, prompt: int = 1000) -> BenchSample:
    return BenchSample(sent_s, sent_s + ttft_s, sent_s + e2e_s, prompt, 0, answer)


def test_a_point_has_the_columns_of_the_published_tables() -> None:
    point = point_of(2, [one(0.0, 1.0, 11.0), one(0.5, 1.5, 6.5)], cpu_share=0.1)
    assert point.e2e_s == (11.0 + 6.5) / 2
    assert point.ttft_s == 1.25
    assert point.tpot_s == (0.1 + 0.05) / 2
    assert point.output_tok_s == pytest.approx(10.0 + 20.0)
    assert point.prefill_tok_s == 2000 / 2.0
    assert (point.requests, point.failed, point.client_cpu_share) == (2, 0, 0.1)


def test_failed_requests_are_counted_and_have_no_part_in_the_figures() -> None:
    point = point_of(2, [one(0.0, 1.0, 11.0), BenchSample(0.0, failure="the server is busy")])
    assert (point.requests, point.failed, point.failure) == (2, 1, "the server is busy")
    assert point.e2e_s == 11.0


def test_where_nothing_ended_well_nothing_is_known() -> None:
    point = point_of(1, [BenchSample(0.0, failure="cut off")])
    assert math.isnan(point.e2e_s)
    assert math.isnan(point.output_tok_s)
    assert point.failed == 1


def test_an_answer_in_one_piece_has_no_rate() -> None:
    point = point_of(1, [BenchSample(0.0, 2.0, 2.0, 100, 0, 50)])
    assert math.isnan(point.output_tok_s)
    assert point.e2e_s == 2.0


def test_an_answer_in_a_burst_has_no_rate_and_a_quick_one_has() -> None:
    at_once = BenchSample(0.0, 0.030, 0.0344, 512, 0, 128)
    assert at_once.is_burst, "28,864 tokens a second are nobody's"
    assert math.isnan(at_once.tok_s)
    assert math.isnan(point_of(1, [at_once]).output_tok_s)
    held_back = BenchSample(0.0, 3.0, 3.1, 512, 0, 128)
    assert held_back.is_burst, "a proxy kept the pieces to itself"
    assert not BenchSample(0.0, 10.0, 10.5, 20_000, 0, 32).is_burst, "a long prompt before a short answer"
    assert BenchSample(0.0, 0.1, 0.262, 512, 0, 128).tok_s == pytest.approx(784, rel=0.01)


def test_tokens_of_the_prefix_cache_were_not_read() -> None:
    assert point_of(1, [BenchSample(0.0, 2.0, 4.0, 1000, 600, 50)]).prefill_tok_s == 200.0


def test_prompts_are_the_same_for_a_seed_and_unlike_from_their_first_word_on() -> None:
    prompts = [make_prompt(seed, index, 50) for seed in range(20) for index in range(20)]
    assert len({prompt.split()[0] for prompt in prompts}) == 400
    assert make_prompt(3, 4, 50) == make_prompt(3, 4, 50)
    assert {len(prompt.split()) for prompt in prompts} == {50}


def test_lengths_follow_the_servers_own_count_of_two_prompts() -> None:
    rate = read_word_rate(20 + 3 * PROBE_WORDS[0], 20 + 3 * PROBE_WORDS[1])
    assert rate == WordRate(20.0, 3.0)
    assert rate.words_for(512) == 164
    assert read_word_rate(None, 30) == read_word_rate(30, 30) == WordRate()
    assert WordRate(600.0, 1.0).words_for(512) == 1
