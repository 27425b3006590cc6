"""How many bytes weights take in a format: what is quantized with its scales, and what stays in 16 bit.

The one rule: a computed size says so; it never stands in for a published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.spec import COMPUTED, ModelSpec, WeightFormat

BYTES_PER_PARAMETER: Final[Mapping[str, float]] = {
    "BF16": 2.0,
    "FP8": 1.0,
    "INT8": 1.0,
    "NVFP4": 0.5 + 1 / 16,
    "MXFP4": 0.5 + 1 / 32,
    "AWQ": 0.5 + 2.5 / 128,
    "GPTQ": 0.5 + 2.5 / 128,
    "INT4": 0.5 + 2.5 / 128,
    "MXFP4_GGUF": 0.5 + 1 / 32,
    "F32": 4.0,
    "F16": 2.0,
    "Q8_0": 34 / 32,
    "Q6_K": 210 / 256,
    "Q5_K_M": 5.69 / 8,
    "Q5_K_S": 5.54 / 8,
    "Q5_1": 24 / 32,
    "Q5_0": 22 / 32,
    "Q4_K_M": 4.85 / 8,
    "Q4_K_S": 4.58 / 8,
    "Q4_1": 20 / 32,
    "Q4_0": 18 / 32,
    "IQ4_NL": 18 / 32,
    "IQ4_XS": 4.25 / 8,
    "Q3_K_L": 4.27 / 8,
    "Q3_K_M": 3.91 / 8,
    "Q3_K_S": 3.5 / 8,
    "Q2_K": 2.96 / 8,
    "IQ3_XXS": 98 / 256,
    "IQ2_XXS": 66 / 256,
}
"""With scales: NVFP4 one byte for 16 values, MXFP4 one for 32, AWQ, GPTQ and INT4 a 16 bit scale and a 4 bit zero for
128. Source: the formats' definitions; GGUF's by its block sizes, its mixed ones (_K_M, _K_S) recalled averages."""
GGUF_KEYS: Final = frozenset(key for key in BYTES_PER_PARAMETER if key[0] in "QI" and key not in ("INT8", "INT4")) | {
    "MXFP4_GGUF",
    "F16",
    "F32",
}


@dataclass(frozen=True, slots=True)
class ParameterParts:
    """A model's parameters by what formats do to them. `lookup` are input embeddings that are not the output's too."""

    experts: int = 0
    attention: int = 0
    output: int = 0
    """The output head; with tied embeddings it is the embedding."""
    lookup: int = 0
    rest: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.experts + self.attention + self.output + self.lookup + self.rest


@dataclass(frozen=True, slots=True)
class WeightSplit:
    """Bytes of a checkpoint: all, the routed experts' of them, and what no decode step reads whole of them."""

    weight_bytes: int
    expert_bytes: int
    unread_bytes: int


def weight_bytes_of(parts: ParameterParts, key: str, *, is_attention_kept: bool = False) -> WeightSplit | None:
    """Bytes of these parameters in this format; None where the format is not known.

    Embeddings and head stay in 16 bit in all formats but GGUF's; with `is_attention_kept` so does everything that is
    not an expert (of a mixture) or attention (of a dense model). Checked against published sizes in the tests.
    """
    rate = BYTES_PER_PARAMETER.get(key)
    if rate is None:
        return None
    ends = rate if key in GGUF_KEYS else 2.0
    attention = 2.0 if is_attention_kept else rate
    rest = 2.0 if is_attention_kept and parts.experts else rate
    whole = (
        parts.experts * rate + parts.attention * attention + parts.rest * rest + (parts.output + parts.lookup) * ends
    )
    return WeightSplit(round(whole), round(parts.experts * rate), round(parts.lookup * ends))


USUAL_VOCABULARY: Final = 150_000
"""Words of an embedding that is the head too, where no checkpoint tells how many: our own choice, rather too many."""


def compute_format(spec: ModelSpec, key: str) -> WeightFormat | None:
    """Weights of this model in a format that nobody is known to have made; None where format or model is not known.

    What stays in 16 bit is taken from the known checkpoint of the nearest size. Safetensors are for the engines that
    run the model's other ones; GGUF for whoever runs GGUF.
    """
    rate = BYTES_PER_PARAMETER.get(key)
    if rate is None or not spec.parameters:
        return None
    split = weight_bytes_of(_parts_of(spec, spec.parameters, rate), key)
    if split is None:
        return None
    is_file = key in GGUF_KEYS
    engines = dict.fromkeys(one for each in spec.formats if each.key not in GGUF_KEYS for one in each.engines)
    return WeightFormat(
        key,
        split.weight_bytes,
        engines=() if is_file else tuple(engines),
        source=COMPUTED,
        expert_bytes=split.expert_bytes,
        unread_bytes=split.unread_bytes,
    )


def _parts_of(spec: ModelSpec, parameters: int, rate: float) -> ParameterParts:
    """The model's parameters in parts, as its known checkpoint of the nearest size tells them."""
    known = [each for each in spec.formats if each.key in BYTES_PER_PARAMETER and each.weight_bytes]
    if not known:
        return ParameterParts(rest=parameters)
    like = min(known, key=lambda each: (*_likeness(each), abs(BYTES_PER_PARAMETER[each.key] - rate)))
    own = BYTES_PER_PARAMETER[like.key]
    is_mixed = like.weight_bytes < 0.98 * own * parameters  # its experts are smaller than its name says
    share = like.expert_bytes / like.weight_bytes * parameters if is_mixed else like.expert_bytes / own
    experts = round(share) if spec.experts else 0
    lookup = round(like.unread_bytes / (own if like.key in GGUF_KEYS else 2.0))
    kept = _kept_parameters(known, parameters) or 2 * lookup or USUAL_VOCABULARY * (spec.hidden_size or 0)
    kept = min(max(kept, lookup), max(0, parameters - experts))
    lookup = min(lookup, kept)
    return ParameterParts(experts, 0, kept - lookup, lookup, parameters - experts - kept)


def _kept_parameters(known: list[WeightFormat], parameters: int) -> int:
    """What stays in 16 bit in every known quantized checkpoint; 0: none is known."""
    quantized = [each for each in known if each.key not in GGUF_KEYS and BYTES_PER_PARAMETER[each.key] < 2.0]
    rates = [(each.weight_bytes, BYTES_PER_PARAMETER[each.key]) for each in quantized]
    return max(0, round(min(((size - rate * parameters) / (2.0 - rate) for size, rate in rates), default=0.0)))


def _likeness(each: WeightFormat) -> tuple[bool, bool]:
    """Quantized safetensors tell most of what stays in 16 bit, then 16 bit ones, then GGUF."""
    return each.key in GGUF_KEYS, each.key == "BF16"
