"""The rates a heartbeat makes of what an engine counts."""

from __future__ import annotations

from sparkdesk.core.jobs.reading import GENERATED_TOKENS, REQUESTS_RUNNING
from sparkdesk.services.jobs.heartbeat import Trail


def test_an_answers_tokens_belong_to_all_the_time_since_it_began() -> None:
    trail = Trail()
    rates = []
    for second in range(0, 102, 2):
        is_over = second == 100
        counted = 4000.0 if is_over else 0.0
        found = trail.add(second, {GENERATED_TOKENS: counted, REQUESTS_RUNNING: float(0 < second < 100)})
        rates.append(found.get("generated_tokens_per_s"))
    assert rates[-1] == 40.0
    assert set(rates[1:-1]) == {None}


def test_a_counter_that_moves_is_taken_over_the_last_seconds() -> None:
    trail = Trail()
    found: dict[str, float] = {}
    for second in range(0, 40, 2):
        found = trail.add(second, {GENERATED_TOKENS: second * 10.0 + max(0, second - 20) * 20, REQUESTS_RUNNING: 1.0})
    assert found["generated_tokens_per_s"] == 30.0
