"""Effective memory bandwidth agrees with a published row, grows with what is read, and never claims what cannot be."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.models.kv import layers_bytes
from sparkdesk.core.models.spec import Experts, LayerGroup, LayerKind, ModelSpec, WeightFormat
from sparkdesk.core.planning.speed.bandwidth import (
    PEAK_GB_PER_S,
    Bandwidth,
    StepFacts,
    effective_bandwidth,
    facts_of,
    step_reads,
    steps_of,
)

# 35B-A3B in BF16: 35 and 3 billion parameters are its name, 2 bytes each; 10 of 40 layers keep a KV cache that grows
# (20 KiB a token).
QWEN = ModelSpec(
    name="Qwen3.5-35B-A3B",
    title="",
    parameters=35_000_000_000,
    active_parameters=3_000_000_000,
    layers=(LayerGroup(LayerKind.FULL, 10, kv_heads=2, head_dim=256),),
    formats=(WeightFormat("BF16", 70_000_000_000, repo="Qwen3.5-35B-A3B"),),
)
LLAMA = ModelSpec(
    name="Llama-3.3-70B-NVFP4",
    title="",
    parameters=70_600_000_000,
    layers=(LayerGroup(LayerKind.FULL, 80, kv_heads=8, head_dim=128),),
    formats=(WeightFormat("NVFP4", 42_700_000_000, unread_bytes=2_100_000_000, repo="Llama-3.3-70B-NVFP4"),),
)
GROWING = (LayerGroup(LayerKind.FULL, 12, kv_heads=2, head_dim=256),)
MOE = StepFacts(80e9, 80e9, 3e9, GROWING, 2.0, Experts(512, 10))

amounts = st.floats(0.0, 1e12)
batches = st.floats(1.0, 4096.0)


layers = st.builds(
    LayerGroup,
    st.sampled_from(LayerKind),
    st.integers(1, 100),
    kv_heads=st.integers(1, 64),
    head_dim=st.integers(1, 512),
    window_tokens=st.integers(1, 10_000),
    latent_dim=st.integers(0, 1000),
    state_bytes=st.integers(0, 1 << 23),
)


@st.composite
def facts(draw: st.DrawFn) -> StepFacts:
    total = draw(st.floats(1e6, 1e13))
    active = total * draw(st.floats(0.001, 1.0))
    experts = draw(st.integers(2, 1024))
    return StepFacts(
        weight_bytes=total * draw(st.floats(0.3, 4.0)),
        parameters=total,
        active_parameters=active,
        layers=tuple(draw(st.lists(layers, max_size=4))),
        kv_value_bytes=draw(st.floats(0.5, 4.0)),
        experts=Experts(experts, draw(st.integers(1, experts - 1))),
    )


@pytest.mark.parametrize("kv_tokens", [0, 2048, 16_384])
def test_the_published_row_30_tokens_per_s_of_35b_a3b_in_bf16_is_178_gb_per_s(kv_tokens: int) -> None:
    model = facts_of(QWEN, QWEN.name, "BF16", kv_value_bytes=2.0)
    empty, _ = step_reads(model, batch=1, kv_tokens=0)
    assert step_reads(model, batch=1, kv_tokens=1000) == (empty + 1000 * 20 * 1024, "")
    found = effective_bandwidth(model, steps_per_s=steps_of(30.3, 1), batch=1, kv_tokens=kv_tokens)
    assert found.gb_per_s == pytest.approx(178.0, rel=0.10)
    assert found.share == pytest.approx(found.gb_per_s / 273.0)
    assert found.origin == "computed"
    assert found.is_known


def test_a_dense_model_reads_all_its_weights_whatever_the_batch() -> None:
    # 40.6 GB a step at 4.1 steps a second: the published 4.0 to 4.2 tokens a second of a roofline of 6.72.
    model = facts_of(LLAMA, LLAMA.name, "", kv_value_bytes=1.0)
    found = effective_bandwidth(model, steps_per_s=4.1, batch=1, kv_tokens=0)
    assert found.share == pytest.approx(4.1 / 6.72, rel=0.01)
    assert effective_bandwidth(model, steps_per_s=4.1, batch=64, kv_tokens=0) == found


def test_four_tokens_touch_39_of_512_experts_not_10() -> None:
    assert Experts(512, 10).distinct(1) == pytest.approx(10)
    assert Experts(512, 10).distinct(4) == pytest.approx(38.9, abs=0.1)
    one, _ = step_reads(MOE, batch=1, kv_tokens=0)
    four, _ = step_reads(MOE, batch=4, kv_tokens=0)
    assert one == pytest.approx(3e9)
    # What is no expert is read once; only experts grow.
    assert four - one == pytest.approx(77e9 * (Experts(512, 10).distinct(4) - 10) / 502)


@given(st.integers(1, 2048), st.integers(1, 2048), st.floats(1.0, 1e6), st.floats(0.0, 1e6))
def test_a_batch_never_touches_more_experts_than_there_are_nor_fewer_than_one_token_does(
    total: int, active: int, tokens: float, more: float
) -> None:
    experts = Experts(max(total, active), active)
    found = experts.distinct(tokens)
    assert active * (1 - 1e-9) <= found <= experts.total
    assert found <= experts.distinct(tokens + more) + 1e-9


@given(facts(), batches, st.floats(0.0, 1e8))
def test_a_step_reads_at_least_the_active_weights_and_at_most_everything(
    model: StepFacts, batch: float, kv_tokens: float
) -> None:
    found, reason = step_reads(model, batch=batch, kv_tokens=kv_tokens)
    if kv_tokens and not model.layers:
        assert "a token takes" in reason
        return
    assert not reason
    weights, parameters, active = model.weight_bytes, model.parameters, model.active_parameters
    assert weights is not None
    assert parameters is not None
    assert active is not None
    beside = batch * layers_bytes(model.layers, kv_tokens / batch, model.kv_value_bytes)
    assert weights * active / parameters + beside <= found * (1 + 1e-9)
    assert found <= (weights + beside) * (1 + 1e-9)


@given(facts(), batches, st.floats(0.0, 1e8), st.floats(0.0, 1e4), st.floats(0.0, 1e6), st.integers(1, 16))
def test_the_figure_grows_with_steps_requests_and_tokens_and_never_passes_the_peak(
    model: StepFacts, batch: float, kv_tokens: float, steps_per_s: float, more: float, nodes: int
) -> None:
    def at(steps: float, requests: float, tokens: float) -> Bandwidth:
        return effective_bandwidth(model, steps_per_s=steps, batch=requests, kv_tokens=tokens, nodes=nodes)

    found = at(steps_per_s, batch, kv_tokens)
    if found.is_known:
        assert 0.0 <= found.share <= 1.0
        assert found.gb_per_s <= PEAK_GB_PER_S * nodes * (1 + 1e-9)
    else:
        assert math.isnan(found.gb_per_s)
        assert math.isnan(found.share)
    grown = (
        at(steps_per_s + more, batch, kv_tokens),
        at(steps_per_s, batch + more, kv_tokens),
        at(steps_per_s, batch, kv_tokens + more),
    )
    for other in grown:
        # What needs more is never said to need less; once beyond the peak it stays not known.
        assert other.gb_per_s >= found.gb_per_s * (1 - 1e-9) if other.is_known else True
        assert found.is_known or not other.is_known


@pytest.mark.parametrize(
    ("model", "steps_per_s", "batch", "kv_tokens", "words"),
    [
        (facts_of(None, "", "", kv_value_bytes=2.0), 30.0, 1.0, 0.0, "weights"),
        (facts_of(QWEN, QWEN.name, "fp5", kv_value_bytes=2.0), 30.0, 1.0, 0.0, "weights"),
        (replace(MOE, active_parameters=None), 30.0, 1.0, 0.0, "parameters a token uses"),
        (replace(MOE, active_parameters=90e9), 30.0, 1.0, 0.0, "parameters a token uses"),
        (facts_of(replace(QWEN, active_parameters=None, experts=Experts(8, 2)), QWEN.name, "", kv_value_bytes=2.0),
         30.0, 1.0, 0.0, "parameters a token uses"),
        (replace(MOE, experts=None), 30.0, 2.0, 0.0, "experts"),
        (replace(MOE, experts=Experts(8, 9)), 30.0, 2.0, 0.0, "experts"),
        (replace(MOE, layers=()), 30.0, 1.0, 5.0, "a token takes"),
        (MOE, 30.0, 1.0, None, "KV cache holds"),
        (MOE, 30.0, 0.0, 0.0, "requests run"),
        (MOE, 30.0, math.nan, 0.0, "requests run"),
        (MOE, math.nan, 1.0, 0.0, "steps a second"),
        (MOE, math.inf, 1.0, 0.0, "steps a second"),
        (MOE, -1.0, 1.0, 0.0, "steps a second"),
        (MOE, 1e4, 1.0, 0.0, "speculative"),
    ],
)  # fmt: skip
def test_what_is_not_known_gives_no_figure_and_says_why(
    model: StepFacts, steps_per_s: float, batch: float, kv_tokens: float | None, words: str
) -> None:
    found = effective_bandwidth(model, steps_per_s=steps_per_s, batch=batch, kv_tokens=kv_tokens)
    assert math.isnan(found.gb_per_s)
    assert math.isnan(found.share)
    assert words in found.reason


def test_a_full_window_and_a_fixed_state_read_the_same_for_any_length() -> None:
    window = LayerGroup(LayerKind.SLIDING, 18, kv_heads=8, head_dim=64, window_tokens=128)
    state = LayerGroup(LayerKind.LINEAR, 30, state_bytes=2_000_000)
    model = replace(MOE, layers=(window, state))
    short, _ = step_reads(model, batch=4, kv_tokens=4 * 128)
    assert step_reads(model, batch=4, kv_tokens=4 * 100_000) == (short, "")
    none, _ = step_reads(replace(model, layers=()), batch=4, kv_tokens=0)
    assert short - none == pytest.approx(4 * (18 * 128 * 2 * 8 * 64 * 2 + 30 * 2_000_000))


def test_experts_of_4_bit_beside_16_bit_attention_are_read_by_their_own_size() -> None:
    # gpt-oss-120b: 60.9 of 65.5 GB are experts; one token touches 4 of 128, and all that is left but embeddings.
    mixed = StepFacts(65.5e9, 116.8e9, 5.1e9, experts=Experts(128, 4), expert_bytes=60.9e9, unread_bytes=1.2e9)
    found, _ = step_reads(mixed, batch=1, kv_tokens=0)
    assert found == pytest.approx(65.5e9 - 60.9e9 - 1.2e9 + 60.9e9 / 32)
    everything, _ = step_reads(mixed, batch=4096, kv_tokens=0)
    assert everything == pytest.approx(64.3e9)


def test_a_mixture_whose_experts_are_not_known_is_still_known_for_one_request() -> None:
    found = effective_bandwidth(replace(MOE, experts=None), steps_per_s=10, batch=1, kv_tokens=0)
    assert found.gb_per_s == pytest.approx(30.0)


def test_a_server_at_rest_reads_nothing_and_two_nodes_have_twice_the_peak() -> None:
    rest = effective_bandwidth(MOE, steps_per_s=0.0, batch=1, kv_tokens=0)
    assert (rest.gb_per_s, rest.share, rest.reason) == (0.0, 0.0, "")
    one = effective_bandwidth(MOE, steps_per_s=20, batch=1, kv_tokens=0)
    two = effective_bandwidth(MOE, steps_per_s=20, batch=1, kv_tokens=0, nodes=2)
    assert [two.gb_per_s, two.share] == pytest.approx([one.gb_per_s, one.share / 2])
