"""When a token is asked for, and what it says of a server that one does not come."""

from __future__ import annotations

from itertools import pairwise

from sparkdesk.core.jobs.pulse import PROBE_AFTER_S, PROBE_LIMIT_S, Pulse
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, KV_TOKENS, REQUESTS_RUNNING
from sparkdesk.services.jobs.heartbeat import BEAT_S

IDLE = {GENERATED_TOKENS: 8.0, REQUESTS_RUNNING: 0.0}


def test_an_engine_that_dies_behind_its_api_is_noticed_within_a_minute() -> None:
    pulse = Pulse()
    pulse.take(0.0, IDLE)
    pulse.succeed(0.0)
    now_s = next(second for second in range(0, 100, 2) if pulse.is_due(float(second)))
    assert now_s + PROBE_LIMIT_S + 2 * BEAT_S < 60.0
    pulse.ask(float(now_s))
    assert not pulse.is_due(now_s + 2.0)
    assert pulse.fail("no token", IDLE)
    assert pulse.problem == "no token"
    pulse.succeed(70.0)
    assert pulse.problem == ""


def test_nothing_is_asked_while_requests_run_and_move() -> None:
    pulse = Pulse()
    pulse.succeed(0.0)
    for second in range(0, 200, 2):
        pulse.take(float(second), {REQUESTS_RUNNING: 1.0, KV_TOKENS: float(second)})
        assert not pulse.is_due(float(second) + 1.0)
    stuck_s = 200.0 + PROBE_AFTER_S
    pulse.take(stuck_s, {REQUESTS_RUNNING: 1.0, KV_TOKENS: 198.0})
    assert pulse.is_due(stuck_s)


def test_a_token_that_waits_behind_work_that_moves_is_no_failure() -> None:
    pulse = Pulse()
    pulse.take(0.0, {REQUESTS_RUNNING: 1.0, KV_TOKENS: 10.0})
    pulse.succeed(0.0)
    assert not pulse.fail("no token", {REQUESTS_RUNNING: 1.0, KV_TOKENS: 500.0})
    assert pulse.problem == ""
    assert pulse.fail("no token", {REQUESTS_RUNNING: 1.0, KV_TOKENS: 10.0})


def test_a_server_that_gives_none_is_asked_more_and_more_seldom_until_it_answers_again() -> None:
    pulse = Pulse()
    asked = []
    for second in range(0, 1200, 2):
        if pulse.is_due(float(second)):
            asked.append(second)
            pulse.ask(float(second))
            pulse.fail("no token", {})
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert pauses == sorted(pauses)
    assert max(pauses) <= 122
    assert len(asked) < 16
    pulse.miss(asked[-1] + 2.0)
    pulse.hear()
    assert pulse.is_due(asked[-1] + 12.0)


def test_a_restarted_engine_must_prove_itself_again() -> None:
    pulse = Pulse()
    pulse.succeed(0.0)
    pulse.restart("started again")
    assert (pulse.is_proved, pulse.problem) == (False, "started again")
    assert pulse.is_due(1.0)


def test_counters_that_grow_are_tokens_and_ones_that_were_reset_are_none() -> None:
    pulse = Pulse()
    assert not pulse.take(0.0, IDLE)
    assert pulse.take(2.0, {GENERATED_TOKENS: 9.0})
    assert not pulse.take(4.0, {GENERATED_TOKENS: 0.0})
    assert not pulse.take(6.0, {})
