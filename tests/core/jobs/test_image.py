"""Images are data with a source; a damaged table is said, and adapters stand without it."""

from __future__ import annotations

import pytest

from backends import sglang, vllm
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.jobs.image import default_image, read_images
from tests.backends.context import ROOT

TABLE = (ROOT / "resources/images.toml").read_bytes()


def test_every_image_names_its_engine_its_use_and_its_source() -> None:
    images = read_images(TABLE)
    assert {"vllm", "sglang", "trtllm"} <= set(images)
    for pins in images.values():
        assert [pin.is_default for pin in pins].count(True) == 1
        assert pins[0].is_default
        assert all(pin.title and pin.source and pin.architecture == "arm64" for pin in pins)


def test_the_table_and_the_adapters_have_the_same_defaults() -> None:
    images = read_images(TABLE)
    assert default_image(images, "vllm", "") == vllm.DEFAULT_IMAGE
    assert default_image(images, "sglang", "") == sglang.DEFAULT_IMAGE
    assert default_image({}, "vllm", vllm.DEFAULT_IMAGE) == vllm.DEFAULT_IMAGE


@pytest.mark.parametrize("text", [b"", b"image = 1", b"[[image]]\nengine = 'x'", b"\xff", b"[[image]]\nmodels = 3"])
def test_a_damaged_table_is_said(text: bytes) -> None:
    with pytest.raises(SettingsError, match="damaged"):
        read_images(text)
