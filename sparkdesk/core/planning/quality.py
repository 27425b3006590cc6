"""What a weight format costs in answers: the published loss where there is one, else the class of the format.

The one rule: a class's word is marked as such (its source is empty); only a measurement of the checkpoint has a source.
Source of the classes: the guidance for DGX Spark that comes with the published measurements of it: FP8 minimal, INT8
small, NVFP4 noticeable on edge cases, INT4 moderate. GGUF types are put to the class of their bits.
"""

from __future__ import annotations

import re

from sparkdesk.core.models.spec import WeightFormat
from sparkdesk.core.planning.row import Quality

NONE, MINIMAL, SMALL, NOTICEABLE, MODERATE = range(5)
WORDS = ("none", "minimal", "small", "noticeable on edge cases", "moderate")
"""By level."""
MOST_POINTS = (0.0, 0.5, 2.0, 4.0)
"""By level: points lower on average of the published tests. Our own choice, so that one column sorts both."""
_CLASSES = {
    "FP32": NONE, "F32": NONE, "BF16": NONE, "FP16": NONE, "F16": NONE,
    "FP8": MINIMAL, "FP8_E4M3": MINIMAL, "FP8_E5M2": MINIMAL, "MXFP8": MINIMAL,
    "INT8": SMALL, "W8A8": SMALL, "Q8_0": SMALL, "Q8_1": SMALL,
    "NVFP4": NOTICEABLE, "FP4": NOTICEABLE,
    "INT4": MODERATE, "AWQ": MODERATE, "GPTQ": MODERATE,
    "MXFP4": NONE, "MXFP4_GGUF": NONE,
}  # fmt: skip
"""MXFP4: the models that come in it were trained to it, so the checkpoint has nothing that it was made from."""
_GGUF = re.compile(r"^(?:IQ|Q|TQ)(\d)")
_GGUF_LEVELS = {8: SMALL, 6: NOTICEABLE, 5: NOTICEABLE}
"""By bits; below 5 moderate."""
_CACHE_CLASSES = {"fp8": MINIMAL, "fp8_e4m3": MINIMAL, "fp8_e5m2": MINIMAL, "fp8_ds_mla": MINIMAL, "q8_0": SMALL,
                  "int8": SMALL, "nvfp4": NOTICEABLE, "q5_0": NOTICEABLE, "q5_1": NOTICEABLE, "q4_0": MODERATE,
                  "q4_1": MODERATE, "iq4_nl": MODERATE}  # fmt: skip
"""Of values of the KV cache by their type; 16 bit costs nothing."""


def class_of(format_key: str) -> int | None:
    """The level of a format's class; None for a format that nobody put in one."""
    key = format_key.upper()
    found = _CLASSES.get(key)
    if found is not None:
        return found
    gguf = _GGUF.match(key)
    return _GGUF_LEVELS.get(int(gguf[1]), MODERATE) if gguf else None


def quality_of(weights: WeightFormat, kv_dtype: str = "") -> Quality:
    """What weights and cache cost together: the worse of the two. A format of no class is taken for the worst."""
    level = _level_of(weights.loss_points) if weights.loss_points is not None else _class_of(weights)
    words, source = (weights.loss, weights.loss_source) if weights.loss else (_class_words(level), "")
    known = MODERATE if level is None else level
    cache = _CACHE_CLASSES.get(kv_dtype.lower(), NONE)
    if cache > known:
        return Quality(cache, f"{WORDS[cache]} (KV cache {kv_dtype})")
    return Quality(known, words, source)


def is_eight_bit_or_more(weights: WeightFormat) -> bool:
    """Whether it loses no more than eight bits do; a checkpoint that was trained in four bits loses nothing."""
    level = _class_of(weights)
    return level is not None and level <= SMALL


def _class_of(weights: WeightFormat) -> int | None:
    """The class of its format; a model that would be put into MXFP4 now was not trained to it."""
    level = class_of(weights.key)
    return MODERATE if weights.is_computed and weights.key.startswith("MXFP4") else level


def _level_of(points: float) -> int:
    """The level of a published loss."""
    return next((level for level, most in enumerate(MOST_POINTS) if points <= most), MODERATE)


def _class_words(level: int | None) -> str:
    return "not known" if level is None else WORDS[level]
