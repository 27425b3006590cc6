"""What a node's card says, from real core values."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.jobs.record import JobState
from tests.ui import rack
from ui import text
from ui.cluster.card import Served, build_card, busy_share, measure_memory
from ui.cluster.part.node import memory_rows
from ui.jobs.mark import mark_of

GIB = rack.GIB


def served(
    *, running: float = math.nan, state: JobState = JobState.READY, weights_gib: float = 30.6, kv_gib: float = 47.0
) -> Served:
    plan = rack.plan("j1", weights_gib=weights_gib, kv_gib=kv_gib)
    return Served(
        "j1", "gpt-oss-120b", mark_of(state), state is JobState.READY, 228.0, running, 14.0, 0.38, 8, plan.ledgers[0]
    )


def test_a_live_card_says_model_rate_and_requests() -> None:
    card = build_card(rack.status(0), rack.sample(0, 93.8), 0.4, (served(running=8.0),))
    assert card.look == "live"
    assert card.headline == "gpt-oss-120b"
    assert card.detail == "228 tok/s · 8 running, 14 waiting"
    assert card.caption == "93.8 / 121.6 GiB used"


def test_the_ledger_splits_what_is_measured_by_what_was_planned() -> None:
    memory = measure_memory(rack.sample(0, 93.8), (served(),))
    assert (memory.weights / GIB, memory.kv / GIB) == pytest.approx((30.6, 47.0), abs=0.06)
    assert memory.other / GIB == pytest.approx(16.2, abs=0.11)
    assert memory.kv_used / GIB == pytest.approx(47.0 * 0.38, abs=0.06)


def test_weights_are_never_more_than_what_is_in_use() -> None:
    memory = measure_memory(rack.sample(0, 10.0), (served(state=JobState.LOADING),))
    assert memory.weights / GIB == pytest.approx(10.0, abs=0.06)
    assert memory.kv == memory.other == 0


@given(used=st.floats(0, 121), cache=st.floats(0, 200), weights=st.floats(0, 150), kv=st.floats(0, 150))
def test_the_parts_of_memory_never_exceed_the_whole(used: float, cache: float, weights: float, kv: float) -> None:
    sample = rack.sample(0, used, {"mem_page_cache_bytes": cache * GIB})
    memory = measure_memory(sample, (served(weights_gib=weights, kv_gib=kv),))
    tenth = GIB // 10
    assert min(memory.weights, memory.kv, memory.other, memory.cache) >= 0
    assert memory.used + memory.cache <= memory.total + 4 * tenth


def test_busy_comes_from_running_requests_and_not_from_the_gpu() -> None:
    sample = rack.sample(0, values={"gpu_util": 0.96})
    card = build_card(rack.status(0), sample, 0.4, (served(running=2.0),))
    assert (card.figures[0].label, card.figures[0].value, card.figures[0].fraction) == ("Busy", "25", 0.25)
    assert all(figure.label != "GPU" for figure in card.figures)


def test_an_engine_that_says_nothing_is_not_idle() -> None:
    assert math.isnan(busy_share((served(),)))
    card = build_card(rack.status(0), rack.sample(0), 0.4, (served(),))
    assert card.figures[0].value == "n/a"
    assert card.figures[0].hint == "The engine does not report it"


def test_what_was_not_measured_is_not_zero() -> None:
    nothing = dict.fromkeys(("mem_total_bytes", "gpu_temp_c", "gpu_power_w", "gpu_sm_clock_mhz"), math.nan)
    card = build_card(rack.status(0), rack.sample(0, values=nothing), 0.4, ())
    assert card.caption == "Unified memory n/a"
    assert [figure.value for figure in card.figures] == ["n/a"] * 4


@pytest.mark.parametrize(
    ("state", "word", "action"),
    [
        (NodeState.UNREACHABLE, "Unreachable", "Reconnect"),
        (NodeState.REFUSED, "Not signed in", "Sign in"),
        (NodeState.IDENTITY_CHANGED, "Host key changed", "Compare keys"),
    ],
)
def test_a_node_in_trouble_says_what_and_leads_on(state: NodeState, word: str, action: str) -> None:
    card = build_card(rack.status(0, state, "No answer on 10.0.20.30:22."), rack.sample(0), 0.4, ())
    assert (card.look, card.mark.text, card.action) == ("alarm", word, action)
    assert card.message == "No answer on 10.0.20.30:22."
    assert not card.figures


def test_old_values_are_marked_old_with_the_time_they_were_seen() -> None:
    card = build_card(rack.status(0), rack.sample(0), 14.2, ())
    assert (card.look, card.mark.text) == ("stale", "Stale 14 s")
    assert card.caption.startswith("Last seen ")


def test_before_the_first_sample_the_card_shows_bars() -> None:
    assert build_card(rack.status(0, NodeState.CONNECTING), None, math.nan, ()).mark.text == "Connecting"
    assert build_card(rack.status(0), None, math.nan, ()).look == "loading"


@pytest.mark.parametrize(
    ("state", "words"),
    [(NodeState.STALE, "Stale"), (NodeState.RECONNECTING, "Reconnecting"), (NodeState.SLOW, "Reading")],
)
def test_a_node_that_never_sent_a_sample_is_called_what_it_is(state: NodeState, words: str) -> None:
    card = build_card(rack.status(0, state), None, math.nan, ())
    assert (card.look, card.mark.text) == ("loading", words)
    assert card.sentence.endswith(f", {words.lower()}")


def test_a_screen_reader_hears_the_whole_card_in_one_sentence() -> None:
    card = build_card(rack.status(0), rack.sample(0, 93.8), 0.4, (served(running=8.0),))
    assert card.sentence == (
        "spark-5c2d, live, gpt-oss-120b ready, 228 tok/s, 8 running, 14 waiting, "
        "memory 93.8 of 121.6 gibibytes used, Busy 100 %, SM clock 2.41 GHz, GPU temp 58 °C, GPU rail 44 W"
    )


def test_a_hostile_name_stays_one_line_of_plain_text() -> None:
    evil = rack.status(0, NodeState.UNREACHABLE, "line\nbreak \u202e turned <b>bold</b>" + "x" * 1000)
    card = build_card(evil, None, math.nan, ())
    assert "\n" not in card.message
    assert "\u202e" not in card.message
    assert len(card.message) < 300


def test_equal_figures_give_equal_cards_so_that_nothing_is_repainted() -> None:
    first = build_card(rack.status(0), rack.sample(0, 93.81), 0.4, ())
    second = build_card(rack.status(0), rack.sample(0, 93.79), 0.9, ())
    assert first == second


def test_what_is_not_told_is_no_zero() -> None:
    silent = replace(served(), kv_used=math.nan)
    memory = measure_memory(rack.sample(0, 93.8, {"mem_page_cache_bytes": math.nan}), (silent,))
    assert (memory.kv_used, memory.cache) == (None, None)
    rows = {row.label: row.value for row in memory_rows(memory)}
    assert rows["Free"].endswith(", page cache n/a")
    assert rows["KV cache"].endswith("reserved, in use n/a")
    idle = measure_memory(rack.sample(0, 93.8), (replace(served(), kv_used=0.0),))
    assert {row.label: row.value for row in memory_rows(idle)}["KV cache"].endswith("0.0 GiB in use")


def test_the_card_s_free_memory_is_the_measured_one() -> None:
    sample = rack.sample(0, 2.97)
    memory = measure_memory(sample, (served(),))
    assert text.memory(memory.available) == text.memory(sample.value("mem_available_bytes"))


def test_a_sum_of_which_a_part_is_not_told_is_at_least_so_much() -> None:
    silent = Served("j2", "qwen", mark_of(JobState.READY), is_ready=True)
    card = build_card(rack.status(0), rack.sample(0, 93.8), 0.4, (served(running=8.0), silent))
    assert card.detail == "at least 228 tok/s · at least 8 running, at least 14 waiting"
    assert card.detail_short == "at least 228 tok/s · 8+ / 14+"
