"""The planner's data files: what is wrong in one is a typed error that names it."""

from __future__ import annotations

import pytest

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.planning.memory.need import DEVICE_BYTES, VALUE_BYTES
from sparkdesk.core.planning.reference import FILES, read_reference
from tests.core.planning.speed.speeds import RESOURCES, catalogue, reference


def texts(**changed: bytes) -> dict[str, bytes]:
    return {stem: (RESOURCES / "planning" / f"{stem}.toml").read_bytes() for stem in FILES} | changed


def test_engines_and_devices_name_their_sources_and_what_launches() -> None:
    engines, devices = reference().engines, reference().devices
    assert {key for key, one in engines.items() if one.is_launchable} == {"vllm", "sglang", "trtllm", "llamacpp"}
    assert [build.key for build in engines["vllm"].builds] == ["stock", "tuned", "eager"]
    assert all(one.source for one in engines.values())
    assert all(one.source for one in devices.values())
    assert {key for key, one in devices.items() if one.is_fitted} == {"gb10"}


def test_every_format_of_the_catalogue_runs_on_an_engine_that_it_names() -> None:
    for spec in catalogue().values():
        for weights in spec.formats:
            assert weights.engines
            assert all(weights.key in reference().engines[key].formats for key in weights.engines), (spec.key, weights)


def test_every_cache_type_and_speculative_method_of_an_engine_is_known() -> None:
    for engine in reference().engines.values():
        assert set(engine.kv_dtypes) <= set(VALUE_BYTES)
        assert set(engine.speculatives) <= {"none", *reference().calibration.speculations}


@pytest.mark.parametrize("stem", FILES)
def test_a_file_that_is_missing_or_no_table_is_refused_by_its_name(stem: str) -> None:
    for text in (b"", b"\xff\xfe", b"[[[", b'surprise = "value"\n', b"x" * (5 << 20)):
        with pytest.raises(SettingsError, match=stem):
            read_reference(texts(**{stem: text}))
    with pytest.raises(SettingsError, match=stem):
        read_reference({key: text for key, text in texts().items() if key != stem})


@pytest.mark.parametrize(
    ("stem", "old", "new"),
    [
        ("devices", b"peak_gb_per_s = 273.0", b"peak_gb_per_s = inf"),
        ("devices", b'"16" = 125.0', b'"17" = 125.0'),
        ("measurements", b"users = 1", b"users = 0"),
        ("measurements", b'engine = "vllm"', b'engine = "abacus"'),
        ("calibration", b"kv_efficiency = ", b"kv_efficiency = 1"),
        ("engines", b"runtime_bytes = 4_294", b"runtime_bytes = -4_294"),
    ],
)
def test_a_figure_that_cannot_be_is_refused(stem: str, old: bytes, new: bytes) -> None:
    text = texts()[stem]
    assert old in text
    with pytest.raises(SettingsError) as caught:
        read_reference(texts(**{stem: text.replace(old, new)}))
    assert caught.value.remedy


def test_a_node_that_nobody_read_has_the_memory_of_its_device() -> None:
    assert {key: device.memory_bytes for key, device in reference().devices.items()} == DEVICE_BYTES
