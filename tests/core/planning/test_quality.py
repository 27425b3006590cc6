"""A format's loss: the published one with its source, else the word of its class."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.models.spec import WeightFormat
from sparkdesk.core.planning.quality import class_of, is_eight_bit_or_more, quality_of


def weights(key: str, **fields: str) -> WeightFormat:
    return WeightFormat(key, 1, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "level", "words"),
    [
        ("BF16", 0, "none"),
        ("FP8", 1, "minimal"),
        ("INT8", 2, "small"),
        ("NVFP4", 3, "noticeable on edge cases"),
        ("INT4", 4, "moderate"),
        ("AWQ", 4, "moderate"),
        ("GPTQ", 4, "moderate"),
        ("MXFP4", 0, "none"),
        ("Q8_0", 2, "small"),
        ("Q4_K_M", 4, "moderate"),
        ("IQ4_XS", 4, "moderate"),
        ("nvfp4", 3, "noticeable on edge cases"),
    ],
)
def test_a_class_has_its_word_and_no_source(key: str, level: int, words: str) -> None:
    found = quality_of(weights(key))
    assert (found.level, found.words, found.source) == (level, words, "")


def test_a_published_loss_stands_before_the_class() -> None:
    found = quality_of(weights("NVFP4", loss="MMLU 0.4 points less", loss_source="model card"))
    assert (found.level, found.words, found.source) == (3, "MMLU 0.4 points less", "model card")


def test_a_worse_cache_speaks_for_both() -> None:
    assert quality_of(weights("BF16"), "fp8").level == 1
    assert "KV cache fp8" in quality_of(weights("BF16"), "fp8").words
    assert quality_of(weights("NVFP4"), "fp8") == quality_of(weights("NVFP4"))
    assert quality_of(weights("Q8_0"), "q4_0").level == 4
    assert quality_of(weights("FP8"), "auto").words == "minimal"


def test_a_format_that_nobody_knows_is_taken_for_the_worst() -> None:
    found = quality_of(weights("WEIRD"))
    assert (found.level, found.words) == (4, "not known")
    assert class_of("WEIRD") is None
    assert not is_eight_bit_or_more(weights("WEIRD"))


def test_what_loses_no_more_than_eight_bits_is_told_from_four() -> None:
    assert [key for key in ("BF16", "FP8", "INT8", "Q8_0", "MXFP4") if is_eight_bit_or_more(weights(key))] == [
        "BF16", "FP8", "INT8", "Q8_0", "MXFP4",
    ]  # fmt: skip
    assert not [key for key in ("NVFP4", "INT4", "AWQ", "Q6_K", "Q4_1") if is_eight_bit_or_more(weights(key))]


@pytest.mark.parametrize(("points", "level"), [(0.0, 0), (0.4, 1), (1.65, 2), (2.6, 3), (9.0, 4)])
def test_a_published_loss_sorts_by_its_size_and_not_by_the_formats_class(points: float, level: int) -> None:
    published = replace(weights("NVFP4", loss="published", loss_source="model card"), loss_points=points)
    assert quality_of(published).level == level
    assert quality_of(published, "q4_0").level == 4
