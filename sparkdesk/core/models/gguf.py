"""Reads what a GGUF file says of its model: size, cache and weights from its header, without the weights themselves.

The one rule: tensors are believed before metadata; their table says what is really in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sparkdesk.core.models.fields import MOST_LAYERS, Fields, ModelFileError, show
from sparkdesk.core.models.gguf_header import Header, Tensor, read_header
from sparkdesk.core.models.spec import Experts, LayerGroup, LayerKind, ModelSpec, WeightFormat

HEAD_BYTES = 64 << 20
"""How much of a file's beginning to read: headers are a few MB."""
_FILE_TYPES: Final[Mapping[int, str]] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 38: "MXFP4_GGUF",
}  # fmt: skip
"""llama.cpp's number of a file type -> the key of a WeightFormat. Source: llama.cpp's llama_ftype."""
_TYPE_KEYS: Final = {"Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "Q3_K": "Q3_K_M", "MXFP4": "MXFP4_GGUF"}
_EVERY_NTH: Final = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4}
"""Architectures whose layers have windows but for every nth. Source: llama.cpp's model code."""
_FAMILY = re.compile(r"^[a-z0-9_.-]{1,40}\Z")
_BLOCK = re.compile(r"^blk\.(\d{1,5})\.(.{1,80})$")


@dataclass(frozen=True, slots=True)
class _Layer:
    """What the table has of one layer."""

    names: frozenset[str]
    key_width: int | None
    """Values of a token's keys."""
    latent_width: int | None


def read_gguf(head: bytes, *, name: str, others: Sequence[bytes] = ()) -> ModelSpec:
    """The spec of a GGUF file from its first bytes (`HEAD_BYTES` of them are enough). Raises ModelFileError.

    `others` are the beginnings of the further files of a model that is split. Bytes are those of the tensors.
    """
    header = read_header(head)
    fields = Fields(header.values)
    tensors = list(header.tensors)
    files = fields.count("split.count", most=10_000, least=0) or 1
    if files > 1 + len(others):
        raise ModelFileError(
            f"This is one of {files} files of the model",
            field="split.count",
            remedy="Give the first file with all others beside it.",
        )
    for other in others:
        tensors += read_header(other).tensors
    if not tensors:
        raise ModelFileError("The file has no tensors, so no model", field="tensors")
    return _spec(Header(header.values, tuple(tensors)), fields, name)


def _spec(header: Header, fields: Fields, name: str) -> ModelSpec:
    family = fields.word("general.architecture")
    if not _FAMILY.match(family):
        raise fields.wrong("general.architecture", f"is no name of one: {show(family)}" if family else "is missing")
    experts = _experts(fields, family)
    weights = _weights(header, fields, name)
    total = sum(tensor.elements for tensor in header.tensors)
    active = None
    if experts is not None:
        routed = sum(tensor.elements for tensor in header.tensors if "_exps." in tensor.name)
        unread = sum(tensor.elements for tensor in _unread(header.tensors))
        active = total - unread - routed + routed * experts.active // experts.total
    title = "".join(char for char in fields.word("general.name", most=1000) if char.isprintable())[:128]
    shown = "".join(char for char in name if char.isprintable())[:128] or "model"
    return ModelSpec(
        name=shown,
        title=title or shown,
        parameters=total,
        active_parameters=active,
        experts=experts,
        hidden_size=fields.count(f"{family}.embedding_length", most=1 << 24),
        attention_heads=_most_heads(fields, f"{family}.attention.head_count"),
        context_tokens=fields.count(f"{family}.context_length", most=1 << 32),
        layers=_layers(header, fields, family),
        formats=(weights,),
        purposes=("chat",),
        speculatives=("mtp",) if fields.count(f"{family}.nextn_predict_layers", least=0) else (),
        sources={"parameters": "sum of the GGUF's tensors", "layers": "the GGUF's own header"},
    )


def _experts(fields: Fields, family: str) -> Experts | None:
    total = fields.count(f"{family}.expert_count", most=1 << 20, least=0)
    if not total:
        return None
    active = fields.need(f"{family}.expert_used_count", most=1 << 20)
    if active > total:
        raise fields.wrong(f"{family}.expert_used_count", f"{active} is more than the {total} experts")
    return Experts(total, active)


