"""Each rule fires on pages of metrics that show its trouble, and on no others.

The pages are two that a real vLLM wrote (tests/data/captures/vllm_cpu), the later one with the values of some series
set to what the case needs: `page(...)` names them. Between them the real server ended four requests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from backends.vllm import Vllm
from sparkdesk.core.jobs.appraisal.advice import Ask, LiveView, find_change, load_of
from sparkdesk.core.jobs.appraisal.outlook import Outlook
from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.jobs.rate import add_rates
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION
from sparkdesk.core.planning.workload import Workload

CAPTURES = Path(__file__).resolve().parents[3] / "data" / "captures" / "vllm_cpu"
BEFORE, AFTER = ((CAPTURES / f"metrics_{name}.txt").read_text("utf-8") for name in ("busy", "after"))
REQUEST = LaunchRequest(
    engine="vllm", model="m", nodes=("spark-a",), served_name="m", concurrency=4, context_tokens=8192
)
MTP = REQUEST.model_copy(update={"speculative": "mtp"})
NO_CACHE = REQUEST.model_copy(update={"prefix_caching": False})


def page(**values: float) -> dict[str, float]:
    """The readings of the later real page with these series (`vllm:` left out) set, and rates against the earlier."""
    text = AFTER
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^(vllm:{name}(?:\{{[^}}]*\}})?) \S+$", rf"\g<1> {value}", text)
        if not count:
            text += f"vllm:{name} {value}\n"
    return add_rates(Vllm().readings(BEFORE + ZEROES), Vllm().readings(text), 10.0)


ZEROES = "".join(f"vllm:spec_decode_num_{name}_total 0\n" for name in ("drafts", "draft_tokens", "accepted_tokens"))
QUIET = page()
CROWDED = page(num_requests_running=4, num_requests_waiting=6, kv_cache_usage_perc=0.3)
PREEMPTING = page(num_requests_running=4, num_preemptions_total=9, kv_cache_usage_perc=0.99)
GUESSING = {
    "spec_decode_num_drafts_total": 100.0,
    "spec_decode_num_draft_tokens_total": 300.0,
    "spec_decode_num_accepted_tokens_total": 30.0,
}


def ask(request: LaunchRequest, load: Workload) -> Outlook:
    """A planner of whole numbers: a step takes 10 ms and 2 ms more for each user beyond the first; with guesses it
    takes twice as long, and makes 3 tokens."""
    guesses, slower = (3.0, 2.0) if request.speculative else (1.0, 1.0)
    tpot_s = (0.010 + 0.002 * (load.users - 1)) * slower / guesses
    figure, ttft = Figure(tpot_s, tpot_s, tpot_s), Figure(2.0 * (1 - load.cached_share), 0.0, 9.0)
    prediction = replace(UNKNOWN_PREDICTION, tpot_s=figure, output_tok_s=figure.inverse(load.users), ttft_s=ttft)
    left = 60 * 2**30 - request.concurrency * 2**30
    return Outlook(prediction, Fit.FITS if request.concurrency <= 8 else Fit.TOO_BIG, left, step_tokens=guesses)


def knows_nothing(_request: LaunchRequest, _load: Workload) -> None:
    return None


def view(
    readings: Mapping[str, float],
    request: LaunchRequest = REQUEST,
    *,
    repeated_share: float = math.nan,
    restart_s: float = math.nan,
) -> LiveView:
    return LiveView(request, readings, ("auto", "fp8"), repeated_share, restart_s)


def key_of(seen: LiveView, planner: Ask = ask) -> str:
    change = find_change(seen, planner)
    return change.key if change is not None else ""


def test_a_quiet_server_is_left_as_it_is() -> None:
    assert key_of(view(QUIET)) == ""
    assert key_of(view({})) == ""


def test_requests_that_wait_before_a_roomy_cache_want_more_at_once() -> None:
    change = find_change(view(CROWDED, restart_s=95.0), ask)
    assert change is not None
    assert change.change == (("concurrency", 8),)  # for 16 the cache has no room
    assert change.why == "6 requests wait while the KV cache is 30 % full"
    assert change.effect == "Predicted 250 tok/s now, 333 tok/s then (62.5 and 41.7 each)"
    assert change.cost == "A restart of about 95 s; 4.0 GiB more memory; each answer comes more slowly"


@pytest.mark.parametrize(
    "readings",
    [
        page(num_requests_running=7, num_requests_waiting=6, kv_cache_usage_perc=0.61),
        page(num_requests_running=4, num_requests_waiting=0, kv_cache_usage_perc=0.3),
        page(num_requests_running=3, num_requests_waiting=6, kv_cache_usage_perc=0.3),  # they are just being let in
        {key: value for key, value in CROWDED.items() if key != "kv_used_fraction"},
    ],
)
def test_waiting_alone_does_not_ask_for_more_at_once(readings: dict[str, float]) -> None:
    few = REQUEST if readings.get("requests_running") != 7 else REQUEST.model_copy(update={"concurrency": 7})
    assert key_of(view(readings, few)) == ""


def test_more_at_once_are_proposed_only_as_far_as_the_planner_sees_them_fit() -> None:
    request = REQUEST.model_copy(update={"concurrency": 8})
    crowded = page(num_requests_running=8, num_requests_waiting=20, kv_cache_usage_perc=0.1)
    assert key_of(view(crowded, request)) == ""
    assert key_of(view(crowded, request), knows_nothing) == "more_sequences"


def test_nothing_that_does_not_fit_is_proposed_even_where_the_launch_of_now_does_not_fit_either() -> None:
    request = REQUEST.model_copy(update={"concurrency": 9})
    crowded = page(num_requests_running=9, num_requests_waiting=20, kv_cache_usage_perc=0.1)
    assert ask(request, load_of(view(crowded, request))).fit is Fit.TOO_BIG
    assert key_of(view(crowded, request)) == ""


def test_preemptions_ask_for_a_smaller_cache_type_first() -> None:
    change = find_change(view(PREEMPTING), ask)
    assert change is not None
    assert change.key == "preemptions"
    assert change.change == (("kv_dtype", "fp8"),)
    assert "0.9 preemptions a second; the KV cache is 99 % full" in change.why


def test_where_the_cache_is_small_already_fewer_requests_are_proposed() -> None:
    change = find_change(view(PREEMPTING, REQUEST.model_copy(update={"kv_dtype": "fp8"})), ask)
    assert change is not None
    assert change.change == (("concurrency", 3),)
    alone = REQUEST.model_copy(update={"kv_dtype": "fp8", "concurrency": 1})
    assert key_of(view(PREEMPTING, alone)) == ""


def test_preemptions_of_long_ago_are_none_of_now() -> None:
    both = dict.fromkeys(("preemptions_total",), 9.0)
    assert "preemptions_per_s" in add_rates(both, both, 10.0)
    assert key_of(view(add_rates(both, both, 10.0))) == ""


def test_guesses_that_are_seldom_right_are_stopped() -> None:
    change = find_change(view(page(**GUESSING), MTP), ask)
    assert change is not None
    assert change.key == "speculation_off"
    assert ("speculative", "") in change.change
    assert change.why.startswith("10 % of the guesses are accepted, 1.30 tokens a step; below 2.00")


@pytest.mark.parametrize(
    ("readings", "request_"),
    [
        (page(**(GUESSING | {"spec_decode_num_accepted_tokens_total": 150.0})), MTP),  # 2.5 tokens a step
        (page(**GUESSING), REQUEST),  # it does not guess
        (QUIET, MTP),  # it made no guess yet
    ],
)
def test_guesses_that_pay_or_are_not_known_go_on(readings: dict[str, float], request_: LaunchRequest) -> None:
    assert key_of(view(readings, request_)) == ""


def test_repeated_prompts_without_a_prefix_cache_ask_for_one() -> None:
    seen = view(QUIET, NO_CACHE, repeated_share=0.8)
    change = find_change(seen, ask)
    assert change is not None
    assert change.change == (("prefix_caching", True),)
    assert "80 % of each prompt is the same" in change.why
    assert change.effect == "Predicted time to first token: 2 s now, 0.4 s then"


@pytest.mark.parametrize(
    ("readings", "request_", "share"),
    [
        (QUIET, REQUEST, 0.8),  # the cache is on
        (QUIET, NO_CACHE, 0.1),  # prompts have little in common
        (QUIET, NO_CACHE, math.nan),  # nobody knows what they have in common
        ({key: value for key, value in QUIET.items() if not key.startswith("ttft")}, NO_CACHE, 0.8),
        (QUIET | {"ttft_p50_s": 0.2}, NO_CACHE, 0.8),  # the first token is quick
    ],
)
def test_a_prefix_cache_is_proposed_only_where_it_would_help(
    readings: dict[str, float], request_: LaunchRequest, share: float
) -> None:
    assert key_of(view(readings, request_, repeated_share=share)) == ""


SHARED = REQUEST.model_copy(update={"memory_fraction": 0.7})
FULL = page(num_requests_running=4, kv_cache_usage_perc=0.97)
"""No prefix was found between the two real pages: 156 tokens were looked up."""


def test_a_full_cache_that_keeps_no_prefix_wants_more_room() -> None:
    change = find_change(view(FULL, SHARED, repeated_share=0.8), ask)
    assert change is not None
    assert (change.key, change.change) == ("prefix_room", (("memory_fraction", 0.75),))
    assert "80 % of each prompt is the same, and only 0 % was still kept: requests fill 97 %" in change.why
    assert change.effect == "Predicted time to first token: 2 s now, 0.4 s then"
    assert "less is left for the system" in change.cost


def test_where_no_more_memory_can_be_given_fewer_requests_are_proposed_for_the_prefixes() -> None:
    for request in (REQUEST, REQUEST.model_copy(update={"memory_fraction": 0.9})):
        change = find_change(view(FULL, request, repeated_share=0.8), ask)
        assert change is not None
        assert change.change == (("concurrency", 3),)
    alone = REQUEST.model_copy(update={"concurrency": 1})
    assert key_of(view(FULL, alone, repeated_share=0.8)) == ""


@pytest.mark.parametrize(
    ("readings", "request_", "share"),
    [
        (FULL, SHARED, math.nan),  # few hits alone: prompts may have nothing in common
        (FULL, SHARED, 0.1),
        (page(num_requests_running=4, kv_cache_usage_perc=0.4), SHARED, 0.8),  # there was room: prompts do not repeat
        (page(num_requests_running=4, kv_cache_usage_perc=0.97, prefix_cache_hits_total=120), SHARED, 0.8),
        (FULL | {"ttft_p50_s": 0.2}, SHARED, 0.8),
        ({key: value for key, value in FULL.items() if not key.startswith("prefix")}, SHARED, 0.8),
        (FULL, SHARED.model_copy(update={"engine": "llamacpp"}), 0.8),  # what its usage counts is not known
    ],
)
def test_few_hits_are_blamed_on_the_room_only_where_that_is_seen(
    readings: dict[str, float], request_: LaunchRequest, share: float
) -> None:
    assert key_of(view(readings, request_, repeated_share=share)) == ""


def test_what_the_planner_cannot_say_is_said_to_be_unknown() -> None:
    change = find_change(view(CROWDED), knows_nothing)
    assert change is not None
    assert "not predicted" in change.effect
    assert key_of(view(page(**GUESSING), MTP), knows_nothing) == ""  # without a break-even there is no rule
