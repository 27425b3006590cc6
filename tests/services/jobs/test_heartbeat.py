"""The rates a heartbeat makes of what an engine counts."""

from __future__ import annotations

from sparkdesk.core.jobs.pulse import PROBE_AFTER_S, PROBE_LIMIT_S, SILENT_AFTER_S
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, REQUESTS_RUNNING
from sparkdesk.services.jobs.heartbeat import ASK_TIMEOUT_S, BEAT_S, Trail


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


def test_quantiles_are_of_the_last_minute_and_not_of_a_few_seconds() -> None:
    trail, found = Trail(), {}
    for second in range(0, 202, 2):
        quick, slow = float(second // 6), 2.0 if second > 100 else 0.0
        total = quick + slow
        page = {"ttft_seconds_le_0.5": quick, "ttft_seconds_le_2": total, "ttft_seconds_le_inf": total}
        found[second] = trail.add(second, page)
    assert found[120]["ttft_p95_s"] > 0.5  # two slow answers, 20 s ago
    assert found[120]["ttft_p50_s"] < 0.5
    assert found[200]["ttft_p95_s"] < 0.5
    restarted = trail.add(202, {"ttft_seconds_le_0.5": 1.0, "ttft_seconds_le_inf": 1.0})
    assert "ttft_p50_s" not in restarted


def test_an_engine_that_is_dead_behind_its_api_is_seen_within_a_minute_by_the_times_that_are_set() -> None:
    assert PROBE_AFTER_S + PROBE_LIMIT_S + 2 * BEAT_S < 60.0
    assert SILENT_AFTER_S + ASK_TIMEOUT_S + 2 * BEAT_S < 60.0
