"""Weights take what their format says, with scales and with what stays in 16 bit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.weights import BYTES_PER_PARAMETER, GGUF_KEYS, ParameterParts, weight_bytes_of
from sparkdesk.core.planning.reference import read_reference
from sparkdesk.paths import resources_dir

# Llama 3.3 70B: embeddings and head of 128,256 x 8,192 each.
LLAMA = ParameterParts(attention=12_080_000_000, output=1_050_673_152, lookup=1_050_673_152, rest=56_370_000_000)
# gpt-oss-120b.
MIXTURE = ParameterParts(experts=114_660_000_000, attention=960_000_000, output=579_133_440, lookup=579_133_440)
amounts = st.integers(0, 10**12)


# Source: NVIDIA's 40.6 GB a token in NVFP4 (42.7 with input embeddings); 61 GiB loaded; the hub's file lists.
@pytest.mark.parametrize(
    ("parts", "key", "gigabytes"),
    [
        (LLAMA, "BF16", 141.1),
        (LLAMA, "FP8", 72.7),
        (LLAMA, "NVFP4", 42.7),
        (LLAMA, "Q4_K_M", 42.5),
        (LLAMA, "AWQ", 39.8),
    ],
)
def test_a_dense_model_takes_what_is_published(parts: ParameterParts, key: str, gigabytes: float) -> None:
    split = weight_bytes_of(parts, key)
    assert split is not None
    assert split.weight_bytes / 1e9 == pytest.approx(gigabytes, rel=0.01)
    assert split.expert_bytes == 0


def test_attention_that_stays_in_16_bit_counts_so() -> None:
    kept, quantized = weight_bytes_of(MIXTURE, "MXFP4", is_attention_kept=True), weight_bytes_of(MIXTURE, "MXFP4")
    assert kept is not None
    assert quantized is not None
    assert kept.weight_bytes / (1 << 30) == pytest.approx(61, rel=0.01)
    assert kept.weight_bytes - quantized.weight_bytes == pytest.approx(960_000_000 * (2 - 17 / 32))
    assert kept.expert_bytes == pytest.approx(114_660_000_000 * 17 / 32)
    assert kept.unread_bytes == 579_133_440 * 2


def test_a_format_that_nobody_knows_has_no_size() -> None:
    assert weight_bytes_of(LLAMA, "FP5") is None
    assert weight_bytes_of(LLAMA, "") is None


@given(
    st.builds(ParameterParts, amounts, amounts, amounts, amounts, amounts), st.sampled_from(sorted(BYTES_PER_PARAMETER))
)
def test_no_format_takes_less_than_its_bits_and_parts_are_no_more_than_the_whole(
    parts: ParameterParts, key: str
) -> None:
    split, kept = weight_bytes_of(parts, key), weight_bytes_of(parts, key, is_attention_kept=True)
    assert split is not None
    assert kept is not None
    assert split.weight_bytes >= parts.total * min(BYTES_PER_PARAMETER[key], 2.0) * (1 - 1e-9) - 1
    assert split.expert_bytes + split.unread_bytes <= split.weight_bytes + 2
    if key not in GGUF_KEYS:
        assert kept.weight_bytes >= split.weight_bytes


def test_an_engine_takes_every_format_that_the_catalogue_gives_it() -> None:
    folder = resources_dir() / "planning"
    names = ("devices", "engines", "measurements", "calibration")
    reference = read_reference({name: (folder / f"{name}.toml").read_bytes() for name in names})
    for spec in read_catalogue((resources_dir() / "catalogue" / "models.toml").read_bytes()):
        for weights in spec.formats:
            assert weights.key in BYTES_PER_PARAMETER
            assert all(weights.key in reference.engines[engine].formats for engine in weights.engines), weights
