"""What engines tell of themselves is read in old and new names, and whatever a server sends is survived."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.llamacpp import backend as llamacpp
from backends.vllm import backend as vllm
from sparkdesk.core.jobs.engine_page import PAGES, merge_page, read_loaded, read_sglang, read_slots, read_trtllm
from sparkdesk.core.jobs.reading import (
    GENERATED_TOKENS,
    KV_TOKENS,
    KV_USED,
    MODEL_BYTES,
    REQUESTS_RUNNING,
    SPECULATION,
    read_labels,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("n_ctx", "is_processing", "n_prompt_tokens", "next_token", "models", "size_vram", "x")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.text(max_size=300) | JSON.map(json.dumps))
def test_any_page_gives_finite_amounts_or_nothing(text: str) -> None:
    readers = [read_slots, read_loaded, vllm.readings, llamacpp.readings]
    readers += [page.read for pages in PAGES.values() for page in pages]
    for read in readers:
        assert all(math.isfinite(value) for value in read(text).values())


def test_vllm_s_cache_is_read_by_its_old_name_and_by_its_new() -> None:
    for name in ("vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"):
        assert vllm.readings(f'{name}{{engine="0"}} 0.25\n') == {KV_USED: 0.25}


def test_a_share_that_is_told_twice_is_not_added_up() -> None:
    page = "vllm:gpu_cache_usage_perc 0.25\nvllm:kv_cache_usage_perc 0.25\n"
    assert vllm.readings(page) == {KV_USED: 0.25}
    two = 'vllm:kv_cache_usage_perc{engine="0"} 0.7\nvllm:kv_cache_usage_perc{engine="1"} 0.6\n'
    assert vllm.readings(two) == {KV_USED: 0.7}
    assert vllm.readings("vllm:kv_cache_usage_perc NaN\nvllm:kv_cache_usage_perc 0.6\n") == {}


def test_tokens_in_vllm_s_cache_come_from_its_size() -> None:
    info = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="1000"%s} 1.0\nvllm:kv_cache_usage_perc 0.5\n'
    assert vllm.readings(info % "")[KV_TOKENS] == 8000.0
    assert vllm.readings(info % ',kv_cache_size_tokens="4000"')[KV_TOKENS] == 2000.0
    assert vllm.readings(info % ',kv_cache_size_tokens="None"')[KV_TOKENS] == 8000.0
    for broken in ('num_gpu_blocks="-5"', 'num_gpu_blocks="1e9"', 'num_gpu_blocks="None"'):
        page = f'vllm:cache_config_info{{block_size="16",{broken}}} 1.0\nvllm:kv_cache_usage_perc 0.5\n'
        assert KV_TOKENS not in vllm.readings(page)
    two = "".join(f'vllm:cache_config_info{{engine="{at}",kv_cache_size_tokens="40"}} 1\n' for at in range(2))
    assert KV_TOKENS not in vllm.readings(f"{two}vllm:kv_cache_usage_perc 0.5\n")


def test_guessing_ahead_is_seen_in_the_page() -> None:
    assert vllm.readings("vllm:spec_decode_num_drafts_total 3\n") == {SPECULATION: 3.0}
    assert llamacpp.readings("llamacpp:spec_decode_num_drafts_total 4\n") == {SPECULATION: 4.0}


def test_older_llama_servers_tell_their_cache_in_the_page() -> None:
    page = "llamacpp:kv_cache_usage_ratio 0.5\nllamacpp:kv_cache_tokens 100\n"
    assert llamacpp.readings(page) == {KV_USED: 0.5, KV_TOKENS: 100.0}


def slot(*, busy: bool, **more: object) -> dict[str, object]:
    return {"id": 0, "n_ctx": 1000, "speculative": False, "is_processing": busy, **more}


def test_llama_s_slots_tell_what_requests_hold() -> None:
    idle = slot(busy=False, n_prompt_tokens=639, next_token=[{"n_decoded": 0}])
    new = slot(
        busy=True,
        n_prompt_tokens=279,
        n_prompt_tokens_processed=240,
        n_prompt_tokens_cache=0,
        next_token=[{"n_decoded": 40}],
    )
    old = slot(
        busy=True,
        n_prompt_tokens=100,
        n_prompt_tokens_processed=20,
        n_prompt_tokens_cache=80,
        next_token={"n_decoded": 20},
    )
    for rows, tokens, share in (([idle], 0.0, 0.0), ([idle, new], 280.0, 0.14), ([new, old], 400.0, 0.2)):
        assert merge_page({}, read_slots(json.dumps(rows))) == {KV_TOKENS: tokens, KV_USED: share}


def test_tokens_of_answers_under_way_are_counted_when_both_pages_agree_on_what_runs() -> None:
    busy = slot(busy=True, n_prompt_tokens=60, next_token=[{"n_decoded": 40}])
    slots = read_slots(json.dumps([busy, slot(busy=False, next_token=[{"n_decoded": 9}])]))
    assert merge_page({GENERATED_TOKENS: 100.0, REQUESTS_RUNNING: 1.0}, slots)[GENERATED_TOKENS] == 140.0
    torn = merge_page({GENERATED_TOKENS: 100.0, REQUESTS_RUNNING: 0.0}, slots)
    assert torn == {REQUESTS_RUNNING: 0.0, KV_TOKENS: 60.0, KV_USED: 0.03}
    ended = read_slots(json.dumps([slot(busy=False)]))
    assert GENERATED_TOKENS not in merge_page({GENERATED_TOKENS: 100.0, REQUESTS_RUNNING: 1.0}, ended)
    silent = read_slots(json.dumps([slot(busy=True, n_prompt_tokens=60)]))
    assert merge_page({GENERATED_TOKENS: 100.0, REQUESTS_RUNNING: 1.0}, silent)[GENERATED_TOKENS] == 100.0
    assert merge_page({GENERATED_TOKENS: 100.0}, {}) == {GENERATED_TOKENS: 100.0}


@pytest.mark.parametrize("row", [slot(busy=True), slot(busy=True, n_prompt_tokens="5"), {"is_processing": True}])
def test_a_slot_that_does_not_say_what_it_holds_is_not_taken_for_empty(row: dict[str, object]) -> None:
    assert read_slots(json.dumps([row, slot(busy=False)])) == {}


def test_ollama_tells_the_memory_of_its_models() -> None:
    models = [{"name": "a", "size": 9, "size_vram": 5e9}, {"name": "b", "size_vram": 1e9}]
    assert read_loaded(json.dumps({"models": models})) == {MODEL_BYTES: 6e9}
    assert read_loaded('{"models": []}') == {MODEL_BYTES: 0.0}
    assert read_loaded('{"models": [{"size_vram": true}]}') == {}
    assert read_loaded('{"models": [{"size_vram": "5,1"}]}') == {}
    assert read_loaded("[]") == {}


def test_sglang_and_tensorrt_are_read_by_their_own_names() -> None:
    page = 'sglang:num_running_reqs{tp_rank="0"} 3\nsglang:generation_tokens_total 50\nsglang:token_usage 0.1\n'
    assert read_sglang(page) == {REQUESTS_RUNNING: 3.0, GENERATED_TOKENS: 50.0, KV_USED: 0.1}
    assert read_sglang("sglang:num_used_tokens 7\nsglang:kv_used_tokens 7\n") == {KV_TOKENS: 7.0}
    assert read_trtllm("trtllm_num_requests_running 2\n") == {REQUESTS_RUNNING: 2.0}


@given(st.text(alphabet='a{}="\\ \n1', max_size=60))
def test_labels_of_any_line_are_read_or_left(text: str) -> None:
    for labels in read_labels(f"a{text}", "a"):
        assert all(isinstance(word, str) for word in labels.values())
