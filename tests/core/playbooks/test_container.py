"""Containers of ours: named, labelled, limited, first to go, kept until fetched, no secret in their words."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.plan import GIB, MemoryLedger
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.container import (
    HEADROOM_BYTES,
    OFFLINE,
    Container,
    cache_volumes,
    container_argv,
    container_of,
    loopback_endpoint,
    memory_limit_bytes,
)
from sparkdesk.core.playbooks.memory_floor import FLOOR_BYTES, floor_bytes
from tests.backends.context import JOB_ID, NODE, context_with

REQUEST = LaunchRequest(engine="vllm", model="a/b", nodes=("node-1",), served_name="b", environment=(("A", "1"),))
PROGRAMS = dict.fromkeys(("fetch", "hub", "hub_cache", "pull", "transfer"), b"#")
SIZES = st.integers(0, 400 * GIB)


def ledger(total: int | None, weights: int | None, kv: int | None, runtime: int | None = 4 * GIB) -> MemoryLedger:
    return MemoryLedger("node-1", total, 0, weights, kv, runtime)


def test_a_container_is_named_labelled_and_stays_until_its_log_was_fetched() -> None:
    words = container_argv(Container(JOB_ID, "f00d", "x/y:z"), ("serve",))
    assert words[:4] == ("docker", "run", "--name", f"sparkdesk-{JOB_ID}")
    assert words[-2:] == ("x/y:z", "serve")
    assert f"sparkdesk.job={JOB_ID}" in words
    assert "sparkdesk.plan=f00d" in words
    assert "--rm" not in words
    assert "--detach" not in words
    assert words[words.index("--restart") + 1] == "no"
    assert words[words.index("--oom-score-adj") + 1] == "500"
    assert "--memory" not in words, "none where the plan's memory is not known"


def test_a_limit_is_the_same_with_and_without_swap() -> None:
    words = container_argv(Container(JOB_ID, "", "x", memory_bytes=64 * GIB))
    assert words[words.index("--memory") + 1] == words[words.index("--memory-swap") + 1] == str(64 * GIB)


def test_a_secret_is_named_and_never_said() -> None:
    words = container_argv(Container(JOB_ID, "", "x", environment=(("A", "1 2"),), secrets=("VLLM_API_KEY",)))
    assert words[words.index("A=1 2") - 1] == "--env"
    assert words[words.index("VLLM_API_KEY") - 1] == "--env"
    assert not [word for word in words if word.startswith("VLLM_API_KEY=")]


def test_words_of_a_stranger_stay_one_word_each() -> None:
    evil = "$(id); rm -rf ~ '\"\n"
    words = container_argv(Container(JOB_ID, "", "x", environment=(("A", evil),)), (evil,))
    assert words[-1] == evil
    assert f"A={evil}" in words


def test_the_limit_is_the_plan_and_its_headroom() -> None:
    assert memory_limit_bytes(ledger(120 * GIB, 40 * GIB, 20 * GIB)) == 64 * GIB + HEADROOM_BYTES
    large = memory_limit_bytes(ledger(200 * GIB, 100 * GIB, 50 * GIB))
    assert large == (154 * GIB + int(154 * GIB * 0.1)) >> 20 << 20
    undivided = replace(ledger(120 * GIB, None, None), undivided_bytes=60 * GIB)
    assert memory_limit_bytes(undivided) == 64 * GIB + HEADROOM_BYTES


def test_the_limit_leaves_the_floor_and_is_none_where_the_total_is_not_known() -> None:
    assert memory_limit_bytes(ledger(128 * GIB, 115 * GIB, 0)) == 128 * GIB - FLOOR_BYTES
    assert memory_limit_bytes(ledger(120 * GIB, None, 1)) == 120 * GIB - FLOOR_BYTES, "a part of ours is not known"
    assert memory_limit_bytes(ledger(None, 1, 1)) is None


@given(total=SIZES, weights=st.one_of(st.none(), SIZES), kv=st.one_of(st.none(), SIZES))
def test_no_limit_is_above_the_total_less_the_floor(total: int, weights: int | None, kv: int | None) -> None:
    limit = memory_limit_bytes(ledger(total, weights, kv))
    assert limit is not None
    assert GIB <= limit <= max(total - floor_bytes(ledger(total, weights, kv)), GIB)


def test_caches_are_kept_below_the_home_of_the_nodes_user() -> None:
    volumes = dict(cache_volumes(NODE, "vllm"))
    assert volumes["/home/nvidia/.cache/huggingface"] == "/root/.cache/huggingface"
    assert volumes["/home/nvidia/.cache/vllm"] == "/root/.cache/vllm"
    assert volumes["/home/nvidia/.triton"] == "/root/.triton"
    assert "/home/nvidia/.cache/vllm" not in dict(cache_volumes(NODE))
    assert all(path.startswith("/home/nvidia/") for path in dict(cache_volumes(replace(NODE, home=""))))


def test_a_node_without_internet_has_an_engine_that_asks_nobody() -> None:
    context = context_with(None)
    quiet = container_of(REQUEST, context, "x", None).environment
    assert quiet == (("A", "1"),)
    for request, reaches in ((REQUEST.model_copy(update={"weights_from": "desk"}), None), (REQUEST, False)):
        found = container_of(request, context_with(None, reaches_hub=reaches), "x", None).environment
        assert found == (*OFFLINE, ("A", "1"))


def test_an_engine_whose_weights_were_brought_before_asks_nobody_unless_code_may_come_from_elsewhere() -> None:
    context = replace(context_with(None), programs=PROGRAMS)
    assert set(OFFLINE) <= set(container_of(REQUEST, context, "x", None).environment)
    trusting = REQUEST.model_copy(update={"trust_remote_code": True})
    assert not set(OFFLINE) & set(container_of(trusting, context, "x", None).environment)


def test_we_reach_a_server_on_its_nodes_loopback_whoever_else_does() -> None:
    endpoint = loopback_endpoint(REQUEST.model_copy(update={"reach": "lan"}), context_with(None), "vllm")
    assert (endpoint.host, endpoint.port, endpoint.model) == ("127.0.0.1", 8000, "b")
