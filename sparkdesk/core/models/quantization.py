"""Which format a config.json's own words about quantization mean.

The one rule: a method that is not known gives no format, so no size; it is never taken for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.fields import Fields

_FIXED: Final[Mapping[str, str]] = {
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "mxfp4": "MXFP4",
    "nvfp4": "NVFP4",
    "modelopt_fp4": "NVFP4",
    "awq": "AWQ",
}
_BY_BITS: Final[Mapping[str, Mapping[int, str]]] = {
    "gptq": {4: "GPTQ", 8: "INT8"},
    "auto-round": {4: "INT4", 8: "INT8"},
    "auto_round": {4: "INT4", 8: "INT8"},
    "intel/auto-round": {4: "INT4", 8: "INT8"},
    "awq": {4: "AWQ"},
}
_COMPRESSED: Final[Mapping[str, str]] = {
    "nvfp4-pack-quantized": "NVFP4",
    "mxfp4-pack-quantized": "MXFP4",
    "float-quantized": "FP8",
    "naive-quantized": "FP8",
    "int-quantized": "INT8",
}
"""Formats of compressed-tensors. Source: vLLM's and compressed-tensors' own names."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """`key` of a WeightFormat, "" where the method is not known; `method` as the file calls it."""

    key: str
    method: str = ""
    is_attention_kept: bool = False


def read_quantization(top: Fields, text: Fields) -> Quantization:
    """What the config says of its weights' format; without a word they are 16 bit. Raises ModelFileError."""
    found = top.under("quantization_config") or text.under("quantization_config")
    if found is None or not found.values:
        return Quantization("BF16")
    algorithm = found.word("quant_algo").upper()
    method = found.word("quant_method").lower() or ("modelopt" if algorithm else "")
    if not method:
        raise found.wrong("quant_method", "is missing")
    bits = found.count("bits", "w_bit", "weight_bits", most=64)
    if method in ("modelopt", "modelopt_fp4"):
        key = _modelopt(algorithm or ("NVFP4" if method == "modelopt_fp4" else ""))
    elif method == "compressed-tensors":
        key = _compressed(found)
    elif method in _BY_BITS and bits is not None:
        key = _BY_BITS[method].get(bits, "")
    else:
        key = _FIXED.get(method, "")
    return Quantization(key, method, _is_attention_kept(found))


def _modelopt(algorithm: str) -> str:
    if "NVFP4" in algorithm or "FP4" in algorithm:
        return "NVFP4"
    return "FP8" if "FP8" in algorithm else ""


def _compressed(found: Fields) -> str:
    form = found.word("format").lower()
    if form != "pack-quantized":
        return _COMPRESSED.get(form, "")
    groups = found.under("config_groups")
    for name in groups.values if groups is not None else ():
        group = groups.under(name) if groups is not None else None
        weights = group.under("weights") if group is not None else None
        if weights is not None:
            return {4: "INT4", 8: "INT8"}.get(weights.count("num_bits", most=64) or 0, "")
    return ""


def _is_attention_kept(found: Fields) -> bool:
    """Whether attention is among what stays in 16 bit, by the patterns of module names."""
    for name in ("ignore", "modules_to_not_convert", "exclude_modules"):
        value = found.values.get(name)
        if isinstance(value, list | tuple) and any(
            isinstance(each, str) and "attn" in each for each in value[:100_000]
        ):
            return True
    return False