def _unread(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The input embeddings, where the output has its own."""
    has_head = any(tensor.name == "output.weight" for tensor in tensors)
    return [tensor for tensor in tensors if has_head and tensor.name == "token_embd.weight"]


def _weights(header: Header, fields: Fields, name: str) -> WeightFormat:
    number = fields.count("general.file_type", most=1 << 20, least=0)
    key = _FILE_TYPES.get(number & 1023, "") if number is not None else ""
    if not key:
        by_type: dict[str, int] = {}
        for tensor in header.tensors:
            by_type[tensor.type_name] = by_type.get(tensor.type_name, 0) + tensor.size_bytes
        largest = max(by_type, key=lambda each: by_type[each])
        key = _TYPE_KEYS.get(largest, largest)
    return WeightFormat(
        key=key,
        weight_bytes=sum(tensor.size_bytes for tensor in header.tensors),
        expert_bytes=sum(tensor.size_bytes for tensor in header.tensors if "_exps." in tensor.name),
        unread_bytes=sum(tensor.size_bytes for tensor in _unread(header.tensors)),
        engines=("llamacpp",),
        file=name,
        source="sum of the GGUF's tensors",
    )


def _layers(header: Header, fields: Fields, family: str) -> tuple[LayerGroup, ...]:
    count = fields.need(f"{family}.block_count", most=MOST_LAYERS)
    found: dict[int, dict[str, Tensor]] = {}
    for tensor in header.tensors:
        match = _BLOCK.match(tensor.name)
        if match and int(match[1]) < count:
            found.setdefault(int(match[1]), {})[match[2]] = tensor
    counts: dict[LayerGroup, int] = {}
    for index in range(count):
        group = _group(fields, family, index, _layer(found.get(index, {})))
        counts[group] = counts.get(group, 0) + 1
    return tuple(replace(group, count=number) for group, number in counts.items())


def _layer(tensors: Mapping[str, Tensor]) -> _Layer:
    def width(name: str) -> int | None:
        tensor = tensors.get(name)
        return tensor.shape[1] if tensor is not None and len(tensor.shape) == 2 else None

    return _Layer(frozenset(tensors), width("attn_k.weight"), width("attn_kv_a_mqa.weight"))


def _group(fields: Fields, family: str, index: int, layer: _Layer) -> LayerGroup:
    if any(name.startswith("ssm_") for name in layer.names):
        return LayerGroup(LayerKind.LINEAR, 1, state_bytes=_state_bytes(fields, family))
    if layer.latent_width:
        return LayerGroup(LayerKind.LATENT, 1, latent_dim=layer.latent_width)
    if not layer.names & {"attn_k.weight", "attn_qkv.weight"}:
        return LayerGroup(LayerKind.NONE, 1)
    window = _window(fields, family, index)
    heads = _per_layer(fields, f"{family}.attention.head_count", index)
    if not heads:
        raise fields.wrong(f"{family}.attention.head_count", "is missing")
    size = (fields.count(f"{family}.attention.key_length_swa", most=1 << 16) if window else None) or fields.count(
        f"{family}.attention.key_length", most=1 << 16
    )
    size = size or max(1, fields.need(f"{family}.embedding_length", most=1 << 24) // heads)
    kv_heads = _per_layer(fields, f"{family}.attention.head_count_kv", index) or heads
    if layer.key_width and layer.key_width % size == 0:
        kv_heads = layer.key_width // size
    kind = LayerKind.SLIDING if window else LayerKind.FULL
    return LayerGroup(kind, 1, kv_heads, size, window)


def _window(fields: Fields, family: str, index: int) -> int:
    """Tokens that the layer looks back; 0 where it sees all."""
    window = fields.count(f"{family}.attention.sliding_window", most=1 << 32, least=0)
    if not window:
        return 0
    pattern = fields.values.get(f"{family}.attention.sliding_window_pattern")
    if isinstance(pattern, list):
        return window if index < len(pattern) and pattern[index] is True else 0
    nth = _EVERY_NTH.get(family)
    return window if nth is not None and (index + 1) % nth else 0


def _per_layer(fields: Fields, name: str, index: int) -> int | None:
    """A number, or a list with one for each layer."""
    value = fields.values.get(name)
    if isinstance(value, list):
        own = value[index] if index < len(value) else None
        return Fields({name: own}).count(name, most=1 << 16, least=0)
    return fields.count(name, most=1 << 16, least=0)


def _most_heads(fields: Fields, name: str) -> int | None:
    """Of the layers that attend; those that do not have 0 in their list."""
    value = fields.values.get(name)
    count = len(value) if isinstance(value, list) else 1
    return max((_per_layer(fields, name, index) or 0 for index in range(count)), default=0) or None


def _state_bytes(fields: Fields, family: str) -> int:
    """Of one linear layer and sequence, in 32 bit as llama.cpp keeps it."""
    inner = fields.need(f"{family}.ssm.inner_size", most=1 << 24)
    states = fields.need(f"{family}.ssm.state_size", most=1 << 16)
    groups = fields.count(f"{family}.ssm.group_count", most=1 << 16, least=0) or 0
    kernel = fields.count(f"{family}.ssm.conv_kernel", most=1024) or 4
    return 4 * (inner * states + (kernel - 1) * (inner + 2 * groups * states))
