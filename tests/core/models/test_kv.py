"""What a sequence keeps: as published for known models, never less for more tokens, never more than its parts allow."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.models.catalogue import find_model, read_catalogue
from sparkdesk.core.models.kv import growing_bytes_per_token, kv_bytes_per_sequence, node_kv_bytes, stage_share
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.paths import resources_dir

CATALOGUE = read_catalogue((resources_dir() / "catalogue" / "models.toml").read_bytes())
KIB, GIB = 1024, 1 << 30
NOTHING = ModelSpec(name="own/model", title="Model")


def spec_of(key: str) -> ModelSpec:
    match = find_model(CATALOGUE, key)
    assert match is not None, key
    return match.spec


@st.composite
def groups(draw: st.DrawFn) -> LayerGroup:
    kind = draw(st.sampled_from(LayerKind))
    count, heads, size = draw(st.integers(1, 100)), draw(st.integers(1, 64)), draw(st.integers(1, 512))
    return LayerGroup(
        kind,
        count,
        kv_heads=heads,
        head_dim=size,
        window_tokens=draw(st.integers(1, 10_000)),
        latent_dim=draw(st.integers(0, 1000)),
        state_bytes=draw(st.integers(1, 1 << 23)),
        has_shared_kv=draw(st.booleans()),
    )


specs = st.lists(groups(), min_size=1, max_size=5).map(lambda each: replace(NOTHING, layers=tuple(each)))
lengths = st.integers(0, 1_000_000)
sizes = st.integers(1, 8)


# Source of the KiB: published tables of these models' caches in 16 bit.
@pytest.mark.parametrize(
    ("key", "kib"),
    [
        ("llama-3.1-8b", 128),
        ("llama-3.3-70b", 320),
        ("llama-3.1-405b", 504),
        ("qwen2-7b", 56),
        ("qwen3-14b", 160),
        ("qwen3-30b-a3b", 96),
        ("qwen3-235b-a22b", 188),
        ("qwen3.6-35b-a3b", 20),
        ("qwen3.5-397b-a17b", 30),
        ("qwen3-coder-next", 24),
        ("gpt-oss-20b", 24),
        ("gpt-oss-120b", 36),
        ("nemotron-3-nano-30b-a3b", 6),
        ("nemotron-3-super-120b-a12b", 8),
        ("minimax-m2.5", 248),
        ("glm-4.7-flash", 52.875),
        ("deepseek-v3", 68.625),
        ("phi-4-reasoning-plus", 200),
    ],
)
def test_a_token_takes_what_is_published(key: str, kib: float) -> None:
    assert growing_bytes_per_token(spec_of(key), value_bytes=2.0) == pytest.approx(kib * KIB)


def test_a_model_of_128k_tokens_keeps_what_is_published() -> None:
    tokens = 131_072
    assert kv_bytes_per_sequence(spec_of("llama-3.3-70b"), tokens=tokens, value_bytes=2.0) == 40 * GIB
    assert kv_bytes_per_sequence(spec_of("llama-3.3-70b"), tokens=tokens, value_bytes=1.0) == 20 * GIB
    # 18 of 36 layers stop at 128 tokens: 4.5 GiB and a little, not 9.
    windows = 18 * 128 * 2 * 8 * 64 * 2
    assert kv_bytes_per_sequence(spec_of("gpt-oss-120b"), tokens=tokens, value_bytes=2.0) == 4.5 * GIB + windows


def test_linear_layers_keep_the_same_state_whatever_the_length_and_the_cache_type() -> None:
    spec = spec_of("qwen3.6-35b-a3b")
    state = kv_bytes_per_sequence(spec, tokens=0, value_bytes=2.0)
    assert state is not None
    # 30 layers of 32 heads x 128 x 128 in 32 bit: 60 MiB, and the convolution's columns.
    assert state == pytest.approx(60 * (1 << 20), rel=0.03)
    assert kv_bytes_per_sequence(spec, tokens=0, value_bytes=1.0) == state
    long = kv_bytes_per_sequence(spec, tokens=10_000, value_bytes=2.0)
    assert long == pytest.approx(state + 10_000 * 20 * KIB)


def test_a_latent_cache_lies_whole_on_every_tensor_rank() -> None:
    spec = spec_of("deepseek-v3")
    whole = kv_bytes_per_sequence(spec, tokens=1000, value_bytes=2.0)
    assert node_kv_bytes(spec, tokens=1000, sequences=1, value_bytes=2.0, parallelism=Parallelism(4)) == whole


def test_kv_heads_are_divided_until_each_rank_has_one() -> None:
    spec = spec_of("qwen3-coder-next")
    alone, two, four = (
        node_kv_bytes(spec, tokens=100_000, sequences=1, value_bytes=2.0, parallelism=Parallelism(ranks))
        for ranks in (1, 2, 4)
    )
    assert alone is not None
    assert two is not None
    assert four is not None
    assert two == pytest.approx(alone / 2)
    heads = 100_000 * 12 * KIB
    # 2 KV heads: four ranks hold one each, so twice a quarter; the states are divided by four.
    assert four - heads == pytest.approx((two - heads) / 2)


def test_the_fullest_stage_and_the_fullest_replica_count() -> None:
    spec = spec_of("llama-3.3-70b")
    whole = kv_bytes_per_sequence(spec, tokens=1000, value_bytes=2.0)
    assert whole is not None

    def share(pipeline: int, data: int, sequences: int) -> float | None:
        split = Parallelism(1, pipeline, data)
        return node_kv_bytes(spec, tokens=1000, sequences=sequences, value_bytes=2.0, parallelism=split)

    assert share(3, 1, 1) == pytest.approx(whole * 27 / 80)
    assert share(1, 2, 5) == pytest.approx(whole * 3)
    assert stage_share(spec, 3) == pytest.approx(27 / 80)


def test_a_model_of_unknown_shape_has_no_figure() -> None:
    assert kv_bytes_per_sequence(NOTHING, tokens=10, value_bytes=2.0) is None
    assert growing_bytes_per_token(NOTHING, value_bytes=2.0) is None
    assert node_kv_bytes(NOTHING, tokens=10, sequences=1, value_bytes=2.0, parallelism=Parallelism()) is None


@given(specs, lengths, lengths, st.floats(0.5, 4.0))
def test_more_tokens_never_take_less(spec: ModelSpec, tokens: int, more: int, value_bytes: float) -> None:
    short = kv_bytes_per_sequence(spec, tokens=tokens, value_bytes=value_bytes)
    long = kv_bytes_per_sequence(spec, tokens=tokens + more, value_bytes=value_bytes)
    grows = growing_bytes_per_token(spec, value_bytes=value_bytes)
    assert short is not None
    assert long is not None
    assert grows is not None
    assert short <= long
    assert short >= tokens * grows * (1 - 1e-9)


@given(st.lists(groups(), min_size=1, max_size=4), lengths)
def test_a_window_stops_growing_where_it_is_full(found: list[LayerGroup], more: int) -> None:
    layers = tuple(replace(group, kind=LayerKind.SLIDING) for group in found)
    spec = replace(NOTHING, layers=layers)
    full = max(group.window_tokens for group in layers)
    at_full = kv_bytes_per_sequence(spec, tokens=full, value_bytes=2.0)
    assert kv_bytes_per_sequence(spec, tokens=full + more, value_bytes=2.0) == at_full


@given(specs, lengths, st.integers(1, 64), sizes, sizes, sizes)
def test_the_nodes_hold_no_less_than_the_whole_and_one_node_no_more(
    spec: ModelSpec, tokens: int, sequences: int, tensor: int, pipeline: int, data: int
) -> None:
    split = Parallelism(tensor, pipeline, data)
    one = kv_bytes_per_sequence(spec, tokens=tokens, value_bytes=2.0)
    share = node_kv_bytes(spec, tokens=tokens, sequences=sequences, value_bytes=2.0, parallelism=split)
    assert one is not None
    assert share is not None
    assert share * split.world_size >= sequences * one * (1 - 1e-9)
    assert share <= math.ceil(sequences / data) * one * (1 + 1e-9)
