"""How many bytes weights take in a format: what is quantized with its scales, and what stays in 16 bit.

The one rule: a computed size says so; it never stands in for a published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
