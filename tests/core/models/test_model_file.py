"""A file's first bytes are enough to know the model, whichever kind of file it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkdesk.core.models.config import read_config
from sparkdesk.core.models.fields import ModelFileError
from sparkdesk.core.models.model_file import spec_from_bytes
from tests.core.models.configs import DEEPSEEK_V3, LLAMA_70B

TINY = Path(__file__).parents[2] / "data" / "models" / "tinytool.gguf"


def test_a_config_and_a_gguf_are_told_apart_by_what_is_in_them() -> None:
    config = spec_from_bytes(json.dumps(LLAMA_70B).encode(), name="own/llama")
    assert config == read_config(LLAMA_70B, name="own/llama")
    assert spec_from_bytes(TINY.read_bytes(), name="tiny.gguf").engines == ("llamacpp",)


def test_the_size_of_the_files_is_believed_before_the_shape() -> None:
    text = json.dumps(DEEPSEEK_V3).encode()
    computed, seen = (
        spec_from_bytes(text, name="own/v3"),
        spec_from_bytes(text, name="own/v3", weight_bytes=700 * 10**9),
    )
    (weights,), (before,) = seen.formats, computed.formats
    assert (weights.weight_bytes, weights.source) == (700 * 10**9, "size of its files")
    assert weights.expert_bytes / weights.weight_bytes == pytest.approx(before.expert_bytes / before.weight_bytes)
    assert seen.weight_bytes[""] == 700 * 10**9
    assert spec_from_bytes(text, name="own/v3", weight_bytes=0) == computed


@pytest.mark.parametrize("head", [b"", b"hello", b"PK\x03\x04", json.dumps({"hidden_size": 5}).encode()])
def test_a_file_that_says_no_model_is_refused(head: bytes) -> None:
    with pytest.raises(ModelFileError):
        spec_from_bytes(head, name="own/model", weight_bytes=5)
