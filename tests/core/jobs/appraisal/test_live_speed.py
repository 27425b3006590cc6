"""A fall is suspected within minutes of usual use, and a healthy server never is, whatever its traffic.

Traffic is replayed through a made-up engine (`traffic.py`) whose page is read every two seconds, as a job's is.
"""

from __future__ import annotations

import math
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.llamacpp import LlamaCpp
from backends.vllm import Vllm
from sparkdesk.core.jobs.appraisal.fall import Suspicion
from sparkdesk.core.jobs.appraisal.live_speed import LiveSpeed
from sparkdesk.core.jobs.appraisal.verdict_json import Verdicts
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.reading import DECODE_S
from sparkdesk.core.jobs.verdict import Pace, Verdict
from tests.core.jobs.appraisal.traffic import Asked, Engine, agent, bursts, chat, crowd, long_answers, with_titles

CAPTURES = Path(__file__).resolve().parents[3] / "data" / "captures"
TOK_S = 40.0
FIRST = Verdict(Pace.AS_EXPECTED, TOK_S, TOK_S, 36.0, 44.0, 0.4, 512, 128, 1)
KEPT = Verdicts(FIRST, FIRST)
FALLEN = Verdicts(FIRST, Verdict(Pace.SLOWER, 25.0, TOK_S, 36.0, 44.0, 0.4, 512, 128, 2))
KINDS = ("vllm", "llamacpp", "plain")
FALL_S = 200.0

Traffic = Callable[[int, float], list[Asked]]


def as_expected(_context_tokens: float) -> float:
    return TOK_S


def raised_at(
    engine: Engine, requests: list[Asked], until_s: float, kept: Verdicts = KEPT, seed: int = 0
) -> list[float]:
    suspicion = Suspicion()
    return [
        at_s
        for at_s, page in engine.pages(requests, until_s, seed)
        if suspicion.take(tuple(page.items()), kept, at_s, as_expected)
    ]


def falling(seed: int, share: float) -> Callable[[float], float]:
    chance = random.Random(seed)
    return lambda now_s: TOK_S * chance.uniform(0.97, 1.03) * (share if now_s >= FALL_S else 1.0)


@pytest.mark.parametrize(("kind", "traffic"), [(k, t) for k in KINDS[:2] for t in (chat, with_titles, long_answers)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_fall_is_suspected_within_minutes_of_usual_chat(kind: str, traffic: Traffic, seed: int) -> None:
    engine = Engine(kind, falling(seed, 0.7))
    raised = raised_at(engine, traffic(seed, 600.0), 600.0, seed=seed)
    assert raised, "never suspected"
    assert FALL_S < raised[0] < FALL_S + 300.0, raised


@pytest.mark.parametrize("traffic", [chat, long_answers])
def test_an_engine_that_counts_no_seconds_is_judged_by_the_stretches_within_its_answers(traffic: Traffic) -> None:
    raised = raised_at(Engine("plain", falling(1, 0.7)), traffic(1, 900.0), 900.0)
    assert raised
    assert raised[0] > FALL_S


@settings(max_examples=12, deadline=None)
@given(st.sampled_from((chat, agent, crowd, bursts, with_titles)), st.sampled_from(KINDS), st.integers(0, 10_000))
def test_a_server_as_fast_as_ever_is_never_suspected(traffic: Traffic, kind: str, seed: int) -> None:
    """Prompts, queues, neighbours in the same batch and short answers slow requests down; none of it is a fall."""
    engine = Engine(kind, falling(seed, 1.0))
    assert raised_at(engine, traffic(seed, 500.0), 500.0, seed=seed) == []


@pytest.mark.parametrize(
    ("kind", "traffic", "seed"),
    [
        ("plain", agent, 4),  # a prompt that is read right after another answer
        ("llamacpp", bursts, 4),  # two at once between two pages, and no count of requests
        ("vllm", bursts, 4),  # the same where requests are counted
        ("llamacpp", crowd, 5),  # several at once that are seen
    ],
)
def test_traffic_that_would_deceive_a_simpler_rule_raises_nothing(kind: str, traffic: Traffic, seed: int) -> None:
    """Each case is one that fires when one of the rule's conditions is left out."""
    assert raised_at(Engine(kind, falling(seed, 1.0)), traffic(seed, 500.0), 500.0, seed=seed) == []


def test_what_keeps_looking_slow_is_asked_about_less_and_less() -> None:
    """A check that finds nothing wrong makes the server work; so the next one waits longer."""
    raised = raised_at(Engine("vllm", falling(1, 0.7)), chat(1, 4000.0), 4000.0)
    pauses = [later - earlier for earlier, later in pairwise(raised)]
    assert len(raised) <= 5
    assert pauses == sorted(pauses)
    assert pauses[0] >= 300.0


def test_a_server_that_fell_is_looked_at_again_when_it_is_quick_again() -> None:
    assert raised_at(Engine("vllm", lambda _now_s: TOK_S), chat(1, 400.0), 400.0, FALLEN)
    assert not raised_at(Engine("vllm", lambda _now_s: 26.0), chat(1, 400.0), 400.0, FALLEN)


def test_a_first_answer_that_was_too_short_is_nothing_to_be_held_against() -> None:
    short = replace(FIRST, answer_tokens=5)
    slow = Engine("vllm", lambda _now_s: 0.5 * TOK_S)
    assert raised_at(slow, chat(1, 400.0), 400.0)
    assert not raised_at(slow, chat(1, 400.0), 400.0, Verdicts(short, short))


def test_a_last_answer_that_was_too_short_says_of_no_server_that_it_fell() -> None:
    kept = replace(FALLEN, last=replace(FALLEN.last, answer_tokens=5))
    assert not raised_at(Engine("vllm", lambda _now_s: TOK_S), chat(1, 400.0), 400.0, kept)


def test_a_long_context_is_held_against_what_it_should_do() -> None:
    requests = long_answers(1, 300.0)
    for expected, is_raised in ((30.0, False), (TOK_S, True), (math.nan, False)):
        suspicion = Suspicion()
        engine = Engine("vllm", lambda _now_s: 0.7 * TOK_S)
        found = [
            suspicion.take(tuple((page | {"kv_tokens": 60_000.0}).items()), KEPT, at_s, lambda _c, e=expected: e)
            for at_s, page in engine.pages(requests, 300.0)
        ]
        assert any(found) is is_raised


def test_the_same_reading_seen_twice_is_one_reading() -> None:
    """Jobs are told of whenever any of them changes: an old page then comes again at a later time."""
    suspicion, plain = Suspicion(), Suspicion()
    engine = Engine("plain", lambda _now_s: TOK_S)
    for at_s, page in engine.pages(long_answers(1, 200.0), 200.0):
        readings = tuple(page.items())
        assert not plain.take(readings, KEPT, at_s, as_expected)
        assert not suspicion.take(readings, KEPT, at_s, as_expected)
        for later_s in (at_s + 0.5, at_s + 1.0, at_s + 1.9):
            assert not suspicion.take(readings, KEPT, later_s, as_expected)


def test_an_engine_that_was_silent_or_started_again_is_watched_anew() -> None:
    rest = {"requests_running": 0.0, "generated_tokens_total": 100.0, "decode_seconds_sum": 1.0}
    busy = rest | {"requests_running": 1.0}
    after = rest | {"generated_tokens_total": 500.0, "decode_seconds_sum": 26.0}
    steady = [(0.0, rest), (9.0, busy), (18.0, busy), (20.0, busy), (27.0, after)]
    silent = [(0.0, rest), (9.0, busy), (18.0, busy), (20.0, busy), (60.0, after)]
    restarted = [(0.0, rest), (9.0, busy), (18.0, busy), (20.0, {**busy, "generated_tokens_total": 0.0}), (27.0, after)]
    for pages, count in ((steady, 1), (silent, 0), (restarted, 0)):
        speed = LiveSpeed()
        for at_s, page in pages:
            speed.take(at_s, page)
        assert len(speed.rates()) == count


def test_a_request_without_end_takes_no_more_room_and_its_longest_context_counts() -> None:
    rest = {"requests_running": 0.0, "generated_tokens_total": 100.0, "decode_seconds_sum": 1.0}
    after = rest | {"generated_tokens_total": 9100.0, "decode_seconds_sum": 301.0}
    contexts = [math.nan, 7000.0, 500.0, math.inf, *[300.0] * 4000, math.nan]
    speed = LiveSpeed()
    speed.take(0.0, rest)
    sizes = []
    for at, context in enumerate(contexts, 1):
        speed.take(0.1 * at, rest | {"requests_running": 1.0, "kv_tokens": context})
        sizes.append(len(pickle.dumps(speed)))
    speed.take(0.1 * len(contexts) + 0.1, after)
    assert [(rate.tok_s, rate.context_tokens) for rate in speed.rates()] == [(30.0, 7000.0)]
    assert max(sizes) < min(sizes) + 500


def test_what_is_no_number_or_not_told_tells_nothing() -> None:
    speed = LiveSpeed()
    for at, page in enumerate(({}, {"requests_running": math.nan}, {"generated_tokens_total": 5.0}) * 20):
        speed.take(2.0 * at, page)
    assert speed.rates() == ()


@pytest.mark.parametrize(
    ("backend", "page", "seconds"),
    [(Vllm(), "vllm_cpu", 50.684), (LlamaCpp(), "llamacpp_smollm2", 26.237)],
)
def test_a_real_engines_page_tells_the_seconds_of_decoding(backend: Backend, page: str, seconds: float) -> None:
    text = (CAPTURES / page / "metrics_after.txt").read_text("utf-8")
    assert backend.readings(text)[DECODE_S] == pytest.approx(seconds, abs=0.001)
